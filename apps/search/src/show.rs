//! What is shown, step by step.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_naming::starter::Starter;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Priority, Runtime, Within, fleet};
use fos_search::charter::{FLEET, MEMBERS, charter};
use fos_search::client;
use fos_search::problem::Problem;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;
use libfos::{Start, println};

use crate::start::{PATIENCE, order};

/// Cores of naming and of the first member.
const NAMING_CORE: u16 = 0;
const FIRST_CORE: u16 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long the fleet works before a member of it is ended.
const BEFORE_THE_END: Duration = Duration::from_millis(100);
/// How long a search may take.
const SEARCH_WITHIN: Duration = Duration::from_secs(90);
/// Two searches: members end during the first.
const PROBLEMS: [Problem; 2] =
    [Problem { seed: 2_012, cities: 11, split: 3 }, Problem { seed: 2_026, cities: 10, split: 2 }];

/// The fleet, and who started it.
struct Show {
    runtime: Runtime,
    root: ProgramsClient<Within>,
    names: Rc<Names>,
    first: Started,
}

/// Shows it all.
pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let root = programs(start).ok_or("the image does not let this program start others")?;
    let (starter, root_key) = Starter::serve(&server.runtime);
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    Root::of_program(start)
        .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline))
        .map_err(|error| error.to_string())?;
    let (runtime, core) = (server.runtime.clone(), start.core as u16);
    server.block_on(async move {
        let root = ProgramsClient::new(runtime.within(PATIENCE), root);
        let show = Show::begin(runtime, root, (&starter, root_key), core).await?;
        println!("search: the fleet has {MEMBERS} members");
        show.have_the_first_ended();
        for (number, problem) in (0..).zip(PROBLEMS) {
            show.solve(number, problem).await?;
        }
        show.wait_for_members().await?;
        println!("search: the fleet has {MEMBERS} members again");
        Ok(())
    })
}

impl Show {
    /// Starts naming and the first member, and waits for the others.
    async fn begin(
        runtime: Runtime,
        root: ProgramsClient<Within>,
        (starter, root_key): (&Starter, DirectoryKey),
        core: u16,
    ) -> Result<Show, String> {
        let naming = Order { program: "naming".into(), arguments: Vec::new(), core: NAMING_CORE };
        let naming = root.start(&naming).await.map_err(|error| format!("naming does not start: {error}"))?;
        starter.expect(Identity(naming.identity));
        let deadline = runtime.port().now().after(PATIENCE);
        while starter.serving().is_empty() && runtime.port().now() < deadline {
            runtime.sleep(LOOK_EVERY).await;
        }
        let names = Names::new(runtime.clone(), starter.serving(), (0, core));
        let key = DirectoryKey([runtime.port().random(), runtime.port().random()]);
        let charter = charter(key).map_err(|error| error.to_string())?;
        while fleet::found(&names, &charter, root_key).await.is_err() {
            if runtime.port().now() > deadline {
                return Err("waited in vain for naming to make the fleet's name".into());
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        let first = root.start(&order(key, FIRST_CORE)).await;
        let first = first.map_err(|error| format!("no member starts: {error}"))?;
        let show = Show { runtime, root, names, first };
        show.wait_for_members().await?;
        Ok(show)
    }

    async fn wait_for_members(&self) -> Result<(), String> {
        let path = Path::new(FLEET).map_err(|error| error.to_string())?;
        let deadline = self.runtime.port().now().after(PATIENCE);
        while self.names.members(&path).await.map_or(0, |members| members.len()) < MEMBERS {
            if self.runtime.port().now() > deadline {
                return Err(format!("waited in vain for {MEMBERS} members"));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Ends the first member after a while: it coordinates, and is the one that looks for what ended members had.
    fn have_the_first_ended(&self) {
        let (runtime, root, first) = (self.runtime.clone(), self.root.clone(), self.first);
        self.runtime.spawn(Priority::Normal, async move {
            runtime.sleep(BEFORE_THE_END).await;
            match root.stop(first.number).await {
                Ok(()) => println!("search: member {} was ended while it searched", first.identity),
                Err(error) => println!("search: root does not end a member: {error}"),
            }
        });
    }

    async fn solve(&self, number: u16, problem: Problem) -> Result<(), String> {
        let began = self.runtime.port().now();
        let found = client::solve(&self.runtime, &self.names, (number, problem), SEARCH_WITHIN).await;
        let found = found.map_err(|failure| failure.to_string())?;
        let took = self.runtime.port().now().since(began).as_millis();
        let alone = problem.shortest();
        if found != alone {
            return Err(format!("the fleet found a trip of length {found}, and there is one of {alone}"));
        }
        let cities = problem.cities;
        println!(
            "search: the shortest trip through {cities} cities has length {found}, as found alone; {took} ms"
        );
        Ok(())
    }
}

//! What is shown, step by step.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_init::{Founder, wait_for_members};
use fos_messages::names::Path;
use fos_messages::programs::{ProgramsClient, Started};
use fos_runtime::{Names, Priority, Runtime, Within, fleet};
use fos_search::charter::{FLEET, MEMBERS, charter};
use fos_search::client;
use fos_search::problem::Problem;
use libfos::memory::Memory;
use libfos::server::Server;
use libfos::{Start, println};

use crate::start::PROGRAM;

/// Cores of naming and of the first member.
const NAMING_CORE: u16 = 0;
const FIRST_CORE: u16 = 2;
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
    let founder = Founder::begin(start, &server)?;
    server.block_on(async move {
        let show = Show::begin(founder).await?;
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
    async fn begin(founder: Founder) -> Result<Show, String> {
        let names = founder.naming(&[NAMING_CORE]).await?;
        let charter = charter(founder.new_key()).map_err(|error| error.to_string())?;
        let founded = founder.found(&names, &charter, fleet::found, (PROGRAM, FIRST_CORE)).await?;
        let Founder { runtime, root, .. } = founder;
        let show = Show { runtime, root, names, first: founded.first };
        show.wait_for_members().await?;
        Ok(show)
    }

    async fn wait_for_members(&self) -> Result<(), String> {
        let path = Path::new(FLEET).map_err(|error| error.to_string())?;
        wait_for_members(&self.runtime, &self.names, &path, MEMBERS, |_| true).await
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

//! Who founds fleets: the starter of naming, who has the key of `/`.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_messages::names::{DirectoryKey, NAMING, NameError, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::CallError;
use fos_messages::watchdog::WATCHDOG;
use fos_naming::nursery::{Event, Nursery};
use fos_naming::starter::Starter;
use fos_runtime::fleet::{self, ByPrograms, Charter, Growth, MEMBER};
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Permitted, Runtime, Within};
use libfos::Start;
use libfos::clock::Clock;
use libfos::root::{Root, programs};
use libfos::server::Server;

use crate::waiting::{LOOK_EVERY, PATIENCE};

/// What the image calls members of naming.
const NAMING_PROGRAM: &str = "naming";

/// What it takes to found fleets.
#[derive(Clone)]
pub struct Founder {
    /// Its runtime.
    pub runtime: Runtime,
    /// Who starts programs.
    pub root: ProgramsClient<Within>,
    /// Who introduces members of naming to each other.
    pub starter: Rc<Starter>,
    /// The key of `/`.
    pub root_key: DirectoryKey,
    /// This program's core.
    pub core: u16,
    /// Where members may run.
    pub cores: Vec<u16>,
}

/// A fleet that has its names and a first member.
pub struct Founded {
    /// Its key.
    pub key: DirectoryKey,
    /// Its first member.
    pub first: Started,
}

impl Founder {
    /// From now on this program is the starter of naming, and is found as that.
    pub fn begin(start: &Start, server: &Server) -> Result<Founder, String> {
        let (starter, root_key) = Starter::serve(&server.runtime);
        Founder::with(start, server, starter, root_key)
    }

    /// The same, with a starter that hears this runtime already, of the fleet whose `/` has this key.
    pub fn with(
        start: &Start,
        server: &Server,
        starter: Rc<Starter>,
        root_key: DirectoryKey,
    ) -> Result<Founder, String> {
        let root = programs(start)
            .ok_or("the image does not let this program start others: give it \"programs\"")?;
        let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
        Root::of_program(start)
            .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline))
            .map_err(|error| format!("root does not take the starter's name: {error}"))?;
        let runtime = server.runtime.clone();
        let root = ProgramsClient::new(runtime.within(PATIENCE), root);
        let (core, cores) = (start.core as u16, (0..start.cores as u16).collect());
        Ok(Founder { runtime, root, starter, root_key, core, cores })
    }

    /// Naming with a member on each of these cores, none of which is replaced.
    pub async fn naming(&self, on: &[u16]) -> Result<Rc<Names>, String> {
        let nursery = Nursery::new(&self.runtime, &self.starter, |_| ());
        self.begin_naming(&nursery, &*self.naming_growth(), on).await?;
        Ok(self.names())
    }

    /// Naming with a member on each of these cores, or with those that the starter knows already, and with another for each that ends, where the watchdog lets it, if there is one;
    /// `hear` is told.
    pub async fn kept_naming(&self, on: &[u16], hear: fn(Event)) -> Result<Rc<Names>, String> {
        let (nursery, growth) = (Nursery::new(&self.runtime, &self.starter, hear), self.naming_growth());
        let known = self.starter.members();
        // Of those that another starter left some may have ended: who lacks is started when all are looked at.
        let members = if known.is_empty() { self.begin_naming(&nursery, &*growth, on).await? } else { known };
        let names = self.names();
        // This process is the starter.
        names.follow(None);
        let growth: Rc<dyn Growth> = Permitted::new(growth, &names, path(WATCHDOG)?, path(NAMING)?);
        nursery.keep(&growth, &names, members, on.len());
        Ok(names)
    }

    fn naming_growth(&self) -> Rc<ByPrograms> {
        let order = Order { program: NAMING_PROGRAM.into(), arguments: Vec::new(), core: self.core };
        ByPrograms::new(self.root.clone(), order, self.cores.clone())
    }

    async fn begin_naming(
        &self,
        nursery: &Nursery,
        growth: &dyn Growth,
        on: &[u16],
    ) -> Result<Vec<fos_abi::Identity>, String> {
        let mut members = Vec::new();
        for core in on {
            let started = nursery.start(growth, Some(*core), Vec::new()).await;
            members.push(started.ok_or(format!("no member of naming comes to core {core}"))?);
        }
        Ok(members)
    }

    /// The way to the members of naming that serve now.
    fn names(&self) -> Rc<Names> {
        Names::new(self.runtime.clone(), self.starter.serving(), (0, self.core))
    }

    /// A key that nobody else knows.
    pub fn new_key(&self) -> DirectoryKey {
        let port = self.runtime.port();
        DirectoryKey([port.random(), port.random()])
    }

    /// Makes a fleet's names as the fleet has them made, and starts its first member there.
    pub async fn found(
        &self,
        names: &Names,
        charter: &Charter,
        make: impl AsyncFn(&Names, &Charter, DirectoryKey) -> Result<(), CallError<NameError>>,
        (program, core): (&str, u16),
    ) -> Result<Founded, String> {
        self.made(&charter.name, async |above| make(names, charter, above).await).await?;
        self.first_member(charter.key, program, core).await
    }

    /// Makes a fleet's names, under the key of `/`, and tries again while naming does not.
    pub async fn made(
        &self,
        name: &Path,
        make: impl AsyncFn(DirectoryKey) -> Result<(), CallError<NameError>>,
    ) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(PATIENCE);
        while let Err(error) = make(self.root_key).await {
            if self.runtime.port().now() > deadline {
                return Err(format!("the names of {name} are not made: {error}"));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Starts the first member of a fleet whose names are there.
    pub async fn first_member(&self, key: DirectoryKey, program: &str, core: u16) -> Result<Founded, String> {
        let order = Order { program: program.into(), arguments: fleet::arguments(MEMBER, key), core };
        let first = self.root.start(&order).await;
        let first =
            first.map_err(|error| format!("root does not start {program} on core {core}: {error}"))?;
        Ok(Founded { key, first })
    }
}

fn path(name: &str) -> Result<Path, String> {
    Path::new(name).map_err(|error| error.to_string())
}

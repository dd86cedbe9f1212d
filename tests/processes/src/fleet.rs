//! Naming of one member, the fleet, and this program's way to it.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, Path, STARTER};
use fos_messages::processes::NAME;
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::tickets::{Counts, TicketsClient};
use fos_naming::starter::Starter;
use fos_processes::charter::{MARKS, PROGRAM, arguments, charter, found};
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Runtime, Within};
use libfos::Start;
use libfos::clock::Clock;
use libfos::processes::Processes;
use libfos::root::{Root, programs, tickets};
use libfos::server::Server;

/// How long an answer may take, on a slow emulator with a busy host.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Cores of naming and of the first member.
const NAMING_CORE: u16 = 2;
const FIRST_CORE: u16 = 3;

/// The fleet, who started it, and a process of it.
pub struct Fleet {
    pub runtime: Runtime,
    pub names: Rc<Names>,
    pub root: ProgramsClient<Within>,
    pub tickets: TicketsClient<Within>,
    pub first: Started,
    pub processes: Rc<Processes>,
}

/// What this program has, from its start block.
pub struct Ground {
    pub runtime: Runtime,
    pub core: u16,
    root: ProgramsClient<Within>,
    tickets: TicketsClient<Within>,
    starter: (Rc<Starter>, DirectoryKey),
}

impl Ground {
    pub fn of(start: &Start, server: &Server) -> Result<Ground, String> {
        let runtime = server.runtime.clone();
        let root = programs(start).ok_or("the image does not let this program start others")?;
        let tickets = tickets(start).ok_or("the image does not let this program ask for root's counts")?;
        let starter = Starter::serve(&runtime);
        let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
        let registered = Root::of_program(start)
            .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline));
        registered.map_err(|error| error.to_string())?;
        let (root, tickets) = (
            ProgramsClient::new(runtime.within(PATIENCE), root),
            TicketsClient::new(runtime.within(PATIENCE), tickets),
        );
        Ok(Ground { runtime, core: start.core as u16, root, tickets, starter })
    }
}

impl Fleet {
    /// Starts naming and the first member, waits for a second, and becomes a process of the fleet.
    pub async fn start(ground: Ground) -> Result<Fleet, String> {
        let Ground { runtime, core, root, tickets, starter: (starter, root_key) } = ground;
        let order = Order { program: "naming".into(), arguments: Vec::new(), core: NAMING_CORE };
        let naming = root.start(&order).await.map_err(|error| format!("naming does not start: {error}"))?;
        starter.expect(Identity(naming.identity));
        wait_until(&runtime, "naming", || !starter.serving().is_empty()).await?;
        let names = Names::new(runtime.clone(), starter.serving(), (0, core));
        let port = runtime.port();
        let key = DirectoryKey([port.random(), port.random()]);
        let charter = charter(key, MARKS).map_err(|error| error.to_string())?;
        while found(&names, &charter, root_key).await.is_err() {
            runtime.sleep(LOOK_EVERY).await;
        }
        let order = Order { program: PROGRAM.into(), arguments: arguments(key), core: FIRST_CORE };
        let first = root.start(&order).await.map_err(|error| format!("no member starts: {error}"))?;
        let processes = Processes::new(runtime.clone(), names.clone(), charter.name.clone(), PATIENCE);
        let fleet = Fleet { runtime, names, root, tickets, first, processes: Rc::new(processes) };
        fleet.wait_for_members(MARKS.members_min).await?;
        let enrolled = fleet.processes.enroll(key).await;
        enrolled.map_err(|error| format!("this program is no process of the fleet: {error}"))?;
        Ok(fleet)
    }

    /// Waits until so many members serve.
    pub async fn wait_for_members(&self, count: usize) -> Result<(), String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let deadline = self.runtime.port().now().after(PATIENCE);
        loop {
            let members = self.names.members(&path).await.unwrap_or_default();
            if members.len() >= count {
                return Ok(());
            }
            if self.runtime.port().now() > deadline {
                return Err(format!("waited in vain for {count} members: there are {}", members.len()));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// How much root and the kernel have.
    pub async fn counts(&self) -> Result<Counts, String> {
        self.tickets.counts().await.map_err(|error| format!("root does not count: {error}"))
    }
}

pub async fn wait_until(runtime: &Runtime, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
    let deadline = runtime.port().now().after(PATIENCE);
    while !is_so() {
        if runtime.port().now() > deadline {
            return Err(format!("waited in vain for {what}"));
        }
        runtime.sleep(LOOK_EVERY).await;
    }
    Ok(())
}

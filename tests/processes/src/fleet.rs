//! Naming of one member, the fleet, and this program's way to it.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use fos_init::{Founder, wait_for_members};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::processes::NAME;
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::tickets::{Counts, TicketsClient};
use fos_processes::charter::{MARKS, PROGRAM, charter, found};
use fos_runtime::fleet::{MEMBER, arguments};
use fos_runtime::{Names, Runtime, Within};
use libfos::Start;
use libfos::processes::Processes;
use libfos::root::tickets;
use libfos::server::Server;

pub use fos_init::{LOOK_EVERY, PATIENCE};

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
    pub key: DirectoryKey,
    pub processes: Rc<Processes>,
}

/// What this program has, from its start block.
pub struct Ground {
    pub founder: Founder,
    tickets: TicketsClient<Within>,
}

impl Ground {
    pub fn of(start: &Start, server: &Server) -> Result<Ground, String> {
        let tickets = tickets(start).ok_or("the image does not let this program ask for root's counts")?;
        let founder = Founder::begin(start, server)?;
        Ok(Ground { tickets: TicketsClient::new(founder.runtime.within(PATIENCE), tickets), founder })
    }
}

impl Fleet {
    /// Starts naming and the first member, waits for a second, and becomes a process of the fleet.
    pub async fn start(ground: Ground) -> Result<Fleet, String> {
        let Ground { founder, tickets } = ground;
        let names = founder.naming(&[NAMING_CORE]).await?;
        let charter = charter(founder.new_key(), MARKS).map_err(|error| error.to_string())?;
        let founded = founder.found(&names, &charter, found, (PROGRAM, FIRST_CORE)).await?;
        let Founder { runtime, root, .. } = founder;
        let processes = Processes::new(runtime.clone(), names.clone(), charter.name, PATIENCE);
        let (first, processes) = (founded.first, Rc::new(processes));
        let fleet = Fleet { runtime, names, root, tickets, first, key: founded.key, processes };
        fleet.wait_for_members(MARKS.members_min).await?;
        let enrolled = fleet.processes.enroll(founded.key).await;
        enrolled.map_err(|error| format!("this program is no process of the fleet: {error}"))?;
        Ok(fleet)
    }

    /// Starts a member when there is none.
    pub async fn start_member(&self) -> Result<Started, String> {
        let order =
            Order { program: PROGRAM.into(), arguments: arguments(MEMBER, self.key), core: FIRST_CORE };
        self.root.start(&order).await.map_err(|error| format!("no member starts: {error}"))
    }

    /// Waits until so many members serve.
    pub async fn wait_for_members(&self, count: usize) -> Result<(), String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        wait_for_members(&self.runtime, &self.names, &path, count, |_| true).await
    }

    /// How much root and the kernel have.
    pub async fn counts(&self) -> Result<Counts, String> {
        self.tickets.counts().await.map_err(|error| format!("root does not count: {error}"))
    }
}

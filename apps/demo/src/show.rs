//! The demonstration: a fleet that begins with one member, grows under load, loses its coordinator under load, has a member moved
//! to another core under load, shrinks when the load is gone, and has every note that was acknowledged. Each step has a time in which it must come about.

use crate::charter::{FLEET, LOADERS, MARKS, charter};
use crate::member::PROGRAM;
use crate::process::Process;
use crate::protocol::{LoaderClient, Progress};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::Display;
use core::iter;
use core::time::Duration;
use fos_messages::fleet::{FleetClient, Standing};
use fos_messages::names::{DirectoryKey, Entry, NameError, Path};
use fos_messages::programs::{Order, Started};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Priority, fleet};

/// How long a step may take, on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one member may take to have a move begun, before another is asked.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// How long a member has to be moved to one core before another is tried.
const MOVE_WITHIN: Duration = Duration::from_secs(7);
/// How often is looked whether it has come about.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Notes under way that keep four members busy, over all loaders.
const HEAVY: u32 = 16;
/// The pause of a task when there is little to do.
const LIGHT_PAUSE: Duration = Duration::from_millis(100);

/// How much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Cores of the loaders.
    pub loaders: Vec<u16>,
    /// Core of the first member.
    pub first: u16,
    /// Cores to which a member may be moved.
    pub places: Vec<u16>,
    /// Notes that must be acknowledged before and after the coordinator is ended.
    pub stretch: u64,
    /// Whether the coordinator is ended; in the simulator plans say who ends.
    pub ends_coordinator: bool,
}

/// A demonstration under way.
pub struct Show {
    pub(crate) process: Process,
    key: DirectoryKey,
    fleet: Path,
    size: Size,
    loaders: Vec<Address>,
    first: Option<Started>,
}

pub(crate) fn text(error: impl Display) -> String {
    error.to_string()
}

impl Show {
    /// Of a fleet that is to be made below `/`, whose key is `root_key`.
    pub async fn begin(process: Process, root_key: DirectoryKey, size: Size) -> Result<Show, String> {
        let port = process.runtime.port();
        let key = DirectoryKey([port.random(), port.random()]);
        let fleet = Path::new(FLEET).map_err(text)?;
        let mut show = Show { process, key, fleet, size, loaders: Vec::new(), first: None };
        let charter = charter(key, show.process.marks).map_err(text)?;
        let names = show.process.names.clone();
        show.wait_until("naming to make the fleet's name", async || {
            fleet::found(&names, &charter, root_key).await.is_ok()
        })
        .await?;
        let loaders = Path::new(LOADERS).map_err(text)?;
        show.wait_until("naming to make the loaders' name", async || {
            let made = names.make(&loaders, key, key, true).await;
            matches!(made, Ok(()) | Err(CallError::Refused(NameError::Exists)))
        })
        .await?;
        show.first = Some(show.start_first().await?);
        show.wait_for_members(
            MARKS.members_min,
            "the fleet was started with one member and has made itself two",
        )
        .await?;
        for core in show.size.loaders.clone() {
            show.start("loader", core).await?;
        }
        let count = show.size.loaders.len();
        show.wait_until("the loaders to come", async || {
            show.process.names.members(&loaders).await.is_ok_and(|found| found.len() == count)
        })
        .await?;
        let found = names.members(&loaders).await.map_err(text)?;
        show.loaders = found.into_iter().map(|entry| entry.address).collect();
        Ok(show)
    }

    /// Starts the first member, and if that ends when nobody else is there yet, another elsewhere: the core may be why.
    async fn start_first(&self) -> Result<Started, String> {
        let others = self.size.places.iter().filter(|place| **place != self.size.first);
        for core in iter::once(&self.size.first).chain(others).cycle() {
            let first = self.start("member", *core).await?;
            let has_ended = Rc::new(Cell::new(false));
            let (root, told) = (self.process.root.clone(), has_ended.clone());
            self.process.runtime.spawn(Priority::Normal, async move {
                told.set(root.end(first.number).await.is_ok());
            });
            let is_begun = async || self.standing().await.is_ok_and(|standing| standing.members > 1);
            self.wait_until("a second member", async || has_ended.get() || is_begun().await).await?;
            if is_begun().await {
                return Ok(first);
            }
        }
        Err("there is no core for the first member".into())
    }

    /// Makes load until the fleet is as large as it gets.
    pub async fn grow(&self) -> Result<(), String> {
        self.load(HEAVY / self.loaders.len() as u32, Duration::ZERO).await?;
        self.wait_for_members(MARKS.members_max, "under load the fleet has grown to four members").await?;
        self.stretch().await
    }

    /// Ends the coordinator, which is the first member, under load.
    pub async fn lose_coordinator(&self) -> Result<(), String> {
        let Some(first) = self.first.filter(|_| self.size.ends_coordinator) else { return Ok(()) };
        let before = self.standing().await?;
        self.process.root.stop(first.number).await.map_err(text)?;
        (self.process.say)(format_args!(
            "member {}, which coordinated, was ended under load",
            first.identity
        ));
        self.wait_until("another coordinator", async || {
            self.standing()
                .await
                .is_ok_and(|now| now.epoch > before.epoch && now.coordinator != first.identity)
        })
        .await?;
        self.wait_for_members(MARKS.members_max, "it was replaced: the fleet has four members again").await?;
        self.stretch().await
    }

    /// Has the fleet move a member to another core under load: the one with the fewest, or if none comes there, the next. A
    /// member that ends meanwhile is not moved but replaced.
    pub async fn relocate(&self) -> Result<(), String> {
        let before = self.members().await?;
        let leaver = before.first().ok_or("the fleet has no member that could be moved")?;
        let cores = self.places_for(leaver, &before);
        let began = self.process.runtime.port().now();
        self.wait_until("a member to be moved", async || {
            let Ok(members) = self.members().await else { return false };
            let has_gone = members.iter().all(|entry| entry.address != leaver.address);
            let turn = self.process.runtime.port().now().since(began).as_secs() / MOVE_WITHIN.as_secs();
            if let Some(core) = cores.iter().cycle().nth(turn as usize).filter(|_| !has_gone) {
                self.ask_to_move(leaver, *core, &members).await;
            }
            has_gone
        })
        .await?;
        self.wait_for_count(MARKS.members_max).await?;
        let is_new = |entry: &&Entry| before.iter().all(|known| known.address != entry.address);
        let members = self.members().await?;
        if let Some(entry) = members.iter().filter(is_new).find(|entry| cores.contains(&entry.core)) {
            let (from, to) = (leaver.address.identity.0, entry.address.identity.0);
            (self.process.say)(format_args!(
                "under load member {from} was moved from core {} to core {}, as member {to}",
                leaver.core, entry.core
            ));
        }
        self.stretch().await
    }

    /// Asks one member after the other until one says that the move is under way. Who does not coordinate says who does.
    async fn ask_to_move(&self, leaver: &Entry, core: u16, members: &[Entry]) {
        for member in members {
            let fleet = FleetClient::new(self.process.runtime.within(ASK_WITHIN), member.address);
            if fleet.relocate(self.key, leaver.address.identity.0, core).await.is_ok() {
                return;
            }
        }
    }

    pub(crate) async fn members(&self) -> Result<Vec<Entry>, String> {
        self.process.names.members(&self.fleet).await.map_err(text)
    }

    /// Where to move a member: to the cores with the fewest first.
    fn places_for(&self, leaver: &Entry, members: &[Entry]) -> Vec<u16> {
        let mut cores = self.size.places.clone();
        cores.retain(|core| *core != leaver.core);
        cores.sort_by_key(|core| members.iter().filter(|entry| entry.core == *core).count());
        cores
    }

    /// Leaves little to do.
    pub async fn lighten(&self) -> Result<(), String> {
        self.load(1, LIGHT_PAUSE).await
    }

    /// Takes the load away until the fleet is as small as it gets.
    pub async fn shrink(&self) -> Result<(), String> {
        self.lighten().await?;
        self.wait_for_members(MARKS.members_min, "with little to do the fleet has shrunk to two members")
            .await
    }

    /// Ends the load, and counts the notes.
    pub async fn check(&self) -> Result<Progress, String> {
        self.load(0, Duration::ZERO).await?;
        self.wait_until("the loaders to finish", async || {
            self.progress().await.is_ok_and(|all| all.busy == 0)
        })
        .await?;
        let mut sum = Progress::default();
        for loader in &self.loaders {
            sum = add(sum, self.loader(*loader).check().await.map_err(text)?);
        }
        if sum.lost > 0 {
            return Err(format!("{} of {} acknowledged notes are lost", sum.lost, sum.written));
        }
        (self.process.say)(format_args!(
            "{} notes acknowledged, none lost at any member; {} calls came to nothing",
            sum.written, sum.failed
        ));
        Ok(sum)
    }

    async fn start(&self, role: &str, core: u16) -> Result<Started, String> {
        let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(role, self.key), core };
        let started = self.process.root.start(&order).await;
        started.map_err(|error| format!("root does not start a {role}: {error}"))
    }

    fn loader(&self, address: Address) -> LoaderClient<fos_runtime::Within> {
        LoaderClient::new(self.process.runtime.within(PATIENCE), address)
    }

    async fn load(&self, tasks: u32, pause: Duration) -> Result<(), String> {
        for loader in &self.loaders {
            self.loader(*loader).load(tasks, pause.as_micros() as u64).await.map_err(text)?;
        }
        Ok(())
    }

    /// What all loaders together have done.
    pub async fn progress(&self) -> Result<Progress, String> {
        let mut sum = Progress::default();
        for loader in &self.loaders {
            sum = add(sum, self.loader(*loader).progress().await.map_err(text)?);
        }
        Ok(sum)
    }

    /// Waits until so many more notes have been acknowledged.
    pub async fn stretch(&self) -> Result<(), String> {
        let until = self.progress().await?.written + self.size.stretch;
        self.wait_until("notes to be acknowledged", async || {
            self.progress().await.is_ok_and(|now| now.written >= until)
        })
        .await
    }

    pub(crate) async fn standing(&self) -> Result<Standing, String> {
        let members = self.members().await?;
        let mut found = Err("nobody belongs to the fleet".into());
        for member in members {
            let fleet = FleetClient::new(self.process.runtime.within(PATIENCE), member.address);
            if let Ok(standing) = fleet.standing().await
                && standing.epoch > 0
            {
                found = Ok(standing);
            }
        }
        found
    }

    pub(crate) async fn wait_for_members(&self, count: usize, what: &str) -> Result<(), String> {
        self.wait_for_count(count).await?;
        (self.process.say)(format_args!("{what}"));
        Ok(())
    }

    /// Waits until so many are registered under the fleet's name, and belong to it.
    async fn wait_for_count(&self, count: usize) -> Result<(), String> {
        self.wait_until(&format!("{count} members"), async || {
            self.members().await.is_ok_and(|found| found.len() == count)
                && self.standing().await.is_ok_and(|standing| standing.members as usize == count)
        })
        .await
    }

    pub(crate) async fn wait_until(&self, what: &str, is_so: impl AsyncFn() -> bool) -> Result<(), String> {
        let runtime = &self.process.runtime;
        let deadline = runtime.port().now().after(PATIENCE);
        while !is_so().await {
            if runtime.port().now() > deadline {
                return Err(format!("waited in vain for {what}"));
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

fn add(one: Progress, other: Progress) -> Progress {
    Progress {
        written: one.written + other.written,
        failed: one.failed + other.failed,
        busy: one.busy + other.busy,
        lost: one.lost + other.lost,
    }
}

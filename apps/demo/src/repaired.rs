//! Every server of every fleet is ended under load, one after the other, without a word to it; each is replaced, and nothing that
//! was acknowledged is lost: names, notes, frames and what is written in them, and who is looked after. Or a core stops, with a
//! server of each fleet on it.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_demo::charter::FLEET;
use fos_demo::show::Show;
use fos_messages::names::{NAMING, Path};
use fos_messages::pages;
use fos_messages::rpc::Address;
use fos_messages::watchdog::{WATCHDOG, WatchdogClient};
use fos_naming::nursery::Event;
use fos_pages::charter::{MARKS, charter, found};
use fos_pages::member::PROGRAM;
use fos_runtime::Names;
use libfos::memory::Memory;
use libfos::println;

use crate::fleet::{Demo, LOOK_EVERY, NAMES, NAMING_CORES, PATIENCE};
use crate::frames::Frames;
use crate::members::{await_members, members, path};
use crate::names::NameLoad;

/// The fleets whose servers are ended, in this order.
const FLEETS: [&str; 4] = [NAMING, WATCHDOG, pages::NAME, FLEET];
/// How many members each has at least, as `images/watchdog.toml` has it.
const WANTED: [(&str, usize); 4] = [(NAMING, 3), (WATCHDOG, 3), (pages::NAME, 2), (FLEET, 2)];
/// Names and rounds of frames that must come about after each end.
const STRETCH: u64 = 10;
/// How long it may take until a core stops and all is repaired.
const STOPS_WITHIN: Duration = Duration::from_secs(150);

/// What is done meanwhile.
struct Load {
    names: Rc<Names>,
    made: Rc<NameLoad>,
    show: Show,
    frames: Rc<Frames>,
}

impl Load {
    /// Rounds of frames and names so far.
    fn done(&self) -> (u64, u64) {
        (self.frames.rounds.done(), self.made.rounds.done())
    }

    fn failed(&self) -> Result<(), String> {
        self.frames.rounds.failed().and_then(|()| self.made.rounds.failed())
    }
}

impl Demo {
    /// Ends every server.
    pub(crate) async fn show_repaired(&self, memory: Memory) -> Result<(), String> {
        let load = self.begin_all(memory).await?;
        let mut ended = 0;
        for fleet in FLEETS {
            ended += self.end_all(&load, &path(fleet)?).await?;
        }
        println!("fleet: {ended} servers of {} fleets were ended under load and replaced", FLEETS.len());
        self.check_all(&load).await
    }

    /// Waits until nobody is left on a core, which is made to fail from outside, and until every fleet is whole without it.
    pub(crate) async fn show_stopped(&self, memory: Memory, core: u16) -> Result<(), String> {
        let load = self.begin_all(memory).await?;
        // Members of the demo have room for the notes of seconds, and it may take a minute.
        load.show.lighten().await?;
        load.made.lighten();
        let mut there = 0;
        for (fleet, _) in WANTED {
            let members = load.names.members(&path(fleet)?).await.map_err(|error| error.to_string())?;
            there += members.iter().filter(|member| member.core == core).count();
        }
        if there == 0 {
            return Err(format!("core {core} has stopped before it had any servers: have it stop later"));
        }
        println!("fleet: {there} servers run on core {core}, and wait for its end");
        self.await_whole_without(&load, core).await?;
        println!("fleet: core {core} has stopped under load, and all its servers were replaced");
        let before = load.done();
        load.show.stretch().await?;
        self.await_stretch(&load, before).await?;
        self.check_all(&load).await
    }

    async fn await_whole_without(&self, load: &Load, core: u16) -> Result<(), String> {
        let deadline = self.founder.runtime.port().now().after(STOPS_WITHIN);
        loop {
            let mut lacking = Vec::new();
            for (fleet, count) in WANTED {
                let members = load.names.members(&path(fleet)?).await.unwrap_or_default();
                if members.len() < count || members.iter().any(|member| member.core == core) {
                    lacking.push(format!("{fleet} has {} of {count}", members.len()));
                }
            }
            if lacking.is_empty() {
                return Ok(());
            }
            if self.founder.runtime.port().now() > deadline {
                return Err(format!("not all fleets are whole without core {core}: {lacking:?}"));
            }
            load.failed()?;
            self.founder.runtime.sleep(LOOK_EVERY * 10).await;
        }
    }

    /// Starts every fleet, and what uses it.
    async fn begin_all(&self, memory: Memory) -> Result<Load, String> {
        let names = self.start_kept_naming().await?;
        self.start_watchdog(&names).await?;
        self.start_pages(&names).await?;
        let frames = Frames::begin(&self.founder.runtime, &names, memory).await?;
        let show = self.begin(&names).await?;
        let made = NameLoad::begin(&self.founder.runtime, &names, NAMES, self.founder.root_key).await?;
        show.grow().await?;
        Ok(Load { names, made, show, frames })
    }

    /// Ends the load, and looks at all that was acknowledged.
    async fn check_all(&self, load: &Load) -> Result<(), String> {
        load.show.check().await?;
        load.frames.check().await?;
        println!("fleet: {} rounds of frames, none lost and none mixed up", load.frames.rounds.done());
        let naming = members(&load.names, &path(NAMING)?).await?;
        load.made.check(&naming).await?;
        self.check_charges(&load.names).await
    }

    /// Naming whose members are replaced.
    pub(crate) async fn start_kept_naming(&self) -> Result<Rc<Names>, String> {
        let names = self.founder.kept_naming(&NAMING_CORES, tell).await?;
        println!("fleet: naming has {} members", NAMING_CORES.len());
        Ok(names)
    }

    async fn start_pages(&self, names: &Rc<Names>) -> Result<(), String> {
        let charter = charter(self.founder.new_key(), MARKS).map_err(|error| error.to_string())?;
        self.founder.found(names, &charter, found, (PROGRAM, NAMING_CORES[1])).await?;
        await_members(&self.founder.runtime, names, &charter.name, MARKS.members_min, None).await
    }

    /// Ends each of those that are members of a fleet now.
    async fn end_all(&self, load: &Load, fleet: &Path) -> Result<usize, String> {
        let members = members(&load.names, fleet).await?;
        for member in &members {
            let before = load.done();
            let ended = self.founder.root.fence(member.identity.0).await;
            ended.map_err(|error| format!("root does not end a member of {fleet}: {error}"))?;
            let (runtime, names) = (&self.founder.runtime, &load.names);
            await_members(runtime, names, fleet, members.len(), Some(member.identity)).await?;
            load.show.stretch().await?;
            self.await_stretch(load, before).await?;
            println!("fleet: member {} of {fleet} was ended under load and replaced", member.identity.0);
        }
        Ok(members.len())
    }

    /// Waits until the loads of naming and of pages have done something since.
    async fn await_stretch(&self, load: &Load, (rounds, names): (u64, u64)) -> Result<(), String> {
        let deadline = self.founder.runtime.port().now().after(PATIENCE);
        loop {
            load.failed()?;
            let (done, made) = load.done();
            if done >= rounds + STRETCH && made >= names + STRETCH {
                return Ok(());
            }
            if self.founder.runtime.port().now() > deadline {
                return Err(format!("the loads stand still at {made} names"));
            }
            self.founder.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// The watchdog, none of whose first members is left, looks after every member that there is.
    async fn check_charges(&self, names: &Rc<Names>) -> Result<(), String> {
        let watchdog = WatchdogClient::new(names.at(path(WATCHDOG)?, PATIENCE), Address::default());
        for fleet in FLEETS {
            let fleet = path(fleet)?;
            let all = fleet.child("members").map_err(|error| error.to_string())?;
            let deadline = self.founder.runtime.port().now().after(PATIENCE);
            loop {
                let state = watchdog.state(fleet.clone()).await.map_err(|error| error.to_string())?;
                let members = members(names, &all).await?;
                if state.members as usize == members.len() {
                    break;
                }
                if self.founder.runtime.port().now() > deadline {
                    let members: Vec<u64> = members.iter().map(|member| member.identity.0).collect();
                    return Err(format!(
                        "{} members of {fleet} are looked after: {members:?}",
                        state.members
                    ));
                }
                self.founder.runtime.sleep(LOOK_EVERY * 10).await;
            }
        }
        println!("fleet: the watchdog looks after every member of {} fleets", FLEETS.len());
        Ok(())
    }
}

fn tell(event: Event) {
    match event {
        Event::Ended(identity) => println!("naming: member process {} has ended", identity.0),
        Event::Replaced(identity) => println!("naming: process {} serves in its place", identity.0),
        Event::NotReplaced => println!("naming: none has come in its place yet"),
    }
}

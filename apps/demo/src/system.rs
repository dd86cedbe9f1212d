//! The system's own fleets, as `init` has founded them from the image's tables: every server of each is ended, one after the other
//! and without a word to it, and `init` too, while processes are spawned, names made, and frames taken and given back. Each is
//! replaced, and nothing that was acknowledged is lost. `./fos run -- demo-system`.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_messages::founder::{FOUNDER, FoundedFleet};
use fos_messages::image::Policy;
use fos_messages::names::{NAMING, Path, STARTER};
use fos_messages::processes;
use fos_messages::programs::{Order, ProgramsClient};
use fos_messages::rpc::Address;
use fos_runtime::{Names, Runtime, Within};
use libfos::clock::Clock;
use libfos::founder::{fleets, founder};
use libfos::member::{Begun, status};
use libfos::memory::Memory;
use libfos::processes::Processes;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::children::Children;
use crate::fleet::{LOOK_EVERY, NAMES, PATIENCE};
use crate::frames::Frames;
use crate::members::{await_members, members, path};
use crate::names::NameLoad;

/// What the image calls the program that is spawned, which may do nothing beyond speaking on the console.
pub(crate) const CHILD: &str = "demo-child";
/// Frames for the mailbox by which root is asked for `init`.
const SEEKING_FRAMES: u64 = 32;
/// How long root is waited for each time: the loads go on between.
const SEEK_WITHIN: Duration = Duration::from_millis(2);
/// What each load does at least after each end.
const STRETCH: u64 = 5;

struct System {
    runtime: Runtime,
    names: Rc<Names>,
    root: ProgramsClient<Within>,
    policies: Vec<Policy>,
    load: Load,
}

struct Load {
    names: Rc<NameLoad>,
    frames: Rc<Frames>,
    children: Rc<Children>,
}

impl Load {
    fn done(&self) -> [u64; 3] {
        [self.names.rounds.done(), self.frames.rounds.done(), self.children.rounds.done()]
    }

    fn failed(&self) -> Result<(), String> {
        self.names.rounds.failed()?;
        self.frames.rounds.failed()?;
        self.children.rounds.failed()
    }
}

/// Ends every server.
pub(crate) async fn run(mut begun: Begun, start: Start) -> Result<(), String> {
    let seeking = begun.memory.split(SEEKING_FRAMES);
    let mut seeking = seeking.map_err(|error| format!("its own memory: {error}"))?;
    let first = founder(&start, &mut seeking)?;
    let founded = fleets(&begun.runtime, first).await?;
    let system = System::begin(begun, &founded).await?;
    system.refuse_stranger(&start).await?;
    let second = system.end_founder(&start, &mut seeking, first, &founded).await?;
    let mut ended = 0;
    for fleet in &founded {
        ended += system.end_all(&fleet.name).await?;
    }
    println!("fleet: {ended} servers of {} fleets were ended under load and replaced", founded.len());
    system.end_founder(&start, &mut seeking, second, &founded).await?;
    system.check().await
}

/// What is spawned: it ends with the status that it is told, or stands until it is ended.
pub(crate) fn child(start: &Start, words: &[&str]) -> u8 {
    match words {
        ["ends", status] => status.parse().unwrap_or(u8::MAX),
        _ => status(start, stand(start)),
    }
}

fn stand(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("its own memory: {error:?}"))?;
    Server::create(&mut memory, start).map_err(|error| error.to_string())?.run()
}

/// For a program that the image does not let know the fleets: it finds the starter of naming and not the founder.
pub(crate) fn seek(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("its own memory: {error:?}"))?;
    let (root, clock) =
        (Root::of_program(start).map_err(|error| error.to_string())?, Clock::new(start.tsc_hz));
    let found = root.find(&mut memory, STARTER, clock.after(PATIENCE));
    found.map_err(|error| format!("it finds nobody at all: {error}"))?;
    match root.find(&mut memory, FOUNDER, clock.after(LOOK_EVERY * 100)) {
        Ok(_) => Err("it finds the founder, who tells keys".into()),
        Err(_) => Ok(()),
    }
}

impl System {
    async fn begin(begun: Begun, founded: &[FoundedFleet]) -> Result<System, String> {
        let root = begun.programs()?;
        let Begun { runtime, names, memory, policies, .. } = begun;
        let key = |name: &str| {
            let fleet = founded.iter().find(|fleet| fleet.name.as_str() == name);
            fleet.map(|fleet| fleet.key).ok_or(format!("the image founds no fleet named {name:?}"))
        };
        let fleet = path(processes::NAME)?;
        let processes = Processes::new(runtime.clone(), names.clone(), fleet, PATIENCE);
        let enrolled = processes.enroll(key(processes::NAME)?).await;
        enrolled.map_err(|error| format!("it is no process of the fleet: {error}"))?;
        let load = Load {
            children: Children::begin(&runtime, processes).await?,
            frames: Frames::begin(&runtime, &names, memory).await?,
            names: NameLoad::begin(&runtime, &names, NAMES, key(NAMING)?).await?,
        };
        Ok(System { runtime, names, root, policies, load })
    }

    /// A program without the capability `fleets` finds no founder, while this one does.
    async fn refuse_stranger(&self, start: &Start) -> Result<(), String> {
        let order = Order { program: CHILD.into(), arguments: vec!["seeks".into()], core: start.core as u16 };
        let stranger = self.root.start(&order).await.map_err(|error| format!("no {CHILD}: {error}"))?;
        match self.root.end(stranger.number).await {
            Ok(0) => println!("fleet: a program that may not know the fleets finds no founder"),
            ended => return Err(format!("the program that seeks the founder ended with {ended:?}")),
        }
        Ok(())
    }

    /// Ends `init`, and waits for the next one, which knows the same keys.
    async fn end_founder(
        &self,
        start: &Start,
        memory: &mut Memory,
        now: Address,
        founded: &[FoundedFleet],
    ) -> Result<Address, String> {
        let before = self.load.done();
        self.fence(now.identity, "init").await?;
        let deadline = self.runtime.port().now().after(PATIENCE);
        let (root, clock) =
            (Root::of_program(start).map_err(|error| error.to_string())?, Clock::new(start.tsc_hz));
        let next = loop {
            match root.find(memory, FOUNDER, clock.after(SEEK_WITHIN)) {
                Ok(found) if found.identity != now.identity => break found,
                _ => {}
            }
            if self.runtime.port().now() > deadline {
                return Err("no other init comes".into());
            }
            self.runtime.sleep(LOOK_EVERY).await;
        };
        let known = fleets(&self.runtime, next).await?;
        if known != founded {
            return Err(format!("the next init knows other fleets: {known:?}"));
        }
        self.await_stretch(before).await?;
        println!("fleet: init was ended under load, and the next one knows the same {} fleets", known.len());
        Ok(next)
    }

    /// Ends each of those that are members of a fleet now.
    async fn end_all(&self, fleet: &Path) -> Result<usize, String> {
        let members = members(&self.names, fleet).await?;
        for member in &members {
            let before = self.load.done();
            self.fence(member.identity, "a server").await?;
            self.await_whole(fleet, member.identity).await?;
            self.await_stretch(before).await?;
            println!("fleet: member {} of {fleet} was ended under load and replaced", member.identity.0);
        }
        Ok(members.len())
    }

    async fn fence(&self, identity: Identity, who: &str) -> Result<(), String> {
        self.root.fence(identity.0).await.map_err(|error| format!("root does not end {who}: {error}"))
    }

    /// Waits until a fleet has as many members as the image wants at least, without the one that was ended.
    async fn await_whole(&self, fleet: &Path, ended: Identity) -> Result<(), String> {
        let policy = self.policies.iter().find(|policy| fleet.as_str() == policy.name);
        let wanted = policy.map_or(1, |policy| policy.members_min as usize);
        await_members(&self.runtime, &self.names, fleet, wanted, Some(ended)).await
    }

    /// Waits until each load has done something since.
    async fn await_stretch(&self, before: [u64; 3]) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(PATIENCE);
        loop {
            self.load.failed()?;
            let done = self.load.done();
            if done.iter().zip(before).all(|(done, before)| *done >= before + STRETCH) {
                return Ok(());
            }
            if self.runtime.port().now() > deadline {
                return Err(format!("names, frames and processes stand still at {done:?}, after {before:?}"));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// Ends the loads, and looks at all that was acknowledged.
    async fn check(&self) -> Result<(), String> {
        self.load.children.check().await?;
        self.load.frames.check().await?;
        println!("fleet: {} rounds of frames, none lost and none mixed up", self.load.frames.rounds.done());
        let naming = members(&self.names, &path(NAMING)?).await?;
        self.load.names.check(&naming).await
    }
}

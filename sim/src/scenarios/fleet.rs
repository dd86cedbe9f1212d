//! The demo fleet of `apps/demo`, as it is shown on the machine: naming of three, a fleet that begins with one member, grows under
//! load, moves a member, shrinks after, and keeps every note that was acknowledged, while its members and those of naming end, stall, are slow
//! or full. The processes are `fos-demo`'s own; what stands here is root, who starts them, and an eye on what they do.
//!
//! Naming has the first three cores, whoever shows it all the next, then four loaders; the last is root's, and the others are
//! the members'.
//!
//! What must hold: nobody counts more members than the charter allows, but for one while one is moved, nor sees an epoch twice or an earlier one again; it grows
//! and shrinks as often as the load and the ends of members explain, and no more; the show comes to its end; every acknowledged
//! note is at every member, unless at some time none lived that had all.

mod root;

use self::root::Root;
use super::{Course, Scenario, naming_members};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;
use fos_demo::charter::MARKS;
use fos_demo::process::{Heard, Process as Part};
use fos_demo::protocol::{LoaderInterface, NotesInterface, NotesPeersInterface, Progress};
use fos_demo::show::{Show, Size};
use fos_messages::names::DirectoryKey;
use fos_messages::programs::ProgramsClient;
use fos_runtime::fleet::{Event, Marks};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "fleet",
    about: "the demo fleet: grows under load, moves a member, shrinks after, while members of it and of naming may end",
    cores: 14,
    messages: 8_000,
    begin,
};

/// The key of `/`.
const KEY: DirectoryKey = DirectoryKey([0x0bad_cafe, 0x0ddb_a115]);
const NAMING: u32 = 3;
const LOADERS: u32 = 4;
/// The first core of a member.
const FIRST: u32 = NAMING + 1 + LOADERS;
/// How long root may take.
const ROOT_WITHIN: Duration = Duration::from_secs(30);
/// About how many messages a note has.
const MESSAGES_PER_NOTE: u64 = 10;

/// How the members differ from honest ones: tests plant errors here.
#[derive(Clone, Copy)]
pub(crate) struct Dress {
    /// The water marks.
    pub marks: Marks,
    /// What is done to a member before it lets clients in.
    pub before_it_opens: fn(&Runtime),
}

impl Dress {
    /// As it should be.
    pub(crate) const HONEST: Dress = Dress { marks: MARKS, before_it_opens: |_| () };
}

/// What was seen.
#[derive(Default)]
struct Seen {
    /// Members counted in each epoch.
    epochs: RefCell<BTreeMap<u32, usize>>,
    /// The last epoch of each member.
    last: RefCell<BTreeMap<u64, u32>>,
    complete: RefCell<BTreeSet<u64>>,
    grown: Cell<u64>,
    /// Who was asked to leave. Who stands still is asked again and again: that is one change.
    shrunk: RefCell<BTreeSet<u64>>,
    lost: RefCell<BTreeSet<u64>>,
    did_not_come: Cell<u64>,
    /// At some time nobody lived who had all notes.
    is_wiped: Cell<bool>,
    /// Members in whose place others have come.
    moved: RefCell<BTreeSet<u64>>,
    is_moving: Cell<bool>,
    grown_at: Cell<u64>,
    shrunk_at: Cell<u64>,
    loaded_at: Cell<u64>,
    relieved_at: Cell<u64>,
    outcome: RefCell<Option<Result<Progress, String>>>,
}

struct Fleet {
    root: Rc<Root>,
    seen: Rc<Seen>,
    messages: u64,
    cores: u32,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress::HONEST)
}

/// The same with other members: tests plant errors here.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    world.knows::<NotesInterface>();
    world.knows::<NotesPeersInterface>();
    world.knows::<LoaderInterface>();
    let cores = world.cores().max(FIRST + 3);
    // Three members of naming, on the first cores.
    let naming = naming_members::start(world, NAMING, 0, KEY, |_, _| ());
    let naming: Vec<_> = naming.iter().map(|member| member.address(Class::External)).collect();
    let seen = Rc::<Seen>::default();
    let (eye, watched) = (seen.clone(), world.clone());
    let hear = Rc::new(move |who: u64, heard: Heard| hear(&watched, &eye, who, heard));
    let root = Root::start(
        world,
        cores - 1,
        naming.clone(),
        (FIRST as u16..cores as u16 - 1).collect(),
        hear,
        dress,
    );
    let show = world.start("show", NAMING);
    let part = Part {
        runtime: show.runtime.clone(),
        names: Names::new(show.runtime.clone(), naming, (0, NAMING as u16)),
        root: ProgramsClient::new(show.runtime.within(ROOT_WITHIN), root.address()),
        core: NAMING as u16,
        cores: Vec::new(),
        arguments: Vec::new(),
        policy: None,
        marks: dress.marks,
        say: |_| (),
        hear: Rc::new(|_| ()),
    };
    let size = Size {
        loaders: (NAMING as u16 + 1..FIRST as u16).collect(),
        first: FIRST as u16,
        places: (FIRST as u16..cores as u16 - 1).collect(),
        stretch: messages / MESSAGES_PER_NOTE,
        ends_coordinator: false,
    };
    let (own, clock) = (seen.clone(), world.clone());
    show.spawn(Priority::Normal, async move {
        let outcome = run(part, size, &own, &clock).await;
        *own.outcome.borrow_mut() = Some(outcome);
    });
    Box::new(Fleet { root, seen, messages, cores })
}

async fn run(part: Part, size: Size, seen: &Seen, world: &World) -> Result<Progress, String> {
    let show = Show::begin(part, KEY, size).await?;
    seen.loaded_at.set(world.now());
    show.grow().await?;
    seen.grown_at.set(seen.grown_at.get().max(seen.loaded_at.get()));
    seen.is_moving.set(true);
    show.relocate().await?;
    seen.is_moving.set(false);
    seen.relieved_at.set(world.now());
    show.shrink().await?;
    seen.shrunk_at.set(world.now());
    show.check().await
}

fn hear(world: &World, seen: &Seen, who: u64, heard: Heard) {
    let count = |cell: &Cell<u64>| cell.set(cell.get() + 1);
    match heard {
        Heard::Complete => _ = seen.complete.borrow_mut().insert(who),
        Heard::Fleet(Event::Began { epoch, members, .. }) => began(world, seen, who, epoch.0, members),
        Heard::Fleet(Event::Grows(_)) => count(&seen.grown),
        Heard::Fleet(Event::Shrinks(member)) => _ = seen.shrunk.borrow_mut().insert(member.0),
        Heard::Fleet(Event::Lost(identity)) => _ = seen.lost.borrow_mut().insert(identity.0),
        Heard::Fleet(Event::DidNotGrow) => count(&seen.did_not_come),
        Heard::Fleet(Event::Moves { from, .. }) => _ = seen.moved.borrow_mut().insert(from.0),
        Heard::Fleet(Event::Leaves) => {}
    }
}

fn began(world: &World, seen: &Seen, who: u64, epoch: u32, members: usize) {
    // While one is moved it and its successor are both members; that may be heard of late.
    let is_known = seen.epochs.borrow().contains_key(&epoch);
    if members > MARKS.members_max + usize::from(seen.is_moving.get()) && !is_known {
        world.broken(format!("process {who} counts {members} members in epoch {epoch}"));
    }
    let counted = *seen.epochs.borrow_mut().entry(epoch).or_insert(members);
    if counted != members {
        world.broken(format!("epoch {epoch} has {counted} members for one and {members} for process {who}"));
    }
    let before = seen.last.borrow_mut().insert(who, epoch);
    if before.is_some_and(|before| before >= epoch) {
        world.broken(format!("process {who} went from epoch {before:?} to {epoch}"));
    }
    if members == MARKS.members_max && seen.grown_at.get() == 0 {
        seen.grown_at.set(world.now());
    }
}

impl Fleet {
    /// More changes than the load, the ends of members, and those who did not come explain.
    fn swings(&self) -> Result<(), String> {
        let seen = &self.seen;
        let ends = seen.lost.borrow().len() as u64 + seen.did_not_come.get();
        let moved = seen.moved.borrow().len() as u64;
        let (grown, shrunk) = (seen.grown.get(), seen.shrunk.borrow().len() as u64);
        // From one to the most, and one for each that was moved; and back to the least.
        let (grown_max, shrunk_max) =
            (MARKS.members_max as u64 - 1 + moved, (MARKS.members_max - MARKS.members_min) as u64);
        // Each end may be followed by a member too many for a while, and a change that nobody heard by the same again.
        if grown > grown_max + 2 * ends || shrunk > shrunk_max + 3 * ends {
            return Err(format!("it grew {grown} times and shrank {shrunk} times for {ends} ends"));
        }
        Ok(())
    }
}

impl Course for Fleet {
    fn dangers(&self) -> Dangers {
        let members = (0..MARKS.members_max + 2).map(|number| format!("member-{number}"));
        let naming = (1..NAMING).map(|number| format!("naming-{number}"));
        let cores = (1..NAMING).chain(FIRST..self.cores - 1).collect();
        Dangers { processes: members.chain(naming).collect(), cores, messages: self.messages }
    }

    fn is_over(&self) -> bool {
        let complete = self.seen.complete.borrow();
        if !complete.is_empty() && !complete.iter().any(|identity| self.root.is_alive(*identity)) {
            self.seen.is_wiped.set(true);
        }
        self.seen.is_wiped.get() || self.seen.outcome.borrow().is_some()
    }

    fn end(&self) -> Result<(), String> {
        if self.seen.is_wiped.get() {
            return Ok(());
        }
        match &*self.seen.outcome.borrow() {
            Some(Ok(_)) => self.swings(),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("the show is not over".to_owned()),
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let seen = &self.seen;
        let outcome = seen.outcome.borrow();
        let progress = outcome.as_ref().and_then(|outcome| outcome.clone().ok()).unwrap_or_default();
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        let since = |end: &Cell<u64>, begin: &Cell<u64>| end.get().saturating_sub(begin.get());
        vec![
            figure("notes", progress.written, "notes"),
            figure("failed_calls", progress.failed, "calls"),
            figure("grown", seen.grown.get(), "members"),
            figure("shrunk", seen.shrunk.borrow().len() as u64, "members"),
            figure("moved", seen.moved.borrow().len() as u64, "members"),
            figure("lost", seen.lost.borrow().len() as u64, "members"),
            figure("epochs", seen.epochs.borrow().len() as u64, "epochs"),
            figure("grown_after", since(&seen.grown_at, &seen.loaded_at), "ns"),
            figure("shrunk_after", since(&seen.shrunk_at, &seen.relieved_at), "ns"),
        ]
    }
}

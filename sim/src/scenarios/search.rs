//! The fleet of `apps/search`: the shortest round trip, found by members that share the work in a pool while they end, stall, are slow
//! or full, and are replaced; one is moved to another core in the middle.
//!
//! What must hold: nobody is given a beginning that another member of its epoch has; and what is found is as long as the shortest trip
//! found alone, unless at some time no member lived.

use super::crew::{Crew, KEY, Seat};
use super::fates::{Fate, Why};
use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_messages::fleet::FleetClient;
use fos_messages::names::Path;
use fos_runtime::fleet::{Coming, Epoch, Event};
use fos_runtime::{Names, Priority, Runtime};
use fos_search::charter::{FLEET, MEMBERS, charter};
use fos_search::client;
use fos_search::member::{self, Heard};
use fos_search::problem::{Beginning, Problem};
use fos_search::protocol::SearchInterface;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "search",
    about: "the shortest round trip by a fleet that shares the work in a pool, while members end, come and are moved",
    cores: 8,
    messages: 6_000,
    begin,
};

/// Cores of the client.
const OTHERS: u32 = 1;
/// How long the search may take, whoever ends.
const WITHIN: Duration = Duration::from_secs(60);
const ASK_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long whoever works rests before each beginning.
const REST: Duration = Duration::from_millis(2);
/// Searches of five cities with this many messages each; the first is as large as it gets.
const MESSAGES_OF_A_SEARCH: u64 = 3_000;
const SMALL: Problem = Problem { seed: 0, cities: 5, split: 3 };
const LARGE: Problem = Problem { seed: 0, cities: 6, split: 3 };

/// What was seen.
#[derive(Default)]
struct Seen {
    /// Who has which beginning.
    has: RefCell<BTreeMap<Beginning, Process>>,
    /// The last epoch of each member, but for those that were left out.
    epochs: RefCell<BTreeMap<u64, Epoch>>,
    settled: Cell<u64>,
    again: Cell<u64>,
    outcome: RefCell<Option<Result<(), String>>>,
}

struct Run {
    crew: Rc<Crew>,
    seen: Rc<Seen>,
    messages: u64,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    world.knows::<SearchInterface>();
    let seen = Rc::<Seen>::default();
    let (own, whole) = (seen.clone(), world.clone());
    let crew = Crew::new(world, OTHERS, move |seat| be_member(seat, &own, &whole));
    crew.found(charter(KEY).expect("a short name"));
    let core = world.cores() - OTHERS;
    let process = world.start("client", core);
    let (runtime, names) = (process.runtime.clone(), crew.names(&process.runtime, core));
    let (own, mut random) = (seen.clone(), world.random());
    let searches = (messages / MESSAGES_OF_A_SEARCH).max(1) as u16;
    let (mover, moving, place) = (process.runtime.clone(), names.clone(), crew.cores().end as u16 - 1);
    process.spawn(Priority::Normal, async move { have_one_moved(mover, moving, place).await });
    process.spawn(Priority::Normal, async move {
        let fleet = Path::new(FLEET).expect("a short name");
        while names.members(&fleet).await.map_or(0, |members| members.len()) < MEMBERS {
            runtime.sleep(LOOK_EVERY).await;
        }
        let mut outcome = Ok(());
        for search in 0..searches {
            let problem = Problem { seed: random.below(u64::MAX), ..if search == 0 { LARGE } else { SMALL } };
            let found = client::solve(&runtime, &names, (search, problem), WITHIN).await;
            outcome = outcome.and_then(|()| match found {
                Ok(length) if length == problem.shortest() => Ok(()),
                Ok(length) => {
                    Err(format!("the shortest trip has length {}, not {length}", problem.shortest()))
                }
                Err(failure) => Err(failure.to_string()),
            });
        }
        *own.outcome.borrow_mut() = Some(outcome);
    });
    Box::new(Run { crew, seen, messages })
}

/// As soon as there are some members, has one of them moved. One that ends meanwhile is replaced instead.
async fn have_one_moved(runtime: Runtime, names: Rc<Names>, core: u16) {
    let fleet = Path::new(FLEET).expect("a short name");
    loop {
        runtime.sleep(LOOK_EVERY).await;
        let members = names.members(&fleet).await.unwrap_or_default();
        let Some(leaver) = members.get(1).filter(|_| members.len() >= MEMBERS) else { continue };
        for member in &members {
            let fleet = FleetClient::new(runtime.within(ASK_WITHIN), member.address);
            if fleet.relocate(KEY, leaver.address.identity.0, core).await.is_ok() {
                return;
            }
        }
    }
}

fn be_member(seat: Seat, seen: &Rc<Seen>, world: &World) -> Coming<'static, ()> {
    let Seat { process, names, growth, core, fate, .. } = seat;
    let (own, seen, world) = (process.clone(), seen.clone(), world.clone());
    let ending = fate.clone();
    let hear = Rc::new(move |heard| hear((&own, &fate), &seen, &world, heard));
    let process =
        member::Process { runtime: process.runtime, names, growth, core, key: KEY, rest: REST, hear };
    // One that was given up may come too late: its process ends like any other's.
    Box::pin(async move {
        if member::run(process).await.is_ok() {
            ending.has_run_out();
        }
    })
}

fn hear((who, fate): (&Process, &Fate), seen: &Seen, world: &World, heard: Heard) {
    match heard {
        Heard::Opened => fate.is(Why::Unknown),
        Heard::Takes(beginning) => {
            let before = seen.has.borrow_mut().insert(beginning, who.clone());
            let is_member = |before: &Process| before.is_running() && seen.epoch(before) >= seen.epoch(who);
            if before.as_ref().is_some_and(is_member) {
                world.broken(format!("{:?} was handed out twice", beginning.cities()));
            }
            seen.again.set(seen.again.get() + u64::from(before.is_some()));
        }
        Heard::Settled(beginning) => {
            seen.settled.set(seen.settled.get() + 1);
            seen.has.borrow_mut().remove(&beginning);
        }
        Heard::Fleet(Event::Began { epoch, .. }) => {
            seen.epochs.borrow_mut().insert(who.identity.0, epoch);
        }
        Heard::Stopped => {
            seen.epochs.borrow_mut().remove(&who.identity.0);
            fate.is(Why::Excused);
        }
        Heard::Fleet(Event::Leaves) => fate.is(Why::Excused),
        Heard::Fleet(_) => {}
    }
}

impl Seen {
    fn epoch(&self, who: &Process) -> Option<Epoch> {
        self.epochs.borrow().get(&who.identity.0).copied()
    }
}

impl Course for Run {
    fn dangers(&self) -> Dangers {
        let processes = (0..MEMBERS + 3).map(|number| format!("member-{number}")).collect();
        Dangers { processes, cores: self.crew.cores().collect(), messages: self.messages }
    }

    fn is_over(&self) -> bool {
        self.crew.is_wiped() || self.seen.outcome.borrow().is_some()
    }

    fn end(&self) -> Result<(), String> {
        match &*self.seen.outcome.borrow() {
            Some(outcome) => outcome.clone(),
            None => self.crew.judge_wipe(),
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("settled", self.seen.settled.get(), "beginnings"),
            figure("again", self.seen.again.get(), "beginnings"),
            figure("started", self.crew.started() as u64, "members"),
        ]
    }
}

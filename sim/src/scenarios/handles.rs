//! Handles in a fleet of three, whose members end, stall, are slow or full, and are replaced; one leaves in the middle. Clients take
//! handles by the fleet's name, look behind them, give them back, and use them after that.
//!
//! What must hold: no handle is handed out twice, and no number to two at once; behind each stands what its holder put there, and
//! behind one that was given back nothing; of two who give one back one is told so; and when all are given back and all has come to
//! rest, each number is with one member, unless at some time no member lived.

use super::copies::Copies;
use super::crew::{self, Cargo, Crew, MEMBERS, Seat, charter};
use super::fates::{self, Why};
use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;
use fos_carrier::Switchboard;
use fos_container::Statistics;
use fos_handles::{Handles, Terms};
use fos_lending::Hands;
use fos_messages::names::Path;
use fos_runtime::Priority;
use fos_runtime::fleet::{Event, Member};
use fos_structures_test::handing::{HandingDispatcher, HandingInterface, Server};
use fos_structures_test::holder::{Eye, Holder};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "handles",
    about: "numbers with generations by a fleet whose members end, come and leave while they are taken, used and given back",
    cores: 9,
    messages: 4_000,
    begin,
};

const FLEET: &str = "/handles";
const CLIENTS: u32 = 3;
/// Fewer than clients want, so that each comes again and again.
pub(crate) const TERMS: Terms = Terms { count: 12, copies: MEMBERS + 1, first: 40 };
/// Messages that a call has, those of the fleet and of the structures included.
const MESSAGES_PER_CALL: u64 = 16;
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// For so long nothing is looked for any more before the numbers are counted, in nanoseconds.
const REST: u64 = 300_000_000;

struct Town {
    world: World,
    crew: Rc<Crew>,
    parts: Rc<Parts>,
    copies: Copies,
    eye: Rc<Eye>,
    calls: u64,
    clients_left: Cell<u32>,
    is_cleared: Cell<bool>,
    quiet_since: Cell<u64>,
}

/// What members have told.
#[derive(Default)]
struct Parts {
    handles: RefCell<BTreeMap<usize, Rc<Handles<u64>>>>,
    members: RefCell<BTreeMap<usize, Rc<Member>>>,
}

impl Cargo for Rc<Handles<u64>> {
    fn follow(&self, member: &Member, event: Event) {
        Handles::follow(self, member, event);
    }

    fn has_left(&self) -> bool {
        Handles::has_left(self)
    }

    fn has_stopped(&self) -> bool {
        Handles::has_stopped(self)
    }

    fn why(&self) -> Why {
        let why = fates::why_of(self.lending().pool().carrier());
        if self.is_spent() { Why::Spent } else { why }
    }
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, (CLIENTS, TERMS))
}

/// The same with so many clients, and on other terms.
pub(crate) fn begin_with(world: &World, messages: u64, (clients, terms): (u32, Terms)) -> Box<dyn Course> {
    world.knows::<HandingInterface>();
    let parts = Rc::<Parts>::default();
    let kept = parts.clone();
    let crew = Crew::new(world, CLIENTS, move |seat| Box::pin(be_member(seat, terms, kept.clone())));
    crew.found(charter(FLEET));
    let town = Rc::new(Town {
        world: world.clone(),
        crew,
        parts,
        copies: Copies::default(),
        eye: Rc::default(),
        calls: (messages / MESSAGES_PER_CALL / u64::from(clients)).max(4),
        clients_left: Cell::new(clients),
        is_cleared: Cell::default(),
        quiet_since: Cell::default(),
    });
    (0..clients).for_each(|number| town.start_client(number));
    Box::new(Ends(town))
}

async fn be_member(seat: Seat, terms: Terms, parts: Rc<Parts>) {
    let runtime = seat.process.runtime.clone();
    let switchboard = Switchboard::new(&runtime);
    let handles = Handles::new(&runtime, &Hands::new(&runtime), &switchboard, (1, 2), terms);
    parts.handles.borrow_mut().insert(seat.number, handles.clone());
    let number = seat.number;
    let server = HandingDispatcher::new(Rc::new(Server(handles.clone())));
    let opened = |member: &Rc<Member>| _ = parts.members.borrow_mut().insert(number, member.clone());
    // One that was given up may come too late: its process ends like any other's.
    let _ = crew::live::<HandingInterface>(seat, charter(FLEET), handles, server, opened).await;
}

impl Town {
    fn start_client(self: &Rc<Self>, number: u32) {
        let core = self.world.cores() - 1 - number;
        let process = self.world.start(&format!("client-{number}"), core);
        let (town, runtime) = (self.clone(), process.runtime.clone());
        let mut random = self.world.random();
        process.spawn(Priority::Normal, async move {
            let fleet = Path::new(FLEET).expect("a short name");
            let holder = Holder {
                names: town.crew.names(&runtime, core),
                runtime: runtime.clone(),
                fleet: fleet.clone(),
                patience: PATIENCE,
                eye: town.eye.clone(),
            };
            while holder.names.members(&fleet).await.map_or(0, |members| members.len()) < MEMBERS {
                runtime.sleep(LOOK_EVERY).await;
            }
            holder.work(town.calls / 2, |below| random.below(below)).await;
            if number == 0 {
                town.have_one_leave();
            }
            holder.work(town.calls / 2, |below| random.below(below)).await;
            town.clients_left.set(town.clients_left.get() - 1);
            if number == 0 {
                while town.clients_left.get() > 0 {
                    runtime.sleep(LOOK_EVERY).await;
                }
                holder.clear().await;
                town.is_cleared.set(true);
            }
        });
    }

    /// Half of the work is done: whoever has been started first and lives leaves.
    fn have_one_leave(&self) {
        let members = self.parts.members.borrow();
        let living = self.crew.living();
        let first = living.iter().find_map(|(number, _)| members.get(number));
        first.into_iter().for_each(Member::leave);
    }

    fn handles(&self) -> Vec<Rc<Handles<u64>>> {
        let handles = self.parts.handles.borrow();
        self.crew.living().iter().filter_map(|(number, _)| handles.get(number).cloned()).collect()
    }

    /// Nobody is left, or only who was to come in.
    fn is_gone(&self) -> bool {
        self.crew.is_wiped() || self.crew.is_forgotten()
    }

    /// Several ended, and with them all that had something: generations are known to members alone.
    fn has_lost(&self) -> bool {
        self.lost() > 0 && self.crew.ended() > 1
    }

    fn lost(&self) -> u64 {
        self.handles().iter().map(|handles| handles.lost()).sum()
    }

    /// Whoever had the last copy of a part of the register was ended.
    fn look_at_copies(&self) {
        let handles = self.parts.handles.borrow();
        let copies = |handles: &Rc<Handles<u64>>| (handles.parts(), handles.leaves());
        self.copies.look(&self.crew, |number| handles.get(&number).map(copies).unwrap_or_default());
    }

    /// Nothing is looked for, and nobody is still to be found dead, or to come in.
    fn is_quiet(&self) -> bool {
        let is_looking =
            |handles: &Rc<Handles<u64>>| handles.lending().pool().carrier().container().is_recovering();
        let is_stalled = self.crew.living().iter().any(|(_, process)| !process.is_running());
        let is_settled = !is_stalled && !self.crew.awaits_joiner();
        self.is_cleared.get() && is_settled && !self.handles().iter().any(is_looking)
    }

    /// Each number is with one member, or on its way from one to another.
    fn check(&self) -> Result<(), String> {
        let (mut seen, all) = (std::collections::BTreeSet::new(), self.handles());
        let pools: Vec<_> =
            all.iter().map(|handles| handles.lending().pool().carrier().container()).collect();
        for number in pools.iter().flat_map(|pool| pool.stock()) {
            if !seen.insert(*number) {
                return Err(format!("number {number} is with two members"));
            }
        }
        seen.extend(pools.iter().flat_map(|pool| pool.departing().copied().collect::<Vec<u32>>()));
        let lost: Vec<u32> = (0..TERMS.count).filter(|number| !seen.contains(number)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("numbers {lost:?} are lost")) }
    }
}

struct Ends(Rc<Town>);

impl Course for Ends {
    fn dangers(&self) -> Dangers {
        let processes = (0..MEMBERS + 3).map(|number| format!("member-{number}")).collect();
        let messages = self.0.calls * u64::from(CLIENTS) * MESSAGES_PER_CALL;
        Dangers { processes, cores: self.0.crew.cores().collect(), messages }
    }

    fn is_over(&self) -> bool {
        self.0.look_at_copies();
        if !self.0.is_quiet() {
            self.0.quiet_since.set(self.0.world.now());
        }
        self.0.is_gone()
            || self.0.has_lost()
            || self.0.eye.wrong().is_some()
            || self.0.world.now() - self.0.quiet_since.get() > REST
    }

    fn end(&self) -> Result<(), String> {
        self.0.copies.judge(self.0.lost())?;
        match self.0.eye.wrong() {
            Some(wrong) => Err(wrong),
            None if self.0.has_lost() => Ok(()),
            None if self.0.is_gone() => self.0.crew.judge_wipe(),
            None => self.0.check(),
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let town = &self.0;
        let handles = town.parts.handles.borrow();
        let all: Statistics = handles.values().map(|one| one.lending().pool().statistics()).sum();
        let spent = handles.values().filter(|one| one.has_stopped()).count() as u64;
        let (answered, refused) = town.eye.counts();
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("answered", answered, "calls"),
            figure("stale", refused, "calls"),
            figure("started", town.crew.started() as u64, "members"),
            figure("stopped", spent, "members"),
            figure("moved", all.moved, "numbers"),
            figure("recovered", all.recovered, "numbers"),
        ]
    }
}

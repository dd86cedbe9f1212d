//! A pool in a fleet, by the fleet library: one member founds it and puts the numbers in, the fleet makes itself three, clients take
//! and give back by the fleet's name, one member leaves in the middle; members end, stall, are slow or full, and are replaced.
//!
//! Naming has the first core, clients the last two, members the others.
//!
//! What must hold: no number is handed out that is outside; when all has come to rest, each is outside or with one member, unless at
//! some time no member lived.

use super::numbers::{NumbersClient, NumbersDispatcher, NumbersInterface, Owner, Server};
use super::{departing, stocks};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::scenarios::crew::{self, Cargo, Crew, MEMBERS, Seat, charter};
use crate::scenarios::fates::Why;
use crate::scenarios::{Course, Scenario};
use crate::world::World;
use fos_carrier::Switchboard;
use fos_container::Statistics;
use fos_dpool::{Policy, Scheme, Service};
use fos_messages::names::Path;
use fos_messages::rpc::Address;
use fos_runtime::Priority;
use fos_runtime::fleet::{Event, Member};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "dpool",
    about: "a pool in a fleet whose members end, come and leave while numbers are taken and given back",
    cores: 8,
    messages: 3_000,
    begin,
};

const FLEET: &str = "/numbers";
const CLIENTS: u32 = 2;
const NUMBERS: u64 = 200;
/// Numbers that a client takes at once, at most; and messages that a call has, those of the fleet and of the pool included.
const AT_ONCE: u64 = 8;
const MESSAGES_PER_CALL: u64 = 6;
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// For so long nothing is looked for any more before the numbers are counted, in nanoseconds.
const REST: u64 = 300_000_000;

/// What a run is made of: tests plant errors here.
#[derive(Clone, Copy)]
pub(crate) struct Dress {
    pub policy: Policy,
    /// What the owner names when it is asked.
    pub named: fn(&Owner) -> Vec<u64>,
}

impl Dress {
    pub(crate) const HONEST: Dress =
        Dress { policy: Policy::distributed(Scheme::Estimate), named: Owner::inside };
}

struct Town {
    world: World,
    crew: Rc<Crew>,
    owner: Rc<Owner>,
    parts: Rc<Parts>,
    calls: u64,
    done: Cell<u64>,
    served: Cell<u64>,
    clients_left: Cell<u32>,
    quiet_since: Cell<u64>,
}

/// What members have told.
#[derive(Default)]
struct Parts {
    pools: RefCell<BTreeMap<usize, Rc<Service<u64>>>>,
    /// Those that came so far as to let clients in.
    members: RefCell<BTreeMap<usize, Rc<Member>>>,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress::HONEST)
}

/// The same with other pools and owners.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    world.knows::<NumbersInterface>();
    let owner = Owner::new(world, NUMBERS, dress.named);
    let parts = Rc::<Parts>::default();
    let (keeper, kept, policy) = (owner.clone(), parts.clone(), dress.policy);
    let life = move |seat| be_member(seat, policy, keeper.clone(), kept.clone());
    let crew = Crew::new(world, CLIENTS, move |seat| Box::pin(life(seat)));
    crew.found(charter(FLEET));
    let town = Rc::new(Town {
        world: world.clone(),
        crew,
        owner,
        parts,
        calls: (messages / MESSAGES_PER_CALL / u64::from(CLIENTS)).max(4),
        done: Cell::default(),
        served: Cell::default(),
        clients_left: Cell::new(CLIENTS),
        quiet_since: Cell::default(),
    });
    (0..CLIENTS).for_each(|number| town.start_client(number));
    Box::new(Ends(town))
}

/// A member's pool, and whether it founded the fleet.
struct Pooled {
    pool: Rc<Service<u64>>,
    is_founder: Rc<OnceCell<bool>>,
}

impl Cargo for Pooled {
    fn follow(&self, member: &Member, event: Event) {
        if let Event::Began { members, .. } = event {
            self.is_founder.get_or_init(|| members == 1);
        }
        self.pool.carrier().follow(member, event);
    }

    fn has_left(&self) -> bool {
        self.pool.carrier().has_left()
    }

    fn has_stopped(&self) -> bool {
        self.pool.carrier().has_stopped()
    }

    fn why(&self) -> Why {
        self.pool.carrier().why()
    }
}

async fn be_member(seat: Seat, policy: Policy, owner: Rc<Owner>, parts: Rc<Parts>) {
    let switchboard = Switchboard::new(&seat.process.runtime);
    let pool = Service::new(&switchboard, 1, policy, owner.clone());
    parts.pools.borrow_mut().insert(seat.number, pool.clone());
    let (runtime, number) = (seat.process.runtime.clone(), seat.number);
    let server = NumbersDispatcher::new(Rc::new(Server { pool: pool.clone(), owner: owner.clone() }));
    let is_founder = Rc::<OnceCell<bool>>::default();
    let cargo = Pooled { pool: pool.clone(), is_founder: is_founder.clone() };
    let opened = |member: &Rc<Member>| {
        parts.members.borrow_mut().insert(number, member.clone());
        if is_founder.get() == Some(&true) {
            // Nobody else has any: they are the owner's to put in. If this member ends first, they are found.
            runtime.spawn(Priority::Normal, async move { _ = pool.add(owner.inside()).await });
        }
    };
    // One that was given up may come too late: its process ends like any other's.
    let _ = crew::live::<NumbersInterface>(seat, charter(FLEET), cargo, server, opened).await;
}

impl Town {
    fn start_client(self: &Rc<Self>, number: u32) {
        let core = self.world.cores() - 1 - number;
        let process = self.world.start(&format!("client-{number}"), core);
        let (town, runtime) = (self.clone(), process.runtime.clone());
        let mut random = self.world.random();
        process.spawn(Priority::Normal, async move {
            let names = town.crew.names(&runtime, core);
            let fleet = Path::new(FLEET).expect("a short name");
            while names.members(&fleet).await.map_or(0, |members| members.len()) < MEMBERS {
                runtime.sleep(LOOK_EVERY).await;
            }
            let mut held = Vec::new();
            for _ in 0..town.calls {
                let numbers = NumbersClient::new(names.at(fleet.clone(), PATIENCE), Address::default());
                let is_answered = if random.below(2) == 0 || held.is_empty() {
                    let taken = numbers.take(1 + random.below(AT_ONCE) as u32).await;
                    taken.map(|taken| held.extend(taken)).is_ok()
                } else {
                    let count = (1 + random.below(AT_ONCE) as usize).min(held.len());
                    let given = held.split_off(held.len() - count);
                    numbers.give(given).await.is_ok()
                };
                town.done.set(town.done.get() + 1);
                if is_answered {
                    town.served.set(town.served.get() + 1);
                } else {
                    runtime.sleep(LOOK_EVERY).await;
                }
                if town.done.get() == town.calls {
                    town.have_one_leave();
                }
            }
            town.clients_left.set(town.clients_left.get() - 1);
        });
    }

    /// Half of the work is done: whoever has been started first and lives leaves.
    fn have_one_leave(&self) {
        let members = self.parts.members.borrow();
        let living = self.crew.living();
        let first = living.iter().find_map(|(number, _)| members.get(number));
        first.into_iter().for_each(Member::leave);
    }
}

struct Ends(Rc<Town>);

impl Ends {
    fn pools(&self) -> Vec<Rc<Service<u64>>> {
        let pools = self.0.parts.pools.borrow();
        self.0.crew.living().iter().filter_map(|(number, _)| pools.get(number).cloned()).collect()
    }

    /// Nothing is looked for, and nobody is still to be found dead, or to come in: whoever founds the fleet again has the owner's
    /// numbers put in.
    fn is_quiet(&self) -> bool {
        let is_looking = self.pools().iter().any(|pool| pool.carrier().container().is_recovering());
        let is_stalled = self.0.crew.living().iter().any(|(_, process)| !process.is_running());
        self.0.clients_left.get() == 0 && !is_looking && !is_stalled && !self.0.crew.awaits_joiner()
    }
}

impl Course for Ends {
    fn dangers(&self) -> Dangers {
        let processes = (0..MEMBERS + 3).map(|number| format!("member-{number}")).collect();
        let messages = self.0.calls * u64::from(CLIENTS) * MESSAGES_PER_CALL;
        Dangers { processes, cores: self.0.crew.cores().collect(), messages }
    }

    fn is_over(&self) -> bool {
        if !self.is_quiet() {
            self.0.quiet_since.set(self.0.world.now());
        }
        self.0.crew.is_wiped() || self.0.world.now() - self.0.quiet_since.get() > REST
    }

    fn end(&self) -> Result<(), String> {
        if self.0.crew.is_wiped() {
            return self.0.crew.judge_wipe();
        }
        let pools = self.pools();
        self.0.owner.check_moving(&stocks(&pools), &departing(&pools))
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let all: Statistics = self.pools().iter().map(|pool| pool.statistics()).sum();
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("calls", self.0.done.get(), "calls"),
            figure("served", self.0.served.get(), "calls"),
            figure("started", self.0.crew.started() as u64, "members"),
            figure("members", self.pools().len() as u64, "members"),
            figure("moved", all.moved, "elements"),
            figure("recovered", all.recovered, "elements"),
        ]
    }
}

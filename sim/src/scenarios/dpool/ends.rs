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
use crate::scenarios::{Course, Scenario, naming_members};
use crate::world::{Process, World};
use fos_abi::Identity;
use fos_carrier::Switchboard;
use fos_container::Statistics;
use fos_dpool::{Policy, Scheme, Service};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::Refusal;
use fos_messages::rpc::{Address, CallError};
use fos_runtime::fleet::{self, Charter, Coming, Event, Growth, Marks, Member};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "dpool",
    about: "a pool in a fleet whose members end, come and leave while numbers are taken and given back",
    cores: 8,
    messages: 3_000,
    begin,
};

const KEY: DirectoryKey = DirectoryKey([0x0123_4567, 0x89ab_cdef]);
const FLEET: &str = "/numbers";
const CLIENTS: u32 = 2;
const MEMBERS: usize = 3;
const NUMBERS: u64 = 200;
const MARKS: Marks = Marks {
    grow_above: Duration::from_secs(1),
    shrink_below: Duration::ZERO,
    looks: 3,
    rest: Duration::from_millis(20),
    members_min: MEMBERS,
    members_max: MEMBERS + 1,
};
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

struct Place {
    process: Process,
    pool: OnceCell<Rc<Service<u64>>>,
    member: OnceCell<Rc<Member>>,
}

struct Town {
    world: World,
    naming: Vec<Address>,
    charter: Charter,
    owner: Rc<Owner>,
    dress: Dress,
    places: RefCell<Vec<Rc<Place>>>,
    is_founded: Cell<bool>,
    /// Members that came so far as to let clients in.
    opened: Cell<usize>,
    calls: u64,
    done: Cell<u64>,
    served: Cell<u64>,
    clients_left: Cell<u32>,
    quiet_since: Cell<u64>,
}

/// How the fleet gets members.
struct InTown {
    town: Weak<Town>,
    runtime: Runtime,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress::HONEST)
}

/// The same with other pools and owners.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    world.knows::<NumbersInterface>();
    let naming = naming_members::start(world, 1, 0, KEY, |_, _| ());
    let naming: Vec<Address> = naming.iter().map(|member| member.address(Class::External)).collect();
    let charter = Charter {
        name: Path::new(FLEET).expect("a short name"),
        key: KEY,
        marks: MARKS,
        redirect_above: Duration::MAX,
        drain_within: Duration::from_secs(5),
    };
    let town = Rc::new(Town {
        world: world.clone(),
        naming,
        charter,
        owner: Owner::new(world, NUMBERS, dress.named),
        dress,
        places: RefCell::default(),
        is_founded: Cell::default(),
        opened: Cell::default(),
        calls: (messages / MESSAGES_PER_CALL / u64::from(CLIENTS)).max(4),
        done: Cell::default(),
        served: Cell::default(),
        clients_left: Cell::new(CLIENTS),
        quiet_since: Cell::default(),
    });
    let founder = world.start("founder", 0);
    let (own, runtime) = (town.clone(), founder.runtime.clone());
    founder.spawn(Priority::Normal, async move {
        let names = own.names(&runtime, 0);
        while fleet::found(&names, &own.charter, KEY).await.is_err() {
            runtime.sleep(LOOK_EVERY).await;
        }
        own.start_member();
        while own.opened.get() < MEMBERS {
            runtime.sleep(LOOK_EVERY).await;
        }
        (0..CLIENTS).for_each(|number| own.start_client(number));
    });
    Box::new(Ends(town))
}

impl Town {
    fn names(&self, runtime: &Runtime, core: u16) -> Rc<Names> {
        Names::new(runtime.clone(), self.naming.clone(), (0, core))
    }

    fn start_member(self: &Rc<Self>) -> Identity {
        let number = self.places.borrow().len() as u32;
        let core = 1 + number % (self.world.cores() - CLIENTS - 1);
        let process = self.world.start(&format!("member-{number}"), core);
        let place = Rc::new(Place { process, pool: OnceCell::new(), member: OnceCell::new() });
        self.places.borrow_mut().push(place.clone());
        let (identity, town, own) = (place.process.identity, self.clone(), place.clone());
        place.process.spawn(Priority::Normal, async move {
            // One that was given up may come too late: its process ends like any other's.
            let _ = be_member(&town, &own, core as u16).await;
            own.process.end();
        });
        identity
    }

    fn start_client(self: &Rc<Self>, number: u32) {
        let core = self.world.cores() - 1 - number;
        let process = self.world.start(&format!("client-{number}"), core);
        let (town, runtime) = (self.clone(), process.runtime.clone());
        let mut random = self.world.random();
        process.spawn(Priority::Normal, async move {
            let names = town.names(&runtime, core as u16);
            let mut held = Vec::new();
            for _ in 0..town.calls {
                let numbers =
                    NumbersClient::new(names.at(town.charter.name.clone(), PATIENCE), Address::default());
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
        let places = self.places.borrow();
        let first =
            places.iter().filter(|place| place.process.is_alive()).find_map(|place| place.member.get());
        first.into_iter().for_each(Member::leave);
    }

    fn living(&self) -> Vec<Rc<Place>> {
        self.places.borrow().iter().filter(|place| place.process.is_alive()).cloned().collect()
    }
}

/// Serves until the fleet needs it no more.
async fn be_member(town: &Rc<Town>, place: &Rc<Place>, core: u16) -> Result<(), String> {
    let runtime = place.process.runtime.clone();
    let switchboard = Switchboard::new(&runtime);
    let pool = Service::new(&switchboard, 1, town.dress.policy, town.owner.clone());
    let carrier = pool.carrier().clone();
    let (own, follower) = (place.clone(), carrier.clone());
    let is_founder = Rc::new(OnceCell::new());
    let founds = is_founder.clone();
    let tell = move |event| {
        if let Event::Began { members, .. } = event {
            founds.get_or_init(|| members == 1);
        }
        if let Some(member) = own.member.get() {
            follower.follow(member, event);
        }
    };
    let growth = Rc::new(InTown { town: Rc::downgrade(town), runtime: runtime.clone() });
    let names = town.names(&runtime, core);
    let member = Member::new(&runtime, &names, town.charter.clone(), (0, core), growth, tell);
    let member = member.map_err(|error| error.to_string())?;
    let staying = carrier.clone();
    member.stay_while(move || !staying.has_left());
    let _ = place.member.set(member.clone());
    let _ = place.pool.set(pool.clone());
    let server = Rc::new(Server { pool: pool.clone(), owner: town.owner.clone() });
    member.serve::<NumbersInterface>(NumbersDispatcher::new(server));
    member.enter().await.map_err(|error| error.to_string())?;
    if is_founder.get() == Some(&true) {
        // Nobody else has any: they are the owner's to put in.
        let numbers = town.owner.inside();
        pool.add(numbers).await.map_err(|_| "the founder does not serve")?;
        town.is_founded.set(true);
    }
    member.open().await.map_err(|error| error.to_string())?;
    town.opened.set(town.opened.get() + 1);
    let stopping = carrier.clone();
    let (sleeper, ending) = (runtime.clone(), place.process.clone());
    runtime.spawn(Priority::Normal, async move {
        while !stopping.has_stopped() {
            sleeper.sleep(LOOK_EVERY).await;
        }
        ending.end();
    });
    member.last().await;
    Ok(())
}

impl Growth for InTown {
    fn grow(&self, _: Option<u16>, _: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        let started = self.town.upgrade().map(|town| town.start_member());
        Box::pin(async move { started.ok_or(CallError::Refused(Refusal::NotStarted)) })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            let lives = |town: Rc<Town>| town.living().iter().any(|place| place.process.identity == started);
            while self.town.upgrade().is_some_and(lives) {
                self.runtime.sleep(LOOK_EVERY).await;
            }
        })
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            let places = self.town.upgrade().map(|town| town.living()).unwrap_or_default();
            let found = places.iter().find(|place| place.process.identity == started);
            found.into_iter().for_each(|place| place.process.end());
        })
    }
}

struct Ends(Rc<Town>);

impl Ends {
    fn pools(&self) -> Vec<Rc<Service<u64>>> {
        self.0.living().iter().filter_map(|place| place.pool.get().cloned()).collect()
    }

    /// Nothing is looked for, and nobody is still to be found dead.
    fn is_quiet(&self) -> bool {
        let is_looking = self.pools().iter().any(|pool| pool.carrier().container().is_recovering());
        let is_stalled = self.0.living().iter().any(|place| !place.process.is_running());
        self.0.clients_left.get() == 0 && !is_looking && !is_stalled
    }

    /// Nobody is left: also of a fleet whose first member ended before there was another.
    fn is_wiped(&self) -> bool {
        !self.0.places.borrow().is_empty() && self.0.living().is_empty()
    }
}

impl Course for Ends {
    fn dangers(&self) -> Dangers {
        let processes = (0..MEMBERS as u32 + 3).map(|number| format!("member-{number}")).collect();
        let cores = (1..self.0.world.cores() - CLIENTS).collect();
        Dangers { processes, cores, messages: self.0.calls * u64::from(CLIENTS) * MESSAGES_PER_CALL }
    }

    fn is_over(&self) -> bool {
        if !self.is_quiet() {
            self.0.quiet_since.set(self.0.world.now());
        }
        self.is_wiped() || self.0.world.now() - self.0.quiet_since.get() > REST
    }

    fn end(&self) -> Result<(), String> {
        if self.is_wiped() {
            return Ok(());
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
            figure("started", self.0.places.borrow().len() as u64, "members"),
            figure("members", self.pools().len() as u64, "members"),
            figure("moved", all.moved, "elements"),
            figure("recovered", all.recovered, "elements"),
        ]
    }
}

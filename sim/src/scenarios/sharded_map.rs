//! A strong and an eventual map in a fleet of three, whose members end, stall, are slow or full, and are replaced; one leaves in the
//! middle. Each client puts, removes and reads keys that are its own, by the fleet's name: whichever member answers.
//!
//! What must hold: a read of the strong map sees the client's last acknowledged write, or one that was not answered, unless at some
//! time no member had a shard; and when nothing is written any more, all members say the same of each key of the eventual one.

use super::copies::Copies;
use super::crew::{self, Crew, MEMBERS, Seat, charter};
use super::{Course, Scenario};
use crate::Random;
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;
use fos_carrier::Switchboard;
use fos_messages::names::Path;
use fos_messages::rpc::{Address, Context, Instead, Never, interface};
use fos_runtime::fleet::Member;
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime};
use fos_sharded_map::{Consistency, MapError, Policy, Service};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "sharded-map",
    about: "a strong and an eventual map in a fleet whose members end, come and leave while keys are written and read",
    cores: 8,
    messages: 4_000,
    begin,
};

const FLEET: &str = "/maps";
const CLIENTS: u32 = 2;
/// Keys of each client, in each map.
const KEYS: u32 = 12;
/// Messages that a call has, those of the fleet and of the structure included.
const MESSAGES_PER_CALL: u64 = 10;
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Until then, when nothing is written any more, all members must say the same. Who leaves says nothing: until then, two cores that
/// stop may each have to be found dead.
const AGREE_WITHIN: Duration = Duration::from_secs(30);
const POLICY: Policy = Policy { shards: 8, ..Policy::new(Consistency::Strong) };

type Map = Rc<Service<u32, u64>>;

/// Two maps.
#[interface(id = 0x7f53, version = 1)]
pub trait Maps {
    /// Writes: no value removes.
    #[operation]
    async fn write(&self, is_strong: bool, key: u32, value: Option<u64>);

    /// Reads.
    #[operation(idempotent)]
    async fn read(&self, is_strong: bool, key: u32) -> Option<u64>;
}

/// A member's server.
struct Server {
    strong: Map,
    eventual: Map,
}

impl Server {
    fn map(&self, is_strong: bool) -> &Map {
        if is_strong { &self.strong } else { &self.eventual }
    }
}

impl Maps for Server {
    async fn write(
        &self,
        _: Context,
        is_strong: bool,
        key: u32,
        value: Option<u64>,
    ) -> Result<(), Instead<Never>> {
        let map = self.map(is_strong);
        let written = match value {
            Some(value) => map.put(key, value).await,
            None => map.remove(key).await,
        };
        match written {
            Ok(_) => Ok(()),
            Err(MapError::Busy | MapError::NotServing) => Err(Instead::NotNow),
            // It may have been done, and it must not be said that it was not.
            Err(MapError::Interrupted) => std::future::pending().await,
        }
    }

    async fn read(&self, _: Context, is_strong: bool, key: u32) -> Result<Option<u64>, Instead<Never>> {
        self.map(is_strong).get(key).await.map_err(|_| Instead::NotNow)
    }
}

/// What a client knows of a key of the strong map.
#[derive(Default)]
struct Known {
    acknowledged: Option<u64>,
    /// Written without an answer: it may be done later than anything.
    unanswered: Vec<Option<u64>>,
}

struct Town {
    world: World,
    crew: Rc<Crew>,
    parts: Rc<Parts>,
    calls: u64,
    done: Cell<u64>,
    served: Cell<u64>,
    clients_left: Cell<u32>,
    lost: Cell<u64>,
    copies: Copies,
    outcome: RefCell<Option<Result<(), String>>>,
}

#[derive(Default)]
struct Parts {
    maps: RefCell<BTreeMap<usize, (Map, Map)>>,
    members: RefCell<BTreeMap<usize, Rc<Member>>>,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    world.knows::<MapsInterface>();
    let parts = Rc::<Parts>::default();
    let kept = parts.clone();
    let crew = Crew::new(world, CLIENTS, move |seat| Box::pin(be_member(seat, kept.clone())));
    crew.found(charter(FLEET));
    let town = Rc::new(Town {
        world: world.clone(),
        crew,
        parts,
        calls: (messages / MESSAGES_PER_CALL / u64::from(CLIENTS)).max(4),
        done: Cell::default(),
        served: Cell::default(),
        clients_left: Cell::new(CLIENTS),
        lost: Cell::default(),
        copies: Copies::default(),
        outcome: RefCell::default(),
    });
    (0..CLIENTS).for_each(|number| town.start_client(number));
    Box::new(Run(town))
}

async fn be_member(seat: Seat, parts: Rc<Parts>) {
    let switchboard = Switchboard::new(&seat.process.runtime);
    let eventual = Policy { consistency: Consistency::Eventual, ..POLICY };
    let (strong, eventual) = (Service::new(&switchboard, 1, POLICY), Service::new(&switchboard, 2, eventual));
    parts.maps.borrow_mut().insert(seat.number, (strong.clone(), eventual.clone()));
    let (cargo, number) = ((strong.carrier().clone(), eventual.carrier().clone()), seat.number);
    let server = MapsDispatcher::new(Rc::new(Server { strong, eventual }));
    let opened = |member: &Rc<Member>| _ = parts.members.borrow_mut().insert(number, member.clone());
    // One that was given up may come too late: its process ends like any other's.
    let _ = crew::live::<MapsInterface>(seat, charter(FLEET), cargo, server, opened).await;
}

impl Town {
    fn start_client(self: &Rc<Self>, number: u32) {
        let core = self.world.cores() - 1 - number;
        let process = self.world.start(&format!("client-{number}"), core);
        let (runtime, names) = (process.runtime.clone(), self.crew.names(&process.runtime, core));
        let client = Client {
            town: self.clone(),
            runtime,
            names,
            fleet: Path::new(FLEET).expect("a short name"),
            first: number * KEYS,
            random: RefCell::new(self.world.random()),
            known: RefCell::default(),
        };
        process.spawn(Priority::Normal, async move { client.work().await });
    }

    /// Half of the work is done: whoever has been started first and lives leaves.
    fn have_one_leave(&self) {
        let members = self.parts.members.borrow();
        let living = self.crew.living();
        let first = living.iter().find_map(|(number, _)| members.get(number));
        first.into_iter().for_each(Member::leave);
    }

    /// Whoever had the last copy of a shard of the strong map was ended.
    fn look_at_copies(&self) {
        let maps = self.parts.maps.borrow();
        let copies = |(strong, _): &(Map, Map)| {
            let map = strong.carrier().container();
            (map.whole_shards().collect(), map.leaves())
        };
        self.copies.look(&self.crew, |number| maps.get(&number).map(copies).unwrap_or_default());
    }

    fn maps(&self) -> Vec<(Map, Map)> {
        let maps = self.parts.maps.borrow();
        self.crew.living().iter().filter_map(|(number, _)| maps.get(number).cloned()).collect()
    }
}

/// A client of both maps.
struct Client {
    town: Rc<Town>,
    runtime: Runtime,
    names: Rc<Names>,
    fleet: Path,
    /// Its first key.
    first: u32,
    random: RefCell<Random>,
    known: RefCell<BTreeMap<u32, Known>>,
}

impl Client {
    fn maps(&self) -> MapsClient<fos_runtime::Named> {
        MapsClient::new(self.names.at(self.fleet.clone(), PATIENCE), Address::default())
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    async fn work(&self) {
        while self.names.members(&self.fleet).await.map_or(0, |members| members.len()) < MEMBERS {
            self.runtime.sleep(LOOK_EVERY).await;
        }
        for call in 0..self.town.calls {
            let (is_strong, key) = (self.below(2) == 0, self.first + self.below(KEYS.into()) as u32);
            let is_answered = match self.below(3) {
                0 => self.read(is_strong, key).await,
                1 => self.write(is_strong, key, Some(u64::from(self.first) << 32 | call)).await,
                _ => self.write(is_strong, key, None).await,
            };
            let town = &self.town;
            town.done.set(town.done.get() + 1);
            town.served.set(town.served.get() + u64::from(is_answered));
            if !is_answered {
                self.runtime.sleep(LOOK_EVERY).await;
            }
            if town.done.get() == town.calls {
                town.have_one_leave();
            }
        }
        let left = self.town.clients_left.get() - 1;
        self.town.clients_left.set(left);
        if left == 0 {
            let outcome = self.all_agree().await;
            *self.town.outcome.borrow_mut() = Some(outcome);
        }
    }

    async fn write(&self, is_strong: bool, key: u32, value: Option<u64>) -> bool {
        let is_answered = self.maps().write(is_strong, key, value).await.is_ok();
        if is_strong {
            let mut known = self.known.borrow_mut();
            let known = known.entry(key).or_default();
            if is_answered {
                known.acknowledged = value;
            } else {
                known.unanswered.push(value);
            }
        }
        is_answered
    }

    async fn read(&self, is_strong: bool, key: u32) -> bool {
        let Ok(found) = self.maps().read(is_strong, key).await else { return false };
        let mut known = self.known.borrow_mut();
        let known = known.entry(key).or_default();
        let is_right = known.acknowledged == found || known.unanswered.contains(&found);
        if is_strong && !is_right && self.town.lost.get() == 0 {
            let last = known.acknowledged;
            self.town.world.broken(format!("key {key} has {found:?}, and {last:?} was acknowledged last"));
        }
        true
    }

    /// Waits until all members say the same of all keys of the eventual map.
    async fn all_agree(&self) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(AGREE_WITHIN);
        loop {
            match self.disagreement().await {
                None => return Ok(()),
                Some(why) if self.runtime.port().now() > deadline => return Err(why),
                Some(_) => self.runtime.sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn disagreement(&self) -> Option<String> {
        let living = self.town.crew.living();
        let running = living.iter().filter(|(_, process)| process.is_running());
        let members: Vec<Address> = running.map(|(_, process)| process.address(Class::External)).collect();
        for key in 0..CLIENTS * KEYS {
            let mut said = BTreeMap::new();
            for member in &members {
                let maps = MapsClient::new(self.runtime.within(PATIENCE), *member);
                match maps.read(false, key).await {
                    Ok(found) => _ = said.insert(found, member.identity),
                    Err(error) => {
                        return Some(format!(
                            "{:?} does not say what key {key} has: {error}",
                            member.identity
                        ));
                    }
                }
            }
            if said.len() > 1 {
                return Some(format!("members say different things of key {key}: {said:?}"));
            }
        }
        None
    }
}

struct Run(Rc<Town>);

impl Course for Run {
    fn dangers(&self) -> Dangers {
        let processes = (0..MEMBERS + 3).map(|number| format!("member-{number}")).collect();
        let messages = self.0.calls * u64::from(CLIENTS) * MESSAGES_PER_CALL;
        Dangers { processes, cores: self.0.crew.cores().collect(), messages }
    }

    fn is_over(&self) -> bool {
        let lost = self.0.maps().iter().map(|(strong, _)| strong.carrier().container().lost()).sum();
        self.0.lost.set(self.0.lost.get().max(lost));
        self.0.look_at_copies();
        self.0.crew.is_wiped() || self.0.outcome.borrow().is_some()
    }

    fn end(&self) -> Result<(), String> {
        if self.0.crew.is_wiped() {
            return self.0.crew.judge_wipe();
        }
        self.0.copies.judge(self.0.lost.get())?;
        self.0.outcome.borrow().clone().unwrap_or_else(|| Err("the clients are not over".to_owned()))
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let town = &self.0;
        let maps = town.maps();
        let statistics =
            maps.iter().flat_map(|(strong, eventual)| [strong.statistics(), eventual.statistics()]);
        let all: fos_container::Statistics = statistics.sum();
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("calls", town.done.get(), "calls"),
            figure("served", town.served.get(), "calls"),
            figure("started", town.crew.started() as u64, "members"),
            figure("moved", all.moved, "entries"),
            figure("lost", town.lost.get(), "shards"),
        ]
    }
}

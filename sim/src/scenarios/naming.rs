//! A naming fleet under clients that register themselves, look names up and take their registrations back, while
//! members of naming die, stall, are slow or full, and another joins.
//!
//! One core in eight is a member's of naming, and one more member joins while the clients are at work. Every client is told
//! of all first members and goes on with another when one does not answer.
//!
//! What must hold: an answer is never from an older map than one the client has seen; a look-up names a process that has
//! registered; at the end every living member has the same map, with every acknowledged registration of a living client in
//! it, none that was taken back, and none of a client that ended; and who follows the directory by watching it has come to
//! the same.

use super::naming_follower::Follower;
use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_messages::names::{DirectoryKey, Entry, Found, Path, Query};
use fos_messages::names::{NameError, NamesClient};
use fos_messages::rpc::{Address, CallError};
use fos_naming::member::Naming;
use fos_naming::record::members;
use fos_replicated_map::Member;
use fos_runtime::port::Class;
use fos_runtime::{Histogram, Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "naming",
    about: "a naming fleet under registrations and look-ups, whose members may end, stall, be full, and join",
    cores: 16,
    messages: 6_000,
    begin,
};

/// The key of `/` and of the clients' directory.
const KEY: DirectoryKey = DirectoryKey([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
/// Look-ups for each change.
const LOOK_UPS_PER_CHANGE: u64 = 8;
/// About how many messages a client's round has.
const MESSAGES_PER_ROUND: u64 = 2 * LOOK_UPS_PER_CHANGE + 24;
/// When the late member joins.
const JOINS_AFTER: Duration = Duration::from_micros(400);
/// How long what was begun may take to end once the clients are done: the longest deadline of a call of naming, and time
/// for survivors to hear of a core that was given up.
const SETTLES_WITHIN: Duration = Duration::from_secs(13);
/// A client that is refused waits so long.
const PAUSE: Duration = Duration::from_micros(100);

/// What is known of one client's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The last change said so.
    Registered(bool),
    /// The last change may or may not have been done.
    Unsure,
}

/// What was promised and seen.
#[derive(Default)]
struct Ledger {
    /// By process: what its last change came to.
    standing: RefCell<BTreeMap<u64, Standing>>,
    /// Every process that ever asked to be registered.
    asked: RefCell<BTreeSet<u64>>,
    latency: RefCell<Histogram>,
    look_ups: Cell<u64>,
    changes: Cell<u64>,
    is_ready: Cell<bool>,
}

type Place = Rc<RefCell<Option<Naming>>>;

struct Fleet {
    world: World,
    servers: Vec<(Process, Place)>,
    clients: Vec<(Process, Rc<Cell<bool>>)>,
    ledger: Rc<Ledger>,
    follower: Rc<Follower>,
    first_servers: u32,
    messages: u64,
    over_at: Cell<Option<u64>>,
}

/// What is done to a member when it is put together.
pub(crate) type Dress = fn(&Runtime, &Naming);

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, |_, _| ())
}

/// The same with members that something is done to: tests plant errors here.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    let cores = world.cores().max(8);
    let count = (cores / 8).max(3);
    let ledger = Rc::new(Ledger::default());
    let servers = start_servers(world, count, &ledger, dress);
    let addresses: Vec<Address> =
        servers[..count as usize].iter().map(|(server, _)| server.address(Class::External)).collect();
    let clients = u64::from(cores - count - 1);
    let rounds = messages.div_ceil(clients * MESSAGES_PER_ROUND).max(1);
    let client = |number: u64| {
        let process = world.start(&format!("client-{number}"), count + number as u32);
        let is_over = Rc::new(Cell::new(false));
        let names = Names::new(process.runtime.clone(), addresses.clone(), (0, count as u16 + number as u16));
        let client = Client {
            process: process.clone(),
            world: world.clone(),
            names,
            ledger: ledger.clone(),
            seen: Cell::new(0),
        };
        let (over, addresses) = (is_over.clone(), addresses.clone());
        process.spawn(Priority::Normal, async move {
            client.work(rounds, &addresses).await;
            over.set(true);
        });
        (process, is_over)
    };
    let clients = (0..clients).map(client).collect();
    let follower = Follower::begin(world, count, addresses, directory());
    let over_at = Cell::new(None);
    Box::new(Fleet {
        world: world.clone(),
        servers,
        clients,
        ledger,
        follower,
        first_servers: count,
        messages,
        over_at,
    })
}

/// Starts the first member, those that join it at once, and one that joins later, on the last core.
fn start_servers(world: &World, count: u32, ledger: &Rc<Ledger>, dress: Dress) -> Vec<(Process, Place)> {
    let mut servers: Vec<(Process, Place)> = Vec::new();
    for number in 0..=count {
        let (name, core) = if number < count {
            (format!("naming-{number}"), number)
        } else {
            ("late".to_owned(), world.cores() - 1)
        };
        let process = world.start(&name, core);
        servers.push((process, Place::default()));
    }
    let internal: Vec<(Member, Address)> = servers
        .iter()
        .zip(1..)
        .map(|((server, _), number)| (Member::new(0, number), server.address(Class::Internal)))
        .collect();
    for (number, (process, place)) in servers.iter().enumerate() {
        let (runtime, place, ledger) = (process.runtime.clone(), place.clone(), ledger.clone());
        let (me, sponsors) = (internal[number].0, internal[..number.min(count as usize)].to_vec());
        process.spawn(Priority::Normal, async move {
            if sponsors.is_empty() {
                let naming = Naming::first(runtime.clone(), me, KEY).await.ok();
                naming.iter().for_each(|naming| dress(&runtime, naming));
                *place.borrow_mut() = naming;
                ledger.is_ready.set(true);
                return;
            }
            if number == count as usize {
                runtime.sleep(JOINS_AFTER).await;
            }
            // A sponsor that is not one yet refuses: asked again until one takes it.
            loop {
                if let Ok(naming) = Naming::join(runtime.clone(), me, &sponsors).await {
                    dress(&runtime, &naming);
                    *place.borrow_mut() = Some(naming);
                    return;
                }
                runtime.sleep(PAUSE).await;
            }
        });
    }
    servers
}

struct Client {
    process: Process,
    world: World,
    names: Rc<Names>,
    ledger: Rc<Ledger>,
    /// The highest version that it was told.
    seen: Cell<u64>,
}

fn directory() -> Path {
    Path::root().child("clients").unwrap_or_else(|_| Path::root())
}

impl Client {
    async fn work(&self, rounds: u64, naming: &[Address]) {
        while !self.ledger.is_ready.get() {
            self.process.runtime.sleep(PAUSE).await;
        }
        self.make_directory().await;
        for round in 0..rounds {
            self.change(true).await;
            for look_up in 0..LOOK_UPS_PER_CHANGE {
                self.look_up(naming[((round + look_up) % naming.len() as u64) as usize]).await;
            }
            if round + 1 < rounds {
                self.change(false).await;
            }
        }
    }

    /// Whoever comes first makes it; it stays.
    async fn make_directory(&self) {
        loop {
            match self.names.make(&directory(), KEY, KEY, true).await {
                Ok(()) | Err(CallError::Refused(NameError::Exists)) => return,
                Err(_) => self.process.runtime.sleep(PAUSE).await,
            }
        }
    }

    /// Registers or takes back, until it is known what came of it.
    async fn change(&self, register: bool) {
        let identity = self.process.identity.0;
        self.ledger.asked.borrow_mut().insert(identity);
        self.stands(Standing::Unsure);
        loop {
            let began = self.process.runtime.port().now();
            let changed = if register {
                let address = self.process.address(Class::External);
                let entry = Entry { address, machine: 0, core: 0, metadata: Vec::new() };
                self.names.register(&directory(), KEY, &entry).await
            } else {
                self.names.unregister(&directory()).await
            };
            let took = self.process.runtime.port().now().since(began);
            match changed {
                Ok(()) => {
                    self.ledger.changes.set(self.ledger.changes.get() + 1);
                    self.ledger.latency.borrow_mut().record(took);
                    return self.stands(Standing::Registered(register));
                }
                // An earlier try, under another number, was done after all.
                Err(CallError::Refused(NameError::Exists)) if register => {
                    return self.stands(Standing::Registered(true));
                }
                Err(CallError::Refused(NameError::NotFound)) if !register => {
                    return self.stands(Standing::Registered(false));
                }
                Err(_) => self.process.runtime.sleep(PAUSE).await,
            }
        }
    }

    fn stands(&self, standing: Standing) {
        self.ledger.standing.borrow_mut().insert(self.process.identity.0, standing);
    }

    /// Asks one member, and looks whether it may have said what it said.
    async fn look_up(&self, member: Address) {
        let naming = NamesClient::new(self.process.runtime.within(Duration::from_millis(5)), member);
        let seen = self.seen.get();
        let query = Query { seen, ..Query::default() };
        let Ok((found, version)) = naming.look_up(directory(), query).await else { return };
        self.ledger.look_ups.set(self.ledger.look_ups.get() + 1);
        if version < seen {
            self.world
                .broken(format!("a client that had seen version {seen} was answered from version {version}"));
        }
        self.seen.set(version.max(seen));
        match found {
            Found::Member(entry) if self.ledger.asked.borrow().contains(&entry.address.identity.0) => {}
            found => self.world.broken(format!("a look-up found what nobody registered: {found:?}")),
        }
    }
}

impl Fleet {
    /// The members that live, are part of an epoch, and may answer.
    fn living(&self) -> impl Iterator<Item = (&Process, &Place)> {
        let is_living = |(process, place): &&(Process, Place)| {
            let naming = place.borrow();
            let serves = naming.as_ref().is_some_and(|naming| naming.replication.read(0).is_ok());
            process.is_running() && serves
        };
        self.servers.iter().filter(is_living).map(|(process, place)| (process, place))
    }

    /// Whether every living member's map is what was promised.
    fn holds(&self) -> Result<(), String> {
        let mut digests = BTreeSet::new();
        let mut count = 0;
        for (process, place) in self.living() {
            let naming = place.borrow();
            let Some(map) = naming.as_ref().and_then(|naming| naming.replication.read(0).ok()) else {
                continue;
            };
            count += 1;
            digests.insert(map.digest());
            let registered: BTreeSet<u64> =
                members(&map, &directory()).map(|entry| entry.address.identity.0).collect();
            self.check(process, &registered)?;
            self.follower.check(&registered)?;
        }
        match (count, digests.len()) {
            (0, _) => Err("no member of naming is left".to_owned()),
            (_, 1) => Ok(()),
            (members, maps) => Err(format!("{members} members have {maps} different maps")),
        }
    }

    fn check(&self, server: &Process, registered: &BTreeSet<u64>) -> Result<(), String> {
        let standing = self.ledger.standing.borrow();
        for (client, _) in &self.clients {
            let identity = client.identity.0;
            let is_there = registered.contains(&identity);
            let wrong = match standing.get(&identity) {
                _ if !client.is_alive() => is_there,
                _ if !client.is_running() => false,
                Some(Standing::Registered(expected)) => is_there != *expected,
                Some(Standing::Unsure) => false,
                None => is_there,
            };
            if wrong {
                let name = server.identity.0;
                return Err(format!(
                    "member {name} is wrong about client {identity}: registered is {is_there}"
                ));
            }
        }
        Ok(())
    }
}

impl Course for Fleet {
    fn dangers(&self) -> Dangers {
        // One first member is spared, so that there is always one to go on with.
        let servers = (1..self.first_servers).map(|number| format!("naming-{number}"));
        let clients = (0..self.clients.len() / 2).map(|number| format!("client-{number}"));
        let processes = servers.chain(["late".to_owned()]).chain(clients).collect();
        let cores = (1..self.first_servers).collect();
        Dangers { processes, cores, messages: self.messages }
    }

    fn is_over(&self) -> bool {
        if !self.clients.iter().all(|(process, is_over)| is_over.get() || !process.is_running()) {
            return false;
        }
        let now = self.world.now();
        let over_at = self.over_at.get().unwrap_or(now);
        self.over_at.set(Some(over_at));
        self.holds().is_ok() || now > over_at + SETTLES_WITHIN.as_nanos() as u64
    }

    fn end(&self) -> Result<(), String> {
        self.holds()
    }

    fn figures(&self, world: &World) -> Vec<Figure> {
        let seconds = world.now() as f64 / 1e9;
        let latency = self.ledger.latency.borrow();
        let share = |share| latency.permille(share).as_nanos() as f64;
        let figure = |key, value, unit| Figure { key, value, unit };
        vec![
            figure("look_ups", self.ledger.look_ups.get() as f64, "look-ups"),
            figure("changes", self.ledger.changes.get() as f64, "changes"),
            figure("changes_per_second", self.ledger.changes.get() as f64 / seconds.max(1e-9), "1/s"),
            figure("change_median", share(500), "ns"),
            figure("change_99", share(990), "ns"),
        ]
    }
}

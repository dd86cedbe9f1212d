//! How much a naming fleet answers against its size: clients that keep several look-ups under way, and change something
//! once in so many.
//!
//! So many cores are clients', the others are members' of naming; with fewer cores than clients are wanted, one core in
//! five is a member's, as with all clients and 256 members. Members join one after the other; when all are in, clients begin, each with one member as long as
//! that answers, and the clock starts when each has been answered often enough that nobody is new to anybody.
//!
//! What must hold: an answer is never from an older map than one the client has seen, and every change is made.

use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_messages::names::{DirectoryKey, Entry, NameError, NamesClient, Path, Query, RequestNumber};
use fos_messages::rpc::{Address, CallError, SendError};
use fos_naming::member::Naming;
use fos_replicated_map::Member;
use fos_runtime::port::Class;
use fos_runtime::{Histogram, Priority, Within};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What clients do.
#[derive(Clone, Copy)]
pub(super) struct Mix {
    pub clients: u32,
    /// Requests that a client has under way at once.
    pub outstanding: u64,
    /// Requests of which one is a change.
    pub change_every: u64,
}

const READS: Mix = Mix { clients: CLIENTS, outstanding: 8, change_every: 20_000 };
/// Clients of the scenarios of look-ups.
pub const CLIENTS: u32 = 1024;
/// How many of them each member has in the largest fleet, and in a run with fewer cores than clients.
pub const CLIENTS_PER_MEMBER: u32 = 4;
/// Clients of the scenario of changes.
pub const WRITERS: u32 = 128;
pub(super) const WRITES: Mix = Mix { clients: WRITERS, outstanding: 1, change_every: 1 };

const fn scenario(
    name: &'static str,
    about: &'static str,
    begin: fn(&World, u64) -> Box<dyn Course>,
) -> Scenario {
    Scenario { name, about, cores: 40, messages: 20_000, begin }
}

/// One change for 20,000 look-ups.
pub(super) const RARE: Scenario = scenario(
    "naming-reads",
    "a naming fleet under look-ups, 1,024 clients with 8 each, one change for 20,000",
    |world, messages| begin(world, messages, READS),
);
/// One for 1,000.
pub(super) const SOME: Scenario =
    scenario("naming-reads-1000", "the same, one change for 1,000 look-ups", |world, messages| {
        begin(world, messages, Mix { change_every: 1000, ..READS })
    });
/// One for 100.
pub(super) const MANY: Scenario =
    scenario("naming-reads-100", "the same, one change for 100 look-ups", |world, messages| {
        begin(world, messages, Mix { change_every: 100, ..READS })
    });
/// Changes only.
pub(super) const CHANGES: Scenario = scenario(
    "naming-writes",
    "a naming fleet under changes only, 128 clients with 1 each",
    |world, messages| begin(world, messages, WRITES),
);

const KEY: DirectoryKey = DirectoryKey([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
/// Requests of each client, for each that it may have under way, before the clock starts.
const WARM_UP: u64 = 16;
/// How long a call may take before another member is asked.
const WITHIN: Duration = Duration::from_millis(250);
/// A client that is refused waits so long, and each time twice as long.
const PAUSE: Duration = Duration::from_micros(20);
const DOUBLINGS: u64 = 8;
/// How often those who wait for the fleet to be complete look.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);
/// Members that a joiner is told of.
const SPONSORS: usize = 4;

#[derive(Default)]
pub(super) struct Ledger {
    /// The names that are looked up are there.
    is_ready: Cell<bool>,
    /// Requests that were begun, answered look-ups, and changes that were made.
    begun: Cell<u64>,
    look_ups: Cell<u64>,
    pub changes: Cell<u64>,
    pub change_latency: RefCell<Histogram>,
    /// Nobody begins the next request because the last one was answered.
    pub is_open: Cell<bool>,
    /// The clock started here.
    start: Cell<Option<Mark>>,
}

/// A moment, and what had been done by then.
#[derive(Clone, Copy)]
struct Mark {
    at: u64,
    look_ups: u64,
    changes: u64,
}

impl Ledger {
    fn mark(&self, at: u64) -> Mark {
        Mark { at, look_ups: self.look_ups.get(), changes: self.changes.get() }
    }

    fn done(&self) -> u64 {
        self.look_ups.get() + self.changes.get()
    }
}

/// A member, and whether it is in.
pub(super) struct Server {
    process: Process,
    is_in: Cell<bool>,
}

pub(super) type Servers = Rc<Vec<Server>>;

/// Whether nobody is still to come in.
fn are_settled(servers: &[Server]) -> bool {
    servers.iter().all(|server| server.is_in.get() || !server.process.is_running())
}

struct Fleet {
    ledger: Rc<Ledger>,
    servers: Servers,
    /// Requests before the clock, and all.
    warm_up: u64,
    wanted: u64,
    world: World,
}

/// Members, and clients that wait for the names to be there.
pub(super) struct Town {
    pub ledger: Rc<Ledger>,
    pub servers: Servers,
    pub clients: Vec<Rc<Client>>,
}

fn begin(world: &World, messages: u64, mix: Mix) -> Box<dyn Course> {
    let Town { ledger, servers, clients } = start(world, mix);
    let warm_up = WARM_UP * clients.len() as u64 * mix.outstanding;
    let wanted = warm_up + (messages / 2).max(1);
    Box::new(Fleet { ledger, servers, warm_up, wanted, world: world.clone() })
}

/// Starts both; clients go on as the mix says when the names are there.
pub(super) fn start(world: &World, mix: Mix) -> Town {
    let cores = world.cores().max(2);
    let members = cores
        .checked_sub(mix.clients)
        .filter(|rest| *rest > 0)
        .unwrap_or((cores / (1 + CLIENTS_PER_MEMBER)).max(1));
    let (ledger, servers) = (Rc::new(Ledger::default()), start_servers(world, members));
    let client = |number: u32| {
        let process = world.start(&format!("client-{number}"), members + number);
        let client = Rc::new(Client {
            process: process.clone(),
            world: world.clone(),
            servers: servers.clone(),
            asked: Cell::new(number as usize),
            seen: Cell::default(),
            is_registered: Cell::default(),
            last_number: Cell::default(),
            ledger: ledger.clone(),
            change_every: mix.change_every,
        });
        if number == 0 {
            process.spawn(Priority::Normal, client.clone().prepare());
        }
        process.spawn(Priority::Normal, client.clone().begin(mix.outstanding));
        client
    };
    let clients = (0..cores - members).map(client).collect();
    Town { ledger, servers, clients }
}

/// Starts the members; each begins to join when all before it are in.
fn start_servers(world: &World, count: u32) -> Servers {
    let server = |number: u32| {
        let process = world.start(&format!("naming-{number}"), number);
        Server { process, is_in: Cell::default() }
    };
    let servers: Servers = Rc::new((0..count).map(server).collect());
    for (place, server) in servers.iter().enumerate() {
        server.process.spawn(Priority::Normal, be_member(servers.clone(), place));
    }
    servers
}

fn member(place: usize) -> Member {
    Member::new(0, place as u32 + 1)
}

/// Joins, and is a member until its process ends.
async fn be_member(servers: Servers, place: usize) {
    let (before, own) = (&servers[..place], &servers[place]);
    let runtime = &own.process.runtime;
    while !are_settled(before) {
        runtime.sleep(LOOK_AGAIN_AFTER).await;
    }
    let sponsors: Vec<(Member, Address)> = (0..place.min(SPONSORS))
        .map(|sponsor| (member(sponsor), servers[sponsor].process.address(Class::Internal)))
        .collect();
    let naming = loop {
        let naming = match place {
            0 => Naming::first(runtime.clone(), member(0), KEY).await.ok(),
            _ => Naming::join(runtime.clone(), member(place), &sponsors).await.ok(),
        };
        match naming {
            Some(naming) => break naming,
            None => runtime.sleep(PAUSE).await,
        }
    };
    while naming.replication.read(0).is_err() {
        runtime.sleep(PAUSE).await;
    }
    own.is_in.set(true);
    std::future::pending::<()>().await;
}

pub(super) struct Client {
    pub process: Process,
    world: World,
    servers: Servers,
    /// The member that it asks.
    asked: Cell<usize>,
    /// The highest version that it was told.
    seen: Cell<u64>,
    is_registered: Cell<bool>,
    last_number: Cell<u64>,
    ledger: Rc<Ledger>,
    change_every: u64,
}

type Refused = CallError<NameError>;

fn name(component: &str) -> Path {
    Path::root().child(component).expect("a component of letters")
}

impl Client {
    /// Makes the names: of what is looked up, with this process under it, and of what changes.
    async fn prepare(self: Rc<Self>) {
        while !are_settled(&self.servers) {
            self.process.runtime.sleep(LOOK_AGAIN_AFTER).await;
        }
        for component in ["service", "clients"] {
            self.change(|naming, number| async move {
                naming.make(number, name(component), KEY, KEY, None).await
            })
            .await;
        }
        let entry = self.entry();
        self.change(|naming, number| naming_register(naming, number, name("service"), entry.clone())).await;
        self.ledger.is_ready.set(true);
    }

    fn entry(&self) -> Entry {
        let address = self.process.address(Class::External);
        Entry { address, machine: 0, core: 0, metadata: Vec::new() }
    }

    /// Begins so many requests at once when there is something to look up.
    async fn begin(self: Rc<Self>, outstanding: u64) {
        while !self.ledger.is_ready.get() {
            self.process.runtime.sleep(LOOK_AGAIN_AFTER).await;
        }
        (0..outstanding).for_each(|_| self.process.spawn(Priority::Normal, self.clone().work()));
    }

    /// One request after the other.
    async fn work(self: Rc<Self>) {
        while !self.ledger.is_open.get() {
            let number = self.ledger.begun.get() + 1;
            self.ledger.begun.set(number);
            if number.is_multiple_of(self.change_every) {
                self.come_or_go().await;
            } else {
                self.look_up().await;
            }
        }
    }

    async fn look_up(&self) {
        let path = name("service");
        for attempt in 0.. {
            let query = Query { seen: self.seen.get(), ..Query::default() };
            match self.naming().look_up(path.clone(), query).await {
                Ok((_, version)) => {
                    self.ledger.look_ups.set(self.ledger.look_ups.get() + 1);
                    return self.saw(query.seen, version);
                }
                Err(error) => self.pause(attempt, &error).await,
            }
        }
    }

    fn saw(&self, seen: u64, version: u64) {
        if version < seen {
            self.world.broken(format!("who had seen version {seen} was answered from version {version}"));
        }
        self.seen.set(self.seen.get().max(version));
    }

    /// Registers, or takes it back.
    pub async fn come_or_go(&self) {
        let (is_registered, entry) = (self.is_registered.get(), self.entry());
        self.is_registered.set(!is_registered);
        let began = self.process.runtime.port().now();
        if is_registered {
            self.change(|naming, number| async move { naming.unregister(number, name("clients")).await })
                .await;
        } else {
            self.change(|naming, number| naming_register(naming, number, name("clients"), entry.clone()))
                .await;
        }
        let took = self.process.runtime.port().now().since(began);
        self.ledger.change_latency.borrow_mut().record(took);
        self.ledger.changes.set(self.ledger.changes.get() + 1);
    }

    /// Asks under one number until it is known what came of it.
    async fn change<F>(&self, change: impl Fn(NamesClient<Within>, RequestNumber) -> F)
    where
        F: Future<Output = Result<u64, Refused>>,
    {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        for attempt in 0.. {
            match change(self.naming(), RequestNumber(number)).await {
                Ok(version) => return self.seen.set(self.seen.get().max(version)),
                // Two of a client's own changes may pass each other.
                Err(CallError::Refused(NameError::Exists | NameError::NotFound)) => return,
                Err(error) => self.pause(attempt, &error).await,
            }
        }
    }

    fn naming(&self) -> NamesClient<Within> {
        let server = &self.servers[self.asked.get() % self.servers.len()];
        NamesClient::new(self.process.runtime.within(WITHIN), server.process.address(Class::External))
    }

    /// Waits, and turns to another member unless this one is only busy.
    async fn pause(&self, attempt: u64, error: &Refused) {
        let is_busy = matches!(
            error,
            CallError::NotSent(SendError::Full) | CallError::Overloaded | CallError::Refused(NameError::Full)
        );
        if !is_busy {
            self.asked.set(self.asked.get() + 1);
        }
        self.process.runtime.sleep(PAUSE * (1 << attempt.min(DOUBLINGS))).await;
    }
}

async fn naming_register(
    naming: NamesClient<Within>,
    number: RequestNumber,
    path: Path,
    entry: Entry,
) -> Result<u64, Refused> {
    naming.register(number, path, KEY, entry).await
}

impl Course for Fleet {
    fn dangers(&self) -> Dangers {
        let processes = (1..self.servers.len()).map(|number| format!("naming-{number}")).collect();
        let cores = (1..self.servers.len() as u32).collect();
        Dangers { processes, cores, messages: 2 * self.wanted }
    }

    fn is_over(&self) -> bool {
        if self.ledger.start.get().is_none() && self.ledger.done() >= self.warm_up {
            self.ledger.start.set(Some(self.ledger.mark(self.world.now())));
            *self.ledger.change_latency.borrow_mut() = Histogram::default();
        }
        self.ledger.done() >= self.wanted
    }

    fn end(&self) -> Result<(), String> {
        Ok(())
    }

    fn figures(&self, world: &World) -> Vec<Figure> {
        let now = self.ledger.mark(world.now());
        let start = self.ledger.start.get().unwrap_or(now);
        let seconds = (now.at - start.at).max(1) as f64 / 1e9;
        let latency = self.ledger.change_latency.borrow();
        let share = |share| latency.permille(share).as_nanos() as f64;
        let figure = |key, value, unit| Figure { key, value, unit };
        vec![
            figure("members", self.servers.len() as f64, "members"),
            figure("joined_after", start.at as f64, "ns"),
            figure("look_ups_per_second", (now.look_ups - start.look_ups) as f64 / seconds, "1/s"),
            figure("changes_per_second", (now.changes - start.changes) as f64 / seconds, "1/s"),
            figure("change_median", share(500), "ns"),
            figure("change_99", share(990), "ns"),
        ]
    }
}

//! Clients that keep several calls under way to a few small servers, whatever becomes of those. It shows the machine
//! itself: mailboxes, calls, deaths, deadlines.
//!
//! One core in eight is a server's, the others are clients'; the last is the keeper's, who starts a server again that has
//! ended. Where servers are is known to all by a list, since there are no names here. Most calls are `mirror`, which may be
//! repeated, and is until it is answered; every eighth is `count`, which may not, and is given up when it is not certain
//! that nothing was done.
//!
//! What must hold: an answer is the answer to its call; no `count` is done twice; what was acknowledged was done; every
//! client whose core goes on comes to its end.

mod servers;

pub(crate) use self::servers::Work;
pub(super) use self::servers::{CounterClient, CounterDispatcher, CounterInterface, Mirror};
use self::servers::{Directory, Ledger};
use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_runtime::{Histogram, Priority, Runtime, Within};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "echo",
    about: "clients with several calls under way to small servers that may end, stall or be full",
    cores: 32,
    messages: 20_000,
    begin,
};

/// Calls that a client has under way at once.
const OUTSTANDING: u64 = 8;
/// Clients' calls of which one is a `count`.
const COUNT_EVERY: u64 = 8;
/// A call that takes longer is given up, and another server asked.
const WITHIN: Duration = Duration::from_millis(5);
/// A client that is refused waits so long, and each time twice as long, lest servers do nothing but refuse.
const PAUSE: Duration = Duration::from_micros(20);
/// How often that doubles.
const DOUBLINGS: u64 = 8;
/// How often the keeper looks.
const WATCH: Duration = Duration::from_micros(100);

/// One client: hands out its calls to its tasks.
struct Client {
    number: u64,
    runtime: Runtime,
    directory: Directory,
    ledger: Rc<Ledger>,
    calls: u64,
    next: Cell<u64>,
    over: Cell<u64>,
}

struct Echoes {
    clients: Vec<(Process, Rc<Client>)>,
    servers: u32,
    cores: u32,
    ledger: Rc<Ledger>,
    messages: u64,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Work::honest())
}

/// The same with servers that work in this way: tests plant errors here.
pub(crate) fn begin_with(world: &World, messages: u64, work: Work) -> Box<dyn Course> {
    world.knows::<CounterInterface>();
    let cores = world.cores().max(3);
    let servers = (cores / 8).max(1);
    let count = u64::from(cores - servers - 1);
    let ledger = Rc::new(Ledger::new(count));
    let directory = servers::start(world, servers, cores - 1, &ledger, work);
    let calls = (messages / 2).div_ceil(count).max(OUTSTANDING);
    let client = |number: u64| {
        let process = world.start(&format!("client-{number}"), servers + number as u32);
        let (next, over) = Default::default();
        let (runtime, directory, ledger) = (process.runtime.clone(), directory.clone(), ledger.clone());
        let client = Rc::new(Client { number, runtime, directory, ledger, calls, next, over });
        for _ in 0..OUTSTANDING {
            process.spawn(Priority::Normal, client.clone().work());
        }
        (process, client)
    };
    let clients = (0..count).map(client).collect();
    Box::new(Echoes { clients, servers, cores, ledger, messages })
}

impl Client {
    /// Makes one call after the other.
    async fn work(self: Rc<Self>) {
        while self.next.get() < self.calls {
            let call = self.next.get();
            self.next.set(call + 1);
            let began = self.runtime.port().now();
            if call.is_multiple_of(COUNT_EVERY) {
                self.count(call).await
            } else {
                self.mirror(call).await
            }
            let took = self.runtime.port().now().since(began);
            self.ledger.latency.borrow_mut().record(took);
            self.over.set(self.over.get() + 1);
        }
    }

    /// Asks until it is answered.
    async fn mirror(&self, call: u64) {
        let sent = (self.number << 32) | call;
        for attempt in 0.. {
            match self.server(attempt).mirror(sent).await {
                Ok(answer) if answer == sent => return,
                Ok(answer) => return self.ledger.broken(format!("{sent:#x} came back as {answer:#x}")),
                Err(_) => self.pause(attempt).await,
            }
        }
    }

    /// Asks until it may have been done.
    async fn count(&self, call: u64) {
        for attempt in 0.. {
            match self.server(attempt).count(self.number, call).await {
                Ok(_) => return self.ledger.acknowledged(self.number, call),
                Err(error) if error.nothing_was_done() => self.pause(attempt).await,
                Err(_) => return,
            }
        }
    }

    async fn pause(&self, attempt: u64) {
        self.runtime.sleep(PAUSE * (1 << attempt.min(DOUBLINGS))).await;
    }

    /// Another one each time.
    fn server(&self, attempt: u64) -> CounterClient<Within> {
        CounterClient::new(self.runtime.within(WITHIN), self.directory.server(self.number + attempt))
    }
}

impl Course for Echoes {
    fn dangers(&self) -> Dangers {
        let processes = (0..self.servers).map(|number| format!("server-{number}")).collect();
        // Never the keeper's.
        let cores = (0..self.cores - 1).collect();
        Dangers { processes, cores, messages: self.messages }
    }

    fn is_over(&self) -> bool {
        self.ledger.is_over.get() || {
            let is_over = |(process, client): &(Process, Rc<Client>)| {
                client.over.get() == client.calls || !process.is_running()
            };
            let over =
                self.clients[self.ledger.first_busy.get()..].iter().take_while(|client| is_over(client));
            let first_busy = self.ledger.first_busy.get() + over.count();
            self.ledger.first_busy.set(first_busy);
            self.ledger.is_over.set(first_busy == self.clients.len());
            self.ledger.is_over.get()
        }
    }

    fn end(&self) -> Result<(), String> {
        self.ledger.check()
    }

    fn figures(&self, world: &World) -> Vec<Figure> {
        let calls: u64 = self.clients.iter().map(|(_, client)| client.over.get()).sum();
        let seconds = world.now() as f64 / 1e9;
        let latency: &RefCell<Histogram> = &self.ledger.latency;
        let share = |share| latency.borrow().permille(share).as_nanos() as f64;
        vec![
            Figure { key: "calls", value: calls as f64, unit: "calls" },
            Figure { key: "calls_per_second", value: calls as f64 / seconds.max(1e-9), unit: "1/s" },
            Figure { key: "latency_median", value: share(500), unit: "ns" },
            Figure { key: "latency_99", value: share(990), unit: "ns" },
        ]
    }
}

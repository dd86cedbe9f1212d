//! Twice as many changes as a naming fleet can make: first clients of which each waits for its answers, which shows how many
//! it can make, then an open load, where the next change comes whether or not the last was answered.
//!
//! A client has at most so many changes under way; one that comes beyond them is shed, as are those that a member has no
//! room for and that their client tries again, ever more slowly. What is made must not become less for what is offered.

use super::naming_reads::{Client, Ledger, Servers, Town, WRITES, start};
use super::{Course, Scenario};
use crate::Random;
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;
use fos_runtime::{Histogram, Priority};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "naming-writes-open",
    about: "a naming fleet that is offered twice the changes it can make, whether or not it answers",
    cores: 40,
    messages: 20_000,
    begin,
};

/// Changes that a client has under way: as many as naming remembers of one.
const UNDER_WAY_MAX: u64 = 16;
/// How many times what it can make it is offered.
const OFFERED: f64 = 2.0;
/// Changes that each client has made before a clock starts.
const WARM_UP: u64 = 8;

/// What is measured one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Until this many changes are made.
    WarmUp(u64),
    /// Clients wait for their answers. Since when, and with how many changes made.
    Closed(u64, u64),
    /// The open load begins; until this many changes are made.
    Opening(u64),
    /// The open load. Since when, with how many changes made, shed and come.
    Open(u64, u64, u64, u64),
}

struct Flood {
    world: World,
    ledger: Rc<Ledger>,
    servers: Servers,
    clients: Vec<Rc<Client>>,
    /// Changes of each phase.
    changes: u64,
    phase: Cell<Phase>,
    /// Changes per second that clients waited for.
    capacity: Cell<f64>,
    arrivals: Rc<Arrivals>,
}

#[derive(Default)]
struct Arrivals {
    come: Cell<u64>,
    shed: Cell<u64>,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    let Town { ledger, servers, clients } = start(world, WRITES);
    let phase = Cell::new(Phase::WarmUp(WARM_UP * clients.len() as u64));
    let (capacity, arrivals) = (Cell::new(0.0), Rc::default());
    let (world, changes) = (world.clone(), (messages / 8).max(100));
    Box::new(Flood { world, ledger, servers, clients, changes, phase, capacity, arrivals })
}

impl Flood {
    fn open(&self) {
        self.ledger.is_open.set(true);
        let mean = 1e9 * self.clients.len() as f64 / (OFFERED * self.capacity.get().max(1.0));
        for client in &self.clients {
            let task = come(client.clone(), mean, RefCell::new(self.world.random()), self.arrivals.clone());
            client.process.spawn(Priority::Normal, task);
        }
    }

    /// Goes on to the next phase when this one has what it wants. Says whether the last is over.
    fn advance(&self) -> bool {
        let (now, made) = (self.world.now(), self.ledger.changes.get());
        let Arrivals { come, shed } = &*self.arrivals;
        match self.phase.get() {
            Phase::WarmUp(until) if made >= until => self.phase.set(Phase::Closed(now, made)),
            Phase::Closed(since, before) if made - before >= self.changes => {
                self.capacity.set(rate(made - before, now - since));
                self.open();
                self.phase.set(Phase::Opening(made + WARM_UP * self.clients.len() as u64));
            }
            Phase::Opening(until) if made >= until => {
                *self.ledger.change_latency.borrow_mut() = Histogram::default();
                self.phase.set(Phase::Open(now, made, shed.get(), come.get()));
            }
            Phase::Open(_, before, ..) => return made - before >= self.changes,
            _ => {}
        }
        false
    }
}

/// Changes per second.
fn rate(changes: u64, nanoseconds: u64) -> f64 {
    changes as f64 * 1e9 / nanoseconds.max(1) as f64
}

/// Changes of one client that come at random, so many nanoseconds apart in the mean (a Poisson process).
async fn come(client: Rc<Client>, mean: f64, random: RefCell<Random>, arrivals: Rc<Arrivals>) {
    let under_way = Rc::new(Cell::new(0_u64));
    loop {
        let share = (random.borrow_mut().below(1 << 32) + 1) as f64 / (1_u64 << 32) as f64;
        client.process.runtime.sleep(Duration::from_nanos((-share.ln() * mean) as u64)).await;
        arrivals.come.set(arrivals.come.get() + 1);
        if under_way.get() == UNDER_WAY_MAX {
            arrivals.shed.set(arrivals.shed.get() + 1);
            continue;
        }
        under_way.set(under_way.get() + 1);
        let (client_of, under_way) = (client.clone(), under_way.clone());
        client.process.spawn(Priority::Normal, async move {
            client_of.come_or_go().await;
            under_way.set(under_way.get() - 1);
        });
    }
}

impl Course for Flood {
    fn dangers(&self) -> Dangers {
        let processes = (1..self.servers.len()).map(|number| format!("naming-{number}")).collect();
        let cores = (1..self.servers.len() as u32).collect();
        Dangers { processes, cores, messages: 8 * self.changes }
    }

    fn is_over(&self) -> bool {
        self.advance()
    }

    fn end(&self) -> Result<(), String> {
        Ok(())
    }

    fn figures(&self, world: &World) -> Vec<Figure> {
        let latency = self.ledger.change_latency.borrow();
        let share = |share| latency.permille(share).as_nanos() as f64;
        let figure = |key, value, unit| Figure { key, value, unit };
        let Phase::Open(since, before, shed, come) = self.phase.get() else { return Vec::new() };
        let time = world.now() - since;
        vec![
            figure("members", self.servers.len() as f64, "members"),
            figure("capacity", self.capacity.get(), "1/s"),
            figure("offered", rate(self.arrivals.come.get() - come, time), "1/s"),
            figure("shed", rate(self.arrivals.shed.get() - shed, time), "1/s"),
            figure("changes_per_second", rate(self.ledger.changes.get() - before, time), "1/s"),
            figure("change_median", share(500), "ns"),
            figure("change_99", share(990), "ns"),
        ]
    }
}

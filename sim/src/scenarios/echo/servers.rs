//! The servers of `echo`: what they say to their clients, who keeps them alive, and the ledger that remembers what was
//! done and what was promised, which no server sees.

use crate::world::{Process, World};
use fos_messages::rpc::{Address, Context, Instead, Never, interface};
use fos_runtime::port::Class;
use fos_runtime::{Histogram, Priority};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What clients ask for.
#[interface(id = 0x7f11, version = 1)]
pub trait Counter {
    /// The same number.
    #[operation(idempotent)]
    fn mirror(&self, number: u64) -> u64;

    /// Counts a call of a client: how many this server has counted.
    #[operation]
    fn count(&self, client: u64, call: u64) -> u64;
}

/// How servers do what they are asked: tests put something worse here.
#[derive(Clone, Copy)]
pub struct Work {
    /// What is answered to a number.
    pub answer: fn(u64) -> u64,
    /// How often a call is counted.
    pub times: fn(u64) -> u32,
}

impl Work {
    /// As it should be.
    pub fn honest() -> Work {
        Work { answer: |sent| sent, times: |_| 1 }
    }
}

struct Server {
    counted: Cell<u64>,
    ledger: Rc<Ledger>,
    work: Work,
}

impl Counter for Server {
    fn mirror(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok((self.work.answer)(number))
    }

    fn count(&self, _: Context, client: u64, call: u64) -> Result<u64, Instead<Never>> {
        (0..(self.work.times)(call)).for_each(|_| self.ledger.done(client, call));
        self.counted.set(self.counted.get() + 1);
        Ok(self.counted.get())
    }
}

/// A server that only mirrors, in its own way.
pub struct Mirror(pub fn(u64) -> u64);

impl Counter for Mirror {
    fn mirror(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok((self.0)(number))
    }

    fn count(&self, _: Context, _: u64, _: u64) -> Result<u64, Instead<Never>> {
        Err(Instead::NotNow)
    }
}

/// Where the servers are.
#[derive(Clone)]
pub struct Directory(Rc<RefCell<Vec<Process>>>);

impl Directory {
    /// The address of one of them, by any number.
    pub fn server(&self, number: u64) -> Address {
        let servers = self.0.borrow();
        servers[(number % servers.len() as u64) as usize].address(Class::External)
    }
}

/// Starts the servers on the first cores, and their keeper on its own.
pub fn start(world: &World, count: u32, keeper: u32, ledger: &Rc<Ledger>, work: Work) -> Directory {
    let start = move |world: &World, number: u32, ledger: &Rc<Ledger>| {
        let process = world.start(&format!("server-{number}"), number);
        let server = Server { counted: Cell::new(0), ledger: ledger.clone(), work };
        process.runtime.serve(Class::External, CounterDispatcher::new(Rc::new(server)));
        process
    };
    let servers = (0..count).map(|number| start(world, number, ledger)).collect();
    let directory = Directory(Rc::new(RefCell::new(servers)));
    let keeper = world.start("keeper", keeper);
    let (world, ledger, kept, runtime) =
        (world.clone(), ledger.clone(), directory.clone(), keeper.runtime.clone());
    keeper.spawn(Priority::Normal, async move {
        loop {
            runtime.sleep(super::WATCH).await;
            for number in 0..count {
                let is_alive = kept.0.borrow()[number as usize].is_alive();
                if !is_alive {
                    let again = start(&world, number, &ledger);
                    kept.0.borrow_mut()[number as usize] = again;
                }
            }
        }
    });
    directory
}

/// What was done and what was promised.
pub struct Ledger {
    /// How long calls took.
    pub latency: RefCell<Histogram>,
    /// Clients before this one are over.
    pub first_busy: Cell<usize>,
    /// All are.
    pub is_over: Cell<bool>,
    /// By client: calls of `count`, how often each was done, and whether its client was told so.
    counts: RefCell<Vec<Vec<(u32, bool)>>>,
    broken: RefCell<Option<String>>,
}

impl Ledger {
    /// Nothing was done yet.
    pub fn new(clients: u64) -> Ledger {
        let counts = RefCell::new(vec![Vec::new(); clients as usize]);
        let (latency, first_busy, is_over, broken) = Default::default();
        Ledger { latency, first_busy, is_over, counts, broken }
    }

    fn change(&self, client: u64, call: u64, change: impl FnOnce(&mut (u32, bool))) {
        let mut counts = self.counts.borrow_mut();
        let Some(calls) = counts.get_mut(client as usize) else { return };
        let place = (call / super::COUNT_EVERY) as usize;
        if calls.len() <= place {
            calls.resize(place + 1, (0, false));
        }
        change(&mut calls[place]);
    }

    fn done(&self, client: u64, call: u64) {
        self.change(client, call, |count| count.0 += 1);
    }

    /// A client was told that it was done.
    pub fn acknowledged(&self, client: u64, call: u64) {
        self.change(client, call, |count| count.1 = true);
    }

    /// A promise does not hold.
    pub fn broken(&self, why: String) {
        self.broken.borrow_mut().get_or_insert(why);
        self.is_over.set(true);
    }

    /// Whether everything held.
    pub fn check(&self) -> Result<(), String> {
        if let Some(why) = &*self.broken.borrow() {
            return Err(why.clone());
        }
        for (client, calls) in self.counts.borrow().iter().enumerate() {
            for (place, (done, acknowledged)) in calls.iter().enumerate() {
                let call = place as u64 * super::COUNT_EVERY;
                if *done > 1 {
                    return Err(format!("call {call} of client {client} was done {done} times"));
                }
                if *acknowledged && *done == 0 {
                    return Err(format!("call {call} of client {client} was acknowledged and never done"));
                }
            }
        }
        Ok(())
    }
}

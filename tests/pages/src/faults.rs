//! Fault and free, to be measured: workers touch each page of a new region in order, give all of it back, and do so again. The same
//! loop runs on Linux (`bench/linux/src/faults.rs`), with the same sizes.
//!
//! `pages-test measure` starts the fleet and a worker on each core, and prints how many pages all of them had in a second;
//! `pages-test count` one worker, and prints the ticks for each page, everything that the machine did meanwhile included. Each worker
//! has touched more than its part of all frames before, so that no frame is had that nobody has ever used.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::Ordering;
use core::time::Duration;

use fos_abi::Identity;
use fos_init::{Founder, LOOK_EVERY, PATIENCE};
use fos_messages::pages::{NAME, PagesClient};
use fos_messages::programs::Order;
use fos_messages::rpc::{Address, Context, Instead, Never, interface};
use fos_runtime::Runtime;
use fos_runtime::port::{Class, Port};
use libfos::arch::ticks;
use libfos::blocking::Blocking;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::pager::{Demand, InSpace, Kind, over_fleet};
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::fleet::Fleet;

/// Pages of the region: 64 MiB.
const PAGES: u64 = 16 * 1024;
/// Words of a page.
const WORDS: usize = 512;
/// How long workers run, and regions that are counted where time is instructions.
const RUN: Duration = Duration::from_secs(3);
const COUNTED: u64 = 16;
/// How long a worker may take for all it does.
const WORKER_WITHIN: Duration = Duration::from_secs(200);
/// Under which workers find who tells them to begin.
const TALLY: &str = "pages-tally";

/// What workers tell who started them.
#[interface(id = 0x7f31, version = 1)]
pub trait Tally {
    /// The asker can begin; answered when all can, with how many pages it is to touch first.
    #[operation(idempotent)]
    async fn warm(&self) -> u64;
    /// The asker has touched those; answered when all have.
    #[operation(idempotent)]
    async fn ready(&self) -> u64;
    /// What the asker measured.
    #[operation]
    fn tell(&self, value: u64);
}

/// Who counts the workers.
struct Counter {
    runtime: Runtime,
    workers: u64,
    warm_up: u64,
    here: Cell<u64>,
    ready: Cell<u64>,
    told: RefCell<vec::Vec<u64>>,
}

impl Counter {
    async fn all(&self, count: &Cell<u64>) {
        count.set(count.get() + 1);
        while count.get() < self.workers {
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }
}

impl Tally for Counter {
    async fn warm(&self, _: Context) -> Result<u64, Instead<Never>> {
        self.all(&self.here).await;
        Ok(self.warm_up)
    }

    async fn ready(&self, _: Context) -> Result<u64, Instead<Never>> {
        self.all(&self.ready).await;
        Ok(0)
    }

    fn tell(&self, _: Context, value: u64) -> Result<(), Instead<Never>> {
        self.told.borrow_mut().push(value);
        Ok(())
    }
}

/// Starts the fleet and the workers, and prints what they measured.
pub fn measure(start: &Start, counts: bool) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let founder = Founder::begin(start, &server)?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let registered = Root::of_program(start)
        .and_then(|root| root.register(TALLY, server.port.address(Class::External).key, deadline));
    registered.map_err(|error| error.to_string())?;
    let runtime = server.runtime.clone();
    let workers = if counts { 1 } else { start.cores as u16 };
    server.block_on(async move {
        let fleet = Fleet::start(founder).await?;
        let path = fos_messages::names::Path::new(NAME).map_err(|error| error.to_string())?;
        let pages = PagesClient::new(fleet.names.at(path, PATIENCE), Address::default());
        let frames = pages.statistics().await.map_err(|error| error.to_string())?.frames;
        let (here, ready, told) = Default::default();
        let own = runtime.clone();
        let warm_up = frames / u64::from(workers) + PAGES;
        let counter = Counter { runtime: own, workers: workers.into(), warm_up, here, ready, told };
        let counter = Rc::new(counter);
        runtime.serve(Class::External, TallyDispatcher::new(counter.clone()));
        let role = if counts { "counts" } else { "times" };
        for core in 0..workers {
            let order = Order { program: "pages-test".into(), arguments: vec![role.into()], core };
            fleet.root.start(&order).await.map_err(|error| error.to_string())?;
        }
        let end = runtime.port().now().after(WORKER_WITHIN);
        while counter.told.borrow().len() < workers.into() && runtime.port().now() < end {
            runtime.sleep(Duration::from_millis(100)).await;
        }
        let told = counter.told.borrow().len();
        if told < workers.into() {
            return Err(format!("{told} of {workers} workers have measured within {WORKER_WITHIN:?}"));
        }
        let sum: u64 = counter.told.borrow().iter().sum();
        let figures = pages.statistics().await.map_err(|error| error.to_string())?;
        println!("note pages: {figures:?}");
        match counts {
            true => println!("bench page_instructions {sum} instructions of {COUNTED} regions of 64 MiB touched page by page and given back, all that ran meanwhile"),
            false => println!("bench pages_per_second {sum} 1/s regions of 64 MiB touched page by page and given back, a worker on each core"),
        }
        println!("end");
        Ok(())
    })
}

fn fault_and_free(pager: &Demand<InSpace>) -> Result<(), String> {
    let region = pager.make(Kind::Memory, PAGES).map_err(|error| error.to_string())?;
    for (word, page) in region.words().iter().step_by(WORDS).zip(1..) {
        word.store(page, Ordering::Relaxed);
    }
    pager.release(region).map_err(|error| error.to_string())
}

/// A worker.
pub fn work(start: &Start, counts: bool) -> Result<(), String> {
    let text = |error: &dyn core::fmt::Debug| format!("{error:?}");
    let mut memory = Memory::of_program(start).map_err(|error| text(&error))?;
    let (clock, root) = (Clock::new(start.tsc_hz), Root::of_program(start).map_err(|error| text(&error))?);
    let pager = over_fleet(&mut memory, start).map_err(|error| text(&error))?;
    let end = clock.after(WORKER_WITHIN);
    let counter = root.find(&mut memory, TALLY, end).map_err(|error| text(&error))?;
    let asking =
        Blocking::create(&mut memory, Identity(start.identity), clock).map_err(|error| text(&error))?;
    let tally = TallyClient::new(&asking, counter);
    let warm_up = asking.wait(end, tally.warm()).map_err(|error| text(&error))?;
    for _ in 0..warm_up.div_ceil(PAGES) {
        fault_and_free(&pager)?;
    }
    asking.wait(end, tally.ready()).map_err(|error| text(&error))?;
    let (began, mut regions) = (ticks(), 0);
    let is_over = |regions| match counts {
        true => regions == COUNTED,
        false => clock.duration(ticks() - began) >= RUN,
    };
    while !is_over(regions) {
        fault_and_free(&pager)?;
        regions += 1;
    }
    let (took, pages) = (ticks() - began, regions * PAGES);
    let value = match counts {
        true => took.div_ceil(pages),
        false => (u128::from(pages) * 1_000_000_000 / clock.duration(took).as_nanos().max(1)) as u64,
    };
    asking.wait(end, tally.tell(value)).map_err(|error| text(&error))
}

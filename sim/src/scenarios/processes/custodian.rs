//! Who really starts and ends the simulated processes, and remembers how each ended until the fleet knows: what root is on a
//! machine. It is asked by tickets, and a start that is asked for twice is one process.

use crate::world::{Process, World};
use fos_messages::names::DirectoryKey;
use fos_messages::processes::{Ended, Exit, ProcessError, SpawnOrder};
use fos_messages::rpc::{Address, Context, Instead, Never};
use fos_messages::tickets::{Counts, Deed, Survey, Tickets, TicketsDispatcher};
use fos_root::tickets::{Book, Outlived, already};
use fos_runtime::port::Class;
use fos_runtime::processes::Processes;
use fos_runtime::{Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How often it looks whether a process has ended that somebody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The custodian.
pub struct Root {
    world: World,
    process: Process,
    naming: Vec<Address>,
    /// The core of the first program.
    first_core: u32,
    book: RefCell<Book<()>>,
    started: RefCell<BTreeMap<u64, Process>>,
    /// Who stands still.
    stopped: RefCell<BTreeSet<u64>>,
    starts: Cell<u64>,
}

impl Root {
    pub fn start(world: &World, core: u32, naming: Vec<Address>, first_core: u32) -> Rc<Root> {
        let process = world.start("custodian", core);
        let (book, started, stopped, starts) = Default::default();
        let world = world.clone();
        let root = Rc::new(Root { world, process, naming, first_core, book, started, stopped, starts });
        root.process.runtime.serve(Class::External, TicketsDispatcher::new(Rc::new(Service(root.clone()))));
        root
    }

    pub fn address(&self) -> Address {
        self.process.address(Class::External)
    }

    /// How many were started.
    pub fn starts(&self) -> u64 {
        self.starts.get()
    }

    /// The tickets of those that have not ended.
    pub fn running(&self) -> BTreeSet<u64> {
        self.book.borrow().iter().filter(|(_, _, runs)| *runs).map(|(ticket, ..)| ticket).collect()
    }

    /// How many ends are remembered.
    pub fn remembered(&self) -> usize {
        self.book.borrow().iter().filter(|(_, _, runs)| !runs).count()
    }

    fn begin(self: &Rc<Self>, ticket: u64, order: SpawnOrder, core: u16) -> u64 {
        self.starts.set(self.starts.get() + 1);
        let core = self.first_core + u32::from(core);
        let process = self.world.start(&format!("program-{ticket}"), core);
        let (identity, root) = (process.identity.0, self.clone());
        let runtime = process.runtime.clone();
        self.started.borrow_mut().insert(ticket, process.clone());
        self.book.borrow_mut().started(ticket, identity);
        process.spawn(Priority::Normal, async move {
            let status = root.run(&runtime, &order, ticket).await;
            root.end(ticket, Exit::Status(status));
        });
        identity
    }

    /// What programs do. The argument is a time and a status.
    async fn run(&self, runtime: &Runtime, order: &SpawnOrder, ticket: u64) -> u8 {
        let number = order.arguments.first().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        match order.program.as_str() {
            super::SHORT => runtime.sleep(Duration::from_micros(number)).await,
            super::PARENT => {
                let names = Names::new(runtime.clone(), self.naming.clone(), (0, 0));
                let processes = Processes::new(runtime.clone(), names, super::fleet(), super::PATIENCE);
                let child = SpawnOrder {
                    program: super::SHORT.into(),
                    arguments: vec!["300".into()],
                    ..SpawnOrder::default()
                };
                for _ in 0..2 {
                    let _ = processes.spawn(&child).await;
                }
            }
            _ => std::future::pending().await,
        }
        while self.stopped.borrow().contains(&ticket) {
            runtime.sleep(LOOK_EVERY).await;
        }
        number as u8
    }

    fn end(&self, ticket: u64, exit: Exit) {
        self.book.borrow_mut().ended(ticket, exit.into());
        if let Some(process) = self.started.borrow_mut().remove(&ticket) {
            process.end();
        }
    }

    fn order(&self, ticket: u64, at: u32, rest: Vec<u8>) -> Result<SpawnOrder, Instead<ProcessError>> {
        let bytes = self.book.borrow_mut().whole(ticket, at, rest).ok_or(Instead::NotNow)?;
        postcard::from_bytes(&bytes).map_err(|_| ProcessError::TooLong.into())
    }
}

struct Service(Rc<Root>);

impl Tickets for Service {
    fn prepare(&self, _: Context, ticket: u64, at: u32, part: Vec<u8>) -> Result<(), Instead<Never>> {
        self.0.book.borrow_mut().prepare(ticket, at, &part);
        Ok(())
    }

    fn start(
        &self,
        _: Context,
        ticket: u64,
        core: u16,
        at: u32,
        rest: Vec<u8>,
    ) -> Result<u64, Instead<ProcessError>> {
        let order = self.0.order(ticket, at, rest)?;
        if let Some(outcome) = already(self.0.book.borrow().known(ticket)) {
            return Ok(outcome?);
        }
        if order.program == super::ABSENT {
            Err(ProcessError::NoProgram.into())
        } else {
            Ok(self.0.begin(ticket, order, core))
        }
    }

    fn act(&self, _: Context, ticket: u64, deed: Deed, signal: u8) -> Result<(), Instead<Never>> {
        match deed {
            Deed::End => self.0.end(ticket, Exit::Status(128 + signal)),
            Deed::Stop => _ = self.0.stopped.borrow_mut().insert(ticket),
            Deed::Resume => _ = self.0.stopped.borrow_mut().remove(&ticket),
        }
        Ok(())
    }

    async fn outlive(&self, _: Context, ticket: u64) -> Result<Ended, Instead<ProcessError>> {
        loop {
            match self.0.book.borrow_mut().outlive(ticket, ()) {
                Outlived::Ended((), ended) => return Ok(ended),
                Outlived::Unknown(()) => return Err(ProcessError::NoSuchProcess.into()),
                Outlived::Waits(_) => {}
            }
            self.0.process.runtime.sleep(LOOK_EVERY).await;
        }
    }

    fn forget(&self, _: Context, ticket: u64) -> Result<(), Instead<Never>> {
        self.0.book.borrow_mut().forget(ticket);
        self.0.stopped.borrow_mut().remove(&ticket);
        Ok(())
    }

    fn known(&self, _: Context, above: u64) -> Result<Survey, Instead<Never>> {
        Ok(self.0.book.borrow().survey(above, |_| Some((0, super::LONG.into()))))
    }

    fn counts(&self, _: Context) -> Result<Counts, Instead<Never>> {
        let (tickets, prepared) = self.0.book.borrow().counts();
        Ok(Counts { tickets: tickets as u32, prepared: prepared as u32, ..Counts::default() })
    }
}

/// The key of the fleet.
pub const KEY: DirectoryKey = DirectoryKey([0x5eed_0f0f, 0x0ff1_ce00]);

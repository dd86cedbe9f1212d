//! Root: starts members, tells of their ends, and is the custodian.

use super::hands::{Ledger, SimulatedCleaner, SimulatedCustodian, SimulatedHands};
use super::{Dress, KEY, Seen, Size};
use crate::world::{Process, World};
use fos_messages::custody::{CustodyDispatcher, Range, With};
use fos_messages::programs::{Order, Programs, ProgramsClient, ProgramsDispatcher, Refusal, Started};
use fos_messages::rpc::{Address, Context, Instead};
use fos_pages::member;
use fos_root::custody::{Custodian, Service};
use fos_runtime::fleet::{EnterError, Event, MEMBER, arguments};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// How long root may take.
const ROOT_WITHIN: Duration = Duration::from_secs(30);

/// Root.
pub struct Root {
    world: World,
    process: Process,
    naming: Vec<Address>,
    cores: Vec<u16>,
    custodian: SimulatedCustodian,
    ledger: Rc<Ledger>,
    seen: Rc<Seen>,
    started: RefCell<Vec<Process>>,
    dress: Dress,
    size: Size,
}

impl Root {
    #[allow(clippy::too_many_arguments, reason = "each is what one part of the world is to be")]
    pub fn start(
        world: &World,
        core: u32,
        naming: Vec<Address>,
        cores: Vec<u16>,
        ledger: Rc<Ledger>,
        seen: Rc<Seen>,
        dress: Dress,
        size: Size,
    ) -> Rc<Root> {
        let process = world.start("root", core);
        let hands = SimulatedHands { ledger: ledger.clone(), runtime: process.runtime.clone() };
        let mut custodian = Custodian::new(hands);
        for range in 0..size.ranges {
            let first = size.first + range * size.frames.next_power_of_two() * 2;
            custodian.add(Range { first, count: size.frames }, true);
        }
        let custodian = Rc::new(RefCell::new(custodian));
        process.runtime.serve(Class::External, CustodyDispatcher::new(Rc::new(Service(custodian.clone()))));
        let (world, started) = (world.clone(), RefCell::default());
        let root =
            Rc::new(Root { world, process, naming, cores, custodian, ledger, seen, started, dress, size });
        root.process.runtime.serve(Class::External, ProgramsDispatcher::new(Rc::new(Starter(root.clone()))));
        root
    }

    /// From now on this process may be given frames, and its end is noticed.
    pub fn know(self: &Rc<Self>, process: &Process) {
        self.ledger.runs(process.identity.0);
        let (root, watched) = (self.clone(), process.clone());
        self.process.spawn(Priority::Normal, async move {
            root.process.runtime.outlive(&watched.address(Class::External)).await;
            root.ended(&watched);
        });
    }

    fn ended(&self, process: &Process) {
        if self.dress.hears_no_ends {
            return;
        }
        self.ledger.ended(process.identity.0);
        let is_member = self.started.borrow().iter().any(|member| member.identity == process.identity);
        if !(self.dress.loses_the_dead && is_member) {
            self.custodian.borrow_mut().ended(process.identity);
        }
    }

    /// Starts a member if none runs: on another core than the last, which may be why.
    pub fn keep_one(self: &Rc<Self>) {
        let number = self.started.borrow().len();
        if !self.started.borrow().iter().any(Process::is_running) {
            self.start_member(self.cores[number % self.cores.len()]);
        }
    }

    /// What a process holds, in frames.
    pub fn held(&self, process: u64) -> u64 {
        self.custodian.borrow().account(process).frames
    }

    /// Whether every frame is with somebody, and what is kept is kept by members that live.
    pub fn is_settled(&self) -> bool {
        let custodian = self.custodian.borrow();
        let is_alive = |identity: u64| {
            self.started.borrow().iter().any(|member| member.identity.0 == identity && member.is_alive())
        };
        let is_well = |with| match with {
            With::Nobody => false,
            With::Keeper(by) => is_alive(by),
            With::Holder(_) => true,
        };
        custodian.totals().frames == self.size.ranges * self.size.frames
            && custodian.rows(0).all(|row| is_well(row.with))
    }

    /// The table, for people.
    pub fn table(&self) -> String {
        let rows = self.custodian.borrow();
        let rows = rows.rows(0).map(|row| format!("{}+{} {:?}", row.range.first, row.range.count, row.with));
        rows.collect::<Vec<_>>().join(", ")
    }

    /// Starts a member; where it is among all that were.
    pub fn start_member(self: &Rc<Self>, core: u16) -> (u64, Process) {
        let number = self.started.borrow().len();
        let started = self.world.start(&format!("member-{number}"), core.into());
        self.started.borrow_mut().push(started.clone());
        self.ledger.is_member(started.identity.0);
        self.know(&started);
        let root =
            ProgramsClient::new(started.runtime.within(ROOT_WITHIN), self.process.address(Class::External));
        let seen = self.seen.clone();
        let process = member::Process {
            runtime: started.runtime.clone(),
            names: Names::new(started.runtime.clone(), self.naming.clone(), (0, core)),
            root,
            custodian: self.process.address(Class::External),
            core,
            cores: self.cores.clone(),
            arguments: ["pages".to_owned()].into_iter().chain(arguments(MEMBER, KEY)).collect(),
            policy: None,
            marks: self.size.marks,
            cleaner: Box::new(SimulatedCleaner { ledger: self.ledger.clone(), member: started.identity.0 }),
            hear: Rc::new(move |event| match event {
                Event::Grows(_) => seen.grown.set(seen.grown.get() + 1),
                Event::Lost(_) => seen.lost.set(seen.lost.get() + 1),
                _ => {}
            }),
        };
        let (own, root) = (started.clone(), self.clone());
        started.spawn(Priority::Normal, async move {
            // One that was given up may come too late, when another has its place.
            let is_late = |reason: &String| *reason == EnterError::Full.to_string();
            if let Err(reason) = member::run(process).await
                && !is_late(&reason)
            {
                root.world.broken(format!("process {} ended: {reason}", own.identity.0));
            }
            own.end();
        });
        (number as u64, started)
    }

    fn find(&self, number: u64) -> Result<Process, Refusal> {
        self.started.borrow().get(number as usize).cloned().ok_or(Refusal::NotYours)
    }
}

struct Starter(Rc<Root>);

impl Programs for Starter {
    fn start(&self, _: Context, order: Order) -> Result<Started, Instead<Refusal>> {
        let core = order.core;
        let (number, process) = self.0.start_member(core);
        Ok(Started { number, identity: process.identity.0, core })
    }

    async fn end(&self, _: Context, number: u64) -> Result<u8, Instead<Refusal>> {
        let process = self.0.find(number)?;
        self.0.process.runtime.outlive(&process.address(Class::External)).await;
        Ok(0)
    }

    fn stop(&self, _: Context, number: u64) -> Result<(), Instead<Refusal>> {
        self.0.find(number)?.end();
        Ok(())
    }

    fn fence(&self, _: Context, _: u64) -> Result<(), Instead<Refusal>> {
        // Nobody here may.
        Err(Refusal::NotEntitled.into())
    }
}

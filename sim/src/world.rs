//! The world: cores, processes, mailboxes, and what happens next. Everything that a process can do to another goes
//! through [`Inner::send`], [`Inner::take`] and [`Inner::watch`]; everything takes time on the core that does it.
//!
//! A step happens at one instant: it sees what had arrived by then, and what it sends leaves when its time is over. So
//! events are handled in the order of their time and nothing is ever undone.

use crate::events::{Event, Events};
use crate::faults::{Plan, When};
use crate::mailbox::{Letter, Mailbox};
use crate::port::SimulatedPort;
use crate::process::{Account, Core, Member};
use crate::stopwatch::{Clock, Measured, Stopwatch};
use crate::trace::{Sink, Trace, What};
use crate::{Costs, Random, Topology};
use fos_abi::Identity;
use fos_abi::key::KeyRights;
use fos_messages::interfaces;
use fos_messages::rpc::{Address, Interface, Operation};
use fos_runtime::port::{Class, Poison, Port};
use fos_runtime::{Priority, Runtime, Step};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

mod messages;
mod mishaps;
mod steps;

/// Bytes of a cache line, and of the kernel's header before each message.
const LINE: usize = 64;
const HEADER: usize = fos_abi::mailbox::HEADER_SIZE;

/// The world. Clones are the same world.
#[derive(Clone)]
pub struct World(pub(crate) Rc<Shared>);

pub(crate) struct Shared {
    now: Cell<u64>,
    pub inner: RefCell<Inner>,
    pub stopwatch: Stopwatch,
}

/// What a step has done so far.
#[derive(Default)]
struct UnderWay {
    /// Time that sending and taking cost.
    nanoseconds: u64,
    /// Messages that leave when it ends: to which mailbox.
    outgoing: Vec<(u64, Letter)>,
}

pub(crate) struct Inner {
    costs: Rc<Costs>,
    now: u64,
    random: Random,
    events: Events,
    cores: Vec<Core>,
    pub members: Vec<Member>,
    mailboxes: BTreeMap<u64, Mailbox>,
    last_mailbox: u64,
    step: Option<UnderWay>,
    interfaces: BTreeMap<u16, (&'static str, &'static [Operation])>,
    prices: BTreeMap<(u16, u16), u64>,
    /// Requests that nobody has measured cost as much as garbage, instead of ending the run.
    takes_anything: bool,
    plan: Plan,
    came_about: Vec<bool>,
    /// Ended during a step, to be cleared away after it.
    graveyard: Vec<Runtime>,
    pub poisoned: Vec<(Identity, Poison)>,
    trace: Trace,
    counts: Counts,
    measured: Measured,
    failure: Option<String>,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages accepted.
    pub messages: u64,
    /// Messages not accepted.
    pub refused: u64,
    /// Steps of all processes.
    pub steps: u64,
    /// Messages that were looked at, and those of them that came from another socket or machine.
    pub taken: u64,
    /// See `taken`.
    pub far: u64,
}

/// A process of the world, as a scenario holds it.
#[derive(Clone)]
pub struct Process {
    world: World,
    number: usize,
    /// Its runtime.
    pub runtime: Runtime,
    /// Who it is.
    pub identity: Identity,
}

impl Process {
    /// The address of one of its mailboxes.
    pub fn address(&self, class: Class) -> Address {
        self.world.0.inner.borrow().members[self.number].addresses[class as usize]
    }

    /// Adds a task.
    pub fn spawn(&self, priority: Priority, task: impl Future<Output = ()> + 'static) {
        self.runtime.spawn(priority, task);
        self.world.0.inner.borrow_mut().wake(self.number);
    }

    /// From now on a panic of it ends it, as on the machine, and not the run.
    pub fn may_panic(&self) {
        self.world.0.inner.borrow_mut().members[self.number].may_panic = true;
    }

    /// Ends it, from outside or by itself.
    pub fn end(&self) {
        self.world.0.inner.borrow_mut().kill(self.number);
    }

    /// Whether it has not ended and its core goes on.
    pub fn is_running(&self) -> bool {
        let inner = self.world.0.inner.borrow();
        let member = &inner.members[self.number];
        member.runtime.is_some() && !inner.cores[member.core as usize].is_stopped
    }

    /// Where its time went, so far.
    pub fn account(&self) -> Account {
        self.world.0.inner.borrow().members[self.number].account
    }

    /// Whether the plan ended it, or stopped its core: it did not end for a reason of its own.
    pub fn was_ended_by_plan(&self) -> bool {
        let inner = self.world.0.inner.borrow();
        let member = &inner.members[self.number];
        member.was_planned || inner.cores[member.core as usize].is_stopped
    }

    /// Whether it has not ended; its core may have stopped.
    pub fn is_alive(&self) -> bool {
        self.world.0.inner.borrow().members[self.number].runtime.is_some()
    }
}

impl World {
    /// A world of so many cores in which nothing has happened yet.
    pub(crate) fn new(
        seed: u64,
        cores: u32,
        costs: Costs,
        sink: Option<Sink>,
        clock: Option<Box<dyn Clock>>,
    ) -> World {
        let mut random = Random::new(seed);
        let events = Events::new(random.stream());
        let inner = Inner {
            costs: Rc::new(costs),
            now: 0,
            random,
            events,
            cores: vec![Core::default(); cores as usize],
            members: Vec::new(),
            mailboxes: BTreeMap::new(),
            last_mailbox: 0,
            step: None,
            interfaces: interfaces::ALL
                .iter()
                .map(|known| (known.id, (known.name, known.operations)))
                .collect(),
            prices: BTreeMap::new(),
            takes_anything: false,
            plan: Plan::default(),
            came_about: Vec::new(),
            graveyard: Vec::new(),
            poisoned: Vec::new(),
            trace: Trace::to(sink),
            counts: Counts::default(),
            measured: Measured::default(),
            failure: None,
        };
        let stopwatch = Stopwatch::new(clock);
        World(Rc::new(Shared { now: Cell::new(0), inner: RefCell::new(inner), stopwatch }))
    }

    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.0.now.get()
    }

    /// How many cores there are.
    pub fn cores(&self) -> u32 {
        self.0.inner.borrow().cores.len() as u32
    }

    /// Where cores are.
    pub fn topology(&self) -> Topology {
        self.0.inner.borrow().costs.topology.clone()
    }

    /// Messages that came from another socket or machine so far, and all that were looked at.
    pub fn far_and_all(&self) -> (u64, u64) {
        let counts = self.counts();
        (counts.far, counts.taken)
    }

    /// A stream of random numbers for the scenario.
    pub fn random(&self) -> Random {
        self.0.inner.borrow_mut().random.stream()
    }

    /// What the step under way does for so many times the cost that the file has under this name for the machine.
    pub fn charge(&self, key: &str, times: u64) {
        self.0.inner.borrow_mut().charge_times(key, times);
    }

    /// Gives the requests of an interface their names, so that they have a cost. Those in `messages` have theirs.
    pub fn knows<I: Interface>(&self) {
        self.0.inner.borrow_mut().interfaces.insert(I::ID, (I::NAME, I::OPERATIONS));
    }

    /// From now on requests without a name or a cost are as cheap as garbage: for scenarios in which peers ask for what there is
    /// not, and whose figures say nothing of speed.
    pub fn takes_anything(&self) {
        self.0.inner.borrow_mut().takes_anything = true;
    }

    /// Members that were told of a poisonous request, with what they were told.
    pub fn poisoned(&self) -> Vec<(Identity, Poison)> {
        self.0.inner.borrow().poisoned.clone()
    }

    /// Starts a process on a core. Its name is in the trace and in faults; of two with one name, faults mean the later.
    pub fn start(&self, name: &str, core: u32) -> Process {
        self.start_behind(name, core, |port| port)
    }

    /// The same, with a port around its own: for processes that lie, and for planted errors.
    pub fn start_behind(
        &self,
        name: &str,
        core: u32,
        around: impl FnOnce(Rc<dyn Port>) -> Rc<dyn Port>,
    ) -> Process {
        let mut inner = self.0.inner.borrow_mut();
        let number = inner.members.len();
        let machine = u64::from(inner.costs.topology.machine(core));
        let identity = Identity((machine << 48) | (number as u64 + 1));
        let runtime = Runtime::new(around(Rc::new(SimulatedPort { world: self.clone(), process: number })));
        let addresses =
            [Class::Response, Class::Internal, Class::External].map(|_| inner.mailbox(number, identity));
        let random = inner.random.stream();
        let (is_ready, wakes_at, watches) = Default::default();
        inner.members.push(Member {
            name: name.into(),
            core,
            identity,
            runtime: Some(runtime.clone()),
            addresses,
            is_ready,
            wakes_at,
            watches,
            random,
            may_panic: false,
            account: Account::default(),
            was_planned: false,
        });
        inner.record(What::Began { process: name, core });
        inner.wake(number);
        Process { world: self.clone(), number, runtime, identity }
    }

    /// Ends the run: a promise does not hold.
    pub fn broken(&self, why: impl Into<String>) {
        self.0.inner.borrow_mut().broken(why.into());
    }

    /// What goes wrong from now on.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut inner = self.0.inner.borrow_mut();
        inner.came_about = vec![false; plan.0.len()];
        for (number, fault) in plan.0.iter().enumerate() {
            match fault.when {
                When::Time(at) => inner.events.push(at, Event::Fault { number }),
                When::Message(0) => inner.events.push(0, Event::Fault { number }),
                When::Message(_) => {}
            }
        }
        inner.plan = plan;
    }

    /// Lets happen what is next; false: nothing is left to happen, or a promise does not hold.
    pub(crate) fn happen(&self) -> bool {
        let mut inner = self.0.inner.borrow_mut();
        if inner.failure.is_some() {
            return false;
        }
        let Some((at, event)) = inner.events.pop() else { return false };
        inner.now = at;
        self.0.now.set(at);
        if let Event::Run { core } = event {
            let next = inner.begin_step(core);
            drop(inner);
            if let Some((process, runtime)) = next {
                self.step(core, process, &runtime);
            }
        } else {
            inner.handle(event);
            drop(inner);
        }
        self.clear_graves();
        true
    }

    fn step(&self, core: u32, process: usize, runtime: &Runtime) {
        self.0.stopwatch.begin();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.step()));
        let took = self.0.stopwatch.end();
        let mut inner = self.0.inner.borrow_mut();
        match outcome {
            Ok(step) => inner.end_step(core, process, step, took),
            Err(_) if inner.members[process].may_panic => {
                inner.kill(process);
                inner.end_step(core, process, Step::Idle(None), took);
            }
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let name = inner.members[process].name.clone();
                inner.broken(format!("{name} panicked: {}", said.unwrap_or_default()));
            }
        }
    }

    /// What a dead process held is dropped when nobody is in the middle of anything.
    fn clear_graves(&self) {
        let graves = std::mem::take(&mut self.0.inner.borrow_mut().graveyard);
        graves.iter().for_each(Runtime::end);
    }

    /// Ends everything, so that nothing holds anything any more.
    pub(crate) fn close(&self) {
        let runtimes: Vec<Runtime> =
            self.0.inner.borrow_mut().members.iter_mut().filter_map(|member| member.runtime.take()).collect();
        runtimes.iter().for_each(Runtime::end);
        self.clear_graves();
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.0.inner.borrow().failure.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.inner.borrow().counts
    }

    pub(crate) fn trace_hash(&self) -> u64 {
        self.0.inner.borrow().trace.hash()
    }

    /// Which faults of the plan came about.
    pub(crate) fn came_about(&self) -> Vec<bool> {
        self.0.inner.borrow().came_about.clone()
    }

    pub(crate) fn measured(&self) -> Measured {
        self.0.inner.borrow().measured.clone()
    }
}

impl Inner {
    fn record(&mut self, what: What<'_>) {
        self.trace.record(self.now, what);
    }

    fn broken(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    fn mailbox(&mut self, owner: usize, identity: Identity) -> Address {
        self.last_mailbox += 1;
        let id = self.last_mailbox;
        let slots = self.costs.choice("mailbox_slots") as u32;
        let mut mailbox = Mailbox::new(owner, slots);
        let key = mailbox.key(id, KeyRights::SEND.with(KeyRights::WATCH), 0, &mut self.random);
        self.mailboxes.insert(id, mailbox);
        Address { key, identity }
    }
}

fn lines(length: usize) -> u64 {
    (HEADER + length).div_ceil(LINE) as u64
}

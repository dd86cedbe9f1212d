//! A fleet under a name, one of whose clients asks for what no member survives, while others ask for what each can do.
//!
//! One core is naming's, five are members', the others clients'. A member that is asked for [`POISON`] panics, which ends it.
//!
//! What must hold: two members end, no more; the client that asked is told that its request is poisonous, and so is a member
//! that lives; everybody else's calls are answered, or found poisonous because they were under way at both deaths, and
//! the members that are left go on.

use super::echo::{CounterClient, CounterDispatcher, CounterInterface, Mirror};
use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_messages::names::{DirectoryKey, Entry, NameError, Path};
use fos_messages::rpc::{Address, CallError};
use fos_naming::member::Naming;
use fos_replicated_map::Member;
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "poison",
    about: "a fleet under a name, and a client whose request ends each member that takes it",
    cores: 16,
    messages: 4_000,
    begin: |world, messages| begin_with(world, messages, false),
};

/// What no member survives.
const POISON: u64 = 0xdead;
const MEMBERS: u32 = 5;
/// Members that one request may end.
const ENDED_MAX: usize = 2;
const KEY: DirectoryKey = DirectoryKey([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
/// The longest that a call may take, tries included.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_micros(100);
/// Calls of each innocent client before the poison is asked for.
const CALLS_BEFORE: u64 = 4;

#[derive(Default)]
struct Ledger {
    registered: Cell<u32>,
    answered: Cell<u64>,
    /// Calls of innocents that were under way at both deaths.
    bystanders: Cell<u64>,
    /// What the poisonous call came to.
    came_to: RefCell<Option<Result<u64, CallError>>>,
}

struct Fleet {
    world: World,
    messages: u64,
    members: Vec<Process>,
    clients: Vec<(Process, Rc<Cell<bool>>)>,
    ledger: Rc<Ledger>,
}

fn fleet() -> Path {
    Path::root().child("fleet").expect("a component of letters")
}

/// The same with a client that asks anew for what was found poisonous, if `persists`: tests plant that.
pub(crate) fn begin_with(world: &World, messages: u64, persists: bool) -> Box<dyn Course> {
    world.knows::<CounterInterface>();
    let ledger = Rc::new(Ledger::default());
    let naming = world.start("naming", 0);
    let (runtime, servers) = (naming.runtime.clone(), vec![naming.address(Class::External)]);
    naming.spawn(Priority::Normal, async move {
        let first = Naming::first(runtime, Member::new(0, 1), KEY).await;
        std::future::pending::<()>().await;
        drop(first);
    });
    let members = (0..MEMBERS).map(|number| start_member(world, number, &servers, &ledger)).collect();
    let first = 1 + MEMBERS;
    let count = world.cores().max(first + 2) - first;
    let calls = messages.div_ceil(2 * u64::from(count)).max(2 * CALLS_BEFORE);
    let clients = (0..count).map(|number| {
        let process = world.start(&format!("client-{number}"), (first + number) % world.cores());
        let names = Names::new(process.runtime.clone(), servers.clone(), (0, (first + number) as u16));
        let is_over = Rc::new(Cell::new(false));
        let client = Client { process: process.clone(), world: world.clone(), names, ledger: ledger.clone() };
        let over = is_over.clone();
        process.spawn(Priority::Normal, async move {
            client.work(number, calls, persists).await;
            over.set(true);
        });
        (process, is_over)
    });
    let clients = clients.collect();
    Box::new(Fleet { world: world.clone(), messages, members, clients, ledger })
}

/// A member that registers itself; the first one makes the name.
fn start_member(world: &World, number: u32, servers: &[Address], ledger: &Rc<Ledger>) -> Process {
    let process = world.start(&format!("member-{number}"), 1 + number);
    process.may_panic();
    // A panic that says nothing: it is expected, many times in a sweep.
    let survive = |sent| if sent == POISON { resume_unwind(Box::new("asked for poison")) } else { sent };
    let server = Mirror(survive);
    process.runtime.serve(Class::External, CounterDispatcher::new(Rc::new(server)));
    let names = Names::new(process.runtime.clone(), servers.to_vec(), (0, 1 + number as u16));
    let (runtime, ledger) = (process.runtime.clone(), ledger.clone());
    process.spawn(Priority::Normal, async move {
        let address = runtime.port().address(Class::External);
        let entry = Entry { address, machine: 0, core: 1 + number as u16, metadata: Vec::new() };
        let fleet = fleet();
        until_done(&runtime, || names.make(&fleet, KEY, KEY, true)).await;
        until_done(&runtime, || names.register(&fleet, KEY, &entry)).await;
        ledger.registered.set(ledger.registered.get() + 1);
    });
    process
}

async fn until_done<F>(runtime: &Runtime, change: impl Fn() -> F)
where
    F: Future<Output = Result<(), CallError<NameError>>>,
{
    while !matches!(change().await, Ok(()) | Err(CallError::Refused(NameError::Exists))) {
        runtime.sleep(PAUSE).await;
    }
}

struct Client {
    process: Process,
    world: World,
    names: Rc<Names>,
    ledger: Rc<Ledger>,
}

impl Client {
    async fn work(&self, number: u32, calls: u64, persists: bool) {
        while self.ledger.registered.get() < MEMBERS {
            self.process.runtime.sleep(PAUSE).await;
        }
        for call in 0..calls {
            if number == 0 && call == CALLS_BEFORE {
                self.ask_for_poison(persists).await;
            }
            self.ask(u64::from(number) << 32 | call).await;
        }
    }

    fn counter(&self) -> CounterClient<fos_runtime::Named> {
        CounterClient::new(self.names.at(fleet(), PATIENCE), Address::default())
    }

    async fn ask(&self, sent: u64) {
        match self.counter().mirror(sent).await {
            Ok(answer) if answer == sent => self.ledger.answered.set(self.ledger.answered.get() + 1),
            Err(CallError::Poisonous) => self.ledger.bystanders.set(self.ledger.bystanders.get() + 1),
            other => self.world.broken(format!("an innocent call came to {other:?}")),
        }
    }

    async fn ask_for_poison(&self, persists: bool) {
        let mut came_to = self.counter().mirror(POISON).await;
        for _ in 0..u32::from(persists) {
            came_to = self.counter().mirror(POISON).await;
        }
        *self.ledger.came_to.borrow_mut() = Some(came_to);
    }
}

impl Course for Fleet {
    fn dangers(&self) -> Dangers {
        let processes = (1..self.clients.len()).map(|number| format!("client-{number}")).collect();
        let first = 1 + MEMBERS + 1;
        Dangers { processes, cores: (first..self.world.cores()).collect(), messages: self.messages }
    }

    fn is_over(&self) -> bool {
        self.clients.iter().all(|(process, is_over)| is_over.get() || !process.is_running())
    }

    fn end(&self) -> Result<(), String> {
        let ended = self.members.iter().filter(|member| !member.is_alive()).count();
        if ended != ENDED_MAX {
            return Err(format!("{ended} members ended instead of {ENDED_MAX}"));
        }
        match &*self.ledger.came_to.borrow() {
            Some(Err(CallError::Poisonous)) => {}
            other => return Err(format!("the poisonous call came to {other:?}")),
        }
        let told = self.world.poisoned();
        let (asker, is_alive) = (self.clients[0].0.identity, |identity| {
            self.members.iter().any(|member| member.identity == identity && member.is_alive())
        });
        if !told.iter().any(|(member, report)| is_alive(*member) && report.sender == asker) {
            return Err(format!("no member that lives was told of the poisonous request: {told:?}"));
        }
        match self.ledger.answered.get() {
            0 => Err("no call was answered".to_owned()),
            _ => Ok(()),
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let Ledger { answered, bystanders, .. } = &*self.ledger;
        vec![
            Figure { key: "answered", value: answered.get() as f64, unit: "calls" },
            Figure {
                key: "bystanders",
                value: bystanders.get() as f64,
                unit: "calls under way at both deaths",
            },
        ]
    }
}

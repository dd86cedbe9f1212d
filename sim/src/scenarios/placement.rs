//! A fleet that places itself, with the fleet `knowledge` and its arbiter: the clients of one socket talk to it, then those of another,
//! while members of both fleets end, stall, are slow or full. The members of `knowledge` are `fos-knowledge`' own; a worker mirrors
//! numbers and goes where its messages come from, if the library has it go there.
//!
//! Naming has the first three cores, whoever starts the fleets the next, then `knowledge`; the last is root's. Clients sit at two
//! ends of the machine, and the others are the workers'.
//!
//! What must hold: every call is answered; a worker has moved no more often than the traffic did, for all ends; and when all is
//! quiet the arbiter has just those cores granted on which workers are.

use super::echo::{CounterClient, CounterDispatcher, CounterInterface, Mirror};
use super::watchdog::Fencing;
use super::watchdog::root::Root;
use super::{Course, Scenario, naming_members};
use crate::Distance;
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_knowledge::{charter, member};
use fos_messages::arbiter::ArbiterClient;
use fos_messages::knowledge::{DISTANCE_LOCAL, FACTS_MAX, Fact, KnowledgeClient, NAME, Place};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::{Order, ProgramsClient};
use fos_messages::rpc::{Address, CallError, SendError};
use fos_runtime::fleet::{ByPrograms, Charter, Event, Growth, MEMBER, Marks, Member, arguments, found};
use fos_runtime::port::Class;
use fos_runtime::{Claimant, Granted, Names, Placed, Placement, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "placement",
    about: "a fleet goes where its messages come from, on cores that the arbiter grants, while members of both may end",
    cores: 32,
    messages: 60_000,
    begin,
};

/// The key of `/` and of both fleets.
const KEY: DirectoryKey = DirectoryKey([0x0bad_cafe, 0x0ddb_a115]);
const NAMING: u32 = 3;
/// The first core of `knowledge`, and how many it may use.
const KNOWLEDGE: u32 = NAMING + 1;
const KNOWERS: u32 = 4;
/// Clients in each of the two groups; the first sits behind the workers' first cores, the other before the last core.
const CLIENTS: u32 = 2;
const FLEET: &str = "/work";
const WORKER: &str = "worker";
/// About how many messages a call has, those of the fleets included.
const MESSAGES_PER_CALL: u64 = 3;
const PAUSE: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The water marks of both fleets.
const WORKERS: Marks = Marks {
    grow_above: Duration::from_millis(2),
    shrink_below: Duration::from_micros(200),
    looks: 3,
    rest: Duration::from_millis(100),
    members_min: 1,
    members_max: 2,
};

/// How the fleet differs: tests compare, and plant errors.
#[derive(Clone, Copy)]
pub(crate) struct Dress {
    /// Where workers go.
    pub placement: Placement,
    /// They use cores that nobody granted, and do not say so.
    pub hides: bool,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    failed: RefCell<Option<String>>,
    moved: RefCell<BTreeSet<u64>>,
    lost: RefCell<BTreeSet<u64>>,
    calls: Cell<u64>,
    /// Of each group: messages and those of them from afar, in its first calls and in its last.
    shares: RefCell<Vec<(u64, u64)>>,
    outcome: RefCell<Option<Result<(), String>>>,
}

struct Ground {
    world: World,
    naming: Vec<Address>,
    root: Rc<Root>,
    seen: Rc<Seen>,
    dress: Dress,
    knowers: Vec<u16>,
    workers: Vec<u16>,
    clients: [Vec<u32>; 2],
    /// How often a fleet was begun.
    begun: Cell<usize>,
}

struct Placing {
    ground: Rc<Ground>,
    messages: u64,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress { placement: Placement::BesideTraffic, hides: false })
}

/// The same in another way.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    world.knows::<CounterInterface>();
    let cores = world.cores().max(20);
    let naming = naming_members::start(world, NAMING, 0, KEY, |_, _| ());
    let naming: Vec<_> = naming.iter().map(|member| member.address(Class::External)).collect();
    let root = Root::start(world, cores - 1, Fencing::Honest);
    let first = KNOWLEDGE + KNOWERS;
    // A third into the machine, and near its end.
    let group = |from: u32| (from..from + CLIENTS).collect::<Vec<u32>>();
    let clients = [group(first + (cores - first) / 4), group(cores - 1 - 3 * CLIENTS)];
    let is_free = |core: &u16| !clients.iter().flatten().any(|client| *client == u32::from(*core));
    let ground = Rc::new(Ground {
        world: world.clone(),
        naming,
        root,
        seen: Rc::default(),
        dress,
        knowers: (KNOWLEDGE as u16..first as u16).collect(),
        workers: (first as u16..cores as u16 - 1).filter(is_free).collect(),
        clients,
        begun: Cell::default(),
    });
    let own = ground.clone();
    ground.root.begins(Rc::new(move |process: &Process, order: &Order| own.part(process, order)));
    let starter = world.start("starter", NAMING);
    let (own, runtime) = (ground.clone(), starter.runtime.clone());
    let calls = messages / MESSAGES_PER_CALL / (2 * u64::from(CLIENTS));
    starter.spawn(Priority::Normal, async move {
        let outcome = own.run(&runtime, calls.max(100)).await;
        *own.seen.outcome.borrow_mut() = Some(outcome);
    });
    Box::new(Placing { ground, messages })
}

impl Ground {
    fn names(&self, runtime: &Runtime, core: u16) -> Rc<Names> {
        Names::new(runtime.clone(), self.naming.clone(), (0, core))
    }

    /// What a process does that root starts.
    fn part(self: &Rc<Self>, process: &Process, order: &Order) -> super::watchdog::Part {
        let (runtime, core) = (process.runtime.clone(), order.core);
        let names = self.names(&runtime, core);
        let root = ProgramsClient::new(runtime.within(PATIENCE), self.root.address());
        if order.program == WORKER {
            return Box::pin(work(self.clone(), runtime, names, root, core, process.identity.0));
        }
        let arguments = [order.program.clone()].into_iter().chain(order.arguments.clone()).collect();
        let (cores, marks) = (self.knowers.clone(), charter::MARKS);
        let hear = Rc::new(|_: Event| ());
        let policy = None;
        Box::pin(member::run(member::Process {
            runtime,
            names,
            root,
            core,
            cores,
            arguments,
            policy,
            marks,
            hear,
        }))
    }

    /// A fleet all of whose members ended at once is begun anew, on another core: the first may have stopped.
    fn keep_one(&self, program: &str, cores: &[u16]) {
        if !self.root.any_alive(program) {
            let begun = self.begun.get();
            self.begun.set(begun + 1);
            let core = cores[begun % cores.len()];
            let arguments = if program == WORKER { Vec::new() } else { arguments(MEMBER, KEY) };
            self.root.run(&Order { program: program.into(), arguments, core });
        }
    }

    fn keep_both(&self) {
        self.keep_one(member::PROGRAM, &self.knowers);
        self.keep_one(WORKER, &self.workers);
    }

    async fn run(self: &Rc<Self>, runtime: &Runtime, calls: u64) -> Result<(), String> {
        let names = self.names(runtime, NAMING as u16);
        let of_knowledge = charter::charter(KEY, charter::MARKS).map_err(|error| error.to_string())?;
        let of_work = work_charter()?;
        while charter::found(&names, &of_knowledge, KEY).await.is_err()
            || found(&names, &of_work, KEY).await.is_err()
        {
            runtime.sleep(LOOK_EVERY).await;
        }
        let (ground, looks) = (self.clone(), runtime.clone());
        let is_over = Rc::new(Cell::new(false));
        let until = is_over.clone();
        runtime.spawn(Priority::Normal, async move {
            while !until.get() {
                ground.keep_both();
                looks.sleep(LOOK_EVERY).await;
            }
        });
        self.tell_facts(runtime, &names).await?;
        for cores in self.clients.clone() {
            self.talk(runtime, &cores, calls).await?;
        }
        let outcome = self.settled(runtime, &names).await;
        is_over.set(true);
        outcome
    }

    /// What a machine finds out of itself at its start.
    async fn tell_facts(&self, runtime: &Runtime, names: &Rc<Names>) -> Result<(), String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let client = KnowledgeClient::new(names.at(path, PATIENCE), Address::default());
        let facts: Vec<Fact> = self.facts();
        for some in facts.chunks(FACTS_MAX) {
            while client.tell(KEY, some.to_vec()).await.is_err() {
                if runtime.port().now().since(fos_runtime::Instant::default()) > PATIENCE * 2 {
                    return Err("knowledge takes no facts".to_owned());
                }
                runtime.sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    fn facts(&self) -> Vec<Fact> {
        let topology = self.world.topology();
        let cores = 0..self.world.cores();
        let socket = |core: u32| topology.socket(core) as u16;
        let core = |number: u32| Fact::Core {
            at: Place { machine: 0, core: number as u16 },
            package: socket(number),
            physical: number as u16,
            node: socket(number),
            is_reserved: !self.workers.contains(&(number as u16)),
        };
        let firsts: Vec<u32> =
            cores.clone().filter(|core| *core == 0 || socket(*core) != socket(*core - 1)).collect();
        let pairs = firsts.iter().flat_map(|from| firsts.iter().map(move |to| (*from, *to)));
        let distance = |(from, to): (u32, u32)| {
            let Distance::Hops(hops @ 2..) = topology.distance(from, to) else { return None };
            let distance = DISTANCE_LOCAL * hops;
            Some(Fact::Distance { machine: 0, from: socket(from), to: socket(to), distance })
        };
        cores.map(core).chain(pairs.filter_map(distance)).collect()
    }

    /// The clients of one group call until they are through.
    async fn talk(self: &Rc<Self>, runtime: &Runtime, cores: &[u32], calls: u64) -> Result<(), String> {
        let done = Rc::new(Cell::new(0));
        for core in cores {
            let client = self.world.start("client", *core);
            let (ground, done, core, own) =
                (self.clone(), done.clone(), *core as u16, client.runtime.clone());
            client.spawn(Priority::Normal, async move {
                if let Err(reason) = ground.call(&own, core, calls).await {
                    ground.seen.failed.borrow_mut().get_or_insert(reason);
                }
                done.set(done.get() + 1);
            });
        }
        let all = calls * u64::from(CLIENTS);
        let before = self.seen.calls.get();
        let mut marks = Vec::new();
        while done.get() < CLIENTS {
            runtime.sleep(LOOK_EVERY).await;
            let made = self.seen.calls.get() - before;
            // The first tenth, and the last quarter.
            let is_due = [0, all / 10, all * 3 / 4][marks.len().min(2)] <= made;
            if is_due && marks.len() < 3 {
                marks.push(self.world.far_and_all());
            }
        }
        marks.push(self.world.far_and_all());
        let share = |from: usize, to: usize| match (marks.get(from), marks.get(to)) {
            (Some(from), Some(to)) => (to.0 - from.0, to.1 - from.1),
            _ => (0, 0),
        };
        self.seen
            .shares
            .borrow_mut()
            .extend([share(0, 1), share(marks.len().saturating_sub(2), marks.len() - 1)]);
        self.seen.failed.borrow().clone().map_or(Ok(()), Err)
    }

    async fn call(&self, runtime: &Runtime, core: u16, calls: u64) -> Result<(), String> {
        let names = self.names(runtime, core);
        let path = |name| Path::new(name).map_err(|error| error.to_string());
        let knowledge = KnowledgeClient::new(names.at(path(NAME)?, PATIENCE), Address::default());
        let here = Place { machine: 0, core };
        knowledge.here(here).await.map_err(|error| format!("where it is, a client can't say: {error}"))?;
        let work = CounterClient::new(names.at(path(FLEET)?, PATIENCE), Address::default());
        for number in 0..calls {
            let answer = loop {
                match work.mirror(number).await {
                    // Its mailbox is full: that is told at once, and for the client to try again.
                    Err(CallError::NotSent(SendError::Full)) => runtime.sleep(PAUSE).await,
                    answer => break answer,
                }
            };
            match answer {
                Ok(answer) if answer == number => {}
                Ok(answer) => return Err(format!("{number} came back as {answer}")),
                Err(error) => return Err(format!("call {number} of core {core} failed: {error}")),
            }
            self.seen.calls.set(self.seen.calls.get() + 1);
            runtime.sleep(PAUSE).await;
        }
        Ok(())
    }

    /// When all is quiet, what is granted is what is used.
    async fn settled(&self, runtime: &Runtime, names: &Rc<Names>) -> Result<(), String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let arbiter = ArbiterClient::new(names.at(path, PATIENCE), Address::default());
        let until = runtime.port().now().after(PATIENCE);
        let mut said = String::new();
        while runtime.port().now() < until {
            runtime.sleep(LOOK_EVERY).await;
            let Ok(holdings) = arbiter.grants(Place::default()).await else { continue };
            let granted: BTreeSet<u16> = holdings.iter().map(|holding| holding.at.core).collect();
            let fleet = Path::new(FLEET).map_err(|error| error.to_string())?;
            let members = fleet.child("members").map_err(|error| error.to_string())?;
            let Ok(entries) = names.members(&members).await else { continue };
            let used: BTreeSet<u16> = entries.iter().map(|entry| entry.core).collect();
            if granted == used && !used.is_empty() {
                return Ok(());
            }
            said = format!("granted are cores {granted:?}, workers are on {used:?}");
        }
        Err(said)
    }
}

fn work_charter() -> Result<Charter, String> {
    let name = Path::new(FLEET).map_err(|error| error.to_string())?;
    let (redirect_above, drain_within) = (Duration::MAX, Duration::from_secs(1));
    Ok(Charter { name, key: KEY, marks: WORKERS, redirect_above, drain_within })
}

async fn work(
    ground: Rc<Ground>,
    runtime: Runtime,
    names: Rc<Names>,
    root: ProgramsClient<fos_runtime::Within>,
    core: u16,
    identity: u64,
) -> Result<(), String> {
    let charter = work_charter()?;
    let knowledge = Path::new(NAME).map_err(|error| error.to_string())?;
    let claimant = Claimant::new(&runtime, &names, knowledge, (&charter.name, KEY), 1);
    let order = Order { program: WORKER.into(), arguments: Vec::new(), core };
    let by_programs: Rc<dyn Growth> = ByPrograms::new(root, order, ground.workers.clone());
    let growth: Rc<dyn Growth> = match ground.dress.hides {
        true => by_programs,
        false => Granted::new(by_programs, claimant.clone()),
    };
    let seen = ground.seen.clone();
    let hear = move |event| match event {
        Event::Moves { from, .. } => _ = seen.moved.borrow_mut().insert(from.0),
        Event::Lost(lost) => _ = seen.lost.borrow_mut().insert(lost.0),
        _ => {}
    };
    let member = Member::new(&runtime, &names, charter, (0, core), growth, hear);
    let member = member.map_err(|error| error.to_string())?;
    member.serve::<CounterInterface>(CounterDispatcher::new(Rc::new(Mirror(|number| number))));
    member.enter().await.map_err(|error| error.to_string())?;
    member.open().await.map_err(|error| error.to_string())?;
    if !ground.dress.hides {
        Placed::begin(&member, claimant, ground.dress.placement);
    }
    member.last().await;
    ground.seen.lost.borrow_mut().remove(&identity);
    Ok(())
}

impl Course for Placing {
    fn dangers(&self) -> Dangers {
        let workers = (0..6).map(|number| format!("{WORKER}-{number}"));
        let knowers = (0..6).map(|number| format!("{}-{number}", member::PROGRAM));
        let ground = &self.ground;
        let cores = ground.knowers.iter().chain(&ground.workers).map(|core| u32::from(*core)).collect();
        Dangers { processes: workers.chain(knowers).collect(), cores, messages: self.messages }
    }

    fn is_over(&self) -> bool {
        self.ground.seen.outcome.borrow().is_some()
    }

    fn end(&self) -> Result<(), String> {
        self.ground.seen.outcome.borrow().clone().unwrap_or(Err("it is not over".to_owned()))
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let seen = &self.ground.seen;
        let shares = seen.shares.borrow();
        let permille = |place: usize| {
            let (far, all) = shares.get(place).copied().unwrap_or_default();
            far as f64 * 1000.0 / all.max(1) as f64
        };
        let figure = |key, value, unit| Figure { key, value, unit };
        vec![
            figure("calls", seen.calls.get() as f64, "calls"),
            figure("moved", seen.moved.borrow().len() as f64, "members"),
            figure("lost", seen.lost.borrow().len() as f64, "members"),
            figure("far_at_first", permille(0), "permille"),
            figure("far_at_last", permille(1), "permille"),
            figure("far_after_the_change", permille(2), "permille"),
            figure("far_at_the_end", permille(3), "permille"),
        ]
    }
}

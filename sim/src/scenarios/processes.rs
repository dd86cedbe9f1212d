//! The fleet `processes` under clients that spawn, wait, stop, kill, leave orphans and spawn too many, while members and
//! clients end, stall, are slow or full, and another member joins. The members are `fos-processes`'s own; what stands here is
//! who really starts processes (custodian.rs), and what clients do (client.rs).
//!
//! Naming has the first core, then come the members, one that joins late, the custodian, the clients; programs have the rest.
//!
//! What must hold: each end of a child is told to its parent once, as it was, and none is left out; no number is another's
//! while its zombie has it; who spawns without end is refused at the bound, and nobody before; at the end all members that
//! live have the same table, which is sound, has exactly the processes that run, and owes nobody anything.

mod client;
mod custodian;

use self::client::Client;
use self::custodian::{KEY, Root};
use super::{Course, Scenario, naming_members};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::Refusal;
use fos_messages::rpc::CallError;
use fos_processes::limits::Limits;
use fos_processes::member::ProcessesMember;
use fos_processes::record::Life;
use fos_processes::starter::{ByTickets, Starter};
use fos_runtime::fleet::{Charter, Coming, Growth, Marks, Member, found};
use fos_runtime::port::Class;
use fos_runtime::processes::Processes;
use fos_runtime::{Histogram, Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "processes",
    about: "the fleet `processes` under spawns, waits, signals and storms, whose members and clients may end",
    cores: 16,
    messages: 8_000,
    begin,
};

/// Programs.
const SHORT: &str = "short";
const LONG: &str = "long";
const PARENT: &str = "parent";
const ABSENT: &str = "absent";

/// The key of `/`.
const ROOT_KEY: DirectoryKey = DirectoryKey([0x0bad_f00d, 0x0ddb_a115]);
const MEMBERS: u32 = 4;
const CUSTODIAN: u32 = MEMBERS + 2;
const CLIENTS: u32 = 3;
/// The first core of a program.
const PROGRAMS: u32 = CUSTODIAN + 1 + CLIENTS;
/// Children of one client.
const CHILDREN_MAX: usize = 6;
/// About how many messages a client's round has.
const MESSAGES_PER_ROUND: u64 = 150;
/// When the late member joins.
const JOINS_AFTER: Duration = Duration::from_millis(15);
/// How long a client's request may take, whoever ends or stalls meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what was begun may take to end once the clients are done.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_micros(200);

/// How the members differ from honest ones: tests plant errors here.
#[derive(Clone, Copy)]
pub(crate) struct Dress {
    /// What stands between a member and its starter.
    pub starter: fn(Rc<dyn Starter>) -> Rc<dyn Starter>,
    /// What is done to a member that serves.
    pub when_it_serves: fn(&Runtime),
}

impl Dress {
    /// As it should be.
    pub(crate) const HONEST: Dress = Dress { starter: |starter| starter, when_it_serves: |_| () };
}

/// What was seen.
#[derive(Default)]
pub struct Ledger {
    spawned: Cell<u64>,
    refused: Cell<u64>,
    latency: RefCell<Histogram>,
    is_founded: Cell<bool>,
}

type Place = Rc<RefCell<Option<ProcessesMember>>>;

struct Fleet {
    world: World,
    root: Rc<Root>,
    members: Vec<(Process, Place)>,
    clients: Vec<(Process, Rc<Cell<bool>>)>,
    ledger: Rc<Ledger>,
    messages: u64,
    over_at: Cell<Option<u64>>,
}

/// The fleet's name.
fn fleet() -> Path {
    Path::root().child("processes").unwrap_or_else(|_| Path::root())
}

fn charter() -> Charter {
    let marks = Marks {
        grow_above: Duration::from_secs(3600),
        shrink_below: Duration::ZERO,
        looks: 3,
        rest: Duration::from_millis(200),
        members_min: 1,
        members_max: MEMBERS as usize + 1,
    };
    let drain_within = Duration::from_millis(100);
    Charter { name: fleet(), key: KEY, marks, redirect_above: Duration::MAX, drain_within }
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress::HONEST)
}

/// The same with other members: tests plant errors here.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    let programs = world.cores().saturating_sub(PROGRAMS).max(1);
    let naming = naming_members::start(world, 1, 0, ROOT_KEY, |_, _| ());
    let naming: Vec<_> = naming.iter().map(|member| member.address(Class::External)).collect();
    let ledger = Rc::<Ledger>::default();
    let root = Root::start(world, CUSTODIAN, naming.clone(), PROGRAMS);
    let names_of = |process: &Process| Names::new(process.runtime.clone(), naming.clone(), (0, 0));
    let founder = world.start("founder", 0);
    let (names, own, runtime) = (names_of(&founder), ledger.clone(), founder.runtime.clone());
    founder.spawn(Priority::Normal, async move {
        while found(&names, &charter(), ROOT_KEY).await.is_err() {
            runtime.sleep(PAUSE).await;
        }
        own.is_founded.set(true);
    });
    let limits = Limits { children_max: CHILDREN_MAX, ..Limits::of_cores(programs as u16) };
    let member = |number: u32| {
        let name = if number < MEMBERS { format!("member-{number}") } else { "late".to_owned() };
        let process = world.start(&name, 1 + number);
        let place = Place::default();
        let part = Part {
            process: process.clone(),
            world: world.clone(),
            names: names_of(&process),
            core: 1 + number as u16,
            ledger: ledger.clone(),
            at: root.address(),
            limits,
            dress,
            joins_after: if number < MEMBERS { Duration::ZERO } else { JOINS_AFTER },
        };
        let own = place.clone();
        process.spawn(Priority::Normal, async move { part.serve(own).await });
        (process, place)
    };
    let members = (0..=MEMBERS).map(member).collect();
    let rounds = messages.div_ceil(u64::from(CLIENTS) * MESSAGES_PER_ROUND).max(1);
    let client = |number: u32| {
        let process = world.start(&format!("client-{number}"), CUSTODIAN + 1 + number);
        let is_over = Rc::new(Cell::new(false));
        let runtime = process.runtime.clone();
        let mut client = Client {
            name: format!("client-{number}"),
            runtime: runtime.clone(),
            world: world.clone(),
            processes: Processes::new(runtime, names_of(&process), fleet(), PATIENCE),
            random: world.random(),
            ledger: ledger.clone(),
            children: BTreeMap::new(),
            is_unsure: false,
        };
        let over = is_over.clone();
        process.spawn(Priority::Normal, async move {
            client.work(rounds).await;
            over.set(true);
        });
        (process, is_over)
    };
    let clients = (0..CLIENTS).map(client).collect();
    let (world, over_at) = (world.clone(), Cell::new(None));
    Box::new(Fleet { world, root, members, clients, ledger, messages, over_at })
}

/// What a member begins with.
struct Part {
    process: Process,
    world: World,
    names: Rc<Names>,
    core: u16,
    ledger: Rc<Ledger>,
    at: fos_messages::rpc::Address,
    limits: Limits,
    dress: Dress,
    joins_after: Duration,
}

impl Part {
    async fn serve(self, place: Place) {
        let runtime = self.process.runtime.clone();
        runtime.sleep(self.joins_after).await;
        while !self.ledger.is_founded.get() {
            runtime.sleep(PAUSE).await;
        }
        let member = Member::new(&runtime, &self.names, charter(), (0, self.core), Rc::new(NoGrowth), |_| ());
        let starter = Rc::new(ByTickets::new(runtime.clone(), self.at));
        let starter = (self.dress.starter)(starter);
        let Ok(member) = member else { return self.world.broken("the charter is none".to_owned()) };
        match ProcessesMember::enter(&runtime, &member, self.limits, KEY, starter).await {
            Ok(serving) => {
                (self.dress.when_it_serves)(&runtime);
                *place.borrow_mut() = Some(serving);
                std::future::pending::<()>().await;
            }
            Err(error) => self.world.broken(format!("a member does not enter: {error}")),
        }
    }
}

/// There are as many members as there are.
struct NoGrowth;

impl Growth for NoGrowth {
    fn grow(&self, _: Option<u16>, _: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        Box::pin(async { Err(CallError::Refused(Refusal::NotStarted)) })
    }
    fn outlive(&self, _: Identity) -> Coming<'_, ()> {
        Box::pin(std::future::pending())
    }
    fn give_up(&self, _: Identity) -> Coming<'_, ()> {
        Box::pin(async {})
    }
}

impl Fleet {
    /// Whether all is as it must be, once nothing is under way any more.
    fn holds(&self) -> Result<(), String> {
        let mut first: Option<fos_processes::table::Table> = None;
        for (process, place) in self.members.iter().filter(|(process, _)| process.is_running()) {
            let place = place.borrow();
            let Some(table) = place.as_ref().and_then(|member| member.ledger.table()) else { continue };
            if let Some(what) = table.unsound() {
                return Err(format!("the table of member {} is not sound: {what}", process.identity.0));
            }
            if first.as_ref().is_some_and(|first| *first != *table) {
                return Err("two members have different tables".to_owned());
            }
            first.get_or_insert_with(|| table.clone());
        }
        let table = first.ok_or("no member is left")?;
        self.compare(&table)
    }

    fn compare(&self, table: &fos_processes::table::Table) -> Result<(), String> {
        let lives = table.records().values().filter(|record| matches!(record.life, Life::Running));
        let listed: BTreeSet<u64> =
            lives.filter_map(|record| record.ticket()).map(|ticket| ticket.0).collect();
        let running = self.root.running();
        if listed != running {
            return Err(format!("the table has {listed:?}, and {running:?} run"));
        }
        if !table.head().owed.is_empty() || self.root.remembered() != 0 {
            return Err(format!("{} ends are remembered for nothing", self.root.remembered()));
        }
        if self.root.starts() > table.head().last_ticket {
            return Err(format!(
                "{} processes were started for {} spawns",
                self.root.starts(),
                table.head().last_ticket
            ));
        }
        for (process, _) in self.clients.iter().filter(|(process, _)| !process.is_alive()) {
            if table.process(process.identity.0).is_some() {
                return Err(format!("client {} has ended and is in the table", process.identity.0));
            }
        }
        Ok(())
    }
}

impl Course for Fleet {
    fn dangers(&self) -> Dangers {
        let members = (0..MEMBERS).map(|number| format!("member-{number}"));
        let clients = (0..CLIENTS - 1).map(|number| format!("client-{number}"));
        let processes = members.chain(["late".to_owned()]).chain(clients).collect();
        Dangers { processes, cores: (1..=MEMBERS).collect(), messages: self.messages }
    }

    fn is_over(&self) -> bool {
        if !self.clients.iter().all(|(process, is_over)| is_over.get() || !process.is_running()) {
            return false;
        }
        let now = self.world.now();
        let over_at = self.over_at.get().unwrap_or(now);
        self.over_at.set(Some(over_at));
        self.holds().is_ok() || now > over_at + SETTLES_WITHIN.as_nanos() as u64
    }

    fn end(&self) -> Result<(), String> {
        self.holds()
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let figure = |key, value: f64, unit| Figure { key, value, unit };
        let latency = self.ledger.latency.borrow();
        vec![
            figure("spawned", self.ledger.spawned.get() as f64, "processes"),
            figure("refused", self.ledger.refused.get() as f64, "spawns"),
            figure("started", self.root.starts() as f64, "processes"),
            figure("spawn_median", latency.permille(500).as_nanos() as f64, "ns"),
            figure("spawn_99", latency.permille(990).as_nanos() as f64, "ns"),
        ]
    }
}

//! The watchdog and a fleet that it looks after, of three members each, while members of both end, their cores stop or are slow,
//! and mailboxes are full. The watchdog's processes are `fos-watchdog`'s own; the fleet's members hold places: each writes
//! the token of its place once in a millisecond, under the epoch in which it has it.
//!
//! Naming has the first three cores, root and whoever begins the fleets the next, and the others are the members'.
//!
//! What must hold: no token is written in an earlier epoch after a later one, nor by two in one epoch, so nobody acts beside
//! its successor; nobody who runs is fenced, whatever a core is slowed by that a machine's cores are; both fleets are whole
//! again within a bounded time after anything that happens.

pub(super) mod root;

pub(crate) use self::root::Fencing;
use self::root::Root;
use super::{Course, Scenario, naming_members};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_messages::image::{Lookup, Policy};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::{Order, ProgramsClient};
use fos_messages::rpc::Address;
use fos_messages::watchdog::{Charge, WATCHDOG};
use fos_runtime::fleet::{ByPrograms, Charter, EnterError, Event, Member, found};
use fos_runtime::port::Class;
use fos_runtime::{Minder, Names, Permitted, Priority, Runtime};
use fos_watchdog::member;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "watchdog",
    about: "a fleet under watch and the watchdog itself: members end, cores stop or are slow, both are whole again",
    cores: 14,
    messages: 4_000,
    begin,
};

/// What a process does until it ends.
pub(crate) type Part = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// The key of `/` and of both fleets.
const KEY: DirectoryKey = DirectoryKey([0x0bad_cafe, 0x0ddb_a115]);
const NAMING: u32 = 3;
/// The first core of a member.
const FIRST: u32 = NAMING + 1;
const FLEET: &str = "/held";
const HOLDER: &str = "holder";
const DOG: &str = "watchdog";
/// Members of each fleet.
const MEMBERS: usize = 3;
/// How often a token is written.
const ACT_EVERY: Duration = Duration::from_millis(1);
/// A token that was not written for so long is nobody's.
const FRESH: u64 = 20_000_000;
/// How long a fleet may be without a member after several things have gone wrong at once: one that stands still in the moment
/// between entering its fleet and being looked after is ended with its core, after ten seconds, and the next one may stand still in
/// that moment too. Tests have a bound of their own for one fault.
const WHOLE_WITHIN: u64 = 23_000_000_000;
/// A run is so many milliseconds long as it may have messages, which is about what it has, and no longer than this.
const MILLISECONDS_MAX: u64 = 20_000;

/// How processes differ from honest ones: tests plant errors here.
#[derive(Clone)]
pub(crate) struct Dress {
    /// How root ends.
    pub fencing: Fencing,
    /// How often a holder looks whether it still has its place.
    pub looks_every: Duration,
    /// The watchdog's beat: tests make it silent.
    pub dog_beats: bool,
    /// When silence is silence, in milliseconds: at the least.
    pub silent_after_ms: u32,
    /// Whether who runs may be fenced all the same, as when a core is slower than any that there is.
    pub may_wrong: bool,
    /// Whether a fleet must be whole again this many nanoseconds after anything.
    pub whole_within: u64,
}

impl Dress {
    /// As it should be.
    pub(crate) const HONEST: Dress = Dress {
        fencing: Fencing::Honest,
        looks_every: Duration::ZERO,
        dog_beats: true,
        silent_after_ms: 300,
        may_wrong: false,
        whole_within: WHOLE_WITHIN,
    };
}

/// A token, as it was written last.
#[derive(Clone, Copy)]
struct Token {
    epoch: u32,
    holder: u64,
    at: u64,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    tokens: RefCell<BTreeMap<usize, Token>>,
    dogs: RefCell<BTreeSet<u64>>,
    lost: Cell<u64>,
    epochs: Cell<u32>,
    was_whole: Cell<bool>,
    whole_at: Cell<u64>,
    looked_at: Cell<u64>,
    longest: Cell<u64>,
    is_over: Cell<bool>,
}

struct Watched {
    world: World,
    root: Rc<Root>,
    seen: Rc<Seen>,
    dress: Dress,
    messages: u64,
    cores: u32,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress::HONEST)
}

fn policy(name: &str, program: &str, silent_after_ms_min: u32) -> Policy {
    Policy {
        name: name.to_owned(),
        program: program.to_owned(),
        lookup: Lookup::default(),
        core: 0,
        members_min: MEMBERS as u32,
        members_max: MEMBERS as u32,
        shrink_below_us: 1,
        grow_above_us: 1_000_000,
        looks: 3,
        rest_ms: 200,
        beat_ms: 100,
        silent_after_ms_min,
        silent_after_ms_max: 3000,
        restarts_max: 20,
        restarts_within_ms: 30_000,
    }
}

/// The same with other processes: tests plant errors here.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    let cores = world.cores().max(FIRST + 2 * MEMBERS as u32);
    let naming = naming_members::start(world, NAMING, 0, KEY, |_, _| ());
    let naming: Vec<_> = naming.iter().map(|member| member.address(Class::External)).collect();
    let root = Root::start(world, NAMING, dress.fencing);
    let seen = Rc::<Seen>::default();
    let ground = Rc::new(Ground {
        world: world.clone(),
        naming: naming.clone(),
        root: root.address(),
        starter: Rc::downgrade(&root),
        cores: (FIRST as u16..cores as u16).collect(),
        seen: seen.clone(),
        dress: dress.clone(),
    });
    root.begins(Rc::new(move |process, order| ground.clone().part(process, order)));
    let first = world.start("first", NAMING);
    let (names, starter, own) =
        (Names::new(first.runtime.clone(), naming, (0, NAMING as u16)), root.clone(), seen.clone());
    let runtime = first.runtime.clone();
    let terms = policies(&dress);
    first
        .spawn(Priority::Normal, async move { begin_fleets(&runtime, &names, &starter, &own, &terms).await });
    Box::new(Watched { world: world.clone(), root, seen, dress, messages, cores })
}

fn policies(dress: &Dress) -> Vec<Policy> {
    [(WATCHDOG, DOG), (FLEET, HOLDER)]
        .map(|(name, program)| policy(name, program, dress.silent_after_ms))
        .into()
}

/// Makes the names and has a first member of each fleet started, again and again until both have been whole: until then nobody
/// else is bound to.
async fn begin_fleets(
    runtime: &Runtime,
    names: &Rc<Names>,
    root: &Rc<Root>,
    seen: &Seen,
    policies: &[Policy],
) {
    for policy in policies {
        while found(names, &charter(policy), KEY).await.is_err() {
            runtime.sleep(ACT_EVERY).await;
        }
    }
    let mut core = FIRST as u16;
    while !seen.was_whole.get() {
        for policy in policies {
            if root.running(&policy.program, |_| true) == 0 {
                root.end_all(&policy.program);
                root.run(&Order { program: policy.program.clone(), arguments: Vec::new(), core });
                core += 1;
            }
        }
        runtime.sleep(ACT_EVERY * 10).await;
    }
}

fn charter(policy: &Policy) -> Charter {
    member::charter(KEY, policy)
}

/// One that was given up may come too late, when another has its place.
fn is_late(reason: &str) -> bool {
    reason == EnterError::Full.to_string()
}

/// What processes stand on.
struct Ground {
    world: World,
    naming: Vec<Address>,
    root: Address,
    /// Who knows who has ended.
    starter: Weak<Root>,
    cores: Vec<u16>,
    seen: Rc<Seen>,
    dress: Dress,
}

impl Ground {
    fn part(self: Rc<Self>, process: &Process, order: &Order) -> Part {
        let (process, order) = (process.clone(), order.clone());
        match order.program.as_str() {
            DOG => Box::pin(self.dog(process, order)),
            _ => Box::pin(async move { self.hold(process, order).await }),
        }
    }

    fn names(&self, process: &Process, order: &Order) -> Rc<Names> {
        Names::new(process.runtime.clone(), self.naming.clone(), (0, order.core))
    }

    fn dog(self: Rc<Self>, process: Process, order: Order) -> impl Future<Output = Result<(), String>> {
        let identity = process.identity.0;
        let eye = self.clone();
        let hear = move |event| match event {
            Event::Began { .. } => _ = eye.seen.dogs.borrow_mut().insert(identity),
            Event::Lost(_) => eye.seen.lost.set(eye.seen.lost.get() + 1),
            _ => {}
        };
        let mut policies = policies(&self.dress);
        if !self.dress.dog_beats {
            // Nobody looks after who looks after others: the name is another's.
            policies[0].silent_after_ms_min = 60_000;
            policies[0].silent_after_ms_max = 60_000;
        }
        member::run(member::Process {
            names: self.names(&process, &order),
            runtime: process.runtime.clone(),
            root: self.root,
            order,
            cores: self.cores.clone(),
            key: KEY,
            policies,
            hear: Rc::new(hear),
            tell: Rc::new(|_| ()),
        })
    }

    async fn hold(&self, process: Process, order: Order) -> Result<(), String> {
        let policy = policies(&self.dress).remove(1);
        let (runtime, names) = (process.runtime.clone(), self.names(&process, &order));
        let dog = Path::new(WATCHDOG).map_err(|error| error.to_string())?;
        let root = ProgramsClient::new(runtime.within(Duration::from_secs(30)), self.root);
        let growth = ByPrograms::new(root, order.clone(), self.cores.clone());
        let growth = Permitted::new(growth, &names, dog.clone(), policy.path());
        let seen = self.seen.clone();
        let tell = move |event| {
            if let Event::Lost(_) = event {
                seen.lost.set(seen.lost.get() + 1);
            }
        };
        let member = Member::new(&runtime, &names, charter(&policy), (0, order.core), growth, tell);
        let member = member.map_err(|error| error.to_string())?;
        let internal = process.address(Class::Internal);
        let charge = Charge { fleet: policy.path(), internal, order };
        let of = member.clone();
        Minder::begin(&runtime, &names, dog, charge, policy.beat(), move || of.figure().wait_nanoseconds);
        member.enter().await.map_err(|error| error.to_string())?;
        member.open().await.map_err(|error| error.to_string())?;
        self.act(&runtime, &member, process.identity.0).await
    }

    /// Writes the token of its place as long as it has one.
    async fn act(&self, runtime: &Runtime, member: &Member, me: u64) -> Result<(), String> {
        let (mut roster, mut looked_at) = (None, None);
        loop {
            let now = runtime.port().now();
            let is_due = |at| now.since(at) >= self.dress.looks_every;
            if looked_at.is_none_or(is_due) {
                (roster, looked_at) = (member.roster(), Some(now));
            }
            if let Some(roster) = &roster
                && let Some(place) = roster.seats().iter().position(|seat| seat.identity().0 == me)
            {
                self.write(place, roster.epoch().0, me);
            }
            runtime.sleep(ACT_EVERY).await;
        }
    }

    fn write(&self, place: usize, epoch: u32, holder: u64) {
        let mut tokens = self.seen.tokens.borrow_mut();
        let is_alive = |of: u64| self.starter.upgrade().is_some_and(|root| root.is_alive(of));
        // When all that had a place have ended, the next fleet of that name counts its epochs from the first again.
        if tokens.values().all(|token| token.holder != holder && !is_alive(token.holder)) {
            tokens.clear();
        }
        let written = Token { epoch, holder, at: self.world.now() };
        let before = tokens.insert(place, written).unwrap_or(written);
        self.seen.epochs.set(self.seen.epochs.get().max(epoch));
        if before.epoch > epoch || (before.epoch == epoch && before.holder != holder) {
            self.world.broken(format!(
                "process {holder} acts in place {place} in epoch {epoch}, where {} has acted in epoch {}",
                before.holder, before.epoch
            ));
        }
    }
}

impl Watched {
    fn is_whole(&self, now: u64) -> bool {
        let tokens = self.seen.tokens.borrow();
        let epoch = tokens.values().map(|token| token.epoch).max();
        let held = tokens.values().filter(|token| Some(token.epoch) == epoch && token.at + FRESH > now);
        let holders = held.count();
        let dogs = self.seen.dogs.borrow();
        holders == MEMBERS && self.root.running(DOG, |identity| dogs.contains(&identity)) == MEMBERS
    }

    fn look(&self, now: u64) {
        let seen = &self.seen;
        if self.is_whole(now) {
            seen.whole_at.set(now);
            seen.was_whole.set(true);
        }
        let since = now - seen.whole_at.get();
        if seen.was_whole.get() {
            seen.longest.set(seen.longest.get().max(since));
        }
        if since > self.dress.whole_within {
            let dogs = self.root.running(DOG, |_| true);
            self.world.broken(format!(
                "the fleets have not been whole for {} ms; {dogs} processes of the watchdog run",
                since / 1_000_000
            ));
        }
        if self.root.wronged.get() > 0 && !self.dress.may_wrong {
            self.world.broken("somebody was fenced who was running".to_owned());
        }
        // Nobody is left who could begin again.
        let is_wiped = seen.was_whole.get() && !self.root.any_alive(DOG);
        let has_run = now >= self.messages.min(MILLISECONDS_MAX) * 1_000_000;
        seen.is_over.set(is_wiped || (has_run && since == 0));
    }
}

impl Course for Watched {
    fn dangers(&self) -> Dangers {
        let of = |program: &'static str| (0..MEMBERS + 2).map(move |number| format!("{program}-{number}"));
        let processes = of(HOLDER).chain(of(DOG)).collect();
        Dangers { processes, cores: (FIRST..self.cores).collect(), messages: self.messages }
    }

    fn is_over(&self) -> bool {
        let now = self.world.now();
        if now >= self.seen.looked_at.get() + ACT_EVERY.as_nanos() as u64 {
            self.seen.looked_at.set(now);
            self.look(now);
        }
        self.seen.is_over.get()
    }

    fn end(&self) -> Result<(), String> {
        if self.seen.was_whole.get() { Ok(()) } else { Err("the fleets have never been whole".to_owned()) }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("fenced", self.root.fenced.get(), "processes"),
            figure("fenced_running", self.root.wronged.get(), "processes"),
            figure("noticed", self.seen.lost.get(), "ends"),
            figure("epochs", self.seen.epochs.get().into(), "epochs"),
            figure("longest_not_whole", self.seen.longest.get(), "ns"),
        ]
    }
}

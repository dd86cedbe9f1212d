//! A naming fleet whose members end, and whose starter has another come for each, while clients make names. The starter ends too: the
//! next one has what that one had root keep, as `init` on the machine.
//!
//! Root and the starter have the first core, clients the next two, members the others, of which there are more than members.
//!
//! What must hold: the fleet has three members again soon after any end; clients go on, also when none of those that they knew at first
//! is left; each name that was acknowledged is at every member in the end, unless at some time no member lived.

use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_abi::Identity;
use fos_messages::image::{Lookup, Policy};
use fos_messages::names::{DirectoryKey, NAMING, NameError, NamesClient, NamesStarterClient, Path};
use fos_messages::programs::{Order, Refusal};
use fos_messages::rpc::{Address, CallError};
use fos_naming::nursery::{Event, Nursery};
use fos_naming::process;
use fos_naming::starter::{Introduced, Memo, Starter};
use fos_runtime::fleet::{Coming, Growth};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime, Within};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "replaced",
    about: "naming under clients that make names, whose members end and are replaced by their starter, which is replaced itself",
    cores: 8,
    messages: 3_000,
    begin: |world, messages| begin_with(world, messages, false),
};

const MEMBERS: usize = 3;
const CLIENTS: u16 = 2;
/// The first core of a member.
const FIRST: u16 = 1 + CLIENTS;
/// Below which names are made.
const BELOW: &str = "/made";
const PAUSE: Duration = Duration::from_millis(1);
/// How long a client waits after each name.
const NAME_EVERY: Duration = Duration::from_millis(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// How long the fleet may be without a member: one that ends while it joins may keep others for the time of an introduction.
const WHOLE_WITHIN: u64 = 15_000_000_000;

/// What was promised and seen.
#[derive(Default)]
struct Seen {
    /// Members, and whether each has begun to serve.
    members: RefCell<Vec<(Process, Rc<Cell<bool>>)>>,
    made: RefCell<Vec<String>>,
    clients: Cell<u16>,
    was_whole: Cell<bool>,
    was_wiped: Cell<bool>,
    whole_at: Cell<u64>,
    is_ending: Cell<bool>,
    /// What the last look at all members came to.
    checked: RefCell<Option<Result<(), String>>>,
    looked_at: Cell<u64>,
}

impl Seen {
    fn serving(&self) -> Vec<Process> {
        let members = self.members.borrow();
        let serving = members.iter().filter(|(process, serves)| serves.get() && process.is_alive());
        serving.map(|(process, _)| process.clone()).collect()
    }
}

struct Fleet {
    world: World,
    seen: Rc<Seen>,
    line: Rc<Line>,
    messages: u64,
}

/// What root keeps for the next starter, and who is the starter now.
struct Line {
    world: World,
    seen: Rc<Seen>,
    key: DirectoryKey,
    entered: Cell<u32>,
    members: RefCell<BTreeMap<u32, Introduced>>,
    now: RefCell<Option<Process>>,
    /// How many there were.
    starters: Cell<usize>,
}

impl Line {
    /// Where the starter is found.
    fn address(&self) -> Address {
        self.now.borrow().as_ref().map_or(Address::default(), |starter| starter.address(Class::External))
    }

    fn keep(&self, memo: Memo) {
        match memo {
            Memo::Entered(count) => self.entered.set(count),
            Memo::Member(introduced) => {
                self.members.borrow_mut().insert(introduced.peer.number, introduced);
            }
            Memo::Forgotten(number) => {
                self.members.borrow_mut().remove(&number);
            }
        }
    }

    /// Begins the next starter, if there is none.
    fn go_on(self: &Rc<Self>) {
        if self.now.borrow().as_ref().is_some_and(Process::is_alive) {
            return;
        }
        let number = self.starters.get();
        self.starters.set(number + 1);
        let process = self.world.start(&format!("starter-{number}"), 0);
        let members: Vec<Introduced> = self.members.borrow().values().copied().collect();
        let line = self.clone();
        let starter = Starter::after(self.key, self.entered.get(), &members, move |memo| line.keep(memo));
        starter.hear(&process.runtime);
        *self.now.borrow_mut() = Some(process.clone());
        let (line, runtime) = (self.clone(), process.runtime.clone());
        process.spawn(Priority::Normal, async move { line.keep_whole(&runtime, &starter).await });
    }

    /// What `init` does.
    async fn keep_whole(self: Rc<Self>, runtime: &Runtime, starter: &Rc<Starter>) {
        let nursery = Nursery::new(runtime, starter, |_: Event| ());
        let cores = (FIRST..self.world.cores().max(8) as u16).collect();
        let growth = Rc::new(Starts { line: self.clone(), cores });
        let mut members = starter.members();
        if members.is_empty() {
            while members.len() < MEMBERS {
                let core = FIRST + members.len() as u16;
                members.extend(nursery.start(&*growth, Some(core), Vec::new()).await);
            }
        }
        let names = Names::new(runtime.clone(), starter.serving(), (0, 0));
        names.follow(None);
        nursery.keep(&(growth as Rc<dyn Growth>), &names, members, MEMBERS);
    }
}

/// The same with clients that take one name for made without asking: tests plant this.
pub(crate) fn begin_with(world: &World, messages: u64, believes: bool) -> Box<dyn Course> {
    let seen = Rc::<Seen>::default();
    let root = world.start("root", 0);
    let port = root.runtime.port();
    let key = DirectoryKey([port.random(), port.random()]);
    let (entered, members, now, starters) = Default::default();
    let line =
        Rc::new(Line { world: world.clone(), seen: seen.clone(), key, entered, members, now, starters });
    line.go_on();
    let (own, runtime, told) = (line.clone(), root.runtime.clone(), seen.clone());
    root.spawn(Priority::Normal, async move {
        while !told.is_ending.get() || told.clients.get() > 0 {
            own.go_on();
            runtime.sleep(PAUSE).await;
        }
        let checked = check(&runtime, &told).await;
        *told.checked.borrow_mut() = Some(checked);
    });
    for core in 1..=CLIENTS {
        let client = world.start(&format!("client-{core}"), core.into());
        seen.clients.set(seen.clients.get() + 1);
        let (runtime, seen) = (client.runtime.clone(), seen.clone());
        let (line, to) = (line.clone(), runtime.within(ANSWERS_WITHIN));
        let starter = move || NamesStarterClient::new(to.clone(), line.address());
        client.spawn(Priority::Normal, async move {
            make_names(&runtime, starter, core, key, believes, &seen).await;
            seen.clients.set(seen.clients.get() - 1);
        });
    }
    Box::new(Fleet { world: world.clone(), seen, line, messages })
}

fn path(name: &str) -> Path {
    Path::new(name).expect("a name of this scenario is a name")
}

/// Makes names, one after the other, until all is over.
async fn make_names(
    runtime: &Runtime,
    starter: impl Fn() -> NamesStarterClient<Within> + 'static,
    core: u16,
    key: DirectoryKey,
    believes: bool,
    seen: &Seen,
) {
    let naming = loop {
        match starter().members().await {
            Ok(members) if members.len() == MEMBERS => break members,
            _ => runtime.sleep(NAME_EVERY).await,
        }
    };
    let names = Names::new(runtime.clone(), naming, (0, core));
    names.follow(Some(Box::new(move || Some(starter()))));
    let mut number = 0;
    while !seen.is_ending.get() {
        let name = if number == 0 { BELOW.to_owned() } else { format!("{BELOW}/c{core}-{number:04}") };
        let made = match believes && number == 5 {
            true => Ok(()),
            false => names.make(&path(&name), key, key, true).await,
        };
        match made {
            Ok(()) | Err(CallError::Refused(NameError::Exists)) => {}
            Err(_) => {
                runtime.sleep(PAUSE).await;
                continue;
            }
        }
        if number > 0 {
            seen.made.borrow_mut().push(format!("c{core}-{number:04}"));
        }
        number += 1;
        runtime.sleep(NAME_EVERY).await;
    }
}

/// Every member that serves has every name.
async fn check(runtime: &Runtime, seen: &Seen) -> Result<(), String> {
    for member in seen.serving() {
        let naming = NamesClient::new(runtime.within(ANSWERS_WITHIN), member.address(Class::External));
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().cloned().unwrap_or_default();
            match naming.list(path(BELOW), after, 0).await {
                Ok((names, _)) if names.is_empty() => break,
                Err(CallError::Refused(NameError::NotFound)) => break,
                Ok((names, _)) => found.extend(names),
                Err(CallError::PeerLost | CallError::NotSent(_)) if !member.is_alive() => return Ok(()),
                Err(_) => runtime.sleep(PAUSE).await,
            }
        }
        if let Some(lost) = seen.made.borrow().iter().find(|name| !found.contains(name)) {
            return Err(format!(
                "{BELOW}/{lost} was acknowledged and is not at member {}",
                member.identity.0
            ));
        }
    }
    Ok(())
}

/// Starts members as processes of this world.
struct Starts {
    line: Rc<Line>,
    cores: Vec<u16>,
}

impl Growth for Starts {
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        Box::pin(async move {
            let members_on = |core: &u16| taken.iter().filter(|taken| *taken == core).count();
            let best = self.cores.iter().min_by_key(|core| members_on(core)).copied();
            let core = core.or(best).ok_or(CallError::Refused(Refusal::NotStarted))?;
            let (seen, world) = (&self.line.seen, &self.line.world);
            let number = seen.members.borrow().len();
            let process = world.start(&format!("naming-{number}"), core.into());
            let serves = Rc::new(Cell::new(false));
            seen.members.borrow_mut().push((process.clone(), serves.clone()));
            let runtime = process.runtime.clone();
            let member = process::Process {
                starter: NamesStarterClient::new(runtime.within(ANSWERS_WITHIN), self.line.address()),
                runtime,
                order: Order { program: "naming".to_owned(), arguments: Vec::new(), core },
                policy: Some(policy()),
            };
            let own = process.clone();
            process.spawn(Priority::Normal, async move {
                member.run(move |_| serves.set(true)).await;
                own.end();
            });
            Ok(process.identity)
        })
    }

    fn outlive(&self, _: Identity) -> Coming<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            let members = self.line.seen.members.borrow();
            members.iter().filter(|(process, _)| process.identity == started).for_each(|(one, _)| one.end());
        })
    }
}

fn policy() -> Policy {
    Policy {
        name: NAMING.to_owned(),
        program: "naming".to_owned(),
        lookup: Lookup::default(),
        core: 0,
        members_min: MEMBERS as u32,
        members_max: MEMBERS as u32,
        shrink_below_us: 1,
        grow_above_us: 1_000_000,
        looks: 3,
        rest_ms: 200,
        beat_ms: 100,
        silent_after_ms_min: 300,
        silent_after_ms_max: 3000,
        restarts_max: 20,
        restarts_within_ms: 30_000,
    }
}

impl Course for Fleet {
    fn dangers(&self) -> Dangers {
        let members = (0..2 * MEMBERS).map(|number| format!("naming-{number}"));
        let processes = members.chain((0..2).map(|number| format!("starter-{number}"))).collect();
        Dangers { processes, cores: Vec::new(), messages: self.messages }
    }

    fn is_over(&self) -> bool {
        let (now, seen) = (self.world.now(), &self.seen);
        if now < seen.looked_at.get() + PAUSE.as_nanos() as u64 {
            return seen.checked.borrow().is_some();
        }
        seen.looked_at.set(now);
        let serving = seen.serving().len();
        if serving >= MEMBERS {
            seen.whole_at.set(now);
            seen.was_whole.set(true);
        }
        seen.was_wiped.set(seen.was_wiped.get() || (seen.was_whole.get() && serving == 0));
        let since = now - seen.whole_at.get();
        if since > WHOLE_WITHIN && !seen.was_wiped.get() {
            self.world.broken(format!("naming has had {serving} members for {} ms", since / 1_000_000));
        }
        let has_run = self.world.counts().messages >= self.messages && serving == MEMBERS;
        seen.is_ending.set(seen.is_ending.get() || has_run);
        seen.was_wiped.get() || seen.checked.borrow().is_some()
    }

    fn end(&self) -> Result<(), String> {
        if self.seen.was_wiped.get() {
            return Ok(());
        }
        self.seen.checked.borrow().clone().unwrap_or_else(|| Err("the names were not looked at".to_owned()))
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let figure = |key, value: usize, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("made", self.seen.made.borrow().len(), "names"),
            figure("started", self.seen.members.borrow().len(), "members"),
            figure("starters", self.line.starters.get(), "processes"),
            figure("wiped", usize::from(self.seen.was_wiped.get()), "times"),
        ]
    }
}

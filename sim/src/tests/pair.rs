//! A fleet of two. One of it is moved to another core, while any of those who take part may end at every message of the move:
//! the fleet is mended, its client is always answered, and whoever goes on asking for the move has it. And a stranger asks its
//! members whatever it likes: they stay a fleet of two, and hear nobody who is none of them.

use crate::Costs;
use crate::faults::{Fault, Mishap, Plan, When};
use crate::world::{Process, World};
use fos_abi::{Identity, Key};
use fos_messages::fleet::{FleetClient, FleetInterface, FleetPeersInterface};
use fos_messages::names::{DirectoryKey, Entry, Path};
use fos_messages::programs::Refusal;
use fos_messages::rpc::{
    Address, CallError, Context, Description, Instead, Interface, Never, Part, SendError, interface,
};
use fos_naming::member::Naming;
use fos_peers::Random;
use fos_peers::attack::{Attack, fits};
use fos_peers::bodies::Bodies;
use fos_replicated_map::Member as Number;
use fos_runtime::fleet::{Charter, Coming, Growth, Marks, Member, found};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const KEY: DirectoryKey = DirectoryKey([5, 6]);
const WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// Cores of naming, of who wants the move, of the client; then those of members.
const NAMING: u32 = 0;
const ASKER: u32 = 1;
const CLIENT: u32 = 2;
const FIRST: u16 = 3;
const CORES: u16 = 8;
/// Where the member is to go.
const PLACE: u16 = 6;
/// Processes that may end: the two members, and the one that comes.
const MORTAL: usize = 3;
/// Which of them comes.
const NEWCOMER: usize = 2;
/// A run that takes longer, in simulated nanoseconds, is stuck.
const STUCK_AFTER: u64 = 60_000_000_000;

#[interface(id = 0x7f31, version = 1)]
trait Echo {
    #[operation(idempotent)]
    fn echo(&self, number: u64) -> u64;
}

struct Echoes;

impl Echo for Echoes {
    fn echo(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok(number)
    }
}

fn path() -> Path {
    Path::new("/pair").unwrap()
}

fn charter() -> Charter {
    let marks = Marks {
        grow_above: Duration::from_secs(1),
        shrink_below: Duration::ZERO,
        looks: 3,
        rest: Duration::from_millis(50),
        members_min: 2,
        members_max: 2,
    };
    Charter { name: path(), key: KEY, marks, redirect_above: Duration::MAX, drain_within: WITHIN }
}

/// How a run went.
struct Run {
    /// Messages sent before the move was asked for, and when the fleet was as it was to be.
    messages: (u64, u64),
    answered: u64,
    /// Cores of the members at the end.
    cores: Vec<u16>,
}

struct Town {
    world: World,
    naming: Address,
    members: RefCell<Vec<Process>>,
    answered: Cell<u64>,
    /// When the move was asked for, in messages.
    asked_at: Cell<u64>,
    outcome: RefCell<Option<Vec<u16>>>,
}

/// Runs a move of this member of the first two, while something may go wrong.
fn run(moved: usize, plan: Plan) -> Run {
    let words = format!("{plan:?}");
    let town = Town::new(plan);
    let asker = town.world.start("asker", ASKER);
    asker.spawn(Priority::Normal, town.clone().ask(asker.runtime.clone(), moved));
    town.until(&words, || town.outcome.borrow().is_some());
    let messages = (town.asked_at.get(), town.world.counts().messages);
    let cores = town.outcome.take().unwrap();
    town.world.close();
    Run { messages, answered: town.answered.get(), cores }
}

impl Town {
    /// One member of naming.
    fn new(plan: Plan) -> Rc<Town> {
        let world = World::new(1, CORES.into(), Costs::load("default").unwrap(), None, None);
        world.takes_anything();
        world.plan(plan);
        let naming = world.start("naming", NAMING);
        let runtime = naming.runtime.clone();
        naming.spawn(Priority::Normal, async move {
            let _naming = Naming::first(runtime, Number::new(0, 1), KEY).await.unwrap();
            std::future::pending::<()>().await;
        });
        let (members, answered, asked_at, outcome) = Default::default();
        let naming = naming.address(Class::External);
        Rc::new(Town { world, naming, members, answered, asked_at, outcome })
    }

    /// Runs until it is so.
    fn until(&self, words: &str, is_so: impl Fn() -> bool) {
        while !is_so() {
            assert!(self.world.now() < STUCK_AFTER, "the fleet is not as it should be: {words}");
            assert!(self.world.happen(), "nothing is left to happen: {words}");
            assert_eq!(self.world.failure(), None, "{words}");
        }
    }

    fn names(&self, runtime: &Runtime, core: u32) -> Rc<Names> {
        Names::new(runtime.clone(), vec![self.naming], (0, core as u16))
    }

    /// Starts a member.
    fn start(self: &Rc<Self>, core: u16) -> Process {
        let number = self.members.borrow().len();
        let process = self.world.start(&format!("member-{number}"), core.into());
        self.members.borrow_mut().push(process.clone());
        let (runtime, names) = (&process.runtime, self.names(&process.runtime, core.into()));
        let growth = Rc::new(Starts { town: self.clone(), runtime: runtime.clone() });
        let member = Member::new(runtime, &names, charter(), (0, core), growth, |_| ()).unwrap();
        member.serve::<EchoInterface>(EchoDispatcher::new(Rc::new(Echoes)));
        let own = process.clone();
        process.spawn(Priority::Normal, async move {
            // One that comes when its place is taken is not let in.
            if member.enter().await.is_ok() && member.open().await.is_ok() {
                member.last().await;
            }
            own.end();
        });
        process
    }

    fn find(&self, identity: Identity) -> Option<Process> {
        self.members.borrow().iter().find(|process| process.identity == identity).cloned()
    }

    /// Has the fleet made, of which the first coordinates, and its client begin.
    async fn make(self: &Rc<Self>, runtime: &Runtime, names: &Names) {
        while found(names, &charter(), KEY).await.is_err() {
            runtime.sleep(PAUSE).await;
        }
        self.start(FIRST);
        self.wait(runtime, names, |members| members.len() == 1).await;
        self.start(FIRST + 1);
        self.wait(runtime, names, |members| members.len() == 2).await;
        self.begin_client();
    }

    /// Has the member moved; waits until the fleet is of two again.
    async fn ask(self: Rc<Self>, runtime: Runtime, moved: usize) {
        let names = self.names(&runtime, ASKER);
        self.make(&runtime, &names).await;
        let leaver = self.members.borrow()[moved].identity;
        runtime.sleep(PAUSE).await;
        self.asked_at.set(self.world.counts().messages);
        loop {
            let members = names.members(&path()).await.unwrap_or_default();
            let is_there = members.iter().any(|entry| entry.address.identity == leaver);
            if !members.is_empty() && !is_there {
                break;
            }
            for member in members {
                let fleet = FleetClient::new(runtime.within(WITHIN), member.address);
                let _ = fleet.relocate(KEY, leaver.0, PLACE).await;
            }
            runtime.sleep(PAUSE).await;
        }
        let members = self.wait(&runtime, &names, |members| members.len() == 2).await;
        *self.outcome.borrow_mut() = Some(members.iter().map(|entry| entry.core).collect());
    }

    /// Waits until the members that serve are so, and count as many.
    async fn wait(&self, runtime: &Runtime, names: &Names, are_so: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
        loop {
            let members = names.members(&path()).await.unwrap_or_default();
            let mut counted = 0;
            for member in &members {
                let standing = FleetClient::new(runtime.within(WITHIN), member.address).standing().await;
                counted += usize::from(standing.is_ok_and(|it| it.members as usize == members.len()));
            }
            if are_so(&members) && counted == members.len() {
                return members;
            }
            runtime.sleep(PAUSE).await;
        }
    }

    /// A client asks one thing after the other by the fleet's name, and has every answer.
    fn begin_client(self: &Rc<Self>) {
        let client = self.world.start("client", CLIENT);
        let (town, runtime, names) =
            (self.clone(), client.runtime.clone(), self.names(&client.runtime, CLIENT));
        client.spawn(Priority::Normal, async move {
            for number in 0.. {
                let fleet = EchoClient::new(names.at(path(), WITHIN), Address::default());
                match fleet.echo(number).await {
                    Ok(echoed) if echoed == number => town.answered.set(number + 1),
                    other => town.world.broken(format!("the client was told {other:?} at {number}")),
                }
                runtime.sleep(PAUSE).await;
            }
        });
    }
}

/// How a member has others started.
struct Starts {
    town: Rc<Town>,
    runtime: Runtime,
}

impl Growth for Starts {
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        let free = (FIRST..CORES).find(|core| !taken.contains(core)).unwrap_or(FIRST);
        Box::pin(async move { Ok(self.town.start(core.unwrap_or(free)).identity) })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            if let Some(process) = self.town.find(started) {
                self.runtime.outlive(&process.address(Class::Internal)).await;
            }
        })
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            if let Some(process) = self.town.find(started) {
                process.end();
            }
        })
    }
}

/// A process of the move ends at each of its messages.
fn ends_at_every_message(moved: usize) {
    let quiet = run(moved, Plan::default());
    assert!(
        quiet.cores.contains(&PLACE) && !quiet.cores.contains(&(FIRST + moved as u16)),
        "{:?}",
        quiet.cores
    );
    let (asked, over) = quiet.messages;
    assert!(over - asked > 40, "{asked} to {over}");
    for message in asked..=over {
        for mortal in 0..MORTAL {
            let mishap = Mishap::Kill { process: format!("member-{mortal}") };
            let after = run(moved, Plan(vec![Fault { mishap, when: When::Message(message) }]));
            assert!(after.answered > 0);
            // Who ends while it is moved is replaced, and so is one that came, perhaps on another core.
            let is_replaced = mortal == moved || mortal == NEWCOMER;
            let cores = after.cores;
            assert!(is_replaced || cores.contains(&PLACE), "member-{mortal} at {message}: {cores:?}");
        }
    }
}

#[test]
fn the_coordinator_is_moved_whoever_ends() {
    ends_at_every_message(0);
}

#[test]
fn another_member_is_moved_whoever_ends() {
    ends_at_every_message(1);
}

/// How often each operation is asked for.
const ROUNDS: u32 = 200;

/// A stranger, who was told where the members' mailboxes for clients are, and guesses the others.
async fn attack(town: Rc<Town>, runtime: Runtime) {
    let names = town.names(&runtime, ASKER);
    town.make(&runtime, &names).await;
    let members = town.members.borrow().clone();
    let fleet = FleetClient::new(runtime.within(WITHIN), members[1].address(Class::External));
    let before = fleet.standing().await.unwrap();
    let stranger = Attack {
        runtime: runtime.clone(),
        random: Random::new(3),
        till: members[0].address(Class::External),
        naming: vec![town.naming],
        own: (path(), DirectoryKey([7, 7])),
        others: path(),
        honest: members[0].identity,
        rounds: ROUNDS,
        patience: WITHIN,
        last_number: Cell::new(0),
    };
    for member in &members {
        for interface in [Description::of::<FleetInterface>(), Description::of::<FleetPeersInterface>()] {
            for operation in interface.operations.iter().filter(|operation| !operation.is_post) {
                let mut bodies = Bodies::new(interface, Part::Request, operation.number);
                for _ in 0..ROUNDS {
                    let body = bodies.next(&stranger.random);
                    let asked = stranger.ask(&member.address(Class::External), operation, &body).await;
                    let said = asked.unwrap();
                    let what = format!("{}.{} of {body:02x?}: {said:?}", interface.name, operation.name);
                    assert!(fits(&interface, operation.number, &body, &said), "{what}");
                    let is_of_members = interface.id == FleetPeersInterface::ID;
                    assert!(!is_of_members || said == Err(CallError::Unknown), "strangers are served {what}");
                    // One that knows where members write to each other is not heard there either.
                    if is_of_members {
                        let said =
                            stranger.ask(&member.address(Class::Internal), operation, &body).await.unwrap();
                        let is_heard = !matches!(said, Err(CallError::NotNow | CallError::Malformed));
                        assert!(!is_heard, "strangers are heard: {} {said:?}", operation.name);
                    }
                }
            }
        }
        // A key to the mailbox for clients is none to the one for members.
        let external = member.address(Class::External);
        let mailbox = member.address(Class::Internal).key.mailbox;
        let beside = Address { key: Key { mailbox, ..external.key }, ..external };
        assert_eq!(runtime.port().send(&beside, &[1, 2, 3]), Err(SendError::Closed));
    }
    assert_eq!(fleet.standing().await.unwrap(), before);
    *town.outcome.borrow_mut() = Some(Vec::new());
}

#[test]
fn a_stranger_is_heard_by_no_member_and_changes_nothing() {
    let town = Town::new(Plan::default());
    let asker = town.world.start("stranger", ASKER);
    asker.spawn(Priority::Normal, attack(town.clone(), asker.runtime.clone()));
    town.until("a stranger asks", || town.outcome.borrow().is_some());
    let answered = town.answered.get();
    town.until("the client goes on", || town.answered.get() > answered + 10);
    town.world.close();
}

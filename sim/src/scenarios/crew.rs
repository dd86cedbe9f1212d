//! A fleet for scenarios whose members are all alike: naming has the first core, members the next, others the last ones. Members are
//! processes named `member-0` and so on; whoever the fleet wants more of is started on the next core, in turn.

use super::fates::{self, Fate, Why};
use super::naming_members;
use crate::world::{Process, World};
use fos_abi::Identity;
use fos_carrier::Carrier;
use fos_container::Container;
use fos_messages::names::DirectoryKey;
use fos_messages::names::Path;
use fos_messages::programs::Refusal;
use fos_messages::rpc::{Address, CallError, Interface, Serve};
use fos_runtime::fleet::{self, Charter, Coming, Event, Growth, Marks, Member};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Runtime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// The key of `/`, and of the fleet.
pub const KEY: DirectoryKey = DirectoryKey([0x0123_4567, 0x89ab_cdef]);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a member is given.
pub struct Seat {
    pub process: Process,
    pub names: Rc<Names>,
    pub growth: Rc<dyn Growth>,
    pub core: u16,
    /// Its number, from 0.
    pub number: usize,
    /// Why it ends.
    pub fate: Fate,
}

type Life = Box<dyn Fn(Seat) -> Coming<'static, ()>>;

/// The fleet.
pub struct Crew {
    world: World,
    naming: Vec<Address>,
    /// Cores of others.
    others: u32,
    life: Life,
    members: RefCell<Vec<Process>>,
    fates: RefCell<Vec<Fate>>,
}

impl Crew {
    /// A fleet that does not exist yet. A member's process ends when its life is over.
    pub fn new(world: &World, others: u32, life: impl Fn(Seat) -> Coming<'static, ()> + 'static) -> Rc<Crew> {
        let naming = naming_members::start(world, 1, 0, KEY, |_, _| ());
        let naming = naming.iter().map(|member| member.address(Class::External)).collect();
        let (world, life, members, fates) =
            (world.clone(), Box::new(life), Default::default(), Default::default());
        Rc::new(Crew { world, naming, others, life, members, fates })
    }

    /// A process's way to naming.
    pub fn names(&self, runtime: &Runtime, core: u32) -> Rc<Names> {
        Names::new(runtime.clone(), self.naming.clone(), (0, core as u16))
    }

    /// Makes the fleet's name and starts its first member.
    pub fn found(self: &Rc<Self>, charter: Charter) {
        let founder = self.world.start("founder", 0);
        let (crew, runtime) = (self.clone(), founder.runtime.clone());
        founder.spawn(Priority::Normal, async move {
            let names = crew.names(&runtime, 0);
            while fleet::found(&names, &charter, KEY).await.is_err() {
                runtime.sleep(LOOK_EVERY).await;
            }
            crew.start();
        });
    }

    /// The cores of members.
    pub fn cores(&self) -> std::ops::Range<u32> {
        1..self.world.cores() - self.others
    }

    /// Whoever was started, by their numbers.
    pub fn all(&self) -> Vec<Process> {
        self.members.borrow().clone()
    }

    /// Whether a member was ended, by the plan or for the good of all.
    pub fn was_ended(&self, number: usize) -> bool {
        self.fates.borrow()[number].was_ended()
    }

    /// How many members were ended so.
    pub fn ended(&self) -> usize {
        self.fates.borrow().iter().filter(|fate| fate.was_ended()).count()
    }

    /// How many were started.
    pub fn started(&self) -> usize {
        self.members.borrow().len()
    }

    /// Those that have not ended, by their numbers.
    pub fn living(&self) -> Vec<(usize, Process)> {
        let members = self.members.borrow();
        members.iter().cloned().enumerate().filter(|(_, process)| process.is_alive()).collect()
    }

    /// Nobody is left: also of a fleet whose first member ended before there was another.
    pub fn is_wiped(&self) -> bool {
        self.started() > 0 && self.living().is_empty()
    }

    /// Nobody runs any more who belonged to the fleet: what it knew is gone, whoever founds it again.
    pub fn is_forgotten(&self) -> bool {
        let fates = self.fates.borrow();
        let mut belonged = fates.iter().filter_map(Fate::belonged).peekable();
        belonged.peek().is_some() && !belonged.any(|runs| runs)
    }

    /// Somebody may come in yet: until then it is not said what the fleet has.
    pub fn awaits_joiner(&self) -> bool {
        self.fates.borrow().iter().any(Fate::is_joining)
    }

    /// Whether nobody is left because the plan ended all of them.
    pub fn judge_wipe(&self) -> Result<(), String> {
        fates::judge_wipe(&*self.fates.borrow())
    }

    fn start(self: &Rc<Self>) -> Identity {
        let number = self.members.borrow().len();
        let cores = self.cores();
        let core = cores.start + number as u32 % (cores.end - cores.start);
        let process = self.world.start(&format!("member-{number}"), core);
        self.members.borrow_mut().push(process.clone());
        let growth = Rc::new(ByCrew { crew: Rc::downgrade(self), runtime: process.runtime.clone() });
        let names = self.names(&process.runtime, core);
        let fate = Fate::of(&process);
        self.fates.borrow_mut().push(fate.clone());
        let (ending, core) = (fate.clone(), core as u16);
        let life = (self.life)(Seat { process: process.clone(), names, growth, core, number, fate });
        let (own, world) = (process.clone(), self.world.clone());
        process.spawn(Priority::Normal, async move {
            life.await;
            ending.flaw().into_iter().for_each(|flaw| world.broken(flaw));
            own.end();
        });
        process.identity
    }
}

/// How the fleet gets members.
struct ByCrew {
    crew: Weak<Crew>,
    runtime: Runtime,
}

impl ByCrew {
    fn find(&self, identity: Identity) -> Option<Process> {
        let living = self.crew.upgrade()?.living();
        living.into_iter().map(|(_, process)| process).find(|process| process.identity == identity)
    }
}

impl Growth for ByCrew {
    fn grow(&self, _: Option<u16>, _: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        let started = self.crew.upgrade().map(|crew| crew.start());
        Box::pin(async move { started.ok_or(CallError::Refused(Refusal::NotStarted)) })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            while self.find(started).is_some() {
                self.runtime.sleep(LOOK_EVERY).await;
            }
        })
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            let Some(crew) = self.crew.upgrade() else { return };
            for (number, process) in crew.living().into_iter().filter(|(_, one)| one.identity == started) {
                crew.fates.borrow()[number].is(Why::Excused);
                process.end();
            }
        })
    }
}

/// Members of a fleet that [`charter`] has.
pub const MEMBERS: usize = 3;

/// A fleet of three that grows only when one of them ends.
pub fn charter(name: &str) -> Charter {
    let (grow_above, shrink_below) = (Duration::from_secs(1), Duration::ZERO);
    let (members_min, members_max) = (MEMBERS, MEMBERS + 1);
    let rest = Duration::from_millis(20);
    Charter {
        name: Path::new(name).expect("a short name"),
        key: KEY,
        marks: Marks { grow_above, shrink_below, looks: 3, rest, members_min, members_max },
        redirect_above: Duration::MAX,
        drain_within: Duration::from_secs(5),
    }
}

/// What a member carries: its structures.
pub trait Cargo {
    fn follow(&self, member: &Member, event: Event);
    fn has_left(&self) -> bool;
    fn has_stopped(&self) -> bool;
    /// Why its member ends.
    fn why(&self) -> Why;
}

impl<C: Container + 'static> Cargo for Rc<Carrier<C>>
where
    C::Message: Serialize + DeserializeOwned,
{
    fn follow(&self, member: &Member, event: Event) {
        Carrier::follow(self, member, event);
    }

    fn has_left(&self) -> bool {
        Carrier::has_left(self)
    }

    fn has_stopped(&self) -> bool {
        Carrier::has_stopped(self)
    }

    fn why(&self) -> Why {
        fates::why_of(self)
    }
}

impl<A: Cargo, B: Cargo> Cargo for (A, B) {
    fn follow(&self, member: &Member, event: Event) {
        self.0.follow(member, event);
        self.1.follow(member, event);
    }

    fn has_left(&self) -> bool {
        self.0.has_left() && self.1.has_left()
    }

    fn has_stopped(&self) -> bool {
        self.0.has_stopped() || self.1.has_stopped()
    }

    fn why(&self) -> Why {
        if self.0.why() == Why::Stopped { Why::Stopped } else { self.1.why() }
    }
}

/// A member's life: it serves clients until the fleet needs it no more, or has gone on without it. `opened` is told when it lets
/// clients in.
pub async fn live<I: Interface + 'static>(
    seat: Seat,
    charter: Charter,
    cargo: impl Cargo + 'static,
    service: Rc<dyn Serve>,
    opened: impl FnOnce(&Rc<Member>),
) -> Result<(), String> {
    let Seat { process, names, growth, core, fate, .. } = seat;
    let (runtime, cargo) = (process.runtime, Rc::new(cargo));
    let place: Rc<OnceCell<Rc<Member>>> = Rc::default();
    let (own, follower) = (place.clone(), cargo.clone());
    let begun = fate.clone();
    let tell = move |event| {
        if let Event::Began { .. } = event {
            begun.began();
        }
        if let Some(member) = own.get() {
            follower.follow(member, event);
        }
    };
    let member = Member::new(&runtime, &names, charter, (0, core), growth, tell);
    let member = member.map_err(|error| error.to_string())?;
    let staying = cargo.clone();
    member.stay_while(move || !staying.has_left());
    let _ = place.set(member.clone());
    member.serve::<I>(service);
    member.enter().await.map_err(|error| error.to_string())?;
    member.open().await.map_err(|error| error.to_string())?;
    opened(&member);
    fate.is(Why::Unknown);
    let (leaver, is_over) = (member, Rc::new(OnceCell::new()));
    let over = is_over.clone();
    runtime.spawn(Priority::Normal, async move {
        leaver.last().await;
        let _ = over.set(());
    });
    while is_over.get().is_none() && !cargo.has_stopped() {
        runtime.sleep(LOOK_EVERY).await;
    }
    fate.is(cargo.why());
    Ok(())
}

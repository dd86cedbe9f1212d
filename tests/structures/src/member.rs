//! A member's life: its structures follow the fleet's epochs, and it serves what is asked of them.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::OnceCell;
use core::time::Duration;

use fos_carrier::Switchboard;
use fos_handles::{Handles, Terms};
use fos_lending::Hands;
use fos_messages::names::{DirectoryKey, Path, PathError};
use fos_messages::programs::Order;
use fos_runtime::fleet::{self, ByPrograms, Charter, Event, MEMBER, Marks, Member};
use fos_runtime::{Priority, Runtime};
use fos_sharded_map::{Consistency, Policy, Service};
use fos_structures_test::handing::{HandingDispatcher, HandingInterface, Server};
use fos_structures_test::keeping::{Keeper, KeepingDispatcher, KeepingInterface};
use libfos::member::{Begun, tell};

/// What the image calls the program of members.
pub const PROGRAM: &str = "structures";
/// The fleet's name.
pub const FLEET: &str = "/structures";
/// How many members.
pub const MEMBERS: usize = 3;
/// How many handles.
pub const HANDLES: u32 = 32;
/// How often is looked whether the others have gone on without this member.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The fleet's terms: those that end are replaced, and how many there are does not depend on clients.
pub fn charter(key: DirectoryKey) -> Result<Charter, PathError> {
    let (grow_above, shrink_below) = (Duration::from_secs(60), Duration::ZERO);
    let (members_min, members_max) = (MEMBERS, MEMBERS + 1);
    let rest = Duration::from_millis(20);
    Ok(Charter {
        name: Path::new(FLEET)?,
        key,
        marks: Marks { grow_above, shrink_below, looks: 3, rest, members_min, members_max },
        redirect_above: Duration::MAX,
        drain_within: Duration::from_secs(5),
    })
}

/// All that a member has.
struct Structures {
    handles: Rc<Handles<u64>>,
    strong: Rc<Service<u64, u64>>,
    eventual: Rc<Service<u64, u64>>,
}

impl Structures {
    fn new(runtime: &Runtime, key: DirectoryKey) -> Rc<Structures> {
        let switchboard = Switchboard::new(runtime);
        // The key was drawn for this life of the fleet. Half of all generations are above what it says.
        let terms = Terms { count: HANDLES, copies: MEMBERS + 1, first: (key.0[0] as u32) >> 1 };
        let map = |number, consistency| Service::new(&switchboard, number, Policy::new(consistency));
        Rc::new(Structures {
            handles: Handles::new(runtime, &Hands::new(runtime), &switchboard, (1, 2), terms),
            strong: map(3, Consistency::Strong),
            eventual: map(4, Consistency::Eventual),
        })
    }

    fn follow(&self, member: &Member, event: Event) {
        self.strong.carrier().follow(member, event);
        self.eventual.carrier().follow(member, event);
        self.handles.follow(member, event);
    }

    fn has_left(&self) -> bool {
        let maps = self.strong.carrier().has_left() && self.eventual.carrier().has_left();
        maps && self.handles.has_left()
    }

    fn has_stopped(&self) -> bool {
        let maps = self.strong.carrier().has_stopped() || self.eventual.carrier().has_stopped();
        maps || self.handles.has_stopped()
    }
}

/// Serves until the fleet needs it no more, or has gone on without it.
pub async fn live(begun: Begun) -> Result<(), String> {
    let (root, key) = (begun.programs()?, fleet::key(&begun.arguments)?);
    let Begun { runtime, names, core, cores, .. } = begun;
    let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(MEMBER, key), core };
    let growth = ByPrograms::new(root, order, cores);
    let charter = charter(key).map_err(|error| error.to_string())?;
    let structures = Structures::new(&runtime, key);
    let place: Rc<OnceCell<Rc<Member>>> = Rc::default();
    let (follower, own) = (structures.clone(), place.clone());
    let hear = move |event| {
        tell(PROGRAM, core, event);
        if let Some(member) = own.get() {
            follower.follow(member, event);
        }
    };
    let member = Member::new(&runtime, &names, charter, (0, core), growth, hear);
    let member = member.map_err(|error| error.to_string())?;
    let staying = structures.clone();
    member.stay_while(move || !staying.has_left());
    let _ = place.set(member.clone());
    member.serve::<HandingInterface>(HandingDispatcher::new(Rc::new(Server(structures.handles.clone()))));
    let keeper = Keeper { strong: structures.strong.clone(), eventual: structures.eventual.clone() };
    member.serve::<KeepingInterface>(KeepingDispatcher::new(Rc::new(keeper)));
    member.enter().await.map_err(|error| error.to_string())?;
    member.open().await.map_err(|error| error.to_string())?;
    let is_over = Rc::new(OnceCell::new());
    let over = is_over.clone();
    runtime.spawn(Priority::Normal, async move {
        member.last().await;
        let _ = over.set(());
    });
    while is_over.get().is_none() && !structures.has_stopped() {
        runtime.sleep(LOOK_EVERY).await;
    }
    Ok(())
}

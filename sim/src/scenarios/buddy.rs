//! Blocks of frames in a fleet of three, whose members end, stall, are slow or full, and are replaced; one leaves in the middle. Clients
//! allocate blocks of all sizes by the fleet's name, and free them, whole or by halves.
//!
//! What must hold: no frame is allocated that is outside; when all has come to rest, each is outside or with one member, unless at
//! some time no member lived; and if nothing is outside, all are one block again.

use super::crew::{self, Crew, MEMBERS, Seat, charter};
use super::{Course, Scenario};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;
use fos_buddy::{AllocateError, Block, Coming, FreeError, Question, Ranges, Records, Service};
use fos_carrier::Switchboard;
use fos_container::Statistics;
use fos_messages::names::Path;
use fos_messages::rpc::{Address, Context, Instead, Never, interface};
use fos_runtime::Priority;
use fos_runtime::fleet::Member;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "buddy",
    about: "blocks of frames in a fleet whose members end, come and leave while they are allocated and freed",
    cores: 8,
    messages: 3_000,
    begin,
};

const FLEET: &str = "/blocks";
const CLIENTS: u32 = 2;
/// All frames, and the largest block that clients want.
const FRAMES: u64 = 256;
const ORDERS: u64 = 6;
/// Messages that a call has, those of the fleet and of the structure included.
const MESSAGES_PER_CALL: u64 = 8;
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// For so long nothing is looked for any more before the frames are counted, in nanoseconds.
const REST: u64 = 300_000_000;

/// Blocks, by their first frame and order.
#[interface(id = 0x7f52, version = 1)]
pub trait Blocks {
    /// Takes a block. None: no member has so large a one.
    #[operation]
    async fn allocate(&self, order: u8) -> Option<u64>;

    /// Gives one back. One that is not outside was given back before.
    #[operation(idempotent)]
    async fn free(&self, frame: u64, order: u8);
}

/// The owner's records.
struct Owner {
    world: World,
    outside: RefCell<BTreeMap<u64, u8>>,
}

impl Owner {
    fn ranges(&self) -> Vec<Range<u64>> {
        let outside = self.outside.borrow();
        outside.iter().map(|(frame, order)| *frame..*frame + (1 << order)).collect()
    }

    fn inside(&self) -> Vec<Range<u64>> {
        let mut inside = Ranges::new();
        inside.insert(0..FRAMES);
        self.ranges().into_iter().for_each(|range| inside.remove(range));
        inside.iter().collect()
    }

    /// Each frame is outside, free at exactly one member, or on its way: nowhere else, and nowhere twice.
    fn check(&self, stores: &[Range<u64>], departing: &[Range<u64>]) -> Result<(), String> {
        let mut seen = Ranges::new();
        for range in self.ranges().iter().chain(stores) {
            let before = seen.frames();
            seen.insert(range.clone());
            if seen.frames() != before + (range.end - range.start) {
                return Err(format!("some of the frames {range:?} are with two"));
            }
        }
        departing.iter().for_each(|range| seen.insert(range.clone()));
        match FRAMES - seen.frames() {
            0 => Ok(()),
            lost => Err(format!("{lost} frames are lost: there are {:?}", seen.iter().collect::<Vec<_>>())),
        }
    }
}

impl Records for Owner {
    fn handed_out(&self, block: Block) {
        let is_outside =
            |range: &Range<u64>| range.start < block.range().end && block.range().start < range.end;
        if self.ranges().iter().any(is_outside) {
            self.world.broken(format!("{block:?} was handed out, and some of it is outside"));
        }
        self.outside.borrow_mut().insert(block.frame(), block.order());
    }

    fn given_back(&self, block: Block) {
        self.outside.borrow_mut().remove(&block.frame());
    }

    fn inside(&self, _: Question) -> Coming<Vec<Range<u64>>> {
        Box::pin(std::future::ready(Owner::inside(self)))
    }
}

/// A member's server.
struct Server {
    blocks: Rc<Service>,
    owner: Rc<Owner>,
}

impl Blocks for Server {
    async fn allocate(&self, _: Context, order: u8) -> Result<Option<u64>, Instead<Never>> {
        match self.blocks.allocate(order).await {
            Ok(block) => Ok(Some(block.frame())),
            Err(AllocateError::Exhausted | AllocateError::TooLarge) => Ok(None),
            Err(AllocateError::Busy | AllocateError::NotServing) => Err(Instead::NotNow),
        }
    }

    async fn free(&self, _: Context, frame: u64, order: u8) -> Result<(), Instead<Never>> {
        let is_outside = self.owner.outside.borrow().get(&frame) == Some(&order);
        let Some(block) = Block::new(frame, order).ok().filter(|_| is_outside) else { return Ok(()) };
        match self.blocks.free(block).await {
            Err(FreeError::NotServing) => Err(Instead::NotNow),
            Ok(()) | Err(FreeError::Overlap) => Ok(()),
        }
    }
}

struct Town {
    world: World,
    crew: Rc<Crew>,
    owner: Rc<Owner>,
    parts: Rc<Parts>,
    calls: u64,
    done: Cell<u64>,
    served: Cell<u64>,
    clients_left: Cell<u32>,
    quiet_since: Cell<u64>,
}

/// What members have told.
#[derive(Default)]
struct Parts {
    blocks: RefCell<BTreeMap<usize, Rc<Service>>>,
    members: RefCell<BTreeMap<usize, Rc<Member>>>,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    world.knows::<BlocksInterface>();
    let owner = Rc::new(Owner { world: world.clone(), outside: RefCell::default() });
    let parts = Rc::<Parts>::default();
    let (keeper, kept) = (owner.clone(), parts.clone());
    let crew = Crew::new(world, CLIENTS, move |seat| Box::pin(be_member(seat, keeper.clone(), kept.clone())));
    crew.found(charter(FLEET));
    let town = Rc::new(Town {
        world: world.clone(),
        crew,
        owner,
        parts,
        calls: (messages / MESSAGES_PER_CALL / u64::from(CLIENTS)).max(4),
        done: Cell::default(),
        served: Cell::default(),
        clients_left: Cell::new(CLIENTS),
        quiet_since: Cell::default(),
    });
    (0..CLIENTS).for_each(|number| town.start_client(number));
    Box::new(Ends(town))
}

async fn be_member(seat: Seat, owner: Rc<Owner>, parts: Rc<Parts>) {
    let switchboard = Switchboard::new(&seat.process.runtime);
    let blocks = Service::new(&switchboard, 1, owner.clone());
    parts.blocks.borrow_mut().insert(seat.number, blocks.clone());
    let (carrier, number) = (blocks.carrier().clone(), seat.number);
    let server = BlocksDispatcher::new(Rc::new(Server { blocks, owner }));
    let opened = |member: &Rc<Member>| _ = parts.members.borrow_mut().insert(number, member.clone());
    // One that was given up may come too late: its process ends like any other's.
    let _ = crew::live::<BlocksInterface>(seat, charter(FLEET), carrier, server, opened).await;
}

impl Town {
    fn start_client(self: &Rc<Self>, number: u32) {
        let core = self.world.cores() - 1 - number;
        let process = self.world.start(&format!("client-{number}"), core);
        let (town, runtime) = (self.clone(), process.runtime.clone());
        let mut random = self.world.random();
        process.spawn(Priority::Normal, async move {
            let names = town.crew.names(&runtime, core);
            let fleet = Path::new(FLEET).expect("a short name");
            let blocks = || BlocksClient::new(names.at(fleet.clone(), PATIENCE), Address::default());
            while names.members(&fleet).await.map_or(0, |members| members.len()) < MEMBERS {
                runtime.sleep(LOOK_EVERY).await;
            }
            let mut held: Vec<(u64, u8)> = Vec::new();
            for call in 0..town.calls {
                let frees = random.below(2) == 0 && !held.is_empty() || call * 8 > town.calls * 7;
                let is_answered = match held.pop().filter(|_| frees) {
                    Some((frame, order)) => {
                        let is_freed = blocks().free(frame, order).await.is_ok();
                        // Whoever did not answer may have done it: it is freed again, which then does nothing.
                        held.extend((!is_freed).then_some((frame, order)));
                        is_freed
                    }
                    None if frees => true,
                    None => {
                        let order = random.below(ORDERS) as u8;
                        let taken = blocks().allocate(order).await;
                        taken.map(|taken| held.extend(taken.map(|frame| (frame, order)))).is_ok()
                    }
                };
                town.done.set(town.done.get() + 1);
                town.served.set(town.served.get() + u64::from(is_answered));
                if !is_answered {
                    runtime.sleep(LOOK_EVERY).await;
                }
                if town.done.get() == town.calls {
                    town.have_one_leave();
                }
            }
            town.clients_left.set(town.clients_left.get() - 1);
        });
    }

    /// Half of the work is done: whoever has been started first and lives leaves.
    fn have_one_leave(&self) {
        let members = self.parts.members.borrow();
        let living = self.crew.living();
        let first = living.iter().find_map(|(number, _)| members.get(number));
        first.into_iter().for_each(Member::leave);
    }

    fn blocks(&self) -> Vec<Rc<Service>> {
        let blocks = self.parts.blocks.borrow();
        self.crew.living().iter().filter_map(|(number, _)| blocks.get(number).cloned()).collect()
    }

    /// Nothing is looked for, and nobody is still to be found dead, or to come in.
    fn is_quiet(&self) -> bool {
        let is_looking = self.blocks().iter().any(|blocks| blocks.carrier().container().is_recovering());
        let is_stalled = self.crew.living().iter().any(|(_, process)| !process.is_running());
        self.clients_left.get() == 0 && !is_looking && !is_stalled && !self.crew.awaits_joiner()
    }
}

struct Ends(Rc<Town>);

impl Course for Ends {
    fn dangers(&self) -> Dangers {
        let processes = (0..MEMBERS + 3).map(|number| format!("member-{number}")).collect();
        let messages = self.0.calls * u64::from(CLIENTS) * MESSAGES_PER_CALL;
        Dangers { processes, cores: self.0.crew.cores().collect(), messages }
    }

    fn is_over(&self) -> bool {
        if !self.0.is_quiet() {
            self.0.quiet_since.set(self.0.world.now());
        }
        self.0.crew.is_wiped() || self.0.world.now() - self.0.quiet_since.get() > REST
    }

    fn end(&self) -> Result<(), String> {
        if self.0.crew.is_wiped() {
            return self.0.crew.judge_wipe();
        }
        let all = self.0.blocks();
        let containers: Vec<_> = all.iter().map(|blocks| blocks.carrier().container()).collect();
        let stores: Vec<Range<u64>> =
            containers.iter().flat_map(|one| one.store().blocks()).map(Block::range).collect();
        let departing: Vec<Range<u64>> =
            containers.iter().flat_map(|one| one.departing()).map(Block::range).collect();
        self.0.owner.check(&stores, &departing)?;
        if let Some(one) = containers.iter().find(|one| one.overlaps() > 0) {
            return Err(format!("{} frames came to a member that had them", one.overlaps()));
        }
        let is_whole = departing.is_empty() && matches!(&stores[..], [all] if *all == (0..FRAMES));
        match self.0.owner.outside.borrow().is_empty() && !is_whole {
            true => {
                Err(format!("all frames are free and were not merged: {stores:?}, on the way {departing:?}"))
            }
            false => Ok(()),
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let town = &self.0;
        let all: Statistics = town.parts.blocks.borrow().values().map(|blocks| blocks.statistics()).sum();
        let figure = |key, value: u64, unit| Figure { key, value: value as f64, unit };
        vec![
            figure("calls", town.done.get(), "calls"),
            figure("served", town.served.get(), "calls"),
            figure("started", town.crew.started() as u64, "members"),
            figure("outside", town.owner.ranges().len() as u64, "blocks"),
            figure("moved", all.moved, "blocks"),
            // The first member finds all of them.
            figure("recovered", all.recovered.saturating_sub(FRAMES), "frames"),
        ]
    }
}

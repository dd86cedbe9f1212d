//! The fleet `pages` with a custodian: clients want memory and give it back at random, one of them takes all that it can get, one
//! takes many ranges, all ask for what is not their own, while members and clients end, stall, are slow or full at any message. The members are
//! `fos-pages`' own, and so is the custodian's table root's; what stands here is who starts them, and an eye on every frame.
//!
//! Naming has the first three cores, whoever starts the fleet the next, then the clients; the last is root's, and the others are
//! the members'.
//!
//! What must hold: no frame is with two processes; nobody is given a frame that another wrote and nobody zeroed; a quota is never
//! exceeded, nor said to be; nobody is refused a range because another has many; nobody gets rid of a frame that is not its own; every client that lives comes to its end beside the hog; and when
//! all is given back, the members that live keep all frames, each once.

mod client;
mod hands;
pub(crate) mod rates;
mod root;

use self::client::Client;
use self::hands::Ledger;
use self::root::Root;
use super::{Course, Scenario, naming_members};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::pages::{NAME, PagesClient};
use fos_pages::charter::{MARKS, charter, found};
use fos_runtime::fleet::Marks;
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "pages",
    about: "memory for clients at random beside a hog, while members of the fleet and clients may end",
    cores: 14,
    messages: 6_000,
    begin,
};

const NAMING: u32 = 3;
const CLIENTS: u32 = 4;
/// The first core of a member.
const FIRST: u32 = NAMING + 1 + CLIENTS;
const MEMBERS_MIN: usize = 3;
/// How long the clients wait for so many members.
const BEGIN_WITHIN: Duration = Duration::from_secs(2);
/// The key of `/`, and the fleet's.
const ROOT_KEY: DirectoryKey = DirectoryKey([0x0bad_cafe, 0x0ddb_a115]);
const KEY: DirectoryKey = DirectoryKey([0x9a9e_5000, 0xf1ee_7000]);
/// All frames of the machine: 4 MiB, not aligned to the largest block. The hog alone could have nearly all.
const FRAMES: u64 = 1024;
const FIRST_FRAME: u64 = 0x1_0123;
/// About how many messages one round of a client has.
const MESSAGES_PER_ROUND: u64 = 12;
/// How long an answer may take, ends of members included.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How often is looked whether the fleet is there.
const FLEET_LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much there is to give out, and to how many members.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// The first frame.
    pub first: u64,
    /// Ranges of frames that do not touch.
    pub ranges: u64,
    /// Frames of each.
    pub frames: u64,
    pub marks: Marks,
}

const SIZE: Size = Size {
    first: FIRST_FRAME,
    ranges: 1,
    frames: FRAMES,
    // Three members, and four when there is much to do.
    marks: Marks { members_min: MEMBERS_MIN, members_max: MEMBERS_MIN + 1, ..MARKS },
};

/// How the fleet differs from an honest one: tests plant errors here.
#[derive(Clone, Copy, Default)]
pub(crate) struct Dress {
    /// The cleaner says that it has zeroed, and has not.
    pub forgets_to_clean: bool,
    /// The custodian gives out again what is still held.
    pub forgets_holders: bool,
    /// The custodian does not hear of ends.
    pub hears_no_ends: bool,
    /// A member that ends takes what it keeps with it.
    pub loses_the_dead: bool,
}

/// What the scenario sees.
#[derive(Default)]
pub(super) struct Seen {
    pub allocations: Cell<u64>,
    pub out_of_memory: Cell<u64>,
    pub over_quota: Cell<u64>,
    pub too_many_runs: Cell<u64>,
    pub refused: Cell<u64>,
    pub grown: Cell<u64>,
    pub lost: Cell<u64>,
    /// The clients begin.
    pub may_begin: Cell<bool>,
    pub outcome: RefCell<Option<Result<(), String>>>,
}

struct Pages {
    clients: Vec<Client>,
    seen: Rc<Seen>,
    messages: u64,
    cores: u32,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Dress::default())
}

/// The same with other members or another custodian: tests plant errors here.
pub(crate) fn begin_with(world: &World, messages: u64, dress: Dress) -> Box<dyn Course> {
    let cores = world.cores().max(FIRST + 3);
    let naming = naming_members::start(world, NAMING, 0, ROOT_KEY, |_, _| ());
    let naming: Vec<_> = naming.iter().map(|member| member.address(Class::External)).collect();
    let seen = Rc::<Seen>::default();
    let ledger = Ledger::new(world, dress);
    let member_cores: Vec<u16> = (FIRST as u16..cores as u16 - 1).collect();
    let root = Root::start(
        world,
        cores - 1,
        naming.clone(),
        member_cores,
        ledger.clone(),
        seen.clone(),
        dress,
        SIZE,
    );
    let rounds = (messages / MESSAGES_PER_ROUND / u64::from(CLIENTS)).max(4);
    let clients: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            Client::start(world, number, NAMING + 1 + number, &naming, rounds, ledger.clone(), seen.clone())
        })
        .collect();
    clients.iter().for_each(|client| root.know(client.process()));
    let starter = world.start("starter", NAMING);
    let names = Names::new(starter.runtime.clone(), naming, (0, NAMING as u16));
    let runtime = starter.runtime.clone();
    let (own, watched, root_of) = (seen.clone(), clients.clone(), root.clone());
    starter.spawn(Priority::Normal, async move {
        let made = charter(KEY, SIZE.marks).map_err(|error| error.to_string());
        let Ok(charter) = made else { return };
        while found(&names, &charter, ROOT_KEY).await.is_err() {
            runtime.sleep(LOOK_EVERY).await;
        }
        let until = runtime.port().now().after(BEGIN_WITHIN);
        let is_through = || watched.iter().all(|client| client.is_through());
        while !is_through() {
            // A fleet all of whose members ended at once: the frames are the custodian's, so nothing is lost.
            root_of.keep_one();
            let serving = names.members(&charter.name).await.map_or(0, |members| members.len());
            if serving >= MEMBERS_MIN || runtime.port().now() > until {
                own.may_begin.set(true);
            }
            runtime.sleep(FLEET_LOOK_EVERY).await;
        }
        let outcome = settled(&root_of, &names, &watched, &runtime).await;
        *own.outcome.borrow_mut() = Some(outcome);
    });
    Box::new(Pages { clients, seen, messages, cores })
}

/// When all clients are through and what they held has come home, the members that run keep all of it.
async fn settled(
    root: &Rc<Root>,
    names: &Rc<Names>,
    clients: &[Client],
    runtime: &fos_runtime::Runtime,
) -> Result<(), String> {
    let deadline = runtime.port().now().after(PATIENCE);
    let mut said = String::new();
    while runtime.port().now() < deadline {
        root.keep_one();
        // A process on a core that stands still has what it has until it is buried.
        let stuck: u64 = clients
            .iter()
            .filter(|client| client.is_stuck())
            .map(|client| root.held(client.identity()))
            .sum();
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let mut kept = 0;
        for member in names.members(&path).await.unwrap_or_default() {
            let pages = PagesClient::new(runtime.within(PATIENCE), member.address);
            kept += pages.statistics().await.map_or(0, |figures| figures.kept);
        }
        if kept + stuck == FRAMES && root.is_settled() {
            return Ok(());
        }
        said = format!("members keep {kept} of {FRAMES} frames, and {stuck} are on cores that stand still");
        runtime.sleep(FLEET_LOOK_EVERY).await;
    }
    Err(format!("{said}: {}", root.table()))
}

impl Course for Pages {
    fn dangers(&self) -> Dangers {
        let members = (0..6).map(|number| format!("member-{number}"));
        let clients = (0..CLIENTS).map(|number| format!("client-{number}"));
        let cores = (NAMING + 1..self.cores - 1).collect();
        Dangers { processes: members.chain(clients).collect(), cores, messages: self.messages }
    }

    fn is_over(&self) -> bool {
        self.seen.outcome.borrow().is_some()
    }

    fn end(&self) -> Result<(), String> {
        match &*self.seen.outcome.borrow() {
            Some(outcome) => outcome.clone(),
            None => {
                let late = self.clients.iter().filter(|client| !client.is_through());
                Err(format!(
                    "not over: clients {:?} are not through",
                    late.map(Client::identity).collect::<Vec<_>>()
                ))
            }
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let seen = &self.seen;
        let figure = |key, cell: &Cell<u64>, unit| Figure { key, value: cell.get() as f64, unit };
        vec![
            figure("allocations", &seen.allocations, "requests"),
            figure("out_of_memory", &seen.out_of_memory, "requests"),
            figure("over_quota", &seen.over_quota, "requests"),
            figure("too_many_runs", &seen.too_many_runs, "requests"),
            figure("refused", &seen.refused, "requests"),
            figure("grown", &seen.grown, "members"),
            figure("lost", &seen.lost, "members"),
        ]
    }
}

//! How many pages a fleet gives out against the number of its members. Each member has clients of its own, which want 16 MiB at a
//! time, as programs do that page themselves and have as much, hold a few of those and give them back; so every page that is given out was used before and
//! is zeroed by its member, which takes as long as was measured. Nobody comes, goes or ends.
//!
//! Naming has the first core, whoever starts the fleet the next, then the members, then two clients for each; the last is root's.
//!
//! What must hold is what holds in the scenario `pages`: the same eye is on every frame.

use super::hands::Ledger;
use super::root::Root;
use super::{Dress, KEY, ROOT_KEY, Seen, Size};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::scenarios::{Course, Scenario, naming_members};
use crate::world::{Process, World};
use fos_messages::pages::{PagesClient, RUNS_MAX, Run, Wanted};
use fos_messages::rpc::{Address, CallError};
use fos_pages::charter::{MARKS, charter, found};
use fos_runtime::fleet::Marks;
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority, Within};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The scenario: of so many cores a third, but three, are members'.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "pages-rates",
    about: "memory under load, 16 MiB at a time, used and given back, with two clients for each member",
    cores: 6,
    messages: 40_000,
    begin,
};

/// Cores of naming, of whoever starts, and of root; and of each member with its clients.
const OTHERS: u32 = 3;
const CLIENTS: u32 = 2;
const CORES_PER_MEMBER: u32 = 1 + CLIENTS;
/// Frames of a request, and requests that a client has under way, and what each of them holds.
const FRAMES: u64 = 4096;
const OUTSTANDING: u32 = 2;
const HELD: usize = 1;
/// Frames for each member: what its clients may hold, and twice as much.
const FRAMES_PER_MEMBER: u64 = FRAMES * 3 * (CLIENTS * OUTSTANDING) as u64 * HELD as u64;
/// Memory begins at 1 GiB, as a machine's does: aligned.
const FIRST_FRAME: u64 = 1 << 18;
/// Of all requests, one in so many is over before the clock starts; of a request and what gives it back, so many messages.
const WARM_UP: u64 = 3;
const MESSAGES_PER_REQUEST: u64 = 12;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Before what nobody had time for is asked again.
const PAUSE: Duration = Duration::from_micros(100);
/// How long clients wait when all members are there: before, those that have come are sent clients of the others.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Done {
    requests: Cell<u64>,
    refused: Cell<u64>,
    /// When the clock started, and how many requests had been done then.
    start: Cell<Option<(u64, u64)>>,
}

struct Rates {
    world: World,
    members: u32,
    done: Rc<Done>,
    wanted: u64,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    let members = (world.cores().saturating_sub(OTHERS) / CORES_PER_MEMBER).max(1);
    let naming = naming_members::start(world, 1, 0, ROOT_KEY, |_, _| ());
    let naming: Vec<Address> = naming.iter().map(|member| member.address(Class::External)).collect();
    let seen = Rc::<Seen>::default();
    let ledger = Ledger::new(world, Dress::default());
    let first = OTHERS - 1;
    let cores: Vec<u16> = (first as u16..(first + members) as u16).collect();
    let number = members as usize;
    let marks = Marks { members_min: number, members_max: number, ..MARKS };
    let size = Size { first: FIRST_FRAME, ranges: number as u64, frames: FRAMES_PER_MEMBER, marks };
    let root = Root::start(
        world,
        world.cores() - 1,
        naming.clone(),
        cores.clone(),
        ledger.clone(),
        seen,
        Dress::default(),
        size,
    );
    let starter = world.start("starter", 1);
    let names = Names::new(starter.runtime.clone(), naming, (0, 1));
    let clients: Vec<Process> = (0..members * CLIENTS)
        .map(|client| world.start(&format!("client-{client}"), first + members + client))
        .collect();
    clients.iter().for_each(|client| root.know(client));
    let done = Rc::<Done>::default();
    let (own, runtime) = (done.clone(), starter.runtime.clone());
    starter.spawn(Priority::Normal, async move {
        let Ok(charter) = charter(KEY, marks) else { return };
        while found(&names, &charter, ROOT_KEY).await.is_err() {
            runtime.sleep(LOOK_EVERY).await;
        }
        let started: Vec<Process> = cores.iter().map(|core| root.start_member(*core).1).collect();
        while names.members(&charter.name).await.map_or(0, |members| members.len()) < number {
            runtime.sleep(LOOK_EVERY).await;
        }
        runtime.sleep(SETTLED_AFTER).await;
        for (place, process) in clients.iter().enumerate() {
            for lane in 0..OUTSTANDING {
                let member = Cell::new(started[place % number].address(Class::External));
                let (process, ledger, done) = (process.clone(), ledger.clone(), own.clone());
                let client = Client { process: process.clone(), member, ledger, done };
                process.spawn(Priority::Normal, client.work(u64::from(lane) << 48));
            }
        }
    });
    Box::new(Rates { world: world.clone(), members, done, wanted: (messages / MESSAGES_PER_REQUEST).max(1) })
}

/// One of a client's requests under way.
struct Client {
    process: Process,
    member: Cell<Address>,
    ledger: Rc<Ledger>,
    done: Rc<Done>,
}

impl Client {
    async fn work(self, mut tag: u64) {
        let mut held: Vec<Vec<Run>> = Vec::new();
        loop {
            tag += 1;
            match self.pages().allocate(Wanted { tag, frames: FRAMES as u32, order: 0 }).await {
                Ok(runs) => {
                    runs.iter().for_each(|run| self.ledger.uses(self.process.identity.0, run));
                    held.push(runs);
                }
                Err(CallError::Refused(_)) => self.done.refused.set(self.done.refused.get() + 1),
                Err(why) => {
                    tag -= 1;
                    self.go_on(&why).await;
                    continue;
                }
            }
            if held.len() >= HELD {
                self.give_back(held.remove(0)).await;
            }
            self.done.requests.set(self.done.requests.get() + 1);
        }
    }

    fn pages(&self) -> PagesClient<Within> {
        PagesClient::new(self.process.runtime.within(PATIENCE), self.member.get())
    }

    /// The same is to be asked again: of another member, or later.
    async fn go_on<E>(&self, why: &CallError<E>) {
        match why {
            CallError::Redirected(elsewhere) => self.member.set(*elsewhere),
            _ => self.process.runtime.sleep(PAUSE).await,
        }
    }

    async fn give_back(&self, runs: Vec<Run>) {
        runs.iter().for_each(|run| self.ledger.delete(self.process.identity.0, run.handle));
        let firsts: Vec<u64> = runs.iter().map(|run| run.range.first).collect();
        for firsts in firsts.chunks(RUNS_MAX) {
            while let Err(why) = self.pages().give_back(firsts.to_vec()).await {
                self.go_on(&why).await;
            }
        }
    }
}

impl Course for Rates {
    fn dangers(&self) -> Dangers {
        Dangers::default()
    }

    fn is_over(&self) -> bool {
        let requests = self.done.requests.get();
        if self.done.start.get().is_none() && requests >= self.wanted / WARM_UP {
            self.done.start.set(Some((self.world.now(), requests)));
        }
        requests >= self.wanted
    }

    fn end(&self) -> Result<(), String> {
        let refused = self.done.refused.get();
        if refused == 0 { Ok(()) } else { Err(format!("{refused} requests were refused")) }
    }

    fn figures(&self, world: &World) -> Vec<Figure> {
        let (at, before) = self.done.start.get().unwrap_or((world.now(), 0));
        let seconds = (world.now() - at).max(1) as f64 / 1e9;
        let pages = (self.done.requests.get() - before) * FRAMES;
        vec![
            Figure { key: "members", value: f64::from(self.members), unit: "members" },
            Figure { key: "pages_per_second", value: pages as f64 / seconds, unit: "1/s" },
        ]
    }
}

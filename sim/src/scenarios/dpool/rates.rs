//! How much a pool hands out against the number of its members and clients, by scheme. So many cores are clients', the others are
//! members'; nobody comes, goes or ends. Each member has as many numbers at first.
//!
//! A client has four calls under way. Each takes numbers one by one at the member that is its own, until it holds a handful, and gives
//! them back one by one: five in seven there, the others at one of the first quarter of the members. So those have too many all the
//! time, and the others too few: what a pool of frames sees whose programs end elsewhere than they began. The first quarter is the
//! own one of half as many calls as the others are, so that all members have about as much to do, however many clients there are: what
//! is measured is to be the pool, and not the worst place of a load.
//!
//! What must hold: no number is handed out that is outside, and at the end each is outside or at one member.

use super::numbers::{NumbersClient, NumbersDispatcher, NumbersInterface, Owner, Server};
use super::stocks;
use crate::faults::Dangers;
use crate::run::Figure;
use crate::scenarios::{Course, Scenario};
use crate::world::{Process, World};
use crate::{Account, Random};
use fos_carrier::{Seat, Switchboard};
use fos_container::{Epoch, Member, Statistics};
use fos_dpool::{Policy, Scheme, Service};
use fos_runtime::port::Class;
use fos_runtime::{Histogram, Priority, Within};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The ways a pool may work, by the names of their scenarios.
pub const SCHEMES: [(&str, Policy); 6] = [
    ("single", Policy::SINGLE),
    ("on-demand", Policy::distributed(Scheme::OnDemand)),
    ("bulk", Policy::distributed(Scheme::Bulk)),
    ("pull", Policy::distributed(Scheme::Pull)),
    ("push", Policy::distributed(Scheme::Push)),
    ("estimate", Policy::distributed(Scheme::Estimate)),
];
/// How many clients.
pub const CLIENTS: [u32; 6] = [1, 4, 16, 64, 128, 256];

/// Numbers of each member at first, and those that each client may hold beside them.
pub const PER_MEMBER: u64 = 128;
/// Calls that a client has under way.
pub const OUTSTANDING: u32 = 4;
/// Numbers that each of them holds at most.
pub const HANDFUL: usize = 8;
/// Of so many numbers that are given back, so many go elsewhere.
pub const ELSEWHERE: (u64, u64) = (2, 7);
/// Of so many members, one gets those.
pub const GETTERS: u32 = 4;
/// Of all requests, one in so many is over before the clock starts.
const WARM_UP: u64 = 4;
const WITHIN: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_micros(20);
const DOUBLINGS: u32 = 6;
/// Messages of one request and its answer.
const MESSAGES_PER_REQUEST: u64 = 2;

const fn scenario<const SCHEME: usize, const CLIENTS: u32>(name: &'static str) -> Scenario {
    let about = "a pool under load: numbers are taken everywhere and given back to some, the number of clients in the name";
    Scenario { name, about, cores: CLIENTS + 4, messages: 20_000, begin: begin::<SCHEME, CLIENTS> }
}

macro_rules! of_scheme {
    ($scheme:literal, $name:literal) => {
        [
            scenario::<$scheme, 1>(concat!("dpool-", $name, "-1")),
            scenario::<$scheme, 4>(concat!("dpool-", $name, "-4")),
            scenario::<$scheme, 16>(concat!("dpool-", $name, "-16")),
            scenario::<$scheme, 64>(concat!("dpool-", $name, "-64")),
            scenario::<$scheme, 128>(concat!("dpool-", $name, "-128")),
            scenario::<$scheme, 256>(concat!("dpool-", $name, "-256")),
        ]
    };
}

/// A scenario for each scheme and number of clients, in the order of [`SCHEMES`] and [`CLIENTS`].
pub static SCENARIOS: [[Scenario; CLIENTS.len()]; SCHEMES.len()] = [
    of_scheme!(0, "single"),
    of_scheme!(1, "on-demand"),
    of_scheme!(2, "bulk"),
    of_scheme!(3, "pull"),
    of_scheme!(4, "push"),
    of_scheme!(5, "estimate"),
];

/// What was done so far.
#[derive(Default)]
struct Ledger {
    taken: Cell<u64>,
    done: Cell<u64>,
    refused: Cell<u64>,
    latency: RefCell<Histogram>,
    start: OnceCell<Mark>,
}

/// A moment, and what had been done by then.
#[derive(Clone)]
struct Mark {
    at: u64,
    taken: u64,
    done: u64,
    statistics: Statistics,
    /// Of each member.
    accounts: Vec<Account>,
}

struct Rates {
    world: World,
    members: Rc<Vec<Process>>,
    pools: Vec<Rc<Service<u64>>>,
    owner: Rc<Owner>,
    ledger: Rc<Ledger>,
    wanted: u64,
    warm_up: u64,
}

fn begin<const SCHEME: usize, const CLIENTS: u32>(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, SCHEMES[SCHEME].1, CLIENTS)
}

/// The same with any policy, as thresholds are chosen.
pub(crate) fn begin_with(world: &World, messages: u64, policy: Policy, clients: u32) -> Box<dyn Course> {
    world.knows::<NumbersInterface>();
    let members = world.cores().saturating_sub(clients).max(1);
    let clients = world.cores().saturating_sub(members).max(1);
    let per_member = PER_MEMBER + u64::from(clients * OUTSTANDING) * HANDFUL as u64 / u64::from(members);
    let owner = Owner::new(world, per_member * u64::from(members), Owner::inside);
    let processes: Vec<Process> =
        (0..members).map(|number| world.start(&format!("member-{number}"), number)).collect();
    let seats: Vec<Seat> = processes
        .iter()
        .map(|process| (Member(process.identity.0), process.address(Class::Internal)))
        .collect();
    let pool = |(process, number): (&Process, u64)| {
        let switchboard = Switchboard::new(&process.runtime);
        let pool = Service::new(&switchboard, 1, policy, owner.clone());
        let server = Rc::new(Server { pool: pool.clone(), owner: owner.clone() });
        process.runtime.serve(Class::External, NumbersDispatcher::new(server));
        let (own, seats) = (pool.clone(), seats.clone());
        process.spawn(Priority::Normal, async move {
            own.carrier().begin(Epoch(1), &seats);
            let numbers = number * per_member..(number + 1) * per_member;
            own.add(numbers.collect()).await.expect("a member of the first epoch serves");
        });
        pool
    };
    let pools = processes.iter().zip(0..).map(pool).collect();
    let ledger = Rc::<Ledger>::default();
    let servers: Rc<Vec<Process>> = Rc::new(processes);
    for number in 0..clients {
        let process = world.start(&format!("client-{number}"), members + number);
        for call in number * OUTSTANDING..(number + 1) * OUTSTANDING {
            let client = Client {
                process: process.clone(),
                servers: servers.clone(),
                home: home((call, clients * OUTSTANDING), members) as usize,
                random: RefCell::new(world.random()),
                ledger: ledger.clone(),
            };
            process.spawn(Priority::Normal, client.work());
        }
    }
    let wanted = (messages / MESSAGES_PER_REQUEST).max(1);
    let warm_up = wanted / WARM_UP;
    Box::new(Rates { world: world.clone(), members: servers, pools, owner, ledger, wanted, warm_up })
}

/// Which member is the own one of a call, of so many: the calls are laid out evenly over the members, of which the first quarter is
/// half as long as the others.
pub fn home((call, calls): (u32, u32), members: u32) -> u32 {
    let getters = members.div_ceil(GETTERS);
    let halves = 2 * members - getters;
    let place = ((2 * u64::from(call) + 1) * u64::from(halves) / (2 * u64::from(calls))) as u32;
    if place < getters { place } else { getters + (place - getters) / 2 }
}

/// One of a client's calls under way.
struct Client {
    process: Process,
    servers: Rc<Vec<Process>>,
    home: usize,
    random: RefCell<Random>,
    ledger: Rc<Ledger>,
}

impl Client {
    async fn work(self) {
        let mut held = Vec::new();
        loop {
            while held.len() < HANDFUL {
                match self.take().await {
                    Some(number) => held.push(number),
                    None if !held.is_empty() => break,
                    None => self.process.runtime.sleep(PAUSE).await,
                }
            }
            while let Some(number) = held.pop() {
                self.give(number).await;
            }
        }
    }

    fn at(&self, member: usize) -> NumbersClient<Within> {
        let address = self.servers[member].address(Class::External);
        NumbersClient::new(self.process.runtime.within(WITHIN), address)
    }

    async fn take(&self) -> Option<u64> {
        let began = self.process.runtime.port().now();
        for attempt in 0.. {
            match self.at(self.home).take(1).await {
                Ok(numbers) => {
                    let took = self.process.runtime.port().now().since(began);
                    self.ledger.latency.borrow_mut().record(took);
                    let place = if numbers.is_empty() { &self.ledger.refused } else { &self.ledger.taken };
                    place.set(place.get() + 1);
                    self.ledger.done.set(self.ledger.done.get() + 1);
                    return numbers.first().copied();
                }
                Err(_) => self.pause(attempt).await,
            }
        }
        None
    }

    async fn give(&self, number: u64) {
        let getters = (self.servers.len() as u64).div_ceil(u64::from(GETTERS));
        let is_elsewhere = self.random.borrow_mut().below(ELSEWHERE.1) < ELSEWHERE.0;
        let to = if is_elsewhere { self.random.borrow_mut().below(getters) as usize } else { self.home };
        for attempt in 0.. {
            match self.at(to).give(vec![number]).await {
                Ok(()) => break,
                Err(_) => self.pause(attempt).await,
            }
        }
        self.ledger.done.set(self.ledger.done.get() + 1);
    }

    async fn pause(&self, attempt: u32) {
        self.process.runtime.sleep(PAUSE * (1 << attempt.min(DOUBLINGS))).await;
    }
}

impl Rates {
    fn mark(&self) -> Mark {
        let statistics = self.pools.iter().map(|pool| pool.statistics()).sum();
        Mark {
            at: self.world.now(),
            taken: self.ledger.taken.get(),
            done: self.ledger.done.get(),
            statistics,
            accounts: self.members.iter().map(Process::account).collect(),
        }
    }

    /// Which share of the time members were busy: all, the quarter that is given to, and the others; and of all, with waking.
    fn busy(start: &Mark, now: &Mark) -> [f64; 4] {
        let since = |(before, after): (&Account, &Account)| Account {
            busy: after.busy - before.busy,
            waking: after.waking - before.waking,
        };
        let spent: Vec<Account> = start.accounts.iter().zip(&now.accounts).map(since).collect();
        let nanoseconds = (now.at - start.at).max(1) as f64;
        let mean = |spent: &[Account], of: fn(&Account) -> u64| {
            spent.iter().map(of).sum::<u64>() as f64 / spent.len().max(1) as f64 / nanoseconds
        };
        let (getters, others) = spent.split_at(spent.len().div_ceil(GETTERS as usize));
        let busy = |account: &Account| account.busy;
        [mean(&spent, busy), mean(getters, busy), mean(others, busy), mean(&spent, |account| account.waking)]
    }
}

impl Course for Rates {
    fn dangers(&self) -> Dangers {
        Dangers::default()
    }

    fn is_over(&self) -> bool {
        if self.ledger.done.get() >= self.warm_up {
            self.ledger.start.get_or_init(|| {
                *self.ledger.latency.borrow_mut() = Histogram::default();
                self.mark()
            });
        }
        self.ledger.done.get() >= self.wanted
    }

    fn end(&self) -> Result<(), String> {
        self.owner.check_moving(&stocks(&self.pools), &super::departing(&self.pools))
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let now = self.mark();
        let start = self.ledger.start.get().unwrap_or(&now);
        let [busy, busy_given, busy_others, waking] = Rates::busy(start, &now);
        let seconds = (now.at - start.at).max(1) as f64 / 1e9;
        let (before, after) = (start.statistics, now.statistics);
        let taken = (now.taken - start.taken).max(1) as f64;
        let latency = self.ledger.latency.borrow();
        let share = |share| latency.permille(share).as_nanos() as f64;
        let figure = |key, value, unit| Figure { key, value, unit };
        vec![
            figure("members", self.pools.len() as f64, "members"),
            figure("requests_per_second", (now.done - start.done) as f64 / seconds, "1/s"),
            figure("takes_per_second", taken / seconds, "1/s"),
            figure("stalls", (after.stalls - before.stalls) as f64 / taken, "share"),
            figure("messages_per_element", (after.messages - before.messages) as f64 / taken, "messages"),
            figure("moved_per_element", (after.moved - before.moved) as f64 / taken, "elements"),
            figure("take_median", share(500), "ns"),
            figure("take_99", share(990), "ns"),
            figure("busy", busy, "share"),
            figure("busy_given_to", busy_given, "share"),
            figure("busy_others", busy_others, "share"),
            figure("waking", waking, "share"),
            figure("exhausted", self.ledger.refused.get() as f64, "takes"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls have each member as their own.
    fn counts(clients: u32, members: u32) -> Vec<u32> {
        let calls = clients * OUTSTANDING;
        let mut counts = vec![0; members as usize];
        (0..calls).for_each(|call| counts[home((call, calls), members) as usize] += 1);
        counts
    }

    #[test]
    fn members_of_the_first_quarter_have_half_as_many_calls_of_their_own() {
        for members in [1, 4, 16, 64] {
            for clients in CLIENTS {
                let counts = counts(clients, members);
                let (getters, others) = counts.split_at(members.div_ceil(GETTERS) as usize);
                let span = |counts: &[u32]| {
                    (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0))
                };
                let ((least, most), (least_other, most_other)) = (span(getters), span(others));
                assert!(most - least <= 1 && most_other - least_other <= 1, "{counts:?}");
                if members > 1 {
                    assert!(2 * least <= most_other + 1 && least_other <= 2 * most + 1, "{counts:?}");
                }
            }
        }
    }
}

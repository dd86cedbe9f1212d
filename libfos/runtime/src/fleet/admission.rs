//! The door for clients: who is let in, and who is sent to another member. Whoever is sent elsewhere is told where, and goes
//! on there with all its later calls.
//!
//! A member sends away everybody when it leaves; when it is overloaded, in each beat the client that evens out the two best,
//! and none that would be as much too many there; and when another has come, those clients that the newcomer has by the fleet's
//! roster, so that it gets its share of those that are there already.

use super::meter::Meter;
use super::roster::Roster;
use crate::{Instant, Runtime};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::fleet::{Figure, Seat};
use fos_messages::rpc::{Address, AnswerBody, Context, Interface, Outgoing, Serve, Served};

/// How long clients are sent to a member that has come.
const WELCOME: Duration = Duration::from_millis(500);

/// Clients whose requests are counted for whoever places members.
const TRAFFIC_MAX: usize = 256;

/// For whom the door is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// For nobody yet.
    #[default]
    Shut,
    /// For everybody.
    Open,
    /// For nobody any more.
    Leaving,
}

/// The door of one member.
#[derive(Default)]
pub struct Admission {
    /// What came in.
    pub meter: Rc<Meter>,
    door: Cell<Door>,
    /// Who has least to do of the others that serve.
    other: Cell<Option<Address>>,
    /// Requests of each client since the figures were looked at.
    arrived: RefCell<BTreeMap<u64, u32>>,
    /// The same since whoever places members asked.
    traffic: RefCell<BTreeMap<u64, u32>>,
    /// Who is to be sent there.
    surplus: Cell<Option<Identity>>,
    welcome: RefCell<Option<Welcome>>,
}

/// A member that has come.
struct Welcome {
    seat: Seat,
    roster: Roster,
    until: Instant,
}

impl Admission {
    /// For whom it is open.
    pub fn door(&self) -> Door {
        self.door.get()
    }

    /// Opens or shuts it. Who leaves opens no more.
    pub fn set_door(&self, door: Door) {
        if self.door.get() != Door::Leaving {
            self.door.set(door);
        }
    }

    /// A member has come and serves: its share of the clients is sent there for a while.
    pub fn welcome(&self, seat: Seat, roster: Roster, now: Instant) {
        *self.welcome.borrow_mut() = Some(Welcome { seat, roster, until: now.after(WELCOME) });
    }

    /// Nobody is sent there any more.
    pub fn forget(&self, identity: Identity) {
        self.welcome.borrow_mut().take_if(|welcome| welcome.seat.identity() == identity);
        if self.other.get().is_some_and(|other| other.identity == identity) {
            self.other.set(None);
        }
    }

    /// Where the other members stand. If this one has more wait than `above`, and another less than half of it, the client
    /// that evens them out best is sent there.
    pub fn steer(&self, own: &Figure, others: &[(Seat, Figure)], above: Duration) {
        let can_serve = |(_, figure): &&(Seat, Figure)| figure.is_open && !figure.is_leaving;
        let least = others.iter().filter(can_serve).min_by_key(|(_, figure)| figure.wait_nanoseconds);
        self.other.set(least.map(|(seat, _)| seat.external));
        let arrived = self.arrived.take();
        let is_overloaded = |(_, figure): &&(Seat, Figure)| {
            let wait = own.wait_nanoseconds;
            u128::from(wait) > above.as_nanos() && figure.wait_nanoseconds < wait / 2
        };
        let surplus = least.filter(is_overloaded).and_then(|(_, figure)| {
            let even = own.requests_permille.saturating_sub(figure.requests_permille) / 2;
            best_client(&arrived, own.requests_permille, even)
        });
        self.surplus.set(surplus);
    }

    /// Requests of each client since this was asked last; of so many as are counted.
    pub(super) fn take_traffic(&self) -> Vec<(Identity, u32)> {
        self.traffic.take().into_iter().map(|(client, requests)| (Identity(client), requests)).collect()
    }

    /// What this client is answered instead of being let in.
    pub(super) fn instead(&self, client: Identity, now: impl FnOnce() -> Instant) -> Option<AnswerBody> {
        match self.door.get() {
            Door::Shut => return Some(AnswerBody::NotNow),
            Door::Leaving => {
                return Some(self.other.get().map_or(AnswerBody::NotNow, AnswerBody::Redirected));
            }
            Door::Open => {}
        }
        if let Some(welcome) = &*self.welcome.borrow()
            && now() < welcome.until
            && welcome.roster.owner(client.0) == Some(&welcome.seat)
        {
            return Some(AnswerBody::Redirected(welcome.seat.external));
        }
        if self.surplus.get() == Some(client) {
            return self.other.get().map(AnswerBody::Redirected);
        }
        *self.arrived.borrow_mut().entry(client.0).or_default() += 1;
        let mut traffic = self.traffic.borrow_mut();
        if traffic.len() < TRAFFIC_MAX || traffic.contains_key(&client.0) {
            *traffic.entry(client.0).or_default() += 1;
        }
        None
    }
}

/// The client with the most requests that has no more than `even` of the `all` under way, by its share of those that arrived:
/// who has more would only carry the load from one member to the other.
fn best_client(arrived: &BTreeMap<u64, u32>, all: u32, even: u32) -> Option<Identity> {
    let count: u64 = arrived.values().copied().map(u64::from).sum();
    let fits = |requests: u32| u64::from(requests) * u64::from(all) <= u64::from(even) * count;
    let fitting = arrived.iter().filter(|(_, requests)| fits(**requests));
    fitting.max_by_key(|(_, requests)| **requests).map(|(client, _)| Identity(*client))
}

/// A service behind the door. What wants no answer is let in always: its sender would not hear where to go.
pub struct Admitted<I> {
    admission: Rc<Admission>,
    runtime: Runtime,
    service: Rc<dyn Serve>,
    interface: PhantomData<I>,
}

impl<I: Interface> Admitted<I> {
    /// This service behind that door.
    pub fn new(admission: Rc<Admission>, runtime: Runtime, service: Rc<dyn Serve>) -> Rc<Admitted<I>> {
        Rc::new(Admitted { admission, runtime, service, interface: PhantomData })
    }
}

impl<I: Interface> Serve for Admitted<I> {
    fn speaks(&self) -> (u16, u8) {
        self.service.speaks()
    }

    fn serve(self: Rc<Self>, operation: u16, context: Context, body: &[u8], room: Outgoing) -> Served {
        let now = || self.runtime.port().now();
        let is_post = I::OPERATIONS.get(usize::from(operation)).is_some_and(|known| known.is_post);
        if !is_post && let Some(instead) = self.admission.instead(context.sender, now) {
            return Served::Answer(instead);
        }
        let came = now();
        let served = self.service.clone().serve(operation, context, body, room);
        self.admission.meter.count(&self.runtime, came, served)
    }
}

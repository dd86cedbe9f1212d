//! What is in a member's hands: neither in a pool nor in its book, since the member is about to do one of both.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ops::Bound;
use core::time::Duration;
use fos_dpool::Element;
use fos_messages::lending::{LendingPeers, LendingPeersClient, LendingPeersDispatcher, PAGE};
use fos_messages::rpc::{Address, Context, Instead, Never, wire};
use fos_runtime::Runtime;
use fos_runtime::port::Class;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long another member may take for a page.
const PAGE_WITHIN: Duration = Duration::from_millis(500);

/// A hand, whatever is in it.
trait Shows {
    fn page(&self, after: &[u8]) -> Option<Vec<Vec<u8>>>;
}

/// What is in this member's hands of one pool.
pub(crate) struct Hand<T> {
    elements: RefCell<BTreeSet<T>>,
    /// How often it was looked what is in it.
    looks: Cell<u64>,
}

impl<T: Element> Hand<T> {
    pub fn hold(&self, elements: &[T]) {
        self.elements.borrow_mut().extend(elements.iter().cloned());
    }

    pub fn let_go(&self, elements: &[T]) {
        let mut held = self.elements.borrow_mut();
        elements.iter().for_each(|element| _ = held.remove(element));
    }

    pub fn is_empty(&self) -> bool {
        self.elements.borrow().is_empty()
    }

    pub fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// Looks what is in it.
    pub fn elements(&self) -> BTreeSet<T> {
        self.looks.set(self.looks.get() + 1);
        self.elements.borrow().clone()
    }
}

impl<T: Element + Serialize + DeserializeOwned> Shows for Hand<T> {
    fn page(&self, after: &[u8]) -> Option<Vec<Vec<u8>>> {
        self.looks.set(self.looks.get() + 1);
        let held = self.elements.borrow();
        let from = match after.is_empty() {
            true => None,
            false => Some(wire::whole(after, wire::read::<T>)?),
        };
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        held.range((from, Bound::Unbounded)).take(PAGE).map(bytes).collect()
    }
}

fn bytes<T: Serialize>(element: &T) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    wire::write(element, &mut bytes).ok()?;
    Some(bytes)
}

/// The hands of a process: of all its pools.
pub struct Hands {
    runtime: Runtime,
    hands: RefCell<BTreeMap<u16, Weak<dyn Shows>>>,
}

impl Hands {
    /// Shows the other members from now on what is in this one's hands.
    pub fn new(runtime: &Runtime) -> Rc<Hands> {
        let hands = Rc::new(Hands { runtime: runtime.clone(), hands: RefCell::default() });
        runtime.serve(Class::Internal, LendingPeersDispatcher::new(Rc::new(Service(hands.clone()))));
        hands
    }

    pub(crate) fn hand<T>(&self, pool: u16) -> Rc<Hand<T>>
    where
        T: Element + Serialize + DeserializeOwned + 'static,
    {
        let hand = Rc::new(Hand { elements: RefCell::default(), looks: Cell::new(0) });
        let shows: Rc<dyn Shows> = hand.clone();
        self.hands.borrow_mut().insert(pool, Rc::downgrade(&shows));
        hand
    }

    /// What is in another member's hands. None: it did not say.
    pub(crate) async fn of<T: Element + DeserializeOwned>(
        &self,
        member: Address,
        pool: u16,
    ) -> Option<Vec<T>> {
        let client = LendingPeersClient::new(self.runtime.within(PAGE_WITHIN), member);
        let (mut found, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = client.in_hand(pool, after).await.ok()?;
            for element in &page {
                found.push(wire::whole(element, wire::read::<T>)?);
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = last,
                None => return Some(found),
            }
        }
    }
}

struct Service(Rc<Hands>);

impl LendingPeers for Service {
    fn in_hand(&self, _: Context, pool: u16, after: Vec<u8>) -> Result<Vec<Vec<u8>>, Instead<Never>> {
        let hand = self.0.hands.borrow().get(&pool).and_then(Weak::upgrade);
        // A pool that this process does not have yet: its member is about to join.
        hand.and_then(|hand| hand.page(&after)).ok_or(Instead::NotNow)
    }
}

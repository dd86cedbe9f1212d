//! A pool whose records are the members' hands and a book.

use crate::hand::{Hand, Hands};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::time::Duration;
use fos_carrier::Switchboard;
use fos_container::Epoch;
use fos_dpool::{Coming, Element, Policy, Question, Records, Service};
use fos_messages::rpc::Address;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long to wait before a member or the book is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Where it stands which elements are outside or used up. Every member reads the same, and no end of one loses anything of it.
pub trait Book<T> {
    /// All that there are and that are neither outside nor used up. None: it can't be read now.
    fn inside(&self) -> Coming<Option<Vec<T>>>;
}

/// A pool, and what this member has taken of it or is about to put in.
pub struct Lending<T: Element> {
    records: Rc<Kept<T>>,
    pool: Rc<Service<T>>,
}

impl<T: Element + Serialize + DeserializeOwned + 'static> Lending<T> {
    /// A pool under a number that is its own in this process and the same at all members.
    pub fn new(
        hands: &Rc<Hands>,
        switchboard: &Rc<Switchboard>,
        number: u16,
        policy: Policy,
        book: Rc<dyn Book<T>>,
    ) -> Rc<Lending<T>> {
        let hand = hands.hand(number);
        let records = Rc::new(Kept { hand, hands: hands.clone(), number, book, pool: OnceCell::new() });
        let pool = Service::new(switchboard, number, policy, records.clone());
        let _ = records.pool.set(Rc::downgrade(&pool));
        Rc::new(Lending { records, pool })
    }

    /// The pool. What is removed from it is in hand, and what is added is not any more, in the same step.
    pub fn pool(&self) -> &Rc<Service<T>> {
        &self.pool
    }

    /// These come into this member's hands: it is about to strike them from the book.
    pub fn hold(&self, elements: &[T]) {
        self.records.hand.hold(elements);
    }

    /// The book has these now, as outside or used up.
    pub fn let_go(&self, elements: &[T]) {
        self.records.hand.let_go(elements);
    }

    /// How often somebody has looked what is in this member's hands, for what ended members had. What was held in vain at a look is
    /// not found by it.
    pub fn looks(&self) -> u64 {
        self.records.hand.looks()
    }

    /// Whether nothing is in this member's hands. Who leaves waits for it: a pool that is left does not look for anything.
    pub fn is_empty_handed(&self) -> bool {
        self.records.hand.is_empty()
    }
}

/// The records.
struct Kept<T: Element> {
    hand: Rc<Hand<T>>,
    hands: Rc<Hands>,
    number: u16,
    book: Rc<dyn Book<T>>,
    pool: OnceCell<Weak<Service<T>>>,
}

impl<T: Element + Serialize + DeserializeOwned + 'static> Records<T> for Kept<T> {
    fn handed_out(&self, elements: &[T]) {
        self.hand.hold(elements);
    }

    fn given_back(&self, elements: &[T]) {
        self.hand.let_go(elements);
    }

    fn left_by(&self, question: &Question<T>) -> Coming<Vec<T>> {
        let epoch = question.epoch;
        let look = Look {
            hand: self.hand.clone(),
            hands: self.hands.clone(),
            number: self.number,
            book: self.book.clone(),
        };
        let pool = self.pool.get().cloned().unwrap_or_default();
        Box::pin(async move {
            // When the epoch is over or the member has stopped, nobody waits for the answer any more.
            while let Some((seats, runtime)) = pool.upgrade().and_then(|pool| seats_of(&pool, epoch)) {
                if let Some(found) = look.once(&seats).await {
                    return found;
                }
                runtime.sleep(AGAIN_AFTER).await;
            }
            Vec::new()
        })
    }
}

/// Where the other members of an epoch are asked, if it is the one in force.
fn seats_of<T>(pool: &Service<T>, epoch: Epoch) -> Option<(Vec<Address>, fos_runtime::Runtime)>
where
    T: Element + Serialize + DeserializeOwned + 'static,
{
    let carrier = pool.carrier();
    let (now, seats) = carrier.seats();
    let others = seats.into_iter().map(|(_, address)| address);
    let me = carrier.runtime().port().identity();
    let others = others.filter(|address| address.identity != me).collect();
    (now == epoch && !carrier.has_stopped()).then(|| (others, carrier.runtime().clone()))
}

/// A look for what ended members had.
struct Look<T: Element> {
    hand: Rc<Hand<T>>,
    hands: Rc<Hands>,
    number: u16,
    book: Rc<dyn Book<T>>,
}

impl<T: Element + Serialize + DeserializeOwned + 'static> Look<T> {
    /// What is inside by the book and in nobody's hands, neither before it was read nor after. The README says why twice.
    async fn once(&self, others: &[Address]) -> Option<Vec<T>> {
        let before = self.in_hands(others).await?;
        let inside = self.book.inside().await?;
        let after = self.in_hands(others).await?;
        let is_nobodys = |element: &T| !before.contains(element) && !after.contains(element);
        Some(inside.into_iter().filter(is_nobodys).collect())
    }

    async fn in_hands(&self, others: &[Address]) -> Option<BTreeSet<T>> {
        let mut held = self.hand.elements();
        for other in others {
            held.extend(self.hands.of::<T>(*other, self.number).await?);
        }
        Some(held)
    }
}

//! A pool in a fleet: what a member's server calls. The pool itself is run by `fos-carrier`.

use crate::{Answer, Element, Policy, Pool, Question, Request};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::pin::Pin;
use fos_carrier::{Carrier, Switchboard};
use fos_container::{Member, Statistics};
use fos_runtime::Priority;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What comes of something, later.
pub type Coming<T> = Pin<Box<dyn Future<Output = T>>>;

/// What the owner of the elements knows of them apart from the pool: its records. They are told of each element that goes out or
/// comes in, in the very step in which it does; so they are never behind what members say of each other.
pub trait Records<T> {
    /// These are outside from now on.
    fn handed_out(&self, elements: &[T]);

    /// These are inside from now on.
    fn given_back(&self, elements: &[T]);

    /// Answers a [`Question`]: which elements that nobody outside has the ended members may have had, at some time after this was
    /// called.
    fn left_by(&self, question: &Question<T>) -> Coming<Vec<T>>;
}

/// This member is none yet, or leaves: ask another. What was to be added is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotServing<T>(pub Vec<T>);

/// Why there are no elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveError {
    /// No member had as many to give when asked.
    Exhausted,
    /// Too many removes wait here: try later, or another member.
    Busy,
    /// This member is none yet, or leaves: ask another.
    NotServing,
}

impl core::fmt::Display for RemoveError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            RemoveError::Exhausted => {
                "the pool has too few elements: try again when some have been given back"
            }
            RemoveError::Busy => "too many removes wait at this member of the pool: try later, or another",
            RemoveError::NotServing => "this member of the pool does not serve: ask another",
        })
    }
}

impl core::error::Error for RemoveError {}

/// One member's pool.
pub struct Service<T: Element> {
    carrier: Rc<Carrier<Pool<T>>>,
    records: Rc<dyn Records<T>>,
}

impl<T: Element + Serialize + DeserializeOwned + 'static> Service<T> {
    /// A pool under a number that is its own in this process and the same at all members.
    pub fn new(
        switchboard: &Rc<Switchboard>,
        number: u16,
        policy: Policy,
        records: Rc<dyn Records<T>>,
    ) -> Rc<Service<T>> {
        let me = Member(switchboard.identity().0);
        let carrier = Carrier::new(switchboard, number, policy.thresholds.period, Pool::new(me, policy));
        let witness = records.clone();
        carrier.set_witness(move |answer| {
            if let Answer::Removed(elements) = answer {
                witness.handed_out(elements);
            }
        });
        let (weak, owner) = (Rc::downgrade(&carrier), records.clone());
        carrier.set_owner(move |question: Question<T>| {
            let Some(carrier) = weak.upgrade() else { return };
            let records = owner.clone();
            carrier.runtime().clone().spawn(Priority::Normal, async move {
                let elements = records.left_by(&question).await;
                // In vain if it has stopped: then another member asks again.
                let _ = carrier.post(Request::Found { epoch: question.epoch, elements });
            });
        });
        let (weak, owner) = (Rc::downgrade(&carrier), records.clone());
        carrier.set_heir(move |answer| {
            if let (Answer::Removed(elements), Some(carrier)) = (answer, weak.upgrade()) {
                // A member that does not serve any more leaves them to be found when it ends.
                owner.given_back(&elements);
                let _ = carrier.post(Request::Add(elements));
            }
        });
        Rc::new(Service { carrier, records })
    }

    /// What runs it: for its epochs, for leaving, for looking into it.
    pub fn carrier(&self) -> &Rc<Carrier<Pool<T>>> {
        &self.carrier
    }

    /// Puts elements in, none of which may be in already. They are in when this is polled first.
    pub async fn add(&self, elements: Vec<T>) -> Result<(), NotServing<T>> {
        let kept = elements.clone();
        self.records.given_back(&kept);
        // The answer is there when this is polled first: nobody is heard in between.
        match self.carrier.ask(Request::Add(elements)).await {
            Ok(Answer::NotServing(_)) | Err(_) => {
                self.records.handed_out(&kept);
                Err(NotServing(kept))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Takes one.
    pub async fn remove_one(&self) -> Result<T, RemoveError> {
        let mut elements = self.remove(1, 1).await?;
        elements.pop().ok_or(RemoveError::Exhausted)
    }

    /// Takes at least and at most so many. If the caller waits no more, they go back.
    pub async fn remove(&self, least: usize, most: usize) -> Result<Vec<T>, RemoveError> {
        match self.carrier.ask(Request::Remove { least, most }).await {
            Ok(Answer::Removed(elements)) => Ok(elements),
            Ok(Answer::Exhausted) => Err(RemoveError::Exhausted),
            Ok(Answer::Busy) => Err(RemoveError::Busy),
            Ok(_) | Err(_) => Err(RemoveError::NotServing),
        }
    }

    /// What this member's pool has done so far.
    pub fn statistics(&self) -> Statistics {
        self.carrier.statistics()
    }
}

//! Blocks in a fleet: what a member's server calls. The blocks themselves are run by `fos-carrier`.

use crate::{Answer, Block, Buddy, Question, Request};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Range;
use core::pin::Pin;
use core::time::Duration;
use fos_carrier::{Carrier, Switchboard};
use fos_container::{Member, Statistics};
use fos_runtime::Priority;

/// How often halves are looked for, and what was taken is confirmed.
const PERIOD: Duration = Duration::from_millis(1);

/// What comes of something, later.
pub type Coming<T> = Pin<Box<dyn Future<Output = T>>>;

/// What the owner of the frames knows of them apart from the members: its records. They are told of each block that goes out or
/// comes in, in the very step in which it does; so they are never behind what members say of each other.
pub trait Records {
    /// This is outside from now on.
    fn handed_out(&self, block: Block);

    /// This is inside from now on.
    fn given_back(&self, block: Block);

    /// Answers a [`Question`]: all frames that are not outside, at some time after this was called.
    fn inside(&self, question: Question) -> Coming<Vec<Range<u64>>>;
}

/// Why there is no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// No member had so large a block when asked.
    Exhausted,
    /// No block has this order.
    TooLarge,
    /// Too many wait here: try later, or another member.
    Busy,
    /// This member is none yet, or leaves: ask another.
    NotServing,
}

impl core::fmt::Display for AllocateError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            AllocateError::Exhausted => "no member has so large a block: try a smaller one, or later",
            AllocateError::TooLarge => "no block is so large: the largest has 1 GiB",
            AllocateError::Busy => "too many allocations wait at this member: try later, or another",
            AllocateError::NotServing => "this member does not serve: ask another",
        })
    }
}

impl core::error::Error for AllocateError {}

/// Why a block was not taken back. It is as outside as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Some of it is free at this member already.
    Overlap,
    /// This member is none yet, or leaves: ask another.
    NotServing,
}

impl core::fmt::Display for FreeError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            FreeError::Overlap => "some of the block is free already: it was freed twice",
            FreeError::NotServing => "this member does not serve: ask another",
        })
    }
}

impl core::error::Error for FreeError {}

/// One member's blocks.
pub struct Service {
    carrier: Rc<Carrier<Buddy>>,
}

impl Service {
    /// Blocks under a number that is their own in this process and the same at all members.
    pub fn new(switchboard: &Rc<Switchboard>, number: u16, records: Rc<dyn Records>) -> Rc<Service> {
        let buddy = Buddy::new(Member(switchboard.identity().0));
        let carrier = Carrier::new(switchboard, number, PERIOD, buddy);
        let witness = records.clone();
        carrier.set_witness(move |answer| match answer {
            Answer::Allocated(block) => witness.handed_out(*block),
            Answer::Freed(block) => witness.given_back(*block),
            _ => {}
        });
        let (weak, owner) = (Rc::downgrade(&carrier), records.clone());
        carrier.set_owner(move |question: Question| {
            let Some(carrier) = weak.upgrade() else { return };
            let records = owner.clone();
            carrier.runtime().clone().spawn(Priority::Normal, async move {
                let inside = records.inside(question).await;
                // In vain if it has stopped: then another member asks again.
                let _ = carrier.post(Request::Found { epoch: question.epoch, inside });
            });
        });
        let (weak, owner) = (Rc::downgrade(&carrier), records);
        carrier.set_heir(move |answer| match (answer, weak.upgrade()) {
            (Answer::Allocated(block), Some(carrier)) if carrier.post(Request::Free(block)).is_ok() => {}
            // A member that does not serve any more leaves it to be found when it has gone.
            (Answer::Allocated(block) | Answer::NotServing(Some(block)), _) => owner.given_back(block),
            _ => {}
        });
        Rc::new(Service { carrier })
    }

    /// What runs them: for their epochs, for leaving, for looking into them.
    pub fn carrier(&self) -> &Rc<Carrier<Buddy>> {
        &self.carrier
    }

    /// Takes a block of 2^order frames. If the caller waits no more, it goes back.
    pub async fn allocate(&self, order: u8) -> Result<Block, AllocateError> {
        match self.carrier.ask(Request::Allocate { order }).await {
            Ok(Answer::Allocated(block)) => Ok(block),
            Ok(Answer::Exhausted) => Err(AllocateError::Exhausted),
            Ok(Answer::TooLarge) => Err(AllocateError::TooLarge),
            Ok(Answer::Busy) => Err(AllocateError::Busy),
            Ok(_) | Err(_) => Err(AllocateError::NotServing),
        }
    }

    /// Puts a block in that is outside, or a part of one. It is in when this is polled first.
    pub async fn free(&self, block: Block) -> Result<(), FreeError> {
        // The records are told by the witness, in the step that takes it: of what is refused they are told nothing.
        match self.carrier.ask(Request::Free(block)).await {
            Ok(Answer::Freed(_)) => Ok(()),
            Ok(Answer::Overlap(_)) => Err(FreeError::Overlap),
            Ok(_) | Err(_) => Err(FreeError::NotServing),
        }
    }

    /// What this member's blocks have done so far.
    pub fn statistics(&self) -> Statistics {
        self.carrier.statistics()
    }
}

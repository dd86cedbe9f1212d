//! What a member's server asks of its pool, and what it is answered.

use alloc::vec::Vec;
use fos_container::{Epoch, Member};

/// What a server asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request<T> {
    /// Puts elements in. None of them may be in the pool already.
    Add(Vec<T>),
    /// Takes some out: as many as are here, of at least so many and at most so many. At least one.
    Remove {
        /// With fewer nothing is taken.
        least: usize,
        /// No more than this.
        most: usize,
    },
    /// The answer to a [`Question`].
    Found {
        /// The question's.
        epoch: Epoch,
        /// What it asks for.
        elements: Vec<T>,
    },
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer<T> {
    /// They are in.
    Added,
    /// They are out. Whoever owns them records that in the same step.
    Removed(Vec<T>),
    /// Nobody had as many to give when asked. Nothing was taken.
    Exhausted,
    /// Too many removes wait here ([`WAITING_MAX`](crate::thresholds::WAITING_MAX)): try later, or another member.
    Busy,
    /// This member is none yet, or leaves: ask another. What was to be added is given back.
    NotServing(Vec<T>),
}

/// What only the owner of the elements knows: which of those that ended members had are still to be found.
///
/// The answer names every element that nobody outside the pool has and that one of `dead` may have had, free or on its way from
/// or to it; and those of `doubtful` that nobody outside has. It may name elements that living members have, as an owner does that
/// names all but those that are outside: the pool asks its members. It must not name what is outside, nor leave out what is not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question<T> {
    /// When it was asked. Of several questions only the last one's answer counts.
    pub epoch: Epoch,
    /// Members that have ended.
    pub dead: Vec<Member>,
    /// What was on its way to one of them: perhaps it came, and was handed out.
    pub doubtful: Vec<T>,
}

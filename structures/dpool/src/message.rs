//! What members say to each other.

use alloc::vec::Vec;
use fos_container::{Epoch, Member};
use serde::{Deserialize, Serialize};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message<T> {
    /// What goes with every message.
    pub header: Header,
    /// What it says.
    pub body: Body<T>,
}

/// What goes with every message, so that little has to be said by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// What its sender has.
    pub stock: u32,
    /// The last transfer from the receiver that its sender took or declined.
    pub taken: u64,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body<T> {
    /// No more than its header.
    Tell,
    /// Elements are wanted: answered by `Offer` or `Nothing`.
    Want {
        /// So many are missing. None are: then only what can be spared is wanted.
        least: u32,
        /// More than so many are not.
        most: u32,
    },
    /// There is nothing to give.
    Nothing,
    /// These elements are the receiver's from now on.
    Offer {
        /// Counts transfers from this sender to this receiver, from 1.
        number: u64,
        /// Whether they were wanted.
        wanted: bool,
        /// The elements.
        elements: Vec<T>,
    },
    /// The receiver of a transfer leaves: its elements are the sender's again.
    Decline {
        /// Which.
        number: u64,
    },
    /// Its sender leaves: no more transfers to it.
    Leaving,
    /// So be it: none will come any more.
    Heard,
    /// Its sender has nothing any more, nor will it: it leaves nothing behind.
    Gone,
    /// Its sender knows these to have ended, and heard nothing of what they had being looked for: to the eldest.
    Mourn {
        /// Whoever ended.
        dead: Vec<Member>,
    },
    /// What these had is to be found again. Whoever hears it has begun an epoch without them.
    Fence {
        /// The epoch.
        epoch: Epoch,
        /// Whoever ended.
        dead: Vec<Member>,
    },
    /// An answer to `Fence`.
    Fenced {
        /// The epoch of the question.
        epoch: Epoch,
        /// Whom this member knows to have ended and not been looked after.
        dead: Vec<Member>,
        /// What it had sent to them and does not know to have come: a part of it.
        doubtful: Vec<T>,
        /// Whether that is the last part.
        last: bool,
        /// The last transfer that it has taken from each member.
        taken: Vec<(Member, u64)>,
        /// Transfers up to there that it has declined.
        declined: Vec<(Member, u64)>,
    },
    /// Which of these are, or were since the fence, with the receiver?
    Census {
        /// The epoch.
        epoch: Epoch,
        /// Which part of all.
        part: u32,
        /// The elements.
        elements: Vec<T>,
    },
    /// Those that are or were.
    Claims {
        /// The epoch of the question.
        epoch: Epoch,
        /// Which part.
        part: u32,
        /// The elements.
        elements: Vec<T>,
        /// Those that were on their way to others at the fence: its own, unless the receiver had taken that
        /// transfer.
        open: Vec<(T, Member, u64)>,
    },
    /// What these had has been found.
    Recovered {
        /// Whoever ended.
        dead: Vec<Member>,
    },
}

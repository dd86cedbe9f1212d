//! What members say to each other.

use crate::Block;
use alloc::vec::Vec;
use core::ops::Range;
use fos_container::{Epoch, Member};
use serde::{Deserialize, Serialize};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// What goes with every message.
    pub header: Header,
    /// What it says.
    pub body: Body,
}

/// What goes with every message, so that little has to be said by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// Frames that are free at its sender.
    pub frames: u64,
    /// The largest order of which it has a free block.
    pub largest: Option<u8>,
    /// The last transfer from the receiver that its sender took or declined.
    pub taken: u64,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// No more than its header.
    Tell,
    /// A block of this order, or a larger one: answered by `Transfer` or `Nothing`.
    Want {
        /// 2^order frames.
        order: u8,
    },
    /// There is none.
    Nothing,
    /// These blocks are the receiver's from now on.
    Transfer {
        /// Counts transfers from this sender to this receiver, from 1.
        number: u64,
        /// Whether they were wanted.
        wanted: bool,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// The receiver of a transfer leaves: its blocks are the sender's again.
    Decline {
        /// Which.
        number: u64,
    },
    /// These are free at its sender, and their buddies are not: to whoever brings halves together.
    Lonely(Vec<Block>),
    /// The other half of this is free at a member: send it there, if it is still free.
    Bring {
        /// The half that is the receiver's.
        half: Block,
        /// Who has the other.
        to: Member,
    },
    /// That half is not free at its sender: what its receiver keeps in mind of it is old.
    Lacks(Block),
    /// Who has a free half of this block is to say so.
    Name {
        /// The block.
        parent: Block,
    },
    /// The receiver is to name its lonely halves again: of what was to be said of them something was left out.
    Again,
    /// Its sender leaves: no more transfers to it.
    Leaving,
    /// So be it: none will come any more.
    Heard,
    /// Its sender knows that somebody has ended and nobody has looked for what it had: to the eldest.
    Mourn {
        /// The epoch of both.
        epoch: Epoch,
    },
    /// What ended members had is to be found again. Whoever hears it has begun an epoch without them.
    Fence {
        /// The epoch.
        epoch: Epoch,
    },
    /// An answer to `Fence`.
    Fenced {
        /// The epoch of the question.
        epoch: Epoch,
        /// The last transfer that it has taken from each member.
        taken: Vec<(Member, u64)>,
    },
    /// Which frames are, or were since the fence, with the receiver?
    Census {
        /// The epoch.
        epoch: Epoch,
    },
    /// A part of the answer.
    Claims {
        /// The epoch of the question.
        epoch: Epoch,
        /// Those that are or were.
        frames: Vec<Range<u64>>,
        /// What was on its way to others at the fence: its own, unless the receiver had taken that transfer.
        open: Vec<(Block, Member, u64)>,
        /// Whether this is the last part.
        last: bool,
    },
    /// What ended members had has been found.
    Recovered {
        /// In which epoch.
        epoch: Epoch,
    },
}

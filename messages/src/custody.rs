//! What root does as the [custodian](../../docs/decisions/013-custodian.md) of the machine's frames, for who holds the key
//! `custody`: members of the fleet `pages`. It says which range is with whom, whatever the members remember, and moves ranges
//! between processes; which range, for whom and how many is decided by who asks.
//!
//! A range is *nobody's* (after boot, and when who had it has ended), *kept* by a member, who may give it out, or *held* by a
//! process, which has a capability of it. Members have descriptions of what they keep, and never a capability.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `totals`, `table`, `block`, `has_blocks`, `account` | yes | never |
//! | `subscribe` | yes | `NoProcess` |
//! | `adopt` | no: what an answer that is lost told of stands in `table` | never |
//! | `give` | yes, under the same tag of the same holder | `NotKept`, `NoProcess`, `OverLimit`, `TooMany`, `NoRoom`, `BadRange` |
//! | `hand_over` | no: the second time it is not kept any more | `NotKept`, `NoProcess`, `TooMany`, `BadRange` |
//! | `take_home` | no: the second time each is `NotHeld` | `BadRange` |
//! | `release` | yes | never |
//! | `set_limit` | yes | `NoProcess` |

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::rpc::wire::Scalar;
use crate::rpc::{Address, interface};

/// Ranges in one request or answer: they fit a mailbox's message.
pub const RANGES_MAX: usize = 12;

/// Frames in a row, by their physical numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Range {
    /// The frame after the last; none if there is no such number.
    pub fn end(&self) -> Option<u64> {
        self.first.checked_add(self.count)
    }
}

/// With whom a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum With {
    /// With nobody: whoever asks first adopts it.
    Nobody,
    /// A member keeps it.
    Keeper(u64),
    /// A process has a capability of it.
    Holder(u64),
}

/// One line of the custodian's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which frames.
    pub range: Range,
    /// With whom.
    pub with: With,
    /// Nothing of what another process wrote is in them.
    pub is_clean: bool,
}

/// What all of the table comes to, in frames but for `holdings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Totals {
    /// All there are.
    pub frames: u64,
    /// Held by no process, or only by the member that keeps them, which zeroes them.
    pub free: u64,
    /// With nobody.
    pub orphans: u64,
    /// Ranges that are held.
    pub holdings: u64,
}

/// What a process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Account {
    /// Frames that it holds.
    pub frames: u64,
    /// Frames that it may hold; `u64::MAX` if nobody has said.
    pub limit: u64,
}

/// Frames in a row that a process was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The capability, in the process's own table.
    pub handle: u32,
    /// Which frames.
    pub range: Range,
}

/// What `give` gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// In the order of the request. Of an earlier request with the same tag, if there was one.
    pub runs: Vec<Run>,
    /// An earlier request was given these: the ranges of this one are still kept by the asker.
    pub is_repeated: bool,
    /// Frames that no process holds now.
    pub free: u64,
}

/// What became of one range that was to come home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Return {
    /// The asker keeps it now.
    Home(Range),
    /// The process holds no range that begins there.
    NotHeld,
    /// The process still has its capability, or what it made of it.
    StillOut,
}

/// What came home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// In the order of the request.
    pub ranges: Vec<Return>,
    /// Frames that no process holds now.
    pub free: u64,
}

/// Why the custodian does not. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum Refusal {
    /// A range is empty, beyond all numbers, or there are more than [`RANGES_MAX`].
    BadRange,
    /// The asker does not keep all of it.
    NotKept,
    /// No such process runs.
    NoProcess,
    /// The process would hold more than it may.
    OverLimit,
    /// The process would hold more ranges than one may, or the custodian's table, or the kernel's, has no room for more.
    TooMany,
    /// The process's own table has no room for one more capability.
    NoRoom,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Refusal::BadRange => {
                "a range is empty or beyond all frames, or there are too many in one request"
            }
            Refusal::NotKept => "the asker does not keep all of these frames",
            Refusal::NoProcess => "no such process runs",
            Refusal::OverLimit => "the process would hold more frames than it may",
            Refusal::TooMany => "the process, or all of them, hold too many ranges: give out larger ones",
            Refusal::NoRoom => "the process's table has no room for one more capability",
        })
    }
}

impl core::error::Error for Refusal {}

/// What the custodian does for members of `pages`.
#[interface(id = 6, version = 3)]
pub trait Custody {
    /// What all of the table comes to.
    #[operation(idempotent)]
    fn totals(&self) -> Totals;

    /// The rows from this frame on, at most [`RANGES_MAX`], in the order of their frames. None: there are no more.
    #[operation(idempotent, answer_max = 400)]
    fn table(&self, from: u64) -> Vec<Row>;

    /// What the asker does not keep of a block of two to the `order` frames, aligned to its size, of which no process holds any:
    /// of the one with the fewest such rows, the first [`RANGES_MAX`], without what they have beyond the block. None: there is no
    /// such block, or the asker keeps all of one.
    #[operation(idempotent, answer_max = 400)]
    fn block(&self, order: u8) -> Vec<Row>;

    /// Whether what no process holds, with whichever members it is, has so many frames in at most [`RANGES_MAX`] blocks of at
    /// least two to the `order`. What a member holds itself, to zero it, counts as if it kept it.
    #[operation(idempotent)]
    fn has_blocks(&self, frames: u64, order: u8) -> bool;

    /// What a process has.
    #[operation(idempotent)]
    fn account(&self, process: u64) -> Account;

    /// From now on the asker is told at this address, by [`CustodyNews`], that there are ranges that nobody has. The address
    /// takes the place of an earlier one of the same member. A post may be lost: look from time to time.
    #[operation(idempotent)]
    fn subscribe(&self, news: Address) -> Result<(), Refusal>;

    /// Ranges that nobody had are the asker's to keep from now on. None: there are none.
    #[operation(answer_max = 400)]
    fn adopt(&self) -> Vec<Row>;

    /// Gives a process, which may then hold so many frames in all unless another limit was set for it, capabilities of ranges
    /// that the asker keeps. `tag` tells this gift apart from the others to the same process.
    #[operation(idempotent, answer_max = 400)]
    fn give(&self, process: u64, tag: u64, ranges: Vec<Range>, limit: u64) -> Result<Given, Refusal>;

    /// Ranges that the asker keeps are another member's to keep.
    #[operation]
    fn hand_over(&self, keeper: u64, ranges: Vec<Range>) -> Result<(), Refusal>;

    /// What this process holds from these frames on is the asker's to keep from now on: if the process has given its
    /// capability up, or, `by_force`, whatever it did with it. What the asker held itself is clean if it says so.
    #[operation(answer_max = 400)]
    fn take_home(
        &self,
        process: u64,
        firsts: Vec<u64>,
        by_force: bool,
        is_clean: bool,
    ) -> Result<Returned, Refusal>;

    /// What the asker keeps is nobody's from now on.
    #[operation(idempotent)]
    fn release(&self);

    /// A process may hold this many frames from now on. What it holds beyond stays with it.
    #[operation(idempotent)]
    fn set_limit(&self, process: u64, frames: u64) -> Result<(), Refusal>;
}

/// What the custodian tells those who subscribed.
#[interface(id = 7, version = 1)]
pub trait CustodyNews {
    /// There are ranges that nobody has.
    #[operation(post)]
    fn orphans(&self);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::wire::write;
    use crate::rpc::{ADDRESS_SIZE, ENVELOPE_SIZE, Interface};
    use alloc::vec;
    use fos_abi::mailbox::MESSAGE_MAX;

    /// The highest frame number that a capability can have.
    const LAST: u64 = u32::MAX as u64;

    #[test]
    fn the_longest_requests_and_answers_fit_a_mailbox() {
        let range = Range { first: LAST, count: LAST };
        let longest = |value: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            value(&mut bytes);
            bytes.len()
        };
        let ask =
            longest(&|bytes| write(&(u64::MAX, u64::MAX, vec![range; RANGES_MAX], u64::MAX), bytes).unwrap());
        assert!(ENVELOPE_SIZE + ADDRESS_SIZE + ask <= MESSAGE_MAX, "{ask}");
        let row = Row { range, with: With::Holder(u64::MAX), is_clean: true };
        let rows = longest(&|bytes| write(&vec![row; RANGES_MAX], bytes).unwrap());
        let run = Run { handle: u32::MAX, range };
        let given = Given { runs: vec![run; RANGES_MAX], is_repeated: true, free: u64::MAX };
        let given = longest(&|bytes| write(&given, bytes).unwrap());
        let returned = Returned { ranges: vec![Return::Home(range); RANGES_MAX], free: u64::MAX };
        let returned = longest(&|bytes| write(&returned, bytes).unwrap());
        for (name, length) in
            [("table", rows), ("block", rows), ("adopt", rows), ("give", given), ("take_home", returned)]
        {
            let operation =
                CustodyInterface::OPERATIONS.iter().find(|operation| operation.name == name).unwrap();
            assert!(length <= operation.answer_max, "{name}: {length}");
            assert!(ENVELOPE_SIZE + operation.answer_max <= MESSAGE_MAX, "{name}");
        }
    }
}

//! What the fleet `pages` is asked for memory, and what its members say to each other. The frames themselves come and go as
//! capabilities, by the [custodian](crate::custody).
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `allocate` | yes, under the same tag of the same process | `OutOfMemory`, `OverQuota`, `BadRequest`, `TooManyRuns`, `NoProcess` |
//! | `give_back` | no: the second time each run is `NotYours` | `BadRequest` |
//! | `quota`, `statistics` | yes | never |
//! | `set_quota` | yes | `BadKey`, `NoProcess` |
//! | `subscribe` | yes | never |
//! | `lend`, `cede` | no: what an answer that is lost told of stands in the custodian's table | never |
//!
//! Whoever lost its member in the middle of `allocate` asks another with the same tag, and gets what the first one had given, if
//! it had. Whoever lost it in the middle of `give_back` takes `NotYours` for done.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

pub use crate::custody::{Account, Range, Run};
use crate::names::DirectoryKey;
use crate::rpc::wire::Scalar;
use crate::rpc::{Address, interface};

/// Where the fleet is found.
pub const NAME: &str = "/pages";
/// Runs in one answer, or given back in one request.
pub const RUNS_MAX: usize = crate::custody::RANGES_MAX;
/// How long who subscribed to the pressure is told of changes.
pub const SUBSCRIBED_SECONDS: u64 = 5;
/// A block has at most two to this many frames: 1 GiB.
pub const ORDER_MAX: u8 = 18;
/// The order of a huge page, 2 MiB.
pub const ORDER_HUGE: u8 = 9;

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Wanted {
    /// Tells this request apart from the others of the same process. Used again only to ask again.
    pub tag: u64,
    /// Frames in all, at least one.
    pub frames: u32,
    /// Each run is made of blocks of two to this many frames, aligned to their size.
    pub order: u8,
}

/// Why memory is not given, or not taken back. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum PagesError {
    /// There is not that much in blocks of that size; less may be there.
    OutOfMemory,
    /// The process would hold more than its quota.
    OverQuota,
    /// No frames are wanted, or no whole number of blocks, or larger ones than [`ORDER_MAX`], or too many runs are named.
    BadRequest,
    /// The process holds as many runs as one may, or all of them hold as many as can be told apart: ask for larger ones.
    TooManyRuns,
    /// The process has no room for the capabilities, is not one that root started, or has ended.
    NoProcess,
    /// The key is not the fleet's.
    BadKey,
}

impl core::fmt::Display for PagesError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            PagesError::OutOfMemory => "not enough memory is free in blocks of that size",
            PagesError::OverQuota => "the process has as much memory as its quota allows",
            PagesError::BadRequest => {
                "no such request can be met: no frames, no whole blocks, or too many runs"
            }
            PagesError::TooManyRuns => {
                "this process, or all of them, hold too many runs: give some back, or ask for larger ones"
            }
            PagesError::NoProcess => "the process can't be given capabilities",
            PagesError::BadKey => "the key is not the fleet's",
        })
    }
}

impl core::error::Error for PagesError {}

/// What became of one run that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freed {
    /// It is free.
    Done,
    /// The asker holds no run that begins there: forged, another's, or given back before.
    NotYours,
    /// The asker still has its capability, or what it made of it: delete it first.
    InUse,
}

/// How much is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Scalar)]
pub enum Pressure {
    /// More than an eighth of all frames.
    #[default]
    None,
    /// Less than an eighth: give back what is not needed.
    Low,
    /// Less than a thirty-second: the next request may be refused.
    Critical,
}

/// What a member has and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Statistics {
    /// All frames of the fleet.
    pub frames: u64,
    /// Held by no process.
    pub free: u64,
    /// Free at this member.
    pub kept: u64,
    /// Of those, zeroed.
    pub zeroed: u64,
    /// Requests for memory that were met.
    pub allocations: u64,
    /// Those that were refused for lack of memory.
    pub refused: u64,
    /// Frames zeroed before anybody asked.
    pub zeroed_idle: u64,
    /// Frames zeroed while somebody waited.
    pub zeroed_late: u64,
    /// Blocks that other members gave.
    pub borrowed: u64,
}

/// What everybody may ask.
#[interface(id = 24, version = 1)]
pub trait Pages {
    /// Frames in at most [`RUNS_MAX`] runs. They read as zeros: nobody sees what another wrote.
    #[operation(idempotent, answer_max = 330)]
    async fn allocate(&self, wanted: Wanted) -> Result<Vec<Run>, PagesError>;

    /// Gives runs back, each by its first frame, after their capabilities were deleted.
    #[operation(answer_max = 40)]
    async fn give_back(&self, firsts: Vec<u64>) -> Result<Vec<Freed>, PagesError>;

    /// What the asker has, and may have.
    #[operation(idempotent)]
    async fn quota(&self) -> Account;

    /// Sets how many frames a process may have. `key` is the fleet's.
    #[operation(idempotent)]
    async fn set_quota(&self, key: DirectoryKey, process: u64, frames: u64) -> Result<(), PagesError>;

    /// How this member stands.
    #[operation(idempotent)]
    async fn statistics(&self) -> Statistics;

    /// How little is free. Changes are told to this address by [`PagesNews`] for [`SUBSCRIBED_SECONDS`]; renew it before, and when
    /// the member has ended.
    #[operation(idempotent)]
    fn subscribe(&self, news: Address) -> Pressure;
}

/// What a member tells those who subscribed.
#[interface(id = 26, version = 1)]
pub trait PagesNews {
    /// It is another now.
    #[operation(post)]
    fn pressure(&self, level: Pressure);
}

/// What members say to each other.
#[interface(id = 25, version = 2)]
pub trait PagesPeers {
    /// Blocks for the asker to keep: of at least this order, of so many frames if there are, and not more than half of what there
    /// is unless `is_last`, when nobody else had any. They are the asker's when this is answered.
    #[operation(answer_max = 330)]
    async fn lend(&self, frames: u64, order: u8, is_last: bool) -> Vec<Lent>;

    /// These ranges for the asker to keep, which has or gets the others of a block that it is to give out whole. Those that the
    /// asked does not have any more are left out. They are the asker's when this is answered.
    #[operation(answer_max = 330)]
    async fn cede(&self, ranges: Vec<Range>) -> Vec<Lent>;
}

/// A range that changed its keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// Which frames.
    pub range: Range,
    /// They read as zeros.
    pub is_clean: bool,
}

//! Who has which cores. One arbiter, the coordinator of the fleet `knowledge`, grants cores to fleets and to programs, says who
//! yields one when none is free, and takes back what did not help. Other members send who asks to it.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `ask` | yes, under the same number of the same owner | `BadKey`, `NoCore`, `Yielding`, `DidNotHelp`, `TooMany` |
//! | `give_back` | yes | `BadKey` |
//! | `report` | yes | `BadKey`, `NoGrant`, `TooMany` |
//! | `grants` | yes | never |
//! | `keep` | yes | never |
//!
//! An owner that reports nothing for [`LEASE_SECONDS`] has ended: its cores are free. A grant is known to every member before it is
//! answered, so that it outlives the arbiter.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::knowledge::{Near, Place};
use crate::names::DirectoryKey;
use crate::rpc::interface;
use crate::rpc::wire::Scalar;

/// How long an owner may be silent.
pub const LEASE_SECONDS: u64 = 5;
/// Bytes of an owner's name.
pub const OWNER_BYTES_MAX: usize = 64;
/// Owners that are known.
pub const OWNERS_MAX: usize = 64;
/// Cores of one owner.
pub const USES_MAX: usize = 64;
/// Grants in one answer.
pub const GRANTS_MAX: usize = 4;

/// Who wants a core, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The fleet or program.
    pub owner: String,
    /// Whoever first uses the name chooses its key.
    pub key: DirectoryKey,
    /// Counts the owner's claims. Used again only to ask again.
    pub number: u32,
    /// How many cores it never yields.
    pub least: u16,
    /// With whom it exchanges messages.
    pub near: Vec<Near>,
    /// The core that it wants, if it may be no other.
    pub wanted: Option<Place>,
}

/// A core that somebody may use until it gives it back or is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar, Serialize, Deserialize)]
pub struct Grant {
    /// Which.
    pub at: Place,
    /// Nobody else has it. Else there was none free, and it is shared in slices of time.
    pub is_alone: bool,
}

/// How an owner does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who.
    pub owner: String,
    /// Its key.
    pub key: DirectoryKey,
    /// What it gets done, in units of its own.
    pub work_per_second: u64,
    /// How busy its cores are on average.
    pub busy_permille: u16,
    /// How long its work waits.
    pub wait_nanoseconds: u64,
    /// The cores that it uses, at most [`USES_MAX`]. Those that nobody granted are its own from now on; those that were granted
    /// a while ago and are not used any more are free.
    pub uses: Vec<Place>,
}

/// What an owner should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advice {
    /// Go on.
    Keep,
    /// This core did not help: give it back.
    Undo(Place),
    /// Somebody needs a core more: give this one back.
    Yield(Place),
    /// Go from the first to the second, which both have room: the first can then rest.
    Join(Place, Place),
    /// Go from the first, which has too much to do, to the second, which is free.
    Part(Place, Place),
}

/// Why no core is given, or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum ArbiterError {
    /// The key is not the owner's.
    BadKey,
    /// There is no core, or not the one that is wanted.
    NoCore,
    /// None is free; somebody was told to yield one: ask again.
    Yielding,
    /// One core more did not help the last time, and the owner has hardly more to do since.
    DidNotHelp,
    /// Too many owners, or a name that is too long.
    TooMany,
    /// The owner has no core, and uses none.
    NoGrant,
}

impl core::fmt::Display for ArbiterError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            ArbiterError::BadKey => "the key is not the owner's",
            ArbiterError::NoCore => "there is no such core",
            ArbiterError::Yielding => "no core is free yet: ask again",
            ArbiterError::DidNotHelp => "one core more did not help the last time",
            ArbiterError::TooMany => "too many owners of cores, or too long a name",
            ArbiterError::NoGrant => "the owner has no core",
        })
    }
}

impl core::error::Error for ArbiterError {}

/// A grant, as members keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// To whom.
    pub owner: String,
    /// Its key.
    pub key: DirectoryKey,
    /// Its claim.
    pub number: u32,
    /// How many cores it never yields.
    pub least: u16,
    /// Which.
    pub at: Place,
}

/// A core that somebody has, for those who look: no keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Who.
    pub owner: String,
    /// Which.
    pub at: Place,
    /// How busy the owner's cores are.
    pub busy_permille: u16,
}

/// What owners ask.
#[interface(id = 42, version = 1)]
pub trait Arbiter {
    /// A core.
    #[operation(idempotent)]
    async fn ask(&self, claim: &Claim) -> Result<Grant, ArbiterError>;

    /// A core is not needed any more.
    #[operation(idempotent)]
    async fn give_back(&self, owner: &str, key: DirectoryKey, at: Place) -> Result<(), ArbiterError>;

    /// How an owner does: what it should do.
    #[operation(idempotent, answer_max = 16)]
    async fn report(&self, report: &Report) -> Result<Advice, ArbiterError>;

    /// Who has which core, from this one on, in order of cores; at most [`GRANTS_MAX`].
    #[operation(idempotent, answer_max = 330)]
    async fn grants(&self, from: Place) -> Vec<Holding>;
}

/// What the arbiter tells the other members.
#[interface(id = 44, version = 1)]
pub trait ArbiterPeers {
    /// This is granted, or not any more.
    #[operation(idempotent)]
    fn keep(&self, granted: &Granted, is_granted: bool);

    /// Grants that the member keeps, from the first, which is 0, or a later one on; none: that is all.
    #[operation(idempotent, answer_max = 110)]
    fn kept(&self, from: u32) -> Option<Granted>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Interface;
    use alloc::vec;

    const FAR: Place = Place { machine: u16::MAX, core: u16::MAX };

    #[test]
    fn the_longest_answers_fit() {
        let owner = "o".repeat(OWNER_BYTES_MAX);
        let holding = Holding { owner: owner.clone(), at: FAR, busy_permille: u16::MAX };
        let holdings = postcard::to_allocvec(&vec![holding; GRANTS_MAX]).unwrap().len();
        assert!(holdings <= ArbiterInterface::OPERATIONS[3].answer_max, "{holdings}");
        let key = DirectoryKey([u64::MAX; 2]);
        let granted = Granted { owner, key, number: u32::MAX, least: u16::MAX, at: FAR };
        let granted = postcard::to_allocvec(&Some(granted)).unwrap().len();
        assert!(granted <= ArbiterPeersInterface::OPERATIONS[1].answer_max, "{granted}");
        let advice = postcard::to_allocvec(&Advice::Part(FAR, FAR)).unwrap().len();
        assert!(advice <= ArbiterInterface::OPERATIONS[2].answer_max, "{advice}");
    }
}

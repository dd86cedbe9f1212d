//! What every fleet is asked beside its service, and what its members say to each other: `libfos/runtime/src/fleet` is both
//! sides.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `join` | yes | `NotRegistered`, `NotYours`, `NoRoster`, `Full` |
//! | `standing` | yes | never |
//! | `relocate` | yes, while the member is there | `BadKey`, `NoMember`, `Busy`, `NotStarted` |
//! | `propose`, `commit` | yes | `Behind` |
//! | `leave` | yes | never |
//! | `drain` | yes | never |
//!
//! A member that is not the coordinator sends who asks for `join`, `relocate` or `leave` to the one that is.

use crate::names::DirectoryKey;
use crate::rpc::wire::Scalar;
use crate::rpc::{Address, interface};
use alloc::vec::Vec;
use fos_abi::Identity;
use serde::{Deserialize, Serialize};

/// Seats in one part of a proposal.
pub const SEATS_PER_PART: usize = 8;

/// A member's place in a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Where the other members write to it.
    pub internal: Address,
    /// Where clients write to it.
    pub external: Address,
    /// Its machine.
    pub machine: u16,
    /// Its core there.
    pub core: u16,
    /// The epoch with which it came.
    pub since: u32,
}

impl Seat {
    /// Its process.
    pub fn identity(&self) -> Identity {
        self.internal.identity
    }
}

/// Why a fleet does not do what it was asked for. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum FleetError {
    /// Whoever asks is not registered below the fleet's name.
    NotRegistered,
    /// One of the addresses is another process's.
    NotYours,
    /// The member that was asked belongs to no fleet itself.
    NoRoster,
    /// The fleet has as many members as it may.
    Full,
    /// The key is not the fleet's.
    BadKey,
    /// The fleet has no such member.
    NoMember,
    /// The fleet is in the middle of a change: ask again.
    Busy,
    /// No member could be started there.
    NotStarted,
}

impl core::fmt::Display for FleetError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            FleetError::NotRegistered => "who asks to join is not registered below the fleet's name",
            FleetError::NotYours => "a process joins with its own mailboxes and nobody else's",
            FleetError::NoRoster => "the process asked is no member of the fleet yet",
            FleetError::Full => "the fleet has as many members as it may",
            FleetError::BadKey => "the key is not the fleet's",
            FleetError::NoMember => "the fleet has no such member",
            FleetError::Busy => "the fleet is in the middle of a change: ask again",
            FleetError::NotStarted => "no member could be started there",
        })
    }
}

impl core::error::Error for FleetError {}

/// The other side has promised an epoch that is later than the one it was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Behind {
    /// Which.
    pub promised: u32,
}

/// How a fleet stands, as one member sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Standing {
    /// The epoch in force; 0 while there is none.
    pub epoch: u32,
    /// Members in it.
    pub members: u32,
    /// The process that coordinates it.
    pub coordinator: u64,
}

/// How loaded a member is, and whether clients may be sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Figure {
    /// Requests under way, on average since the last figure, in thousandths.
    pub requests_permille: u32,
    /// How long a new request would wait, as far as one can tell.
    pub wait_nanoseconds: u64,
    /// How long the member takes for each of the requests before it.
    pub service_nanoseconds: u64,
    /// It serves clients.
    pub is_open: bool,
    /// It finishes what it has and takes nothing new.
    pub is_leaving: bool,
}

/// What everybody may ask of a member, beside its service.
#[interface(id = 16, version = 1)]
pub trait Fleet {
    /// A process that is registered as a member asks to be one. Answered when it is. `since` is not looked at.
    #[operation(idempotent)]
    async fn join(&self, seat: Seat) -> Result<(), FleetError>;

    /// How the fleet stands.
    #[operation(idempotent)]
    fn standing(&self) -> Standing;

    /// Moves a member to another core: one is started there, and when it serves, this one leaves. `key` is the fleet's.
    /// Answered when the new one was started.
    #[operation(idempotent)]
    async fn relocate(&self, key: DirectoryKey, member: u64, core: u16) -> Result<(), FleetError>;
}

/// What members say to each other, over internal mailboxes.
#[interface(id = 17, version = 1)]
pub trait FleetPeers {
    /// A part of the membership that the coordinator would have in this epoch. Who has all parts acts in no earlier epoch any
    /// more.
    #[operation(idempotent)]
    fn propose(&self, epoch: u32, part: u16, parts: u16, seats: Vec<Seat>) -> Result<(), Behind>;

    /// Everybody has promised: the epoch is in force.
    #[operation(idempotent)]
    fn commit(&self, epoch: u32) -> Result<(), Behind>;

    /// A member that has finished tells the coordinator. Answered when the epoch without it is in force.
    #[operation(idempotent)]
    async fn leave(&self);

    /// The coordinator has a member leave. Answered at once.
    #[operation(idempotent)]
    fn drain(&self);

    /// A member tells the others how loaded it is.
    #[operation(post)]
    fn report(&self, figure: Figure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::ENVELOPE_SIZE;
    use alloc::vec;

    #[test]
    fn a_part_of_a_proposal_fits_a_message() {
        let longest = Seat { machine: u16::MAX, core: u16::MAX, since: u32::MAX, ..Seat::default() };
        let part = (u32::MAX, u16::MAX, u16::MAX, vec![longest; SEATS_PER_PART]);
        let body = postcard::to_allocvec(&part).unwrap().len();
        assert!(ENVELOPE_SIZE + crate::rpc::ADDRESS_SIZE + body <= fos_abi::mailbox::MESSAGE_MAX, "{body}");
    }
}

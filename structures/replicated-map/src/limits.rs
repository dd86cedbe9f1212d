//! Every bound of a replica, in one place. What would go over one gets `Full` with the name of the bound.
//!
//! How they depend on each other: `log_max` must hold what is committed while a joiner copies the map, and at least
//! `tail_max` + 2 * `batch_max`, the most that an epoch starts with. `unanswered_max` is looked at before a batch is
//! proposed, so one batch may go over it; a batch that lost its position goes back over `queue_max`. A deployment must
//! tick often enough that `ping_ticks` < `lease_ticks`.

use serde::{Deserialize, Serialize};

/// The bounds. Every member of one map must be given the same: some decide what an update does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Entries in the map.
    pub entries_max: usize,
    /// Entries of one owner; also bounds the work of removing them all in one step.
    pub owned_max: usize,
    /// Clients whose requests are remembered.
    pub clients_max: usize,
    /// Requests remembered of each client; so many may be under way at once.
    pub requests_kept: usize,
    /// Ended owners that are remembered, so that their late updates are refused.
    pub ended_kept: usize,
    /// Updates of clients waiting to be proposed.
    pub queue_max: usize,
    /// Updates that are committed and wait until every member has applied them.
    pub unanswered_max: usize,
    /// Reads that wait for a version.
    pub parked_max: usize,
    /// Ticks that a read waits before its client is told to ask elsewhere.
    pub parked_ticks: u64,
    /// Updates that a member has handed to another to propose, and that are not applied yet. What a member holds for the
    /// others is bounded by this for each of them.
    pub handed_max: usize,
    /// Updates in one proposal.
    pub batch_max: usize,
    /// Records in the log. A joiner that needs more is refused.
    pub log_max: usize,
    /// Records kept although every member has applied them, for a joiner whose sponsor died.
    pub log_kept: usize,
    /// Entries and client memories in one message to a joiner.
    pub part_max: usize,
    /// Entries that one audit looks over.
    pub audited_max: usize,
    /// How far a joiner may be behind when the members stop for it.
    pub tail_max: usize,
    /// Members of an epoch.
    pub members_max: usize,
    /// Refusals in a row after which a joiner stops; it asks once for each tick.
    pub refusals_max: u32,
    /// Ticks without a question after which a joiner is looked after no more.
    pub quiet_ticks: u64,
    /// Dead that are remembered although they are not members (yet).
    pub dead_max: usize,
    /// Ticks between two pings of another machine.
    pub ping_ticks: u64,
    /// T: ticks without a majority after which a member stops answering. Successors start after twice as many.
    pub lease_ticks: u64,
}

impl Limits {
    /// What naming uses: a tick is meant to be 25 ms there.
    pub const DEFAULT: Limits = Limits {
        entries_max: 1 << 20,
        owned_max: 4096,
        clients_max: 1 << 16,
        requests_kept: 16,
        ended_kept: 1024,
        queue_max: 256,
        unanswered_max: 512,
        parked_max: 256,
        parked_ticks: 4,
        handed_max: 16,
        batch_max: 32,
        log_max: 1 << 16,
        log_kept: 64,
        part_max: 32,
        audited_max: 1024,
        tail_max: 16,
        members_max: 256,
        refusals_max: 800,
        quiet_ticks: 40,
        dead_max: 1024,
        ping_ticks: 1,
        lease_ticks: 8,
    };
}

/// Which bound was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// [`Limits::entries_max`].
    Entries,
    /// [`Limits::owned_max`].
    Owned,
    /// [`Limits::clients_max`].
    Clients,
    /// [`Limits::queue_max`].
    Queue,
    /// [`Limits::parked_max`].
    Parked,
    /// [`Limits::log_max`].
    Log,
    /// [`Limits::members_max`].
    Members,
    /// A member sponsors one joiner at a time.
    Joiners,
}

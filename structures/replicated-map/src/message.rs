//! What members say to each other. Every message carries the sender's epoch: older ones are refused, and whoever gets
//! a newer one asks for the membership it lacks.

use crate::{Ballot, Entry, Epoch, Identity, Limit, Member, Membership, Memory, Record, Update, Version};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A message between members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message<K, V> {
    /// The epoch in which the sender is; 0 for a joiner.
    pub epoch: Epoch,
    /// What it says.
    pub body: Body<K, V>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body<K, V> {
    /// First phase: asks for a vote.
    Prepare(Proposal<K, V>),
    /// The vote: the receiver's proposal at `base` is promised.
    Vote {
        /// The version before the proposal.
        base: Version,
        /// The digest of the voter's map at `base`.
        digest: u64,
    },
    /// Second phase: every member has promised the sender's proposal at `base`.
    Commit {
        /// The version before the proposal.
        base: Version,
    },
    /// The sender has applied every update up to here.
    Applied {
        /// Its version.
        version: Version,
    },
    /// Updates of the sender's clients, for the receiver to propose: it won the last position, or is about to win one.
    Hand {
        /// The updates.
        updates: Vec<Logged<K, V>>,
    },
    /// Every member has applied every update up to here, some of the receiver's among them.
    Stable {
        /// That version.
        version: Version,
    },
    /// Asks for `Applied`: an epoch began, and clients of the sender wait for what the one before did.
    Query,
    /// These have died: from a member of their machine to a leader on another one.
    Obituary {
        /// Who died.
        dead: Vec<Member>,
    },
    /// Asks for a promise to follow this ballot, and for a report.
    Collect {
        /// The attempt.
        ballot: Ballot,
        /// Who is to report.
        alive: Vec<Member>,
        /// Who is known to have died.
        dead: Vec<Member>,
    },
    /// The promise, and what the sender knows.
    Report {
        /// The attempt that it answers.
        ballot: Ballot,
        /// What the sender knows.
        report: Report<K, V>,
    },
    /// The sender follows a higher ballot.
    Outbid {
        /// That one.
        ballot: Ballot,
    },
    /// Asks to accept what follows the epoch.
    Propose {
        /// The attempt.
        ballot: Ballot,
        /// What is to follow.
        decree: Decree<K, V>,
    },
    /// Accepted.
    Accepted {
        /// The attempt.
        ballot: Ballot,
    },
    /// The decree is agreed: go on with it.
    Install(Decree<K, V>),
    /// The sender is in an older epoch and lacks the decree.
    Ask,
    /// A joiner asks for a piece of the map.
    Fetch(Cursor<K>),
    /// The piece.
    Part(Part<K, V>),
    /// Updates after a version, for a joiner.
    Records {
        /// The version before the first.
        after: Version,
        /// The updates.
        records: Vec<Record<K, V>>,
    },
    /// The joiner has to start again, or elsewhere.
    Refused(JoinRefusal),
    /// The sender lives.
    Ping {
        /// The sender's clock.
        tick: u64,
        /// The latest tick that the sender heard from the receiver. It will not agree to an epoch without the
        /// receiver's machine before twice the lease has passed.
        echo: Option<u64>,
    },
    /// The receiver's map is not the others': it should leave.
    Odd,
}

/// Updates that one member wants at one position.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proposal<K, V> {
    /// Who proposes.
    pub coordinator: Member,
    /// The version before the first of them.
    pub base: Version,
    /// The updates, at least one.
    pub updates: Vec<Logged<K, V>>,
}

impl<K, V> Proposal<K, V> {
    /// The version after the last update.
    pub fn end(&self) -> Version {
        self.base.after(self.updates.len())
    }
}

/// What a member knows when an epoch ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Report<K, V> {
    /// Its version.
    pub applied: Version,
    /// What it has promised at that version.
    pub promise: Option<Proposal<K, V>>,
    /// What it has accepted to follow the epoch.
    pub accepted: Option<(Ballot, Decree<K, V>)>,
}

/// An update and the member at which it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Logged<K, V> {
    /// Who answers its client.
    pub origin: Member,
    /// The update.
    pub update: Update<K, V>,
}

/// What an epoch begins with. Every member of it goes on from the same version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decree<K, V> {
    /// The epoch that begins.
    pub membership: Membership,
    /// The version before `updates`; every member has at least this one.
    pub start: Version,
    /// What members may lack, and what the ended epoch left unfinished.
    pub updates: Vec<Logged<K, V>>,
}

/// What a joiner wants next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cursor<K> {
    /// The first entries.
    Start,
    /// Entries after a key.
    Entries(K),
    /// What is remembered of clients after this one.
    Clients(Option<Identity>),
    /// Updates after a version.
    Log {
        /// The joiner's version.
        after: Version,
        /// Whether its copy is the map at that version: nothing in it is newer.
        settled: bool,
    },
}

/// A piece of the map, as it was when the piece was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part<K, V> {
    /// The sponsor's version then.
    pub version: Version,
    /// Entries.
    pub entries: Vec<(K, Entry<V>)>,
    /// What is remembered of clients.
    pub clients: Vec<(Identity, Memory)>,
    /// Owners that ended; only in the last piece.
    pub ended: Vec<(Version, Identity)>,
    /// What to ask for next; `None` after the last piece.
    pub next: Option<Cursor<K>>,
}

/// Why a joiner is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JoinRefusal {
    /// A bound was met.
    Full(Limit),
    /// The log no longer has what the joiner lacks.
    Gone,
    /// The one asked is not a member.
    NotMember,
}

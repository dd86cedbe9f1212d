//! What goes into a replica and what comes out: all that whoever drives one has to know.

use crate::{
    Entry, Identity, JoinRefusal, Limit, Member, Membership, Message, Outcome, Request, Update, Version,
};

/// What can happen to a replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<K, V> {
    /// A client wants a change. Asked again under the same number, it is done at most once.
    Update(Update<K, V>),
    /// A client wants an entry, not older than what it has seen.
    Read {
        /// Who asks.
        client: Identity,
        /// Which of its requests.
        request: Request,
        /// What it wants.
        key: K,
        /// The highest version in any answer that the client got.
        seen: Version,
    },
    /// A member said something.
    Message {
        /// Who, as the kernel or the proxy stamped it.
        from: Member,
        /// What.
        message: Message<K, V>,
    },
    /// The kernel says that a member of this machine died, or the proxy that one of its own machine did. Exact: the
    /// member is dead, and every survivor on its machine is told.
    Died(Member),
    /// A period of the timer is over; all members' periods are equally long, to a factor of two.
    Tick,
    /// Time to look over a piece of the own map. Maps are compared with each update.
    Audit,
}

/// What a step wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<K, V> {
    /// Send a message: first in, first out per receiver. It may be lost between machines, not inside one.
    Send {
        /// To whom.
        to: Member,
        /// What.
        message: Message<K, V>,
    },
    /// Answer a client.
    Answer {
        /// Whom.
        client: Identity,
        /// Which of its requests.
        request: Request,
        /// With what.
        answer: Answer<V>,
    },
    /// An update was applied and changed this key: tell whoever watches it.
    Changed {
        /// The update's version.
        version: Version,
        /// What changed.
        key: K,
        /// Whether it has an entry now.
        present: bool,
    },
    /// An epoch began: watch the deaths of its members on this machine.
    Began(Membership),
    /// The others went on without this member, or it cannot join: it has stopped, and its process should end. A new
    /// one may join.
    Stopped(Stop),
}

/// Why a replica stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// An epoch began without it.
    Excluded,
    /// It was refused as a joiner.
    Refused(JoinRefusal),
    /// Every sponsor that it knew has died.
    NoSponsor,
    /// Its map is not what the updates make: most members have another, or an entry has changed by itself.
    Diverged,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer<V> {
    /// The update is applied at every member.
    Updated {
        /// When it was done. The client's reads carry it from now on.
        version: Version,
        /// What came of it.
        outcome: Outcome,
    },
    /// What a read found.
    Found {
        /// The version of the map that was read.
        version: Version,
        /// The entry.
        entry: Option<Entry<V>>,
    },
    /// Nothing was done.
    Refused(Refusal),
}

/// Why a client was refused. All are known before anything is done, except that after `Forgotten` and `Stopped` an
/// update may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A bound was met; try again later.
    Full(Limit),
    /// This member is behind what the client has seen, at this version: ask another.
    Behind(Version),
    /// This member may not answer now: it is joining, or has not heard a majority for too long. Ask another.
    NotServing,
    /// The request is older than what is remembered of its client.
    Forgotten,
    /// This member has stopped. Ask another, under the same request number.
    Stopped,
}

//! What members say to each other. Whatever was sent in an earlier epoch than the receiver's has no effect: what it asked for is
//! asked again.

use crate::{Cell, Entry, Operation, Rest, Version};
use alloc::vec::Vec;
use fos_container::{Epoch, Member};
use serde::{Deserialize, Serialize};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message<K, V> {
    /// The epoch of its sender.
    pub epoch: Epoch,
    /// The highest counter of a version that its sender has seen.
    pub clock: u64,
    /// What it says.
    pub body: Body<K, V>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body<K, V> {
    /// Its sender leaves: nothing more is to be brought to it.
    Leaving,
    /// So be it.
    Heard,
    /// Strong: what its sender has at the beginning of the epoch.
    Report {
        /// Whole shards, and the number of the last write in each.
        copies: Vec<(u16, u64)>,
        /// It was in no epoch before.
        is_new: bool,
    },
    /// Strong: to the leader of a shard, from a member whose server asks.
    Ask {
        /// That member; others send on what comes to them.
        origin: Member,
        /// Of its requests, this one.
        number: u64,
        /// The key's.
        shard: u16,
        /// What it asks.
        operation: Operation<K, V>,
    },
    /// What became of a request: what is or was there.
    Told {
        /// Which.
        number: u64,
        /// What is or was there.
        value: Option<V>,
    },
    /// Strong: the next write to a shard.
    Write {
        /// The shard.
        shard: u16,
        /// Counts its writes, from 1.
        sequence: u64,
        /// The write.
        entry: Entry<K, V>,
    },
    /// Strong: its sender has all writes up to this.
    Wrote {
        /// The shard.
        shard: u16,
        /// The last.
        sequence: u64,
    },
    /// Strong: a part of a shard that the receiver is to have.
    Copy {
        /// The shard.
        shard: u16,
        /// Whether it is the first part.
        first: bool,
        /// Keys and values.
        entries: Vec<(K, V)>,
        /// With the last part: all else that there is to a shard.
        last: Option<Rest<K, V>>,
    },
    /// Strong: the next part, please.
    Copied {
        /// The shard.
        shard: u16,
    },
    /// Strong: the receiver needs that shard no more.
    Drop {
        /// The shard.
        shard: u16,
    },
    /// Strong: its sender has it no more.
    Dropped {
        /// The shard.
        shard: u16,
    },
    /// Strong: the receiver leads that shard from here on. Its sender did.
    Lead {
        /// The shard.
        shard: u16,
        /// Counts its leaders in this epoch, from 0.
        term: u32,
        /// Who has the shard, all to the same write.
        members: Vec<Member>,
    },
    /// Strong: its sender leads that shard.
    Leads {
        /// The shard.
        shard: u16,
        /// Counts its leaders in this epoch.
        term: u32,
    },
    /// Eventual: a write of a member that does not have the shard.
    Take {
        /// Of its requests, this one.
        number: u64,
        /// The key.
        key: K,
        /// What is to be there.
        value: Option<V>,
    },
    /// Eventual: a read of such a member.
    Read {
        /// Of its requests, this one.
        number: u64,
        /// The key.
        key: K,
    },
    /// Eventual: somebody has written this.
    Update {
        /// The key.
        key: K,
        /// What is there.
        cell: Cell<V>,
    },
    /// Eventual: a digest of all that its sender has of a shard.
    Digest {
        /// The shard.
        shard: u16,
        /// The digest.
        digest: u64,
    },
    /// Eventual: whether that is all that the receiver of the digest has.
    Compared {
        /// The shard.
        shard: u16,
        /// Whether it is.
        same: bool,
    },
    /// Eventual: a part of what its sender has of a shard.
    Page {
        /// The shard.
        shard: u16,
        /// All that is there between two keys.
        cells: Vec<(K, Cell<V>)>,
    },
    /// Eventual: the next page, please.
    Paged {
        /// The shard.
        shard: u16,
    },
    /// Eventual: its sender begins to forget that these keys were removed.
    Bury {
        /// Counts what its sender has begun.
        number: u64,
        /// Which, and by which writes.
        removed: Vec<(K, Version)>,
    },
    /// Eventual: its sender has nothing older than that, and will say nothing older.
    Buried {
        /// Which.
        number: u64,
    },
    /// Eventual: so say all.
    Forget {
        /// Which.
        number: u64,
    },
    /// Eventual: what comes from its sender after this is not older than that.
    Past {
        /// Who began it.
        of: Member,
        /// Which.
        number: u64,
    },
}

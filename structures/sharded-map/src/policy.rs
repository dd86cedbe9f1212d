//! Which way a map works, and how much of everything. All members of one map are given the same policy.

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Reads and writes of a key are linearizable. A write is acknowledged when every member that has the key has it.
    Strong,
    /// A read sees what has come to the member that is asked. The last writer wins; when nothing is written any more, all agree.
    Eventual,
}

/// A map's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What a reader may see.
    pub consistency: Consistency,
    /// Members that have each key, if as many stay: who leaves does not count.
    pub replicas: usize,
    /// Parts of the map that are placed and moved as a whole. More even out better and cost more in each epoch.
    pub shards: u16,
    /// Entries in one message when a shard is copied or compared.
    pub batch: usize,
}

impl Policy {
    /// Two copies of each key in 64 shards.
    pub const fn new(consistency: Consistency) -> Policy {
        Policy { consistency, replicas: 2, shards: 64, batch: 32 }
    }
}

/// Writes to a shard that are not at all of its members yet. Also what each remembers of the last ones, so that one can bring
/// another up to date: it must not be less.
pub const WINDOW: usize = 32;
/// Requests of one member's server that are under way. One more is told [`Answer::Busy`](crate::Answer::Busy).
pub const PENDING_MAX: usize = 64;
/// Shards that one leader copies to other members at a time.
pub const COPYING_MAX: usize = 4;

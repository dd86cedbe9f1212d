//! The names of things, each a type of its own so that none is taken for another.

use serde::{Deserialize, Serialize};

/// A machine, by the number that the cluster gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Machine(pub u16);

/// A member: one incarnation of one server. Never reused: a server that comes back is another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The machine on which it lives and dies.
    pub machine: Machine,
    /// Its number there.
    pub number: u32,
}

impl Member {
    /// The member `number` of a machine.
    pub const fn new(machine: u16, number: u32) -> Member {
        Member { machine: Machine(machine), number }
    }
}

/// A period with one membership. Every message carries its sender's; 0 is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// How many updates came before, this one included: the position of an update in the one order of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl Version {
    /// The version `count` updates later.
    pub const fn after(self, count: usize) -> Version {
        Version(self.0 + count as u64)
    }

    /// How many updates lie between `earlier` and this one; none when it is not earlier.
    pub const fn since(self, earlier: Version) -> usize {
        self.0.saturating_sub(earlier.0) as usize
    }
}

/// A process, as the kernel stamps it on messages: a client, or the owner of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity(pub u64);

/// A request of one client. A client numbers its requests upwards and repeats a number only to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Request(pub u64);

/// An attempt to end an epoch. The higher one wins; the leader makes it unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts upwards within an epoch.
    pub attempt: u32,
    /// Who tries.
    pub leader: Member,
}

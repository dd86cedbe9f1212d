//! What is registered under a name: members of a fleet, directories, and the rule by which a lookup answers one member.

use crate::rpc::Address;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fos_abi::Identity;
use serde::{Deserialize, Serialize};

/// Pairs of an entry's metadata.
pub const METADATA_PAIRS_MAX: usize = 4;
/// Bytes of a key and of a value in it.
pub const METADATA_BYTES_MAX: usize = 32;

/// One member of the fleet under a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Where its clients' requests go.
    pub address: Address,
    /// Its machine.
    pub machine: u16,
    /// Its core there.
    pub core: u16,
    /// What it says of itself: at most [`METADATA_PAIRS_MAX`] pairs.
    pub metadata: Vec<(String, String)>,
}

impl Entry {
    /// Whether its metadata is within the bounds.
    pub fn is_within_bounds(&self) -> bool {
        self.metadata.len() <= METADATA_PAIRS_MAX
            && self.metadata.iter().all(|(key, value)| key.len().max(value.len()) <= METADATA_BYTES_MAX)
    }
}

/// Who an entry belongs to, and with whose end it goes.
pub type Owner = Identity;

/// Proves the right to register below a directory: given to whoever made it, to be passed on as he likes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectoryKey(pub [u64; 2]);

impl DirectoryKey {
    /// Compares in the same time whatever the words are.
    pub fn opens(&self, lock: &DirectoryKey) -> bool {
        core::hint::black_box((self.0[0] ^ lock.0[0]) | (self.0[1] ^ lock.0[1])) == 0
    }

    /// As two words of a program's arguments.
    pub fn to_words(self) -> [String; 2] {
        self.0.map(|word| word.to_string())
    }

    /// What [`to_words`](Self::to_words) made, if it is that.
    pub fn from_words(words: &[String]) -> Option<DirectoryKey> {
        let [one, other] = words else { return None };
        Some(DirectoryKey([one.parse().ok()?, other.parse().ok()?]))
    }
}

impl core::fmt::Debug for DirectoryKey {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("DirectoryKey(..)")
    }
}

/// By which rule a lookup chooses a member. The fleet sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Policy {
    /// The least estimated wait in its queue plus the cost of the messages there and back.
    #[default]
    LeastWait,
    /// One after the other.
    RoundRobin,
    /// The nearest to the asker.
    Closest,
    /// The fewest requests under way.
    ShortestQueue,
    /// The same one for the same hash, as long as the members stay; few move when one comes or goes.
    Sticky,
    /// Whoever receives there chooses.
    Ask(Address),
}

/// What a member told of its load. Not replicated: a figure from a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFigure {
    /// Requests under way.
    pub requests: u32,
    /// How long one takes, in nanoseconds.
    pub service_nanoseconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_its_way_through_arguments() {
        let key = DirectoryKey([u64::MAX, 0]);
        let words = key.to_words();
        assert_eq!(DirectoryKey::from_words(&words), Some(key));
        assert_eq!(DirectoryKey::from_words(&words[..1]), None);
        assert_eq!(DirectoryKey::from_words(&[]), None);
        assert_eq!(DirectoryKey::from_words(&["1".into(), "-2".into()]), None);
        assert_eq!(DirectoryKey::from_words(&["1".into(), "2".into(), "3".into()]), None);
    }
}

//! Which members should have which keys: highest random weight, so that a member that comes or goes changes no more than its own
//! share.

use crate::{Key, Policy};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use fos_container::Member;

/// FNV-1a: the same on every member and machine.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        mix(self.0)
    }
}

/// A number that looks random (the finalizer of splitmix64, by Sebastiano Vigna, public domain).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The hash of anything.
pub(crate) fn hash(of: impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    of.hash(&mut hasher);
    hasher.finish()
}

/// The shard of a key.
pub(crate) fn shard_of<K: Key>(key: &K, policy: Policy) -> u16 {
    (hash(key) % u64::from(policy.shards.max(1))) as u16
}

/// How much a member is for having a shard.
pub(crate) fn weight(shard: u16, member: Member) -> u64 {
    mix(mix(u64::from(shard) + 1) ^ member.0)
}

/// Those of these members that should have a shard, the first first.
pub(crate) fn choose(shard: u16, members: impl Iterator<Item = Member>, replicas: usize) -> Vec<Member> {
    let mut members: Vec<Member> = members.collect();
    members.sort_by_key(|member| core::cmp::Reverse(weight(shard, *member)));
    members.truncate(replicas.max(1));
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: u16 = 256;

    fn first(members: u64) -> impl Fn(u16) -> Member {
        move |shard| choose(shard, (1..=members).map(Member), 1)[0]
    }

    #[test]
    fn shards_are_spread_evenly() {
        let first = first(8);
        for member in (1..=8).map(Member) {
            let count = (0..SHARDS).filter(|shard| first(*shard) == member).count();
            assert!((16..=52).contains(&count), "{member:?} is first for {count} of 256 shards");
        }
    }

    #[test]
    fn a_newcomer_takes_no_more_than_its_share() {
        let (before, after) = (first(8), first(9));
        let moved: Vec<u16> = (0..SHARDS).filter(|shard| before(*shard) != after(*shard)).collect();
        assert!(moved.iter().all(|shard| after(*shard) == Member(9)));
        assert!((12..=50).contains(&moved.len()), "{} of 256 shards moved", moved.len());
    }
}

//! A hash of the whole map that follows each change in constant time: the sum of the hashes of its entries. Two
//! members at one version with different digests do not hold the same map. It finds faults, not forgers: the sum of
//! unkeyed 64-bit hashes can be met on purpose.

use crate::Entry;
use core::hash::{Hash, Hasher};

/// The digest of one entry.
pub(crate) fn of<K: Hash, V: Hash>(key: &K, entry: &Entry<V>) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    key.hash(&mut hasher);
    entry.hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), then the finaliser of MurmurHash3: without it, sums of
/// similar entries collide.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
            mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
        }
        mixed ^ (mixed >> 33)
    }
}

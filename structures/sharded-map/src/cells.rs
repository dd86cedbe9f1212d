//! What an eventual map has: for each key the newest that this member has heard of, and its version. Removed keys keep a cell,
//! which says so, until nobody has an older one.

use crate::Key;
use crate::place::hash;
use alloc::collections::{BTreeMap, BTreeSet};
use fos_container::Member;
use serde::{Deserialize, Serialize};

/// Which of two writes is later: of equal counters that of the higher member. A writer's counter is above all that it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Above all that its writer had seen.
    pub counter: u64,
    /// Its writer.
    pub member: Member,
}

/// What is at a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell<V> {
    /// By which write.
    pub version: Version,
    /// What it wrote.
    pub value: Option<V>,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cells<K, V> {
    pub cells: BTreeMap<K, Cell<V>>,
    /// The keys whose cells say that they were removed.
    pub removed: BTreeSet<K>,
    /// The exclusive or of the hashes of all keys and versions.
    pub digest: u64,
}

impl<K, V> Default for Cells<K, V> {
    fn default() -> Cells<K, V> {
        Cells { cells: BTreeMap::new(), removed: BTreeSet::new(), digest: 0 }
    }
}

impl<K: Key, V> Cells<K, V> {
    /// Takes what is newer than what is here. Answers whether it was.
    pub fn merge(&mut self, key: K, cell: Cell<V>) -> bool {
        let here = self.cells.get(&key).map(|cell| cell.version);
        if here >= Some(cell.version) {
            return false;
        }
        let old = here.map_or(0, |version| hash((&key, version)));
        self.digest ^= old ^ hash((&key, cell.version));
        match cell.value {
            Some(_) => _ = self.removed.remove(&key),
            None => _ = self.removed.insert(key.clone()),
        }
        self.cells.insert(key, cell);
        true
    }

    /// Forgets that a key was removed, if nothing was written since.
    pub fn forget(&mut self, key: &K, version: Version) {
        if self.cells.get(key).is_some_and(|cell| cell.version == version) {
            self.cells.remove(key);
            self.removed.remove(key);
            self.digest ^= hash((key, version));
        }
    }
}

//! The youngest updates, for members that lack them: a joiner while it copies the map, a member that is behind when
//! an epoch ends. Cut when every member has them, except what a joiner still needs and a few more.

use crate::{Member, Outcome, Update, Version};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One update and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record<K, V> {
    /// The member at which it was asked.
    pub origin: Member,
    /// The update.
    pub update: Update<K, V>,
    /// When the request was first done: now, or earlier when it is a repeated one.
    pub first: Version,
    /// What came of it.
    pub outcome: Outcome,
}

/// Records of consecutive versions, the last one's being the store's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Log<K, V> {
    /// The version before the first record.
    pub base: Version,
    records: VecDeque<Record<K, V>>,
}

impl<K: Clone, V: Clone> Log<K, V> {
    pub fn new(base: Version) -> Log<K, V> {
        Log { base, records: VecDeque::new() }
    }

    pub fn push(&mut self, record: Record<K, V>) {
        self.records.push_back(record);
    }

    /// The record of one version.
    #[cfg(test)]
    pub fn get(&self, version: Version) -> Option<&Record<K, V>> {
        version.0.checked_sub(self.base.0 + 1).and_then(|index| self.records.get(index as usize))
    }

    /// Up to `count` records after a version; `None` when the first of them is no longer there.
    pub fn after(&self, version: Version, count: usize) -> Option<Vec<Record<K, V>>> {
        (version >= self.base)
            .then(|| self.records.iter().skip(version.since(self.base)).take(count).cloned().collect())
    }

    /// Forgets records up to `version`, but keeps at least `kept`.
    pub fn cut(&mut self, version: Version, kept: usize) {
        while self.base < version && self.records.len() > kept {
            self.records.pop_front();
            self.base = self.base.after(1);
        }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }
}

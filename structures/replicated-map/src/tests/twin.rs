//! The slow obvious twin of a replicated map: one map, one update after another.

use crate::{Identity, Operation, Outcome, Request, Update, Version};
use std::collections::{BTreeMap, BTreeSet};

/// Value, owner and version of an entry.
type Row = (u8, Identity, Version);

#[derive(Default)]
pub struct Twin {
    pub map: BTreeMap<u8, Row>,
    done: BTreeMap<(Identity, Request), (Version, Outcome)>,
    ended: BTreeSet<Identity>,
}

impl Twin {
    /// The map after these updates, and what came of the last one.
    pub fn after(history: &[Update<u8, u8>]) -> (Twin, Option<(Version, Outcome)>) {
        let mut twin = Twin::default();
        let mut last = None;
        for (index, update) in history.iter().enumerate() {
            last = Some(twin.apply(Version(index as u64 + 1), update));
        }
        (twin, last)
    }

    fn apply(&mut self, version: Version, update: &Update<u8, u8>) -> (Version, Outcome) {
        let asked = (update.client, update.request);
        if let Some(before) = self.done.get(&asked) {
            return *before;
        }
        if self.ended.contains(&update.client) {
            return (version, Outcome::Ended);
        }
        let outcome = self.change(version, &update.operation);
        if !self.ended.contains(&update.client) {
            self.done.insert(asked, (version, outcome));
        }
        (version, outcome)
    }

    fn change(&mut self, version: Version, operation: &Operation<u8, u8>) -> Outcome {
        match *operation {
            Operation::Insert { owner, .. } if self.ended.contains(&owner) => return Outcome::Ended,
            Operation::Insert { key, value, owner } => match self.map.get(&key) {
                Some(row) => return Outcome::Exists(row.2),
                None => drop(self.map.insert(key, (value, owner, version))),
            },
            Operation::Replace { key, value, version: expected } => match self.map.get_mut(&key) {
                None => return Outcome::Absent,
                Some(row) if row.2 != expected => return Outcome::Changed(row.2),
                Some(row) => (row.0, row.2) = (value, version),
            },
            Operation::Remove { key, version: expected } => match self.map.get(&key) {
                None => return Outcome::Absent,
                Some(row) if expected.is_some_and(|expected| row.2 != expected) => {
                    return Outcome::Changed(row.2);
                }
                Some(_) => drop(self.map.remove(&key)),
            },
            Operation::RemoveOwner { owner } => {
                self.map.retain(|_, row| row.1 != owner);
                self.done.retain(|asked, _| asked.0 != owner);
                self.ended.insert(owner);
            }
        }
        Outcome::Done
    }
}

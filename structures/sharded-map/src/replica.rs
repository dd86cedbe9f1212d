//! One shard of a strong map at one member: what is in it, the last writes, and which request of each member was the last to write.
//! All that have a shard in an epoch get the same writes in the same order, so of two the one with the higher number has all that
//! the other has.

use crate::lead::Lead;
use crate::policy::WINDOW;
use crate::{Key, Operation};
use alloc::collections::{BTreeMap, VecDeque};
use fos_container::Member;
use serde::{Deserialize, Serialize};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry<K, V> {
    /// Of what.
    pub key: K,
    /// What is there from then on.
    pub value: Option<V>,
    /// What was there.
    pub before: Option<V>,
    /// Whose server asked for it.
    pub origin: Member,
    /// Of its requests, this one.
    pub number: u64,
}

/// All that there is to a shard beside its keys and values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rest<K, V> {
    /// The number of the last write.
    pub sequence: u64,
    /// The last writes.
    pub log: VecDeque<Entry<K, V>>,
    /// The last request of each member that wrote, by which write, and what was there before. A member has one write to a shard
    /// under way at a time, so this is enough to do none twice.
    pub done: BTreeMap<Member, (u64, u64, Option<V>)>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replica<K, V> {
    pub entries: BTreeMap<K, V>,
    pub rest: Rest<K, V>,
    /// Whether it has everything, or is being copied.
    pub is_whole: bool,
    /// What its leader knows.
    pub lead: Option<Lead<K, V>>,
}

impl<K: Key, V: Clone> Replica<K, V> {
    /// An empty one.
    pub fn new(is_whole: bool) -> Replica<K, V> {
        let rest = Rest { sequence: 0, log: VecDeque::new(), done: BTreeMap::new() };
        Replica { entries: BTreeMap::new(), rest, is_whole, lead: None }
    }

    /// The write that a request makes here.
    pub fn write_of(&self, origin: Member, number: u64, operation: Operation<K, V>) -> Entry<K, V> {
        let key = operation.key().clone();
        let before = self.entries.get(&key).cloned();
        Entry { key, value: operation.value(), before, origin, number }
    }

    /// Does the next write.
    pub fn write(&mut self, entry: Entry<K, V>) {
        let Rest { sequence, log, done } = &mut self.rest;
        *sequence += 1;
        match entry.value.clone() {
            Some(value) => self.entries.insert(entry.key.clone(), value),
            None => self.entries.remove(&entry.key),
        };
        done.insert(entry.origin, (entry.number, *sequence, entry.before.clone()));
        log.push_back(entry);
        if log.len() > WINDOW {
            log.pop_front();
        }
    }

    /// The writes after this one, numbered.
    pub fn writes_after(&self, sequence: u64) -> impl Iterator<Item = (u64, &Entry<K, V>)> {
        let first = self.rest.sequence + 1 - self.rest.log.len() as u64;
        (first..).zip(&self.rest.log).filter(move |(number, _)| *number > sequence)
    }
}

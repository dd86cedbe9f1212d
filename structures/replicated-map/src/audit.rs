//! Whose map is wrong. Every vote carries the digest of its member's map, so with each update the coordinator sees all maps
//! of one version side by side: those that differ from most are wrong and leave, the coordinator itself if it is one. Of
//! two halves, the one with the lowest member stays: nobody can tell who is right, and one map is better than two.
//!
//! A digest follows the changes and not the memory, so an entry that changed by itself is seen when it is next replaced, or
//! when an audit looks it over: piece by piece the digest is made again from the entries.

use crate::interface::Stop;
use crate::replica::{Outputs, Replica};
use crate::{Body, Entry, Key, Member, Store, Value, digest};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

/// What a comparison says of the own map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
}

/// How far an audit is: the last key that it looked at, and the digest of the entries up to there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Audited<K> {
    last: K,
    sum: u64,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// Compares all votes, and sends those away whose map is wrong.
    pub(crate) fn judge(&mut self, outputs: &mut Outputs<K, V>) -> Verdict {
        let own = self.store.digest();
        if self.votes.values().all(|digest| *digest == own) {
            return Verdict::Right;
        }
        let mut maps: BTreeMap<Member, u64> = self.votes.clone();
        maps.insert(self.me, own);
        let holders = |map: &u64| maps.values().filter(|other| *other == map).count();
        // Members are in order, and of equals the last found is taken: from the end, that is the lowest.
        let right = maps.values().rev().copied().max_by_key(holders).unwrap_or(own);
        let odd: Vec<Member> =
            maps.iter().filter(|(_, map)| **map != right).map(|(member, _)| *member).collect();
        odd.iter()
            .filter(|member| **member != self.me)
            .for_each(|member| self.send(*member, Body::Odd, outputs));
        if own == right { Verdict::Right } else { Verdict::Wrong }
    }

    pub(crate) fn audit(&mut self, outputs: &mut Outputs<K, V>) {
        if self.refusal().is_none() && self.store.audit(self.limits.audited_max) == Verdict::Wrong {
            self.stop(Stop::Diverged, outputs);
        }
    }
}

impl<K: Key, V: Value> Store<K, V> {
    /// Looks over the next entries. Wrong: all have been looked over, and are not what the digest says.
    fn audit(&mut self, count: usize) -> Verdict {
        let (after, mut sum) = match self.audited.take() {
            Some(Audited { last, sum }) => (Bound::Excluded(last), sum),
            None => (Bound::Unbounded, 0_u64),
        };
        let mut last = None;
        for (key, entry) in self.entries().range((after, Bound::Unbounded)).take(count) {
            sum = sum.wrapping_add(digest::of(key, entry));
            last = Some(key);
        }
        let is_over =
            last.is_none_or(|last| self.entries().last_key_value().is_some_and(|(end, _)| end == last));
        if is_over {
            return if sum == self.digest() { Verdict::Right } else { Verdict::Wrong };
        }
        self.audited = last.cloned().map(|last| Audited { last, sum });
        Verdict::Right
    }

    /// An entry came or went: what was looked over already follows.
    pub(crate) fn follow_audit(&mut self, key: &K, entry: &Entry<V>, came: bool) {
        if let Some(audited) = self.audited.as_mut().filter(|audited| *key <= audited.last) {
            let one = digest::of(key, entry);
            audited.sum = if came { audited.sum.wrapping_add(one) } else { audited.sum.wrapping_sub(one) };
        }
    }
}

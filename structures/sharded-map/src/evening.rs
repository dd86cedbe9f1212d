//! Eventual: how members come to agree. Who has a shard and takes a write sends it to all that should have the shard. That some
//! do not get it, because its sender ended, or because they should have the shard only since, is evened out in the background: in each
//! epoch, whoever has a shard compares it with each that should have it, and where they differ sends it all, a page at a time; the
//! other does the same. Each is *even* with another when that one has all that it has; then only new writes have to go there. Who has
//! a shard and should not, drops it when it is even with all that should.
//!
//! Writes are acknowledged at once, so nothing bounds how many there are for a member that does not read. When messages to one wait for
//! room, writes are not sent to it: it is not even any more, and is compared with when there is room.

use crate::burial::Burials;
use crate::cells::Cells;
use crate::fault::Fault;
use crate::place::shard_of;
use crate::share::{Doing, Map};
use crate::{Answer, Body, Cell, Key, Operation, Version};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;
use fos_container::Member;

/// A comparison under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Talk<K> {
    shard: u16,
    /// Pages up to this key are there. None when the digest is not compared yet, or none was sent.
    after: Option<K>,
    /// The page under way is the last.
    is_last: bool,
    /// Something was written since that the other was not sent: they are to be compared again.
    is_stale: bool,
}

/// The shards of an eventual map that are here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Eventual<K, V> {
    pub shards: BTreeMap<u16, Cells<K, V>>,
    /// The highest counter of a version that was seen.
    pub clock: u64,
    /// Who has all that is here of a shard.
    even: BTreeSet<(u16, Member)>,
    /// One with each member at a time.
    talks: BTreeMap<Member, Talk<K>>,
    pub burials: Burials<K>,
}

impl<K, V> Default for Eventual<K, V> {
    fn default() -> Eventual<K, V> {
        let (shards, even, talks, burials) = Default::default();
        Eventual { shards, clock: 0, even, talks, burials }
    }
}

impl<K: Key, V> Eventual<K, V> {
    /// An epoch begins: what an ended member sent, some may not have.
    pub fn begin(&mut self) {
        self.burials.give_up();
        self.even.clear();
        self.talks.clear();
    }

    /// A member was not sent a write.
    fn miss(&mut self, shard: u16, member: Member) {
        self.even.remove(&(shard, member));
        let talk = self.talks.get_mut(&member).filter(|talk| talk.shard == shard);
        talk.into_iter().for_each(|talk| talk.is_stale = true);
    }
}

impl<K: Key, V: Clone> Map<K, V> {
    /// Whether this member serves the keys of a shard itself.
    pub(crate) fn has_cells(&self, shard: u16) -> bool {
        self.targets(shard).contains(&self.me) || self.eventual.shards.contains_key(&shard)
    }

    /// What a write that this member takes makes.
    fn next_cell(&mut self, value: Option<V>) -> Cell<V> {
        self.eventual.clock += 1;
        Cell { version: Version { counter: self.eventual.clock, member: self.me }, value }
    }

    /// Does a request with what is here.
    pub(crate) fn do_here(
        &mut self,
        shard: u16,
        operation: Operation<K, V>,
        effects: &mut Doing<K, V>,
    ) -> Answer<V> {
        let key = operation.key().clone();
        if operation.is_read() {
            return Answer::Value(self.value_here(shard, &key));
        }
        let cell = self.next_cell(operation.value());
        self.spread(shard, key, cell, effects);
        Answer::Written(None)
    }

    fn value_here(&self, shard: u16, key: &K) -> Option<V> {
        self.eventual.shards.get(&shard)?.cells.get(key)?.value.clone()
    }

    /// Takes a write and sends it to all that should have it.
    fn spread(&mut self, shard: u16, key: K, cell: Cell<V>, effects: &mut Doing<K, V>) {
        self.merge([(key.clone(), cell.clone())].into());
        let others = self.targets(shard).iter().filter(|target| **target != self.me);
        let others: Vec<Member> = others.copied().collect();
        for to in others {
            if !self.crowded.contains(&to) {
                self.say(to, Body::Update { key: key.clone(), cell: cell.clone() }, effects);
            } else if !self.faults.has(Fault::ForgetsTheCrowded) {
                self.eventual.miss(shard, to);
            }
        }
    }

    /// Takes what is newer than what is here.
    pub(crate) fn merge(&mut self, cells: Vec<(K, Cell<V>)>) {
        for (key, cell) in cells {
            let shard = shard_of(&key, self.policy);
            if !self.faults.has(Fault::CountsAlone) {
                self.eventual.clock = self.eventual.clock.max(cell.version.counter);
            }
            if self.eventual.burials.is_past(&key, cell.version) && !self.faults.has(Fault::TakesWhatIsPast) {
                continue;
            }
            let here = self.eventual.shards.entry(shard).or_default();
            if self.faults.has(Fault::LastComerWins) {
                here.cells.remove(&key);
            }
            let forgets = self.faults.has(Fault::ForgetsRemoved) && cell.value.is_none();
            here.merge(key.clone(), cell);
            if forgets {
                here.cells.remove(&key);
                here.removed.remove(&key);
            }
            // Who hands it on looks again whether all have it.
            if !self.targets(shard).contains(&self.me) {
                self.eventual.even.retain(|(even, _)| *even != shard);
            }
        }
    }

    /// A write of a member that does not have the shard.
    pub(crate) fn take(
        &mut self,
        from: Member,
        number: u64,
        key: K,
        value: Option<V>,
        effects: &mut Doing<K, V>,
    ) {
        let cell = self.next_cell(value);
        self.spread(shard_of(&key, self.policy), key, cell, effects);
        self.say(from, Body::Told { number, value: None }, effects);
    }

    /// A read of such a member.
    pub(crate) fn read_for(&mut self, from: Member, number: u64, key: &K, effects: &mut Doing<K, V>) {
        let value = self.value_here(shard_of(key, self.policy), key);
        self.say(from, Body::Told { number, value }, effects);
    }

    /// With whom a shard that is here is to be compared.
    fn uneven(&self) -> impl Iterator<Item = (u16, Member)> + '_ {
        let pairs = self
            .eventual
            .shards
            .keys()
            .flat_map(|shard| self.targets(*shard).iter().map(move |target| (*shard, *target)));
        let is_open = |target: &Member| *target != self.me && !self.crowded.contains(target);
        let is_even = |pair: &(u16, Member)| self.eventual.even.contains(pair);
        pairs.filter(move |pair| is_open(&pair.1) && !is_even(pair))
    }

    pub(crate) fn is_uneven(&self) -> bool {
        self.uneven().next().is_some() && !self.faults.has(Fault::NeverCompares)
    }

    /// Begins to compare a shard with each member with whom one is to be compared.
    pub(crate) fn even_out(&mut self, effects: &mut Doing<K, V>) {
        if self.faults.has(Fault::NeverCompares) {
            return;
        }
        let open = self.uneven().filter(|(_, member)| !self.eventual.talks.contains_key(member));
        let next: BTreeMap<Member, u16> = open.map(|(shard, member)| (member, shard)).collect();
        for (member, shard) in next {
            let digest = self.eventual.shards.get(&shard).map_or(0, |cells| cells.digest);
            self.eventual.talks.insert(member, Talk { shard, after: None, is_last: false, is_stale: false });
            self.say(member, Body::Digest { shard, digest }, effects);
        }
    }

    pub(crate) fn compare(&mut self, from: Member, shard: u16, digest: u64, effects: &mut Doing<K, V>) {
        let here = self.eventual.shards.get(&shard).map_or(0, |cells| cells.digest);
        self.say(from, Body::Compared { shard, same: here == digest }, effects);
    }

    pub(crate) fn compared(&mut self, from: Member, shard: u16, same: bool, effects: &mut Doing<K, V>) {
        if self.eventual.talks.get(&from).is_none_or(|talk| talk.shard != shard) {
            return;
        }
        if same {
            self.is_even_with(from, shard);
        } else {
            self.page(from, shard, effects);
        }
    }

    fn is_even_with(&mut self, member: Member, shard: u16) {
        let talk = self.eventual.talks.remove(&member);
        if talk.is_none_or(|talk| !talk.is_stale) {
            self.eventual.even.insert((shard, member));
        }
    }

    /// The last page is there: sends the next.
    pub(crate) fn page(&mut self, to: Member, shard: u16, effects: &mut Doing<K, V>) {
        let Some(talk) = self.eventual.talks.get_mut(&to).filter(|talk| talk.shard == shard) else { return };
        if talk.is_last {
            return self.is_even_with(to, shard);
        }
        let batch = self.policy.batch.max(1);
        let from = talk.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let here = self.eventual.shards.get(&shard).into_iter();
        let rest = here.flat_map(|here| here.cells.range((from, Bound::Unbounded)));
        let cells: Vec<(K, Cell<V>)> =
            rest.take(batch).map(|(key, cell)| (key.clone(), cell.clone())).collect();
        talk.is_last = cells.len() < batch;
        talk.after = cells.last().map(|(key, _)| key.clone()).or(talk.after.take());
        self.counts.moved += cells.len() as u64;
        self.say(to, Body::Page { shard, cells }, effects);
    }

    /// Drops what others should have and have.
    pub(crate) fn drop_even(&mut self) {
        let is_handed_on = |shard: &u16| {
            let targets = self.targets(*shard);
            let is_elsewhere = !targets.is_empty() && !targets.contains(&self.me);
            is_elsewhere && targets.iter().all(|target| self.eventual.even.contains(&(*shard, *target)))
        };
        let done: Vec<u16> = self.eventual.shards.keys().copied().filter(is_handed_on).collect();
        for shard in done {
            self.eventual.shards.remove(&shard);
            self.eventual.even.retain(|(even, _)| *even != shard);
        }
    }
}

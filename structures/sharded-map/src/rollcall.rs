//! Strong: how an epoch begins. Everybody tells everybody which whole shards it has and up to which write. Who has heard it of all
//! members knows who leads each shard: of those that have most the first by weight, the same for all. Until then it leads nothing and
//! asks nobody: all have begun the epoch by then, so nobody leads in an earlier one.
//!
//! What was settled is at all that had the shard; so whoever has most of those that are left has it. What was not settled may
//! be at some: the new leader has it all if anyone left has, and tells the others what they lack.

use crate::fault::Fault;
use crate::lead::{Asked, Lead, Out, Stage};
use crate::place::{choose, weight};
use crate::replica::Replica;
use crate::share::{Doing, Map};
use crate::{Body, Key, Operation};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use fos_container::Member;

/// Of a member: its whole shards with the last write of each, and whether it was in no epoch before.
type Report = (Vec<(u16, u64)>, bool);

/// Who has a shard, up to which write.
type Holders = BTreeMap<Member, u64>;

/// The shards of a strong map that are here, and what is known of the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strong<K, V> {
    pub replicas: BTreeMap<u16, Replica<K, V>>,
    reports: BTreeMap<Member, Report>,
    /// Who leads each shard, and how many did before it in this epoch.
    pub leaders: BTreeMap<u16, (u32, Member)>,
    /// All have reported.
    pub is_open: bool,
    /// Requests that came before that.
    early: Vec<(u16, Asked<K, V>)>,
    /// Shards that this member leads and that may be elsewhere than they should.
    pub due: BTreeSet<u16>,
    /// Shards that this member leads and that are to be copied when others have been.
    pub waiting: BTreeSet<u16>,
    /// Shards that nobody had any more.
    pub lost: u64,
}

impl<K, V> Default for Strong<K, V> {
    fn default() -> Strong<K, V> {
        Strong {
            replicas: BTreeMap::new(),
            reports: BTreeMap::new(),
            leaders: BTreeMap::new(),
            is_open: false,
            early: Vec::new(),
            due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            lost: 0,
        }
    }
}

impl<K: Key, V: Clone> Map<K, V> {
    /// Shards that this member began anew because nobody had them any more: as many members as have each ended at once.
    pub fn lost(&self) -> u64 {
        self.strong.lost
    }

    /// Shards of a strong map of which this member has all.
    pub fn whole_shards(&self) -> impl Iterator<Item = u16> {
        self.strong.replicas.iter().filter(|(_, replica)| replica.is_whole).map(|(shard, _)| *shard)
    }

    /// An epoch begins.
    pub(crate) fn call_roll(&mut self, is_new: bool, effects: &mut Doing<K, V>) {
        let members = &self.members;
        let strong = &mut self.strong;
        strong.replicas.retain(|_, replica| replica.is_whole);
        for replica in strong.replicas.values_mut() {
            replica.lead = None;
            replica.rest.done.retain(|origin, _| members.contains(origin));
        }
        let have = strong.replicas.iter().map(|(shard, replica)| (*shard, replica.rest.sequence));
        let copies: Vec<(u16, u64)> = have.collect();
        strong.reports = BTreeMap::from([(self.me, (copies.clone(), is_new))]);
        (strong.leaders, strong.early) = Default::default();
        strong.due.clear();
        strong.waiting.clear();
        strong.is_open = false;
        self.broadcast(&Body::Report { copies, is_new }, effects);
        self.open_if_complete(effects);
    }

    pub(crate) fn reported(
        &mut self,
        from: Member,
        copies: Vec<(u16, u64)>,
        is_new: bool,
        effects: &mut Doing<K, V>,
    ) {
        self.strong.reports.insert(from, (copies, is_new));
        self.open_if_complete(effects);
    }

    fn open_if_complete(&mut self, effects: &mut Doing<K, V>) {
        let reports = &self.strong.reports;
        let is_complete = self.members.iter().all(|member| reports.contains_key(member));
        let is_enough = self.faults.has(Fault::OpensEarly) && reports.len() + 1 >= self.members.len();
        if self.strong.is_open || !(is_complete || is_enough) {
            return;
        }
        self.strong.is_open = true;
        let mut holders: BTreeMap<u16, Holders> = BTreeMap::new();
        for (member, (copies, _)) in &self.strong.reports {
            for (shard, sequence) in copies {
                holders.entry(*shard).or_default().insert(*member, *sequence);
            }
        }
        for shard in 0..self.policy.shards.max(1) {
            self.appoint(shard, holders.remove(&shard).unwrap_or_default(), effects);
        }
        self.requests.are_due();
        for (shard, asked) in core::mem::take(&mut self.strong.early) {
            self.asked(shard, (asked.origin, asked.number, asked.operation), effects);
        }
    }

    /// Who leads a shard.
    fn appoint(&mut self, shard: u16, holders: Holders, effects: &mut Doing<K, V>) {
        let by_place = self.faults.has(Fault::LeadsByPlace);
        let rank = |(member, sequence): &(&Member, &u64)| {
            (if by_place { 0 } else { **sequence }, weight(shard, **member))
        };
        let best = holders.iter().max_by_key(rank).map(|(member, _)| *member);
        let first = choose(shard, self.members.iter().copied(), 1).first().copied();
        let Some(leader) = best.or(first) else { return };
        // Who was handed it already leads on.
        let (term, leader) = *self.strong.leaders.entry(shard).or_insert((0, leader));
        if (term, leader) != (0, self.me) {
            return;
        }
        if best.is_none() {
            if self.nobody_stays() && !self.faults.has(Fault::BeginsAnewAtTheEnd) {
                return;
            }
            let is_first = self.strong.reports.values().all(|(_, is_new)| *is_new);
            self.strong.lost += u64::from(!is_first);
            self.strong.replicas.insert(shard, Replica::new(true));
        }
        let others = holders.iter().filter(|(member, _)| **member != self.me);
        let others = others.map(|(member, sequence)| (*member, Stage::Whole(*sequence))).collect();
        self.begin_to_lead(shard, term, others, effects);
    }

    /// This member leads a shard from here on.
    pub(crate) fn begin_to_lead(
        &mut self,
        shard: u16,
        term: u32,
        others: BTreeMap<Member, Stage<K>>,
        effects: &mut Doing<K, V>,
    ) {
        let Some(replica) = self.strong.replicas.get_mut(&shard) else { return };
        replica.lead = Some(Lead::new(shard, term, others.clone(), replica.rest.sequence));
        let mut out = Out::new();
        for (other, stage) in others {
            if let Stage::Whole(sequence) = stage
                && !self.faults.has(Fault::LeavesBehind)
            {
                replica.catch_up(other, sequence, &mut out);
            }
        }
        self.strong.due.insert(shard);
        self.say_all(out, effects);
    }

    /// Who leads a shard, as far as is known here.
    pub(crate) fn leader_of(&self, shard: u16) -> Option<Member> {
        let (_, leader) = self.strong.leaders.get(&shard).filter(|_| self.strong.is_open)?;
        Some(*leader)
    }

    /// Does something with a shard that this member leads, and sends what comes of it.
    pub(crate) fn leading(
        &mut self,
        shard: u16,
        step: impl FnOnce(&mut Replica<K, V>, &mut Out<K, V>),
        effects: &mut Doing<K, V>,
    ) -> bool {
        let replica = self.strong.replicas.get_mut(&shard);
        let Some(replica) = replica.filter(|replica| replica.lead.is_some()) else { return false };
        let mut out = Out::new();
        step(replica, &mut out);
        if replica.lead.as_ref().is_some_and(|lead| lead.is_draining) {
            self.strong.due.insert(shard);
        }
        self.say_all(out, effects);
        true
    }

    /// A request for the leader of a shard. Who has handed it over sends it on. Who leads what nobody has any more, since the map
    /// ends, interrupts those of its own server; others ask again when it has gone.
    pub(crate) fn asked(
        &mut self,
        shard: u16,
        (origin, number, operation): (Member, u64, Operation<K, V>),
        effects: &mut Doing<K, V>,
    ) {
        let asked = Asked { origin, number, operation };
        let faults = self.faults;
        match self.strong.leaders.get(&shard).copied() {
            Some((_, leader)) if leader == self.me => {
                let step =
                    |replica: &mut Replica<K, V>, out: &mut Out<K, V>| replica.asked(asked, faults, out);
                if !self.leading(shard, step, effects) && origin == self.me {
                    self.interrupt_one(number, effects);
                }
            }
            Some((_, leader)) => {
                let Asked { origin, number, operation } = asked;
                self.say(leader, Body::Ask { origin, number, shard, operation }, effects);
            }
            None => self.strong.early.push((shard, asked)),
        }
    }

    /// The leader of a shard tells of a write.
    pub(crate) fn write(
        &mut self,
        from: Member,
        shard: u16,
        sequence: u64,
        entry: crate::Entry<K, V>,
        effects: &mut Doing<K, V>,
    ) {
        let Some(replica) = self.strong.replicas.get_mut(&shard) else { return };
        // To a shard that is being copied each write is the next.
        if !replica.is_whole || sequence == replica.rest.sequence + 1 {
            replica.write(entry);
            // That a copy is whole is said when its last part has come, and not before.
            if replica.is_whole || self.faults.has(Fault::SaysWholeEarly) {
                self.say(from, Body::Wrote { shard, sequence }, effects);
            }
        }
    }

    pub(crate) fn wrote(&mut self, from: Member, shard: u16, sequence: u64, effects: &mut Doing<K, V>) {
        let faults = self.faults;
        self.leading(shard, |replica, out| replica.wrote(from, sequence, faults, out), effects);
        self.is_due(shard);
    }
}

//! Strong: how shards come to be where they should. The leader of a shard copies it, a part at a time, to those that should have
//! it; every write goes to them as well, from the first part on. When all have it, the first of them leads: the old leader
//! lets what is under way end, holds what comes, and hands over, which nobody notices. Then whoever has the shard and should not is asked
//! to drop it; until it has, it has every write, so that at no time fewer have the shard than are counted.
//!
//! If an epoch begins in the middle, parts of copies are thrown away and begun again.

use crate::fault::Fault;
use crate::lead::{Lead, Out, Stage};
use crate::policy::COPYING_MAX;
use crate::replica::Replica;
use crate::share::{Doing, Map};
use crate::{Body, Key, Rest};
use alloc::vec::Vec;
use core::ops::Bound;
use fos_container::Member;

/// A part of a shard, and with the last one all else that there is to it.
type Part<K, V> = (Vec<(K, V)>, Option<Rest<K, V>>);

impl<K: Key, V: Clone> Lead<K, V> {
    fn is_copying(&self) -> bool {
        self.others.values().any(|stage| matches!(stage, Stage::Copying(_) | Stage::Arriving))
    }

    fn is_dropping(&self) -> bool {
        self.others.values().any(|stage| matches!(stage, Stage::Dropping(_)))
    }

    fn is_whole(&self, member: Member) -> bool {
        matches!(self.others.get(&member), Some(Stage::Whole(_)))
    }
}

impl<K: Key, V: Clone> Replica<K, V> {
    /// Sends another part to who gets a copy.
    fn copy(&mut self, to: Member, batch: usize, out: &mut Out<K, V>) {
        let Some(lead) = &mut self.lead else { return };
        let stage = lead.others.get(&to);
        let after = match stage {
            Some(Stage::Copying(after)) => after.clone(),
            None => None,
            Some(_) => return,
        };
        let first = stage.is_none();
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.entries.range((from, Bound::Unbounded));
        let entries: Vec<(K, V)> =
            rest.take(batch.max(1)).map(|(key, value)| (key.clone(), value.clone())).collect();
        let is_last = entries.len() < batch.max(1);
        let up_to = entries.last().map(|(key, _)| key.clone()).or(after);
        lead.others.insert(to, if is_last { Stage::Arriving } else { Stage::Copying(up_to) });
        let last = is_last.then(|| self.rest.clone());
        out.push((to, Body::Copy { shard: lead.shard, first, entries, last }));
    }
}

impl<K: Key, V: Clone> Map<K, V> {
    /// Who should have which shard has changed.
    pub(crate) fn all_are_due(&mut self) {
        let led = self.strong.replicas.iter().filter(|(_, replica)| replica.lead.is_some());
        self.strong.due.extend(led.map(|(shard, _)| *shard));
    }

    /// Looks after the shards for which something may be due.
    pub(crate) fn arrange_due(&mut self, effects: &mut Doing<K, V>) {
        // Who was made a leader before it has heard of all looks later.
        if !self.strong.is_open || self.faults.has(Fault::NeverMoves) {
            return;
        }
        while let Some(shard) = self.strong.due.pop_first() {
            if !self.targets(shard).is_empty() {
                self.arrange(shard, effects);
            }
        }
    }

    /// Something of a shard has changed at who should have it, or should not: perhaps a copy is over, and another can begin.
    pub(crate) fn is_due(&mut self, shard: u16) {
        self.strong.due.insert(shard);
        self.strong.due.append(&mut self.strong.waiting);
    }

    fn arrange(&mut self, shard: u16, effects: &mut Doing<K, V>) {
        let targets = self.targets(shard).to_vec();
        let leads = self.strong.replicas.values().filter_map(|replica| replica.lead.as_ref());
        let copying = leads.filter(|lead| lead.is_copying() && lead.shard != shard).count();
        let (me, batch, faults) = (self.me, self.policy.batch, self.faults);
        let (mut moved, mut waits) = (0, false);
        let step = |replica: &mut Replica<K, V>, out: &mut Out<K, V>| {
            let Some(lead) = &mut replica.lead else { return };
            abandon_copies(lead, &targets, out);
            let others = targets.iter().filter(|target| **target != me);
            let missing: Vec<Member> =
                others.clone().filter(|target| !lead.others.contains_key(target)).copied().collect();
            let is_arriving = |stage: &Stage<K>| *stage == Stage::Arriving && faults.has(Fault::DropsEarly);
            let has = |target: &&Member| {
                lead.is_whole(**target) || lead.others.get(target).is_some_and(is_arriving)
            };
            let all_have = others.clone().all(|target| has(&target));
            if all_have && targets.first() == Some(&me) {
                drop_others(lead, &targets, out);
            }
            let drains =
                all_have && targets.first() != Some(&me) && !lead.is_copying() && !lead.is_dropping();
            if core::mem::replace(&mut lead.is_draining, drains) && !drains {
                replica.go_on(faults, out);
            }
            if copying < COPYING_MAX {
                moved = missing.len() as u64 * replica.entries.len() as u64;
                missing.into_iter().for_each(|to| replica.copy(to, batch, out));
            } else {
                waits = !missing.is_empty();
            }
            replica.settle(faults, out);
        };
        self.leading(shard, step, effects);
        self.counts.moved += moved;
        self.strong.due.remove(&shard);
        if waits && !faults.has(Fault::ForgetsWhatWaits) {
            self.strong.waiting.insert(shard);
        }
        self.hand_over(shard, effects);
    }

    /// Makes the first of those that should have a shard its leader, when nothing is under way.
    fn hand_over(&mut self, shard: u16, effects: &mut Doing<K, V>) {
        let Some(to) = self.targets(shard).first().copied() else { return };
        let Some(replica) = self.strong.replicas.get_mut(&shard) else { return };
        let sequence = replica.rest.sequence;
        let at_once = self.faults.has(Fault::HandsOverAtOnce);
        let is_ready = |lead: &mut Lead<K, V>| {
            lead.is_draining && (at_once || lead.settled == sequence && lead.reads.is_empty())
        };
        let Some(lead) = replica.lead.take_if(is_ready) else { return };
        let term = lead.term + 1;
        let members = lead.others.keys().copied().chain([self.me]).collect();
        self.strong.leaders.insert(shard, (term, to));
        self.say(to, Body::Lead { shard, term, members }, effects);
        if self.faults.has(Fault::DropsHeld) {
            return;
        }
        for asked in lead.held {
            self.asked(shard, (asked.origin, asked.number, asked.operation), effects);
        }
    }

    /// This member leads a shard from here on.
    pub(crate) fn lead(&mut self, shard: u16, term: u32, members: Vec<Member>, effects: &mut Doing<K, V>) {
        let Some(replica) = self.strong.replicas.get(&shard).filter(|replica| replica.is_whole) else {
            return;
        };
        let sequence = replica.rest.sequence;
        self.strong.leaders.insert(shard, (term, self.me));
        let others = members.into_iter().filter(|member| *member != self.me);
        let others = others.map(|member| (member, Stage::Whole(sequence))).collect();
        self.begin_to_lead(shard, term, others, effects);
        self.broadcast(&Body::Leads { shard, term }, effects);
    }

    pub(crate) fn other_leads(&mut self, from: Member, shard: u16, term: u32) {
        let known = self.strong.leaders.entry(shard).or_insert((term, from));
        if known.0 < term {
            *known = (term, from);
        }
    }

    /// A part of a shard comes.
    pub(crate) fn copied_to(
        &mut self,
        from: Member,
        shard: u16,
        first: bool,
        (entries, last): Part<K, V>,
        effects: &mut Doing<K, V>,
    ) {
        if first {
            self.strong.replicas.insert(shard, Replica::new(false));
        }
        let Some(replica) = self.strong.replicas.get_mut(&shard).filter(|replica| !replica.is_whole) else {
            return;
        };
        replica.entries.extend(entries);
        let body = match last {
            Some(rest) => {
                let sequence = rest.sequence;
                (replica.rest, replica.is_whole) = (rest, true);
                Body::Wrote { shard, sequence }
            }
            None => Body::Copied { shard },
        };
        self.say(from, body, effects);
    }

    /// A part has come to who gets a copy.
    pub(crate) fn copy_on(&mut self, from: Member, shard: u16, effects: &mut Doing<K, V>) {
        let batch = self.policy.batch;
        let step = |replica: &mut Replica<K, V>, out: &mut Out<K, V>| {
            let is_copying = replica.lead.as_ref().is_some_and(|lead| lead.others.contains_key(&from));
            if is_copying {
                replica.copy(from, batch, out);
            }
        };
        self.leading(shard, step, effects);
    }

    pub(crate) fn drop_shard(&mut self, from: Member, shard: u16, effects: &mut Doing<K, V>) {
        self.strong.replicas.remove(&shard);
        self.say(from, Body::Dropped { shard }, effects);
    }

    pub(crate) fn dropped(&mut self, from: Member, shard: u16, effects: &mut Doing<K, V>) {
        let faults = self.faults;
        let step = |replica: &mut Replica<K, V>, out: &mut Out<K, V>| {
            if let Some(lead) = &mut replica.lead
                && matches!(lead.others.get(&from), Some(Stage::Dropping(_)))
            {
                lead.others.remove(&from);
            }
            replica.settle(faults, out);
        };
        self.leading(shard, step, effects);
        self.is_due(shard);
    }
}

/// Who gets a copy that it should not have any more, since it leaves, gets no more of it.
fn abandon_copies<K: Key, V>(lead: &mut Lead<K, V>, targets: &[Member], out: &mut Out<K, V>) {
    let is_idle = |member: &Member, stage: &mut Stage<K>| {
        matches!(stage, Stage::Copying(_)) && !targets.contains(member)
    };
    let abandoned = lead.others.extract_if(.., is_idle);
    out.extend(abandoned.map(|(member, _)| (member, Body::Drop { shard: lead.shard })));
}

/// All that should have it have it: the others need it no more.
fn drop_others<K: Key, V>(lead: &mut Lead<K, V>, targets: &[Member], out: &mut Out<K, V>) {
    for (member, stage) in &mut lead.others {
        if let Stage::Whole(sequence) = *stage
            && !targets.contains(member)
        {
            *stage = Stage::Dropping(sequence);
            out.push((*member, Body::Drop { shard: lead.shard }));
        }
    }
}

//! The leader of a shard gives its writes an order and tells everybody who has it. A write is *settled* when all have it; then
//! its origin is told. A read is answered when the write that it saw is settled. So what anybody was ever told is at every member
//! that has the shard, and whoever of them leads next has it.
//!
//! A leader serves only when all members of the epoch have said what they have: then nobody serves as in an earlier one.

use crate::fault::{Fault, Faults};
use crate::policy::WINDOW;
use crate::replica::Replica;
use crate::{Body, Key, Operation};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use fos_container::Member;

/// What is to be sent.
pub(crate) type Out<K, V> = Vec<(Member, Body<K, V>)>;

/// A request that has come to a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked<K, V> {
    pub origin: Member,
    pub number: u64,
    pub operation: Operation<K, V>,
}

/// How far another member has a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage<K> {
    /// It has all writes up to this one.
    Whole(u64),
    /// It has the keys up to this one.
    Copying(Option<K>),
    /// The last part is on its way to it.
    Arriving,
    /// It was asked to drop it. Until it has, it counts, with the writes that it has.
    Dropping(u64),
}

/// What the leader of a shard knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lead<K, V> {
    pub shard: u16,
    pub term: u32,
    pub others: BTreeMap<Member, Stage<K>>,
    /// The last write that all have.
    pub settled: u64,
    /// Reads that wait for a write: which, whose, and what they saw.
    pub reads: Vec<(u64, Member, u64, Option<V>)>,
    /// What waits for room, or for the next leader.
    pub held: VecDeque<Asked<K, V>>,
    /// It hands over as soon as nothing is under way.
    pub is_draining: bool,
}

impl<K, V> Lead<K, V> {
    pub fn new(shard: u16, term: u32, others: BTreeMap<Member, Stage<K>>, sequence: u64) -> Lead<K, V> {
        let whole = others.values().map(|stage| match stage {
            Stage::Whole(sequence) | Stage::Dropping(sequence) => *sequence,
            Stage::Copying(_) | Stage::Arriving => sequence,
        });
        let settled = whole.min().unwrap_or(sequence).min(sequence);
        Lead { shard, term, others, settled, reads: Vec::new(), held: VecDeque::new(), is_draining: false }
    }
}

impl<K: Key, V: Clone> Replica<K, V> {
    /// A request has come to the leader.
    pub fn asked(&mut self, asked: Asked<K, V>, faults: Faults, out: &mut Out<K, V>) {
        let Some(lead) = &mut self.lead else { return };
        let is_full = self.rest.sequence - lead.settled >= WINDOW as u64 && !asked.operation.is_read();
        if lead.is_draining || is_full {
            return lead.held.push_back(asked);
        }
        let Asked { origin, number, operation } = asked;
        if operation.is_read() {
            self.read(origin, number, operation.key(), faults, out);
        } else if self.is_new(origin, number, faults, out) {
            let entry = self.write_of(origin, number, operation);
            self.write(entry.clone());
            self.tell_of(entry, out);
            self.settle(faults, out);
        }
    }

    fn read(&mut self, origin: Member, number: u64, key: &K, faults: Faults, out: &mut Out<K, V>) {
        let value = self.entries.get(key).cloned();
        let settled = self.lead.as_ref().map_or(0, |lead| lead.settled);
        let last = self.writes_after(settled).filter(|(_, entry)| entry.key == *key).last();
        let last = last.map(|(sequence, _)| sequence).filter(|_| !faults.has(Fault::ReadsUnsettled));
        match (last, &mut self.lead) {
            (Some(sequence), Some(lead)) => lead.reads.push((sequence, origin, number, value)),
            _ => out.push((origin, Body::Told { number, value })),
        }
    }

    /// Whether a write was not done before. If it was and is settled, its origin is told again.
    fn is_new(&self, origin: Member, number: u64, faults: Faults, out: &mut Out<K, V>) -> bool {
        let settled = self.lead.as_ref().map_or(0, |lead| lead.settled);
        let Some((done, sequence, before)) = self.rest.done.get(&origin) else { return true };
        if *done < number || faults.has(Fault::RepeatsWrites) {
            return true;
        }
        if *done == number && *sequence <= settled {
            out.push((origin, Body::Told { number, value: before.clone() }));
        }
        false
    }

    /// Tells the others of the last write.
    fn tell_of(&self, entry: crate::Entry<K, V>, out: &mut Out<K, V>) {
        let Some(lead) = &self.lead else { return };
        let (shard, sequence) = (lead.shard, self.rest.sequence);
        let others = lead.others.keys();
        out.extend(others.map(|to| (*to, Body::Write { shard, sequence, entry: entry.clone() })));
    }

    /// Tells one of those that it lacks.
    pub fn catch_up(&self, to: Member, from: u64, out: &mut Out<K, V>) {
        let Some(Lead { shard, .. }) = self.lead else { return };
        let writes = self.writes_after(from);
        out.extend(
            writes.map(|(sequence, entry)| (to, Body::Write { shard, sequence, entry: entry.clone() })),
        );
    }

    /// Another has all writes up to this one.
    pub fn wrote(&mut self, from: Member, sequence: u64, faults: Faults, out: &mut Out<K, V>) {
        let stage = self.lead.as_mut().and_then(|lead| lead.others.get_mut(&from));
        match stage {
            Some(Stage::Whole(last) | Stage::Dropping(last)) => *last = sequence.max(*last),
            Some(arriving @ Stage::Arriving) => *arriving = Stage::Whole(sequence),
            Some(Stage::Copying(_)) | None => return,
        }
        self.settle(faults, out);
    }

    /// Tells the origins of what all have by now, and begins what waited for room.
    pub fn settle(&mut self, faults: Faults, out: &mut Out<K, V>) {
        let sequence = self.rest.sequence;
        let Some(lead) = &mut self.lead else { return };
        let before = lead.settled;
        let have = lead.others.values().filter_map(|stage| match stage {
            Stage::Whole(last) | Stage::Dropping(last) => Some(*last),
            // What it gets after the last part counts.
            Stage::Arriving => Some(0),
            Stage::Copying(_) => None,
        });
        let all = have.min().unwrap_or(sequence);
        let all = if faults.has(Fault::SettlesAlone) { sequence } else { all };
        lead.settled = all.clamp(before, sequence);
        let settled = lead.settled;
        let reads = lead.reads.extract_if(.., |(sequence, ..)| *sequence <= settled);
        let told: Out<K, V> =
            reads.map(|(_, origin, number, value)| (origin, Body::Told { number, value })).collect();
        let new = self.writes_after(before).filter(|(sequence, _)| *sequence <= settled);
        out.extend(new.map(|(_, entry)| {
            (entry.origin, Body::Told { number: entry.number, value: entry.before.clone() })
        }));
        out.extend(told);
        if settled > before {
            self.go_on(faults, out);
        }
    }

    /// Asks again what was held.
    pub fn go_on(&mut self, faults: Faults, out: &mut Out<K, V>) {
        let held = self.lead.as_mut().map(|lead| core::mem::take(&mut lead.held)).unwrap_or_default();
        held.into_iter().for_each(|asked| self.asked(asked, faults, out));
    }
}

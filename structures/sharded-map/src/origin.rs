//! Requests of the own server, until they are answered. Each has a number. In a strong map it goes to the leader of its shard, in
//! an eventual one to a member that has the shard if this one has not. When an epoch begins, all that are under way are sent again,
//! under the numbers they had: a write to a strong map is done once. One to an eventual map may be done again, with a later version, if
//! who took it ended before it was answered.
//!
//! Of this member's writes to one shard of a strong map one is under way at a time, so those that have the shard have to
//! remember only the last.

use crate::fault::{Fault, Faults};
use crate::place::shard_of;
use crate::policy::PENDING_MAX;
use crate::share::{Doing, Map, Standing};
use crate::{Answer, Body, Key, Operation};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use fos_container::{Effect, Member, Ticket};

/// A request under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending<K, V> {
    ticket: Ticket,
    shard: u16,
    operation: Operation<K, V>,
    is_sent: bool,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Requests<K, V> {
    pending: BTreeMap<u64, Pending<K, V>>,
    /// Shards of which a write is under way.
    writing: BTreeSet<u16>,
    /// The last request's number.
    number: u64,
    /// Whether some are not sent.
    is_due: bool,
}

impl<K, V> Default for Requests<K, V> {
    fn default() -> Requests<K, V> {
        Requests { pending: BTreeMap::new(), writing: BTreeSet::new(), number: 0, is_due: false }
    }
}

impl<K, V> Requests<K, V> {
    /// An epoch begins.
    pub fn begin(&mut self, faults: Faults) {
        if !faults.has(Fault::NeverAsksAgain) {
            self.pending.values_mut().for_each(|pending| pending.is_sent = false);
            self.writing.clear();
            self.is_due = true;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Shards may be reached now that could not be.
    pub fn are_due(&mut self) {
        self.is_due = true;
    }
}

impl<K: Key, V: Clone> Map<K, V> {
    pub(crate) fn request(&mut self, ticket: Ticket, operation: Operation<K, V>, effects: &mut Doing<K, V>) {
        self.counts.requests += 1;
        let refusal = match () {
            () if self.standing != Standing::Member => Some(Answer::NotServing),
            () if self.requests.pending.len() >= PENDING_MAX => Some(Answer::Busy),
            () => None,
        };
        if let Some(answer) = refusal {
            self.counts.refused += 1;
            return effects.push(Effect::Answer { ticket, answer });
        }
        let shard = shard_of(operation.key(), self.policy);
        if !self.is_strong() && self.has_cells(shard) {
            let answer = self.do_here(shard, operation, effects);
            return effects.push(Effect::Answer { ticket, answer });
        }
        self.counts.stalls += 1;
        self.requests.number += 1;
        let pending = Pending { ticket, shard, operation, is_sent: false };
        self.requests.pending.insert(self.requests.number, pending);
        self.requests.is_due = true;
    }

    /// Sends what can be sent.
    pub(crate) fn route(&mut self, effects: &mut Doing<K, V>) {
        if !core::mem::take(&mut self.requests.is_due) {
            return;
        }
        let unsent = self.requests.pending.iter().filter(|(_, pending)| !pending.is_sent);
        let unsent: Vec<(u64, Pending<K, V>)> =
            unsent.map(|(number, pending)| (*number, pending.clone())).collect();
        for (number, pending) in unsent {
            let Pending { shard, operation, .. } = pending;
            let is_write = !operation.is_read();
            let to = if self.is_strong() { self.leader_of(shard) } else { Some(self.taker_of(shard)) };
            let Some(to) = to else { continue };
            if self.is_strong() && is_write && !self.requests.writing.insert(shard) {
                continue;
            }
            if let Some(pending) = self.requests.pending.get_mut(&number) {
                pending.is_sent = true;
            }
            let body = match operation {
                operation if self.is_strong() => Body::Ask { origin: self.me, number, shard, operation },
                Operation::Get(key) => Body::Read { number, key },
                Operation::Put(key, value) => Body::Take { number, key, value: Some(value) },
                Operation::Remove(key) => Body::Take { number, key, value: None },
            };
            self.say(to, body, effects);
        }
    }

    /// Who does a request to an eventual map: when nobody stays, this member, with what it has.
    fn taker_of(&self, shard: u16) -> Member {
        self.targets(shard).first().copied().unwrap_or(self.me)
    }

    /// What became of a request.
    pub(crate) fn told(&mut self, number: u64, value: Option<V>, effects: &mut Doing<K, V>) {
        let Some(pending) = self.requests.pending.remove(&number) else { return };
        let Pending { ticket, shard, operation, .. } = pending;
        let answer = if operation.is_read() {
            Answer::Value(value)
        } else {
            self.requests.writing.remove(&shard);
            Answer::Written(value)
        };
        self.requests.is_due = true;
        effects.push(Effect::Answer { ticket, answer });
    }

    /// Nobody will answer this.
    pub(crate) fn interrupt_one(&mut self, number: u64, effects: &mut Doing<K, V>) {
        let Some(Pending { ticket, shard, .. }) = self.requests.pending.remove(&number) else { return };
        self.requests.writing.remove(&shard);
        self.requests.is_due = true;
        effects.push(Effect::Answer { ticket, answer: Answer::Interrupted });
    }

    /// Nobody will answer what is under way.
    pub(crate) fn interrupt(&mut self, effects: &mut Doing<K, V>) {
        let numbers: Vec<u64> = self.requests.pending.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.interrupt_one(number, effects));
    }
}

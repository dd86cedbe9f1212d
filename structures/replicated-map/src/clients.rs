//! What clients get: a place in the queue or `Full`, one answer per update when every member has applied it, reads
//! that never go back.

use crate::fault::Fault;
use crate::hand::Queued;
use crate::interface::{Answer, Output, Refusal};
use crate::replica::{Outputs, Replica, Standing};
use crate::requests::Known;
use crate::{Identity, Key, Limit, Logged, Member, Outcome, Request, Update, Value, Version};
use core::mem;

/// An update that this member brought in and applied, and that others may not have applied yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Unanswered {
    pub version: Version,
    pub client: Identity,
    pub request: Request,
    /// When the request was first done.
    pub first: Version,
    pub outcome: Outcome,
}

/// A read, waiting for its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parked<K> {
    pub client: Identity,
    pub request: Request,
    pub key: K,
    pub seen: Version,
    pub ticks: u64,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// Why no client can be served now.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.standing {
            Standing::Stopped => Some(Refusal::Stopped),
            Standing::Joining(_) => Some(Refusal::NotServing),
            Standing::Member if !self.silence.lease => Some(Refusal::NotServing),
            Standing::Member => None,
        }
    }

    pub(crate) fn update(&mut self, update: Update<K, V>, outputs: &mut Outputs<K, V>) {
        let (client, request) = (update.client, update.request);
        if let Some(refusal) = self.refusal() {
            return refuse(client, request, refusal, outputs);
        }
        match self.store.requests.look(client, request) {
            // Done, and every member knows: nothing has to be agreed to say it again.
            Known::Done(first, outcome) if first <= self.stable => {
                return outputs.push(updated(client, request, first, outcome));
            }
            Known::Forgotten => return refuse(client, request, Refusal::Forgotten, outputs),
            // Done, but perhaps not everywhere. It takes a position like a new one, changes nothing there, and is
            // answered when every member has got that far.
            _ => {}
        }
        if self.is_under_way(client, request) {
            return;
        }
        let own = self.queue.iter().filter(|queued| queued.logged.origin == self.me);
        if self.queue.len() >= self.limits.queue_max && own.count() >= self.limits.queue_max {
            return refuse(client, request, Refusal::Full(Limit::Queue), outputs);
        }
        self.queue.push_back(Queued::new(Logged { origin: self.me, update }));
        self.propose(outputs);
    }

    /// Whether this member will answer the request anyway.
    fn is_under_way(&self, client: Identity, request: Request) -> bool {
        let own = |logged: &Logged<K, V>| logged.origin == self.me && logged.is(client, request);
        self.queue.iter().any(|queued| own(&queued.logged))
            || self.promise.as_ref().is_some_and(|promise| promise.updates.iter().any(own))
            || self.unanswered.iter().any(|waiting| (waiting.client, waiting.request) == (client, request))
    }

    pub(crate) fn note_applied(&mut self, from: Member, version: Version, outputs: &mut Outputs<K, V>) {
        let known = self.applied_by.entry(from).or_default();
        if *known < version {
            *known = version;
            self.answer_updates(outputs);
        }
    }

    /// The member that committed updates of this one's clients says that they are everywhere.
    pub(crate) fn note_stable(&mut self, version: Version, outputs: &mut Outputs<K, V>) {
        self.stable = self.stable.max(version.min(self.store.version));
        self.answer_updates(outputs);
    }

    /// Answers the updates that every member has applied.
    pub(crate) fn answer_updates(&mut self, outputs: &mut Outputs<K, V>) {
        let known = |member: Member| self.applied_by.get(&member).copied().unwrap_or_default();
        let everywhere = self.others().map(known).fold(self.store.version, Version::min);
        self.stable = self.stable.max(everywhere);
        self.tell_origins(outputs);
        let until = if self.faults.has(Fault::AnswersEarly) { self.store.version } else { self.stable };
        while let Some(waiting) = self.unanswered.pop_front_if(|waiting| waiting.version <= until) {
            outputs.push(updated(waiting.client, waiting.request, waiting.first, waiting.outcome));
        }
        self.cut_log();
    }

    pub(crate) fn cut_log(&mut self) {
        let needed = self.sponsored.as_ref().map_or(self.stable, |joiner| joiner.needs.min(self.stable));
        self.log.cut(needed, self.limits.log_kept);
        if self.log.len() > self.limits.log_max {
            // Too slow: the joiner will be refused when it asks.
            self.sponsored = None;
            self.log.cut(self.stable, self.limits.log_kept);
        }
    }

    pub(crate) fn read(&mut self, read: Parked<K>, outputs: &mut Outputs<K, V>) {
        if let Some(refusal) = self.refusal() {
            return refuse(read.client, read.request, refusal, outputs);
        }
        if read.seen > self.store.version && !self.faults.has(Fault::IgnoresSeen) {
            if self.parked.len() >= self.limits.parked_max {
                return refuse(read.client, read.request, Refusal::Full(Limit::Parked), outputs);
            }
            return self.parked.push(read);
        }
        let entry = self.store.get(&read.key).cloned();
        let answer = Answer::Found { version: self.store.version, entry };
        outputs.push(Output::Answer { client: read.client, request: read.request, answer });
    }

    /// Answers the reads whose version is here.
    pub(crate) fn answer_reads(&mut self, outputs: &mut Outputs<K, V>) {
        for read in mem::take(&mut self.parked) {
            if read.seen > self.store.version {
                self.parked.push(read);
            } else {
                self.read(read, outputs);
            }
        }
    }

    /// Reads that have waited too long are sent elsewhere.
    pub(crate) fn age_reads(&mut self, outputs: &mut Outputs<K, V>) {
        let behind = Refusal::Behind(self.store.version);
        for mut read in mem::take(&mut self.parked) {
            read.ticks += 1;
            if read.ticks > self.limits.parked_ticks {
                refuse(read.client, read.request, behind, outputs);
            } else {
                self.parked.push(read);
            }
        }
    }

    /// Tells every client that waits here to ask elsewhere.
    pub(crate) fn refuse_everyone(&mut self, outputs: &mut Outputs<K, V>) {
        self.give_way();
        let me = self.me;
        let queued = mem::take(&mut self.queue).into_iter().filter(|queued| queued.logged.origin == me);
        let queued = queued.map(|Queued { logged, .. }| (logged.update.client, logged.update.request));
        let unanswered = mem::take(&mut self.unanswered).into_iter();
        let unanswered = unanswered.map(|waiting| (waiting.client, waiting.request));
        let parked = mem::take(&mut self.parked).into_iter().map(|read| (read.client, read.request));
        for (client, request) in queued.chain(unanswered).chain(parked) {
            refuse(client, request, Refusal::Stopped, outputs);
        }
    }
}

fn updated<K, V>(client: Identity, request: Request, version: Version, outcome: Outcome) -> Output<K, V> {
    Output::Answer { client, request, answer: Answer::Updated { version, outcome } }
}

fn refuse<K, V>(client: Identity, request: Request, refusal: Refusal, outputs: &mut Outputs<K, V>) {
    outputs.push(Output::Answer { client, request, answer: Answer::Refused(refusal) });
}

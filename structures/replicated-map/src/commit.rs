//! The order of updates. Positions are filled one after another; each goes to one proposal, for which every member of
//! the epoch has voted. Any member may propose.
//!
//! 1. A coordinator promises its own proposal and sends `Prepare`.
//! 2. A member votes if it stands at that position and has promised nothing there, or something with a later turn.
//! 3. With every vote the coordinator sends `Commit` and applies; the others apply and say `Applied`; with the last
//!    `Applied` the client is answered, so an acknowledged update is visible everywhere.
//!
//! Two proposals for one position: both coordinators promised their own first, so neither has the other's vote. The
//! one whose turn is earlier never gives way, so the later one can't be committed any more; whoever sees both may
//! therefore change its vote from the later to the earlier, at once and without asking. The loser proposes again at
//! the next position. Turns rotate: whoever won a position comes last at the next, so a coordinator loses at most as
//! often as there are others. Nobody waits for anybody but the earliest, so nothing goes round in circles.
//!
//! A proposal at a later position proves that the position before is committed, and what a member promised there is
//! what was: it applies that without waiting for `Commit`, and a coordinator with more to propose sends none.

use crate::audit::Verdict;
use crate::clients::Unanswered;
use crate::fault::Fault;
use crate::hand::Queued;
use crate::interface::{Output, Stop};
use crate::log::Record;
use crate::replica::{Outputs, Replica, Standing};
use crate::{Body, Key, Logged, Member, Proposal, Value, Version};
use alloc::collections::BTreeMap;

/// What a coordinator must be able to say again: that a proposal is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Committed {
    pub base: Version,
    pub end: Version,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// Whether it may take part in filling positions: no longer once it has promised to follow a ballot.
    pub(crate) fn is_active(&self) -> bool {
        let frozen = self.election.promised.is_some() && !self.faults.has(Fault::VotesAfterReport);
        matches!(self.standing, Standing::Member) && !frozen
    }

    /// Whether the promise is this member's own proposal.
    fn coordinates(&self) -> bool {
        self.promise.as_ref().is_some_and(|promise| promise.coordinator == self.me)
    }

    /// Sees to it that what clients wait for is proposed: by whoever proposes now, or here if nothing is promised at the
    /// next position. Says whether it was proposed here.
    pub(crate) fn propose(&mut self, outputs: &mut Outputs<K, V>) -> bool {
        if !self.is_active() || self.queue.is_empty() {
            return false;
        }
        if let Some(proposer) = self.proposer().filter(|proposer| *proposer != self.me) {
            self.hand_over(proposer, outputs);
            return false;
        }
        let has_room = self.unanswered.len() + self.owed.len() < self.limits.unanswered_max;
        if self.promise.is_some() || !has_room {
            return false;
        }
        let count = self.queue.len().min(self.limits.batch_max);
        let updates = self.queue.drain(..count).map(|queued| queued.logged).collect();
        let proposal = Proposal { coordinator: self.me, base: self.store.version, updates };
        self.broadcast(&Body::Prepare(proposal.clone()), outputs);
        self.promise = Some(proposal);
        self.votes = BTreeMap::new();
        self.commit_if_decided(outputs);
        true
    }

    pub(crate) fn prepare(&mut self, from: Member, proposal: Proposal<K, V>, outputs: &mut Outputs<K, V>) {
        if !self.is_active() || proposal.coordinator != from || proposal.updates.is_empty() {
            return;
        }
        self.apply_proven(proposal.base, outputs);
        self.note_applied(from, proposal.base, outputs);
        if proposal.base != self.store.version || !self.precedes_promise(from) {
            return;
        }
        if self.coordinates() {
            self.give_way();
        }
        self.promise = Some(proposal);
        self.send_vote(from, outputs);
        self.propose(outputs);
    }

    fn send_vote(&self, to: Member, outputs: &mut Outputs<K, V>) {
        let vote = Body::Vote { base: self.store.version, digest: self.store.digest() };
        self.send(to, vote, outputs);
    }

    /// Whether a proposal by `from` comes before, or is, what is promised.
    fn precedes_promise(&self, from: Member) -> bool {
        let Some(promise) = &self.promise else { return true };
        let turn = |member| self.membership.turn(member, self.last);
        turn(from) <= turn(promise.coordinator) || self.faults.has(Fault::PromisesLatest)
    }

    /// Puts the updates of the own proposal back: they go first at a later position.
    pub(crate) fn give_way(&mut self) {
        if !self.coordinates() {
            return;
        }
        let Some(promise) = self.promise.take() else { return };
        if !self.faults.has(Fault::DropsLosers) {
            let updates = promise.updates.into_iter().map(Queued::new);
            updates.rev().for_each(|queued| self.queue.push_front(queued));
        }
    }

    /// Applies what is promised if that is what leads to `base`, which somebody has reached.
    pub(crate) fn apply_proven(&mut self, base: Version, outputs: &mut Outputs<K, V>) {
        let proven = self.promise.as_ref().is_some_and(|promise| promise.end() == base);
        if proven && !self.coordinates() {
            // Every member voted at the promised position, so all have got that far.
            let promised = self.promise.as_ref().map(|promise| promise.base);
            self.stable = self.stable.max(promised.unwrap_or_default());
            self.apply_promise(outputs);
        }
    }

    pub(crate) fn vote(&mut self, from: Member, base: Version, digest: u64, outputs: &mut Outputs<K, V>) {
        self.note_applied(from, base, outputs);
        if self.is_active() && self.coordinates() && base == self.store.version {
            self.votes.insert(from, digest);
            self.commit_if_decided(outputs);
        }
    }

    fn commit_if_decided(&mut self, outputs: &mut Outputs<K, V>) {
        let others = self.membership.members.len() - 1;
        let early = self.faults.has(Fault::CommitsEarly) && !self.votes.is_empty();
        if self.votes.len() < others && !early {
            return;
        }
        let base = self.store.version;
        if self.judge(outputs) == Verdict::Wrong {
            return self.stop(Stop::Diverged, outputs);
        }
        self.stable = self.stable.max(base);
        self.votes.clear();
        self.apply_promise(outputs);
        self.committed = Some(Committed { base, end: self.store.version });
        // A proposal for the next position says as well that this one is decided.
        if !self.propose(outputs) {
            self.broadcast(&Body::Commit { base }, outputs);
        }
    }

    pub(crate) fn commit(&mut self, from: Member, base: Version, outputs: &mut Outputs<K, V>) {
        if !self.is_active() {
            return;
        }
        let is_promised = |promise: &Proposal<K, V>| promise.coordinator == from && promise.base == base;
        if self.promise.as_ref().is_some_and(is_promised) {
            self.stable = self.stable.max(base);
            self.apply_promise(outputs);
        }
        if self.store.version > base {
            self.send(from, Body::Applied { version: self.store.version }, outputs);
        }
        self.propose(outputs);
    }

    fn apply_promise(&mut self, outputs: &mut Outputs<K, V>) {
        let Some(promise) = self.promise.take() else { return };
        let own = promise.coordinator == self.me;
        for logged in promise.updates {
            let origin = logged.origin;
            self.apply(logged, outputs);
            if own && origin != self.me {
                self.owed.push_back((self.store.version, origin));
            }
        }
        self.last = Some(promise.coordinator);
        self.after_applying(outputs);
    }

    /// Applies the update of the next version.
    pub(crate) fn apply(&mut self, logged: Logged<K, V>, outputs: &mut Outputs<K, V>) {
        let version = self.store.version.after(1);
        let is_awaited = self.is_awaited(&logged);
        let Logged { origin, update } = logged;
        let mut touched = |(key, present)| outputs.push(Output::Changed { version, key, present });
        let (first, outcome) = self.store.apply(&update, &self.limits, self.faults, &mut touched);
        if is_awaited {
            let (client, request) = (update.client, update.request);
            self.unanswered.push_back(Unanswered { version, client, request, first, outcome });
        }
        self.log.push(Record { origin, update, first, outcome });
    }

    /// What may follow from a new version: answers, reads that waited for it, a shorter log.
    pub(crate) fn after_applying(&mut self, outputs: &mut Outputs<K, V>) {
        self.cut_log();
        self.answer_updates(outputs);
        self.answer_reads(outputs);
    }

    /// Sends again what `member` has not answered: the proposal, or that the last one is committed.
    pub(crate) fn repeat_updates_to(&self, member: Member, outputs: &mut Outputs<K, V>) {
        if !self.is_active() {
            return;
        }
        if let Some(own) = self.promise.as_ref().filter(|own| own.coordinator == self.me)
            && !self.votes.contains_key(&member)
        {
            self.send(member, Body::Prepare(own.clone()), outputs);
        }
        let known = self.applied_by.get(&member).copied();
        if self.unanswered.front().is_some_and(|waiting| known.is_none_or(|known| known < waiting.version)) {
            self.send(member, Body::Query, outputs);
        }
        if let Some(committed) = &self.committed
            && self.applied_by.get(&member).is_some_and(|known| *known < committed.end)
        {
            self.send(member, Body::Commit { base: committed.base }, outputs);
        }
    }
}

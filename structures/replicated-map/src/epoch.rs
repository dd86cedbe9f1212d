//! What a decree says, and going on with it.
//!
//! Which updates: every member that reports has applied all, or all but one proposal, of what anyone applied, because
//! a position is filled only when every member has voted at it. What some reporter promised at the next position may
//! have been committed by one who died, and is finished; of several promises only the one with the earliest turn can
//! have been (commit.rs). What nobody promised was committed by nobody, and is nowhere.

use crate::election::{Election, Leading};
use crate::interface::{Output, Stop};
use crate::replica::{Outputs, Replica, Standing};
use crate::{Body, Decree, Epoch, Key, Logged, Member, Membership, Value, Version};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl<K: Key, V: Value> Replica<K, V> {
    /// What is to follow the epoch, from everybody's report.
    pub(crate) fn write_decree(
        &mut self,
        leading: &Leading<K, V>,
        outputs: &mut Outputs<K, V>,
    ) -> Decree<K, V> {
        let reports = || leading.reports.values();
        let newest = reports().map(|report| report.applied).fold(self.store.version, Version::max);
        self.apply_proven(newest, outputs);
        let oldest = reports().map(|report| report.applied).chain(leading.joiner.map(|(_, version)| version));
        let start = oldest.fold(newest, Version::min);
        let known = self.log.after(start, self.log.len()).unwrap_or_default();
        let mut updates: Vec<Logged<K, V>> =
            known.into_iter().map(|record| Logged { origin: record.origin, update: record.update }).collect();
        let promises = reports().filter_map(|report| report.promise.as_ref());
        let open = promises.filter(|promise| promise.base == newest);
        if let Some(open) = open.min_by_key(|open| self.membership.turn(open.coordinator, self.last)) {
            updates.extend(open.updates.iter().cloned());
        }
        Decree { membership: self.next_membership(leading), start, updates }
    }

    fn next_membership(&self, leading: &Leading<K, V>) -> Membership {
        let joiner = leading.joiner.map(|(member, _)| member);
        let members: BTreeSet<Member> = leading.alive.iter().copied().chain(joiner).collect();
        let machines = || members.iter().map(|member| member.machine);
        let stays = machines().any(|machine| machine == self.membership.founder);
        let founder = machines().find(|_| !stays).unwrap_or(self.membership.founder);
        Membership {
            epoch: Epoch(self.membership.epoch.0 + 1),
            members: members.into_iter().collect(),
            founder,
        }
    }

    /// A decree was agreed; if that is not news here, whoever sent it waits for a word in the new epoch.
    pub(crate) fn installed(&mut self, from: Member, decree: Decree<K, V>, outputs: &mut Outputs<K, V>) {
        if decree.membership.epoch == self.membership.epoch {
            self.send(from, Body::Applied { version: self.store.version }, outputs);
        } else {
            self.install(decree, outputs);
        }
    }

    /// The epoch begins here.
    pub(crate) fn install(&mut self, decree: Decree<K, V>, outputs: &mut Outputs<K, V>) {
        if decree.membership.epoch <= self.membership.epoch {
            return;
        }
        if !decree.membership.contains(self.me) || !self.can_begin(decree.start) {
            // A joiner that is not meant yet goes on asking.
            if matches!(self.standing, Standing::Member) {
                self.stop(Stop::Excluded, outputs);
            }
            return;
        }
        self.begin_log();
        self.standing = Standing::Member;
        self.finish_updates(&decree, outputs);
        self.begin_epoch(&decree.membership);
        self.decree = Some(decree);
        outputs.push(Output::Began(self.membership.clone()));
        if !self.unanswered.is_empty() {
            self.broadcast(&Body::Query, outputs);
        }
        self.after_applying(outputs);
        if self.membership.members.iter().any(|member| self.dead.contains(member)) {
            self.end_epoch(outputs);
        }
        self.let_in(outputs);
        self.propose(outputs);
    }

    /// Applies what a decree has and this member lacks. Of an own proposal, what is not there waits for a new position.
    fn finish_updates(&mut self, decree: &Decree<K, V>, outputs: &mut Outputs<K, V>) {
        let missing = decree.updates.iter().skip(self.store.version.since(decree.start));
        let missing: Vec<Logged<K, V>> = missing.cloned().collect();
        self.give_way();
        self.promise = None;
        missing.into_iter().for_each(|logged| self.apply(logged, outputs));
    }

    fn begin_epoch(&mut self, membership: &Membership) {
        // Of those who are out nothing is obeyed any more: their epoch is over.
        let (before, now) = (&self.membership, membership);
        self.dead.retain(|member| now.contains(*member) || !before.contains(*member));
        self.membership = membership.clone();
        self.election = Election::new();
        self.last = None;
        self.take_back();
        self.votes.clear();
        self.committed = None;
        self.applied_by.clear();
        self.sponsored.take_if(|joiner| membership.contains(joiner.member));
        self.begin_hearing();
    }
}

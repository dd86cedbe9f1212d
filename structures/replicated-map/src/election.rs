//! How one epoch becomes the next: after deaths, after silence of a machine, to let a joiner in.
//!
//! What follows an epoch is decided once, by single-decree Paxos (Lamport, "Paxos made simple", 2001) among its
//! members, who vote by machine (membership.rs):
//!
//! 1. A leader picks a ballot and sends `Collect`. Who gets it follows no lower ballot any more, fills no position of
//!    this epoch any more, and sends a `Report`.
//! 2. With everybody's report the leader knows a decree: one that was accepted before, or who is alive, the joiner,
//!    and every update that may have been seen by anyone. `Propose`, `Accepted`.
//! 3. With everybody's `Accepted` it is agreed, and sent as `Install`. Nobody acts on a decree before.
//!
//! "Everybody" is who is alive as far as the leader knows; that must be a quorum. It begins again, with a higher
//! ballot, when somebody else dies. Anyone may lead; who usually does is the lowest living member, and a sponsor.
//! What the decree says is in epoch.rs.

use crate::fault::Fault;
use crate::replica::{Outputs, Replica};
use crate::{Ballot, Body, Decree, Key, Member, Report, Value, Version};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What a member knows of the end of its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Election<K, V> {
    /// The ballot that it follows.
    pub promised: Option<Ballot>,
    /// The decree that it accepted last.
    pub accepted: Option<(Ballot, Decree<K, V>)>,
    /// The highest attempt that it has heard of.
    pub attempt: u32,
    /// What it leads.
    pub leading: Option<Leading<K, V>>,
}

/// An election, at its leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Leading<K, V> {
    pub alive: BTreeSet<Member>,
    pub joiner: Option<(Member, Version)>,
    pub reports: BTreeMap<Member, Report<K, V>>,
    pub decree: Option<Decree<K, V>>,
    pub accepts: BTreeSet<Member>,
}

impl<K, V> Election<K, V> {
    pub const fn new() -> Election<K, V> {
        Election { promised: None, accepted: None, attempt: 0, leading: None }
    }
}

impl<K: Key, V: Value> Replica<K, V> {
    /// Begins, or begins again, to lead.
    pub(crate) fn start_election(&mut self, outputs: &mut Outputs<K, V>) {
        let alive = self.available();
        if !self.may_go_without(&alive.iter().copied().collect::<Vec<_>>()) {
            return;
        }
        let ballot = Ballot { attempt: self.election.attempt + 1, leader: self.me };
        self.election.attempt = ballot.attempt;
        self.election.promised = Some(ballot);
        let joiner = self
            .sponsored
            .as_ref()
            .filter(|joiner| joiner.settled)
            .map(|joiner| (joiner.member, joiner.needs));
        let (reports, accepts) = (BTreeMap::new(), BTreeSet::new());
        self.election.leading = Some(Leading { alive, joiner, reports, decree: None, accepts });
        self.repeat_election(outputs);
        let own = self.own_report();
        self.report(self.me, ballot, own, outputs);
    }

    /// Sends what the leader waits for an answer to, to those who have not answered.
    pub(crate) fn repeat_election(&self, outputs: &mut Outputs<K, V>) {
        self.others().for_each(|member| self.repeat_election_to(member, outputs));
    }

    pub(crate) fn repeat_election_to(&self, member: Member, outputs: &mut Outputs<K, V>) {
        let (Some(leading), Some(ballot)) = (&self.election.leading, self.election.promised) else { return };
        if !leading.alive.contains(&member) {
            return;
        }
        match &leading.decree {
            Some(_) if leading.accepts.contains(&member) => {}
            Some(decree) => self.send(member, Body::Propose { ballot, decree: decree.clone() }, outputs),
            None if leading.reports.contains_key(&member) => {}
            None => {
                let alive = leading.alive.iter().copied().collect();
                self.send(member, Body::Collect { ballot, alive, dead: self.dead_members() }, outputs);
            }
        }
    }

    fn own_report(&self) -> Report<K, V> {
        let promise = self.promise.clone().filter(|_| !self.faults.has(Fault::HidesPromise));
        Report { applied: self.store.version, promise, accepted: self.election.accepted.clone() }
    }

    pub(crate) fn collect(
        &mut self,
        from: Member,
        ballot: Ballot,
        alive: &[Member],
        dead: Vec<Member>,
        outputs: &mut Outputs<K, V>,
    ) {
        let unknown = dead.iter().any(|member| !self.dead.contains(member));
        if unknown {
            // The leader counts on this report: whoever else is told of these deaths hears it from the leader.
            self.dead.extend(dead.into_iter().filter(|member| *member != self.me));
        }
        if ballot.leader != from || !self.may_go_without(alive) {
            return;
        }
        match self.election.promised {
            Some(promised) if promised > ballot => {
                return self.send(from, Body::Outbid { ballot: promised }, outputs);
            }
            Some(promised) if promised == ballot => {}
            _ => self.follow(ballot),
        }
        self.send(from, Body::Report { ballot, report: self.own_report() }, outputs);
    }

    fn follow(&mut self, ballot: Ballot) {
        // Its updates go on in the next epoch, unless what it promised is finished there; so the promise stays.
        self.election.promised = Some(ballot);
        self.election.attempt = self.election.attempt.max(ballot.attempt);
        self.election.leading = None;
    }

    pub(crate) fn outbid(&mut self, ballot: Ballot, outputs: &mut Outputs<K, V>) {
        self.election.attempt = self.election.attempt.max(ballot.attempt);
        let behind = self.election.promised.is_some_and(|promised| promised < ballot);
        let led = self.available().contains(&ballot.leader);
        if self.election.leading.is_some() && behind && !led {
            self.start_election(outputs);
        }
    }

    pub(crate) fn report(
        &mut self,
        from: Member,
        ballot: Ballot,
        report: Report<K, V>,
        outputs: &mut Outputs<K, V>,
    ) {
        if self.election.promised != Some(ballot) {
            return;
        }
        let Some(leading) = &mut self.election.leading else { return };
        if leading.decree.is_some() || !leading.alive.contains(&from) {
            return;
        }
        leading.reports.insert(from, report);
        let complete = leading.reports.len() == leading.alive.len();
        if complete && self.membership.is_quorum(&leading.alive, &self.dead, self.faults) {
            self.decide(ballot, outputs);
        }
    }

    /// Every report is here: writes the decree and asks for its acceptance.
    fn decide(&mut self, ballot: Ballot, outputs: &mut Outputs<K, V>) {
        let Some(leading) = self.election.leading.take() else { return };
        let accepted = leading.reports.values().filter_map(|report| report.accepted.clone());
        let accepted = accepted.max_by_key(|(ballot, _)| *ballot).map(|(_, decree)| decree);
        let decree = accepted
            .filter(|_| !self.faults.has(Fault::IgnoresAccepted))
            .unwrap_or_else(|| self.write_decree(&leading, outputs));
        self.election.leading = Some(Leading { decree: Some(decree.clone()), ..leading });
        self.election.accepted = Some((ballot, decree));
        self.repeat_election(outputs);
        self.accepted(self.me, ballot, outputs);
    }

    pub(crate) fn propose_decree(
        &mut self,
        from: Member,
        ballot: Ballot,
        decree: Decree<K, V>,
        outputs: &mut Outputs<K, V>,
    ) {
        if ballot.leader != from || !self.may_go_without(&decree.membership.members) {
            return;
        }
        match self.election.promised {
            Some(promised) if promised > ballot => {
                self.send(from, Body::Outbid { ballot: promised }, outputs)
            }
            _ => {
                if self.election.promised != Some(ballot) {
                    self.follow(ballot);
                }
                self.election.accepted = Some((ballot, decree));
                self.send(from, Body::Accepted { ballot }, outputs);
            }
        }
    }

    pub(crate) fn accepted(&mut self, from: Member, ballot: Ballot, outputs: &mut Outputs<K, V>) {
        if self.election.promised != Some(ballot) {
            return;
        }
        let Some(leading) = &mut self.election.leading else { return };
        let Some(decree) = &leading.decree else { return };
        if leading.alive.contains(&from) {
            leading.accepts.insert(from);
        }
        if leading.accepts.len() == leading.alive.len() || self.faults.has(Fault::SkipsAccept) {
            let decree = decree.clone();
            let told: BTreeSet<Member> =
                decree.membership.members.iter().chain(&leading.alive).copied().collect();
            for member in told.into_iter().filter(|member| *member != self.me) {
                self.send(member, Body::Install(decree.clone()), outputs);
            }
            self.install(decree, outputs);
        }
    }
}

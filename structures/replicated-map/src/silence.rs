//! Machines that say nothing. Inside a machine deaths are told; of another one there is only silence, and messages to
//! it may be lost. So members of several machines ping each other, and what was not answered is sent again.
//!
//! A member answers clients only while it holds a *lease*: it knows of a quorum of machines, each of whose members
//! heard a ping of its that is at most T old. Saying so in a ping is a promise: who does, agrees to no epoch without
//! that machine until 2T later. So when the others go on without a machine, its members have stopped answering.
//! This needs periods of equal length on all machines to a factor of two, and nothing else of clocks.

use crate::fault::Fault;
use crate::replica::{Outputs, Replica, Standing};
use crate::{Body, Key, Machine, Member, Value};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What was heard of other machines, in ticks of this member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Silence {
    /// Ticks so far.
    now: u64,
    /// When each machine was last heard.
    heard: BTreeMap<Machine, u64>,
    /// The latest tick of each member, from a ping that is not answered yet.
    ticked: BTreeMap<Member, u64>,
    /// The latest tick of this member that each member is known to have heard.
    echoed: BTreeMap<Member, u64>,
    /// When this member last promised a machine not to go on without it.
    granted: BTreeMap<Machine, u64>,
    /// Whether a quorum of machines has promised not to go on without this one.
    pub lease: bool,
}

impl Silence {
    pub fn new() -> Silence {
        Silence {
            now: 0,
            heard: BTreeMap::new(),
            ticked: BTreeMap::new(),
            echoed: BTreeMap::new(),
            granted: BTreeMap::new(),
            lease: true,
        }
    }
}

impl<K: Key, V: Value> Replica<K, V> {
    pub(crate) fn hear(&mut self, from: Member) {
        if from.machine != self.me.machine {
            self.silence.heard.insert(from.machine, self.silence.now);
        }
    }

    /// A new epoch: machines that are new in it count as heard, and as having a promise.
    pub(crate) fn begin_hearing(&mut self) {
        let (now, here) = (self.silence.now, self.me.machine);
        let machines = self.membership.machines();
        let members: BTreeSet<Member> = self.others().filter(|member| member.machine != here).collect();
        let silence = &mut self.silence;
        silence.heard.retain(|machine, _| machines.contains(machine));
        silence.granted.retain(|machine, _| machines.contains(machine));
        silence.ticked.retain(|member, _| members.contains(member));
        silence.echoed.retain(|member, _| members.contains(member));
        for machine in machines.into_iter().filter(|machine| *machine != here) {
            silence.heard.insert(machine, now);
        }
        self.renew_lease();
    }

    /// Whether nothing was heard of a machine for 2T.
    pub(crate) fn is_silent(&self, machine: Machine) -> bool {
        let heard = self.silence.heard.get(&machine).copied().unwrap_or_default();
        machine != self.me.machine && self.silence.now - heard >= 2 * self.limits.lease_ticks
    }

    /// Whether no promise stands in the way of an epoch with only `members`.
    pub(crate) fn may_go_without(&self, members: &[Member]) -> bool {
        let granted = |machine| self.silence.granted.get(&machine).copied();
        let over = |granted| self.silence.now - granted >= 2 * self.limits.lease_ticks;
        let stays = |member: &Member| members.contains(member) || self.dead.contains(member);
        let left = self.membership.members.iter().filter(|member| !stays(member));
        left.into_iter().all(|member| granted(member.machine).is_none_or(over))
    }

    /// Looks again whether a quorum of machines has promised not to go on without this one.
    pub(crate) fn renew_lease(&mut self) {
        let echoed = |member: &Member| self.silence.echoed.get(member).copied().unwrap_or_default();
        let recent = |member: &Member| self.silence.now - echoed(member) <= self.limits.lease_ticks;
        let near = |member: &Member| member.machine == self.me.machine || recent(member);
        let heard: BTreeSet<Member> = self.membership.members.iter().copied().filter(near).collect();
        let quorum = self.membership.is_quorum(&heard, &self.dead, self.faults);
        self.silence.lease = quorum || self.faults.has(Fault::IgnoresLease);
    }

    pub(crate) fn pinged(&mut self, from: Member, tick: u64, echo: Option<u64>) {
        self.silence.ticked.insert(from, tick);
        if let Some(echo) = echo {
            self.silence.echoed.insert(from, echo.min(self.silence.now));
            self.renew_lease();
        }
    }

    /// A period is over: pings, whatever was not answered again, and a look at who is silent.
    pub(crate) fn tick(&mut self, outputs: &mut Outputs<K, V>) {
        self.silence.now += 1;
        match self.standing {
            Standing::Stopped => {}
            Standing::Joining(_) => self.ask_sponsor(outputs),
            Standing::Member => {
                self.renew_lease();
                self.ping(outputs);
                self.age_reads(outputs);
                self.age_joiner();
                self.hand_again();
                self.propose(outputs);
                self.look_for_silence(outputs);
                let others: Vec<Member> = self.others().collect();
                others.into_iter().for_each(|member| self.repeat_to(member, outputs));
            }
        }
    }

    fn ping(&mut self, outputs: &mut Outputs<K, V>) {
        if !self.silence.now.is_multiple_of(self.limits.ping_ticks) {
            return;
        }
        let abroad: Vec<Member> = self.others().filter(|member| member.machine != self.me.machine).collect();
        for member in abroad {
            // While an epoch ends, nothing is promised any more.
            let ends = self.election.promised.is_some();
            let echo = if ends { None } else { self.silence.ticked.remove(&member) };
            if echo.is_some() {
                self.silence.granted.insert(member.machine, self.silence.now);
            }
            self.send(member, Body::Ping { tick: self.silence.now, echo }, outputs);
        }
    }

    /// Ends the epoch if a machine is silent, and begins again to lead when who is silent has changed.
    fn look_for_silence(&mut self, outputs: &mut Outputs<K, V>) {
        let machines = self.membership.machines();
        let silent: BTreeSet<Machine> =
            machines.into_iter().filter(|machine| self.is_silent(*machine)).collect();
        let stale = |alive: &BTreeSet<Member>| {
            let missing = |member: &&Member| !alive.contains(member) && !self.dead.contains(member);
            let left: BTreeSet<Machine> =
                self.membership.members.iter().filter(missing).map(|member| member.machine).collect();
            left != silent
        };
        let begins = match (&self.election.leading, self.election.promised) {
            (Some(leading), _) => stale(&leading.alive),
            (None, Some(ballot)) => silent.contains(&ballot.leader.machine),
            (None, None) => !silent.is_empty(),
        };
        let dead_here = |member: &&Member| member.machine == self.me.machine && self.dead.contains(member);
        if self.membership.members.iter().any(|member| dead_here(&member)) {
            self.relay_deaths(self.me.machine, outputs);
        }
        if begins {
            self.end_epoch(outputs);
        }
    }

    /// Sends again what `member` has not answered: a message may have been lost, or come before its epoch.
    pub(crate) fn repeat_to(&self, member: Member, outputs: &mut Outputs<K, V>) {
        self.repeat_election_to(member, outputs);
        self.repeat_updates_to(member, outputs);
        let known = self.applied_by.get(&member);
        if self.decree.is_some() && known.is_none() {
            // It has said nothing in this epoch: perhaps it does not know of it.
            self.send_decree(member, outputs);
        }
    }
}

//! Which membership is in force, as one member knows it. No messages and no clock: the rules alone.
//!
//! The coordinator proposes a roster under a new epoch to everybody who is in the old one or in the new. Who promises acts
//! in no earlier epoch any more; when all who live have promised, the coordinator commits, and the roster is in force where
//! that is heard. So of two members that act, both do so in the same epoch or the earlier one's messages are refused by the
//! other, and whoever needs the word of all members of its epoch never gets it in an old one.
//!
//! Ends are told by the kernel and exact (`watch`), so all who live agree in the end who does, and the eldest of those who
//! are or were proposed as members coordinates. If it ends in the middle, the next eldest knows everybody who may have
//! committed: they had promised, and a promise was asked of it too, with the whole roster.

use super::roster::{Epoch, Roster, eldest};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::fleet::{Behind, Seat};

/// What one member has promised and knows.
#[derive(Clone, Debug)]
pub struct Agreement {
    me: Identity,
    in_force: Roster,
    promised: Epoch,
    /// Of the promised epoch, once all of it came.
    proposed: Option<Roster>,
    /// All who were proposed since the epoch in force began: some of them may act in a later one.
    candidates: Vec<Seat>,
    ended: BTreeSet<u64>,
}

impl Agreement {
    /// A process that is no member yet.
    pub fn new(me: Identity) -> Agreement {
        let (in_force, promised, proposed, candidates, ended) = Default::default();
        Agreement { me, in_force, promised, proposed, candidates, ended }
    }

    /// The roster in which this member may act now: none before its first epoch, between a promise and its commit, and
    /// after it was left out.
    pub fn roster(&self) -> Option<&Roster> {
        let is_in = self.promised == self.in_force.epoch() && self.is_member();
        is_in.then_some(&self.in_force)
    }

    /// The members of the last epoch that it heard of.
    pub fn last(&self) -> &Roster {
        &self.in_force
    }

    /// Whether it was a member in the last epoch that it heard of.
    pub fn is_member(&self) -> bool {
        self.counts_in(self.me)
    }

    /// Whether a process was a member in that epoch.
    pub fn counts_in(&self, identity: Identity) -> bool {
        self.in_force.find(identity).is_some()
    }

    /// Whether it was left out of the last epoch that it heard of.
    pub fn is_out(&self) -> bool {
        self.in_force.epoch() > Epoch(0) && !self.is_member()
    }

    /// The last epoch that it promised.
    pub fn promised(&self) -> Epoch {
        self.promised
    }

    /// Those who are members or may be, and live as far as it knows.
    pub fn living(&self) -> Vec<Seat> {
        let all = self.in_force.seats().iter().chain(&self.candidates).copied().collect();
        let mut seats = Roster::new(Epoch(0), all).seats().to_vec();
        seats.retain(|seat| !self.ended.contains(&seat.identity().0));
        seats
    }

    /// Who coordinates. Nobody, before this member's first epoch.
    pub fn coordinator(&self) -> Option<Seat> {
        let living = self.living();
        eldest(living.iter()).filter(|_| self.is_member()).copied()
    }

    /// Whether it is this member that does.
    pub fn is_coordinator(&self) -> bool {
        self.coordinator().is_some_and(|seat| seat.identity() == self.me)
    }

    /// A process has ended.
    pub fn ended(&mut self, identity: Identity) {
        self.ended.insert(identity.0);
    }

    /// A process that was to come does not answer: the next roster does without it, unless it is a member already.
    pub fn leave_out(&mut self, silent: Identity) {
        self.candidates.retain(|seat| seat.identity() != silent);
    }

    /// Promises an epoch with this roster.
    pub fn promise(&mut self, roster: Roster) -> Result<(), Behind> {
        let is_again = self.promised == roster.epoch() && self.proposed.as_ref() == Some(&roster);
        if roster.epoch() <= self.promised && !is_again {
            return Err(self.behind());
        }
        self.promised = roster.epoch();
        self.candidates.extend(roster.seats().iter().filter(|_| !is_again));
        self.proposed = Some(roster);
        Ok(())
    }

    /// Puts the promised epoch in force. Whether it was not before.
    pub fn commit(&mut self, epoch: Epoch) -> Result<bool, Behind> {
        if self.in_force.epoch() == epoch {
            return Ok(false);
        }
        match self.proposed.take_if(|proposed| proposed.epoch() == epoch) {
            Some(roster) => (self.in_force, self.candidates) = (roster, Vec::new()),
            None => return Err(self.behind()),
        }
        self.ended.retain(|identity| self.in_force.find(Identity(*identity)).is_some());
        Ok(true)
    }

    /// Acts in no epoch before this one: somebody promised it.
    pub fn hear_of(&mut self, promised: Epoch) {
        if promised > self.promised {
            self.promised = promised;
            self.proposed = None;
        }
    }

    /// What a coordinator is to propose, with these who want to come and without those who want to go: the roster, and
    /// all who have to promise it. None if that is in force already.
    pub fn next(&self, coming: &[Seat], going: &BTreeSet<u64>) -> Option<(Roster, Vec<Seat>)> {
        let epoch = self.promised.next();
        let living = self.living();
        let is_new = |seat: &&Seat| !self.ended.contains(&seat.identity().0);
        let coming = coming.iter().filter(is_new).map(|seat| Seat { since: epoch.0, ..*seat });
        let everybody = Roster::new(epoch, living.into_iter().chain(coming).collect());
        let mut seats = everybody.seats().to_vec();
        seats.retain(|seat| !going.contains(&seat.identity().0));
        let is_in_force = self.promised == self.in_force.epoch() && self.in_force.seats() == seats;
        (!is_in_force).then(|| (Roster::new(epoch, seats), everybody.seats().to_vec()))
    }

    /// Whether this process may come, where at most so many are members: beside those who are, or were proposed, or wait to
    /// be. It may be one of them itself, if it asks again before it has heard that it was counted in.
    pub fn has_room_for(&self, process: Identity, coming: &[Seat], members_max: usize) -> bool {
        let living = self.living();
        let mut others: BTreeSet<u64> = living.iter().chain(coming).map(|seat| seat.identity().0).collect();
        others.remove(&process.0);
        others.len() < members_max
    }

    fn behind(&self) -> Behind {
        Behind { promised: self.promised.0 }
    }
}

//! Whose messages are heard. A message says in which epoch it was sent. One from a later epoch than this member's waits until
//! that has begun here; one from who is not in the epoch is never heard. So a member that hears somebody of an epoch has done
//! with everybody who is not in it: nothing of theirs can come any more. What is found again of ended members stands on this.

use crate::{Epoch, Member};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// Messages of later epochs that wait. An epoch begins everywhere within moments; a member that misses so much is of no use.
pub const EARLY_MAX: usize = 4096;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<M> {
    /// It is heard now.
    Now(M),
    /// It waits.
    Later,
    /// It is dropped: its sender is none of the epoch.
    Never,
    /// Too much waits: this member can't go on.
    Overrun,
}

/// One member's view of who belongs to the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roll<M> {
    epoch: Epoch,
    members: Vec<Member>,
    early: BTreeMap<Member, VecDeque<(Epoch, M)>>,
    waiting: usize,
}

impl<M> Default for Roll<M> {
    fn default() -> Roll<M> {
        Roll { epoch: Epoch(0), members: Vec::new(), early: BTreeMap::new(), waiting: 0 }
    }
}

impl<M> Roll<M> {
    /// The epoch that has begun here; messages carry it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// An epoch has begun. Answers whether it is a new one; [`Roll::released`] then has what waited for it.
    pub fn begin(&mut self, epoch: Epoch, members: &[Member]) -> bool {
        if epoch <= self.epoch {
            return false;
        }
        self.epoch = epoch;
        self.members = members.to_vec();
        true
    }

    /// The messages that are to be heard now that an epoch has begun, in order for each sender.
    pub fn released(&mut self) -> Vec<(Member, M)> {
        let mut released = Vec::new();
        for (from, queue) in &mut self.early {
            while let Some((_, message)) = queue.pop_front_if(|(sent, _)| *sent <= self.epoch) {
                if self.members.contains(from) {
                    released.push((*from, message));
                }
            }
        }
        self.early.retain(|_, queue| !queue.is_empty());
        self.waiting = self.early.values().map(VecDeque::len).sum();
        released
    }

    /// What becomes of a message that was sent in this epoch.
    pub fn hear(&mut self, from: Member, sent: Epoch, message: M) -> Heard<M> {
        // What comes after something that waits, waits too.
        if sent > self.epoch || self.early.contains_key(&from) {
            if self.waiting >= EARLY_MAX {
                return Heard::Overrun;
            }
            self.waiting += 1;
            self.early.entry(from).or_default().push_back((sent, message));
            return Heard::Later;
        }
        if self.members.contains(&from) { Heard::Now(message) } else { Heard::Never }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Member = Member(1);
    const TWO: Member = Member(2);

    fn roll() -> Roll<u8> {
        let mut roll = Roll::default();
        assert!(roll.begin(Epoch(1), &[ONE]));
        roll
    }

    #[test]
    fn members_are_heard_and_others_are_not() {
        let mut roll = roll();
        assert_eq!(roll.hear(ONE, Epoch(1), 7), Heard::Now(7));
        assert_eq!(roll.hear(TWO, Epoch(1), 7), Heard::Never);
        assert!(!roll.begin(Epoch(1), &[TWO]), "an epoch begins once");
    }

    #[test]
    fn what_comes_early_waits_for_its_epoch_in_order() {
        let mut roll = roll();
        assert_eq!(roll.hear(TWO, Epoch(2), 1), Heard::Later);
        assert_eq!(roll.hear(TWO, Epoch(3), 2), Heard::Later);
        assert!(roll.begin(Epoch(2), &[ONE, TWO]));
        assert_eq!(roll.released(), [(TWO, 1)]);
        assert_eq!(roll.hear(TWO, Epoch(2), 3), Heard::Later, "the one before it still waits");
        assert!(roll.begin(Epoch(3), &[ONE, TWO]));
        assert_eq!(roll.released(), [(TWO, 2), (TWO, 3)]);
        assert_eq!(roll.hear(TWO, Epoch(2), 4), Heard::Now(4));
    }

    #[test]
    fn what_waited_for_an_epoch_without_its_sender_is_dropped() {
        let mut roll = roll();
        assert_eq!(roll.hear(TWO, Epoch(2), 1), Heard::Later);
        assert!(roll.begin(Epoch(4), &[ONE]));
        assert_eq!(roll.released(), []);
        assert_eq!(roll.hear(TWO, Epoch(3), 1), Heard::Never);
    }

    #[test]
    fn not_everything_can_wait() {
        let mut roll = roll();
        for _ in 0..EARLY_MAX {
            assert_eq!(roll.hear(TWO, Epoch(2), 1), Heard::Later);
        }
        assert_eq!(roll.hear(TWO, Epoch(2), 1), Heard::Overrun);
        assert!(roll.begin(Epoch(2), &[ONE, TWO]));
        assert_eq!(roll.released().len(), EARLY_MAX);
        assert_eq!(roll.hear(TWO, Epoch(2), 1), Heard::Now(1));
    }
}

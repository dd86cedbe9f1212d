//! Members that agree on who they are, while messages are late and members end: two epochs never both go on.

use super::seat;
use crate::fleet::{Agreement, Epoch, Roster};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::fleet::{Behind, Seat};
use proptest::prelude::*;

fn roster(epoch: u32, identities: &[u64]) -> Roster {
    Roster::new(Epoch(epoch), identities.iter().map(|identity| seat(*identity, 1)).collect())
}

/// A member of the first epoch, with these.
fn member(me: u64, identities: &[u64]) -> Agreement {
    let mut agreement = Agreement::new(Identity(me));
    agreement.promise(roster(1, identities)).unwrap();
    assert_eq!(agreement.commit(Epoch(1)), Ok(true));
    agreement
}

#[test]
fn between_a_promise_and_its_commit_nobody_acts() {
    let mut one = member(1, &[1, 2]);
    assert!(one.roster().is_some() && one.is_coordinator());
    one.promise(roster(2, &[1, 2, 3])).unwrap();
    assert_eq!(one.roster(), None);
    assert_eq!(one.commit(Epoch(3)), Err(Behind { promised: 2 }));
    assert_eq!(one.commit(Epoch(2)), Ok(true));
    assert_eq!(one.commit(Epoch(2)), Ok(false), "a repeated commit is none");
    assert_eq!(one.roster().map(Roster::epoch), Some(Epoch(2)));
}

#[test]
fn an_earlier_epoch_is_refused_and_the_same_proposal_again_is_not() {
    let mut one = member(1, &[1, 2]);
    assert_eq!(one.promise(roster(1, &[1, 2])), Err(Behind { promised: 1 }));
    one.promise(roster(5, &[1])).unwrap();
    assert_eq!(one.promise(roster(5, &[1])), Ok(()));
    assert_eq!(one.promise(roster(5, &[1, 2])), Err(Behind { promised: 5 }));
    assert_eq!(one.promise(roster(4, &[1, 2])), Err(Behind { promised: 5 }));
}

#[test]
fn the_next_eldest_takes_over_and_counts_in_who_was_proposed() {
    let mut two = member(2, &[1, 2]);
    two.promise(roster(2, &[1, 2, 3])).unwrap();
    assert!(!two.is_coordinator());
    two.ended(Identity(1));
    assert!(two.is_coordinator());
    let (next, audience) = two.next(&[], &BTreeSet::new()).unwrap();
    assert_eq!(next, roster(3, &[2, 3]));
    assert_eq!(audience.len(), 2);
    two.leave_out(Identity(3));
    assert_eq!(two.next(&[], &BTreeSet::new()).unwrap().0, roster(3, &[2]));
}

#[test]
fn who_leaves_still_has_to_promise() {
    let mut one = member(1, &[1, 2]);
    let (next, audience) = one.next(&[], &[2].into()).unwrap();
    assert_eq!((next.seats().len(), audience.len()), (1, 2));
    one.promise(next).unwrap();
    one.commit(Epoch(2)).unwrap();
    assert_eq!(one.next(&[], &BTreeSet::new()), None, "there is nothing to change");
    let mut two = member(2, &[1, 2]);
    two.promise(roster(2, &[1])).unwrap();
    two.commit(Epoch(2)).unwrap();
    assert!(two.is_out() && two.roster().is_none() && two.coordinator().is_none());
}

#[test]
fn who_asks_again_while_it_is_proposed_takes_no_second_place() {
    let mut one = member(1, &[1, 2]);
    let newcomer = seat(3, 0);
    assert!(one.has_room_for(Identity(3), &[], 3) && !one.has_room_for(Identity(3), &[], 2));
    assert!(one.has_room_for(Identity(3), &[newcomer], 3), "it waits to be proposed");
    assert!(!one.has_room_for(Identity(4), &[newcomer], 3), "the last place is another's");
    one.promise(roster(2, &[1, 2, 3])).unwrap();
    assert!(one.has_room_for(Identity(3), &[newcomer], 3), "not all have promised yet");
    assert!(!one.has_room_for(Identity(4), &[], 3));
    one.ended(Identity(2));
    assert!(one.has_room_for(Identity(4), &[newcomer], 3));
}

/// A change that a coordinator has begun.
struct Change {
    by: usize,
    roster: Roster,
    asked: BTreeSet<u64>,
    promised: BTreeSet<u64>,
}

struct Town {
    members: Vec<Option<Agreement>>,
    changes: Vec<Change>,
    newcomers: Vec<Seat>,
    /// The last epoch in which something could be done.
    last_able: Epoch,
    /// Who wanted to go: one of those that has not heard that it may, and outlives all others, is a member still.
    leavers: BTreeSet<u64>,
}

const COUNT: usize = 5;

impl Town {
    /// Three members, and two processes that would be.
    fn new() -> Town {
        let all = [1, 2, 3];
        let members = (1..=3).map(|me| Some(member(me, &all)));
        let newcomers = (4..=COUNT as u64).map(|me| Some(Agreement::new(Identity(me))));
        let seats = (4..=COUNT as u64).map(|me| seat(me, 0)).collect();
        Town {
            members: members.chain(newcomers).collect(),
            changes: Vec::new(),
            newcomers: seats,
            last_able: Epoch(0),
            leavers: BTreeSet::new(),
        }
    }

    /// One step, which one by these numbers.
    fn step(&mut self, what: u8, one: usize, other: usize) {
        let place = one % COUNT;
        let others = |but: usize| (0..COUNT).filter(move |place| *place != but);
        match what % 12 {
            0 | 1 => self.begin(place, other),
            2 => self.ask(other, place),
            3 | 4 => others(place).for_each(|place| self.ask(other, place)),
            5 => self.commit(other, place),
            6 => others(place).for_each(|place| self.commit(other, place)),
            7 => self.notice(place, other % COUNT),
            8 | 9 => others(place).for_each(|place| (0..COUNT).for_each(|ended| self.notice(place, ended))),
            10 if self.members.iter().flatten().count() > 1 => self.members[place] = None,
            _ => {}
        }
    }

    fn begin(&mut self, by: usize, coming: usize) {
        let Some(member) = self.members[by].as_mut().filter(|member| member.is_coordinator()) else { return };
        // A coordinator does one change at a time: an earlier one of its own is given up.
        self.changes.retain(|change| change.by != by);
        let going = if coming % 4 == 3 {
            BTreeSet::from([coming as u64 % COUNT as u64 + 1])
        } else {
            BTreeSet::new()
        };
        self.leavers.extend(&going);
        let coming = &self.newcomers[..coming % 3];
        let Some((roster, audience)) = member.next(coming, &going) else { return };
        member.promise(roster.clone()).unwrap();
        let asked = audience.iter().map(|seat| seat.identity().0).collect();
        self.changes.push(Change { by, roster, asked, promised: BTreeSet::from([by as u64 + 1]) });
    }

    /// A proposal comes, and its answer.
    fn ask(&mut self, change: usize, place: usize) {
        if self.changes.is_empty() {
            return;
        }
        let at = change % self.changes.len();
        let change = &mut self.changes[at];
        let who = place as u64 + 1;
        if !change.asked.contains(&who) {
            return;
        }
        let is_led = self.members[change.by].is_some();
        match &mut self.members[place] {
            // What was sent comes though the sender has ended; the answer then comes to nobody.
            Some(member) => match member.promise(change.roster.clone()) {
                Ok(()) if is_led => _ = change.promised.insert(who),
                Ok(()) => {}
                Err(Behind { promised }) => {
                    if let Some(by) = &mut self.members[change.by] {
                        by.hear_of(Epoch(promised));
                    }
                }
            },
            None => {
                if let Some(by) = &mut self.members[change.by] {
                    by.ended(Identity(who));
                }
            }
        }
    }

    /// If all have promised, the coordinator commits, and one hears of it, now or later.
    fn commit(&mut self, change: usize, place: usize) {
        if self.changes.is_empty() {
            return;
        }
        let at = change % self.changes.len();
        let Change { by, roster, asked, promised } = &self.changes[at];
        if promised != asked || !asked.contains(&(place as u64 + 1)) {
            return;
        }
        let (by, epoch) = (*by, roster.epoch());
        // Its own commit is before all others; if it has ended, only what it had sent before comes.
        let has_committed = match &mut self.members[by] {
            Some(coordinator) => coordinator.commit(epoch).is_ok(),
            None => true,
        };
        if let Some(member) = self.members[place].as_mut().filter(|_| has_committed) {
            let _ = member.commit(epoch);
        }
    }

    /// One notices that another has ended, if it has.
    fn notice(&mut self, place: usize, other: usize) {
        if self.members[other].is_none()
            && let Some(member) = &mut self.members[place]
        {
            member.ended(Identity(other as u64 + 1));
        }
    }

    fn acts_in(&self, identity: u64) -> Option<&Roster> {
        self.members[identity as usize - 1].as_ref()?.roster()
    }

    /// Epochs in which something can be done: all members that live act in it.
    fn able(&self) -> BTreeSet<Epoch> {
        let rosters = self.members.iter().flatten().filter_map(Agreement::roster);
        let is_able = |roster: &&Roster| {
            let mut living =
                roster.seats().iter().filter(|seat| self.members[seat.identity().0 as usize - 1].is_some());
            living.all(|seat| self.acts_in(seat.identity().0).map(Roster::epoch) == Some(roster.epoch()))
        };
        rosters.filter(is_able).map(Roster::epoch).collect()
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let able = self.able();
        prop_assert!(able.len() <= 1, "{able:?} go on at once");
        let earliest = able.first().copied().unwrap_or(self.last_able);
        let mut acting = (1..=COUNT as u64).filter(|who| self.acts_in(*who).is_some());
        let are_left_over = acting.all(|who| self.leavers.contains(&who));
        prop_assert!(
            earliest >= self.last_able || are_left_over,
            "{able:?} goes on after {:?}",
            self.last_able
        );
        self.last_able = earliest;
        let last = self.members.iter().flatten().filter_map(Agreement::roster).map(Roster::epoch).max();
        prop_assert!(
            able.iter().all(|epoch| Some(*epoch) == last),
            "{able:?} goes on and {last:?} has begun"
        );
        let rosters: Vec<&Roster> = self.members.iter().flatten().filter_map(Agreement::roster).collect();
        for (one, other) in rosters.iter().zip(rosters.iter().skip(1)) {
            prop_assert!(one.epoch() != other.epoch() || one == other, "one epoch, two rosters");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn two_epochs_never_both_go_on(steps in proptest::collection::vec((any::<u8>(), 0usize..60, 0usize..60), 0..120)) {
        let mut town = Town::new();
        for (what, one, other) in steps {
            town.step(what, one, other);
            town.check()?;
        }
    }
}

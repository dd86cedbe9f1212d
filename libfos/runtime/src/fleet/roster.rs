//! Who belongs to a fleet. Every member has the same roster in the same epoch, so what is computed from it needs no
//! vote: who coordinates, who has what.

use super::rendezvous::weight;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::fleet::Seat;

/// A period with one membership. It is in every message between members; another epoch's are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The one after.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// The members of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    epoch: Epoch,
    seats: Vec<Seat>,
}

impl Roster {
    /// The members of an epoch, in whatever order; of several seats of one process the first counts.
    pub fn new(epoch: Epoch, mut seats: Vec<Seat>) -> Roster {
        seats.sort_by_key(|seat| seat.identity().0);
        seats.dedup_by_key(|seat| seat.identity());
        Roster { epoch, seats }
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The members' seats, by identity.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// A member by its process.
    pub fn find(&self, identity: Identity) -> Option<&Seat> {
        let place = self.seats.binary_search_by_key(&identity.0, |seat| seat.identity().0).ok()?;
        self.seats.get(place)
    }

    /// Who has what this number stands for: the same member for all who ask in this epoch, spread over all members, and
    /// only a share of those of the others moves when a member comes, only its own when it goes.
    pub fn owner(&self, of: u64) -> Option<&Seat> {
        self.seats.iter().max_by_key(|seat| weight(of, seat.identity()))
    }
}

/// Who of these coordinates: whoever has been a member longest, so that a newcomer never takes over in the middle of
/// something.
pub fn eldest<'a>(seats: impl Iterator<Item = &'a Seat>) -> Option<&'a Seat> {
    seats.min_by_key(|seat| (seat.since, seat.identity().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::seat;
    use proptest::prelude::*;

    fn roster(identities: &[u64]) -> Roster {
        Roster::new(Epoch(1), identities.iter().map(|identity| seat(*identity, 1)).collect())
    }

    #[test]
    fn an_empty_roster_has_nobody() {
        let empty = roster(&[]);
        assert_eq!((empty.owner(3), empty.find(Identity(1))), (None, None));
        assert_eq!(eldest(empty.seats().iter()), None);
    }

    #[test]
    fn the_eldest_has_been_there_longest_whatever_its_number() {
        let seats = [seat(1, 5), seat(7, 2), seat(9, 2)];
        assert_eq!(eldest(seats.iter()), Some(&seats[1]));
        assert_eq!(eldest([seats[0], seats[2]].iter()), Some(&seats[2]));
    }

    proptest! {
        #[test]
        fn a_death_moves_only_the_dead_members_share(identities in proptest::collection::btree_set(1u64..1000, 2..20), gone: usize, of: u64) {
            let all: Vec<u64> = identities.into_iter().collect();
            let before = roster(&all).owner(of).unwrap().identity();
            let mut rest = all.clone();
            let gone = rest.remove(gone % all.len());
            let after = roster(&rest).owner(of).unwrap().identity();
            if before.0 != gone {
                prop_assert_eq!(before, after);
            }
        }
    }
}

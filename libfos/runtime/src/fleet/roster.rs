//! Who belongs to a fleet. Every member has the same roster in the same epoch, so what is computed from it needs no
//! vote: who coordinates a request, who takes over from whom.

use super::rendezvous::weight;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::rpc::Address;

/// A period with one membership. It is in every message between members; another epoch's are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u32);

/// One member, as the others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its process: the members are in its order.
    pub identity: Identity,
    /// Where members write to it.
    pub internal: Address,
    /// Where clients write to it.
    pub external: Address,
}

/// The members of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    epoch: Epoch,
    members: Vec<Member>,
}

impl Roster {
    /// The members of an epoch, in whatever order; of several entries of one process the first counts.
    pub fn new(epoch: Epoch, mut members: Vec<Member>) -> Roster {
        members.sort_by_key(|member| member.identity.0);
        members.dedup_by_key(|member| member.identity);
        Roster { epoch, members }
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The members, by identity.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A member by its process.
    pub fn find(&self, identity: Identity) -> Option<&Member> {
        let place = self.members.binary_search_by_key(&identity.0, |member| member.identity.0).ok()?;
        self.members.get(place)
    }

    /// Who coordinates what this number stands for: the same member for all who ask in this epoch, spread over all
    /// members, and only a dead member's share moves when it dies.
    pub fn coordinator(&self, of: u64) -> Option<&Member> {
        self.members.iter().max_by_key(|member| weight(of, member.identity))
    }

    /// The next member after this one, around the end: who takes over from it, if it is not alone.
    pub fn successor(&self, identity: Identity) -> Option<&Member> {
        let after = self.members.iter().find(|member| member.identity.0 > identity.0);
        after.or(self.members.first()).filter(|member| member.identity != identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn roster(identities: &[u64]) -> Roster {
        let member = |number: &u64| Member {
            identity: Identity(*number),
            internal: Address::default(),
            external: Address::default(),
        };
        Roster::new(Epoch(1), identities.iter().map(member).collect())
    }

    #[test]
    fn an_empty_roster_has_nobody() {
        let empty = roster(&[]);
        assert_eq!(
            (empty.coordinator(3), empty.successor(Identity(1)), empty.find(Identity(1))),
            (None, None, None)
        );
        assert_eq!(roster(&[4]).successor(Identity(4)), None);
    }

    #[test]
    fn successors_go_around() {
        let three = roster(&[30, 10, 20]);
        let next = |of: u64| three.successor(Identity(of)).unwrap().identity.0;
        assert_eq!((next(10), next(20), next(30), next(15)), (20, 30, 10, 20));
    }

    proptest! {
        #[test]
        fn a_death_moves_only_the_dead_members_share(identities in proptest::collection::btree_set(1u64..1000, 2..20), gone: usize, of: u64) {
            let all: Vec<u64> = identities.into_iter().collect();
            let before = roster(&all).coordinator(of).unwrap().identity;
            let mut rest = all.clone();
            let gone = rest.remove(gone % all.len());
            let after = roster(&rest).coordinator(of).unwrap().identity;
            if before.0 != gone {
                prop_assert_eq!(before, after);
            }
        }
    }
}

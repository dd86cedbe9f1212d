//! Towns that are larger than a model checker can exhaust, run at random; and maps beside the slow obvious twin, one map.

use super::town::{Setup, Town, Wish};
use crate::{Consistency, Policy};
use fos_container::town::{Town as _, at_random};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

const MEMBERS: usize = 4;
const KEYS: u8 = 4;

fn policy() -> impl Strategy<Value = Policy> {
    let consistency = prop_oneof![Just(Consistency::Strong), Just(Consistency::Eventual)];
    (consistency, 1..4_usize, 1..9_u16, 1..4_usize)
        .prop_map(|(consistency, replicas, shards, batch)| Policy { consistency, replicas, shards, batch })
}

/// Messages that a wire takes before its sender hears that the receiver is crowded.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![Just(usize::MAX), 2..6_usize]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        6 => (0..MEMBERS, 0..KEYS).prop_map(|(place, key)| Wish::Put(place, key)),
        6 => (0..MEMBERS, 0..KEYS).prop_map(|(place, key)| Wish::Get(place, key)),
        2 => (0..MEMBERS, 0..KEYS).prop_map(|(place, key)| Wish::Remove(place, key)),
        1 => (0..MEMBERS).prop_map(Wish::Leave),
        1 => Just(Wish::Join),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fewer members end than have each key: as many as the policy says, or all that stay.
    #[test]
    fn what_was_acknowledged_stays(
        keys in 0..KEYS,
        wishes in proptest::collection::vec(wish(), 0..20),
        deaths in 0..3_u8,
        policy in policy(),
        room in room(),
        choices in proptest::collection::vec(any::<u16>(), 1..400),
    ) {
        let leavers: BTreeSet<usize> =
            wishes.iter().filter_map(|wish| if let Wish::Leave(place) = wish { Some(*place) } else { None }).collect();
        // Who leaves has no copy any more when those that stay have theirs.
        let copies = policy.replicas.min(MEMBERS - leavers.len());
        let deaths = deaths.min(copies.saturating_sub(1) as u8);
        let setup = Setup { members: MEMBERS, keys, wishes, deaths, ticks: 300, policy, room, fault: None };
        prop_assert_eq!(at_random::<Town>(&setup, &choices), None);
    }

    /// One thing after the other: members are one map.
    #[test]
    fn members_are_one_map(
        wishes in proptest::collection::vec(wish(), 0..20),
        policy in policy(),
        room in room(),
    ) {
        let setup =
            Setup { members: MEMBERS, keys: 0, wishes: Vec::new(), deaths: 0, ticks: 0, policy, room, fault: None };
        let mut town = Town::new(&setup);
        let mut gone = BTreeSet::new();
        for wish in wishes {
            if let Wish::Leave(place) = wish && gone.len() + 1 < MEMBERS {
                gone.insert(place);
            } else if matches!(wish, Wish::Leave(_)) {
                continue;
            }
            town.wish_alone(&setup, wish);
            town.drain(&setup);
            prop_assert_eq!(town.flaw(&setup), None);
            prop_assert_eq!(town.not_the_last(), None);
        }
    }
}

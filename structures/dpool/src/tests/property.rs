//! Towns that are larger than a model checker can exhaust, run at random; and pools beside the slow obvious twin, a set.

use super::models::SMALL;
use super::town::{Setup, Town, Wish};
use crate::fault::Fault;
use crate::{Placement, Policy, Scheme, Thresholds};
use fos_container::town::{Town as _, at_random};
use proptest::prelude::*;
use std::vec::Vec;

const MEMBERS: usize = 4;

fn policy() -> impl Strategy<Value = Policy> {
    let placement = prop_oneof![
        Just(Placement::Single),
        prop_oneof![
            Just(Scheme::OnDemand),
            Just(Scheme::Bulk),
            Just(Scheme::Pull),
            Just(Scheme::Push),
            Just(Scheme::Estimate)
        ]
        .prop_map(Placement::Distributed)
    ];
    let thresholds = prop_oneof![
        Just(SMALL),
        Just(Thresholds { low: 2, high: 5, block: 4, margin: 2, window: 3, ..SMALL }),
        Just(Thresholds::DEFAULT)
    ];
    (placement, thresholds).prop_map(|(placement, thresholds)| Policy { placement, thresholds })
}

/// Messages that a wire takes before its sender hears that the receiver is crowded.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![Just(usize::MAX), 2..6_usize]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        8 => (0..MEMBERS, 1..6_usize).prop_map(|(place, least)| Wish::Take(place, least)),
        5 => (0..MEMBERS).prop_map(Wish::Give),
        1 => (0..MEMBERS).prop_map(Wish::Leave),
        1 => Just(Wish::Join),
    ]
}

/// Elements, each at the member that a number says.
fn stocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(0..MEMBERS, 0..40).prop_map(|places| {
        let mut stocks = std::vec![Vec::new(); MEMBERS];
        (0_u8..).zip(places).for_each(|(element, place)| stocks[place].push(element));
        stocks
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_handed_out_twice(
        stocks in stocks(),
        wishes in proptest::collection::vec(wish(), 0..24),
        deaths in 0..3_u8,
        policy in policy(),
        is_exact: bool,
        room in room(),
        choices in proptest::collection::vec(any::<u16>(), 1..400),
    ) {
        let setup = Setup { stocks, wishes, deaths, ticks: 200, policy, is_exact, room, fault: None };
        prop_assert_eq!(at_random::<Town>(&setup, &choices), None);
    }

    /// One thing after the other: a remove is served exactly when a set with the same elements could serve it.
    #[test]
    fn a_pool_is_a_set(
        stocks in stocks(),
        wishes in proptest::collection::vec(wish(), 0..24),
        policy in policy(),
        room in room(),
    ) {
        let wishes: Vec<Wish> =
            wishes.into_iter().filter(|wish| matches!(wish, Wish::Take(..) | Wish::Give(_))).collect();
        let setup = Setup { stocks, wishes: Vec::new(), deaths: 0, ticks: 0, policy, is_exact: false, room, fault: None };
        let all: usize = setup.stocks.iter().map(Vec::len).sum();
        let mut town = Town::new(&setup);
        town.drain(&setup);
        for wish in wishes {
            let before = town.outside.len();
            town.wish_alone(&setup, wish);
            town.drain(&setup);
            prop_assert_eq!(town.flaw(&setup), None);
            let after = town.outside.len();
            match wish {
                Wish::Take(_, least) if all - before >= least => {
                    prop_assert!(after - before >= least && after - before <= least + 1);
                }
                Wish::Take(..) => prop_assert_eq!(after, before),
                _ => prop_assert_eq!(after, before.saturating_sub(1)),
            }
        }
    }
}

/// An element goes out at who has confirmed that it is in the epoch, comes in at who is not in it yet, and is sent from there to who
/// ended: a town in which the random runs found it lost. Whether all is well.
pub fn what_goes_round_the_fence_is_found(fault: Option<Fault>) -> bool {
    let stocks = std::vec![std::vec![0, 9, 10], std::vec![1, 4, 6], std::vec![2, 3, 5, 7, 8], std::vec![11]];
    let takes = [(0, 1), (1, 1), (0, 2), (3, 1)].map(|(place, least)| Wish::Take(place, least));
    let [first, second, third, fourth] = takes;
    let [zero, two] = [0, 2].map(Wish::Give);
    let wishes = std::vec![zero, first, zero, second, third, fourth, two, fourth, zero, zero, zero, fourth];
    let policy = Policy { placement: Placement::Distributed(Scheme::Estimate), thresholds: SMALL };
    let setup =
        Setup { stocks, wishes, deaths: 1, ticks: 200, policy, is_exact: false, room: usize::MAX, fault };
    let choices = [11928, 63480, 53736, 38184, 880, 3848, 1728, 16248, 37688, 64832, 42080, 22744];
    at_random::<Town>(&setup, &choices).is_none()
}

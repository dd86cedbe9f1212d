//! Towns that are larger than a model checker can exhaust, run at random; and members beside the slow obvious twin, a set of
//! frames.

use super::town::{Setup, Town, Wish};
use crate::Block;
use fos_container::town::{Town as _, at_random};
use proptest::prelude::*;
use std::vec::Vec;

const MEMBERS: usize = 4;

/// Messages that a wire takes before its sender hears that the receiver is crowded.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![Just(usize::MAX), 2..6_usize]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        8 => (0..MEMBERS, 0..4_u8).prop_map(|(place, order)| Wish::Take(place, order)),
        5 => (0..MEMBERS).prop_map(Wish::Give),
        3 => (0..MEMBERS).prop_map(Wish::GiveHalf),
        1 => (0..MEMBERS).prop_map(Wish::Leave),
        1 => Just(Wish::Join),
    ]
}

/// Blocks side by side, each at the member that a number says.
fn stocks() -> impl Strategy<Value = Vec<Vec<(u64, u8)>>> {
    proptest::collection::vec((0..MEMBERS, 0..4_u8), 0..12).prop_map(|places| {
        let mut stocks = std::vec![Vec::new(); MEMBERS];
        let mut frame = 0_u64;
        for (place, order) in places {
            frame = frame.next_multiple_of(1 << order);
            stocks[place].push((frame, order));
            frame += 1 << order;
        }
        stocks
    })
}

/// How many frames of the largest block that could be free, if all halves have come together.
fn largest_possible(town: &Town) -> Option<u8> {
    let mut free: std::collections::BTreeSet<Block> = town.free().into_iter().collect();
    while let Some(lower) =
        free.iter().copied().find(|one| one.buddy().is_some_and(|buddy| free.contains(&buddy)))
    {
        free.remove(&lower);
        lower.buddy().into_iter().for_each(|buddy| _ = free.remove(&buddy));
        free.extend(lower.parent());
    }
    free.iter().map(|block| block.order()).max()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_handed_out_twice(
        stocks in stocks(),
        wishes in proptest::collection::vec(wish(), 0..24),
        deaths in 0..3_u8,
        room in room(),
        choices in proptest::collection::vec(any::<u16>(), 1..400),
    ) {
        let setup = Setup { stocks, wishes, deaths, ticks: 200, room, fault: None };
        prop_assert_eq!(at_random::<Town>(&setup, &choices), None);
    }

    /// One thing after the other: an allocation is served exactly when a single allocator with the same frames could serve it.
    #[test]
    fn members_are_one_allocator(
        stocks in stocks(),
        wishes in proptest::collection::vec(wish(), 0..24),
        room in room(),
    ) {
        let wishes: Vec<Wish> =
            wishes.into_iter().filter(|wish| !matches!(wish, Wish::Leave(_) | Wish::Join)).collect();
        let setup = Setup { stocks, wishes: Vec::new(), deaths: 0, ticks: 0, room, fault: None };
        let mut town = Town::new(&setup);
        town.drain(&setup);
        for wish in wishes {
            let (before, possible) = (town.outside.len(), largest_possible(&town));
            town.wish_alone(&setup, wish);
            town.drain(&setup);
            prop_assert_eq!(town.flaw(&setup), None);
            if let Wish::Take(_, order) = wish {
                prop_assert_eq!(town.outside.len() > before, possible >= Some(order));
            }
        }
        prop_assert_eq!(town.largest(), largest_possible(&town));
    }
}

//! An end at every message of busy towns.

use super::models::take;
use super::town::{Setup, Town, Violation, Wish};
use fos_container::town::{self, Kill};
use std::vec;

/// Every kill point of a run; answers how many there were, and the first that something forbidden followed.
pub fn enumerate(setup: &Setup) -> (usize, Option<(Kill, Violation)>) {
    town::enumerate::<Town>(&Setup { ticks: 60, ..setup.clone() }, setup.fault.is_some())
}

/// Blocks are split, given back in halves elsewhere, and come together again.
pub fn busy() -> Setup {
    let take = |place, order| Wish::Take(place, order);
    let wishes = vec![
        take(0, 2),
        take(2, 0),
        Wish::GiveHalf(1),
        take(0, 0),
        Wish::Give(0),
        Wish::GiveHalf(2),
        take(1, 4),
        Wish::Give(2),
    ];
    Setup { stocks: vec![vec![(1, 0)], vec![(32, 5)], vec![(0, 0), (2, 1)]], wishes, ..take_nothing() }
}

fn take_nothing() -> Setup {
    Setup { wishes: vec![], ..take() }
}

/// A member leaves, another comes, and clients go on.
pub fn comings_and_goings() -> Setup {
    let wishes = busy().wishes.into_iter().chain([Wish::Leave(1), Wish::Join]).collect();
    Setup { wishes, ..busy() }
}

fn holds(setup: Setup, points_min: usize) {
    let (points, bad) = enumerate(&setup);
    assert_eq!(bad, None);
    assert!(points >= points_min, "only {points} kill points");
}

#[test]
fn an_end_before_every_message() {
    holds(busy(), 12);
}

#[test]
fn an_end_before_every_message_while_members_come_and_go() {
    holds(comings_and_goings(), 25);
}

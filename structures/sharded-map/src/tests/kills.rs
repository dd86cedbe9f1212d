//! An end at every message of busy towns.

use super::models::{EVENTUAL, STRONG};
use super::town::{Setup, Town, Violation, Wish};
use crate::Policy;
use fos_container::town::{self, Kill};
use std::vec;

/// Every kill point of a run; answers how many there were, and the first that something forbidden followed.
pub fn enumerate(setup: &Setup) -> (usize, Option<(Kill, Violation)>) {
    // A death is counted, so that no shard may be lost by it.
    town::enumerate::<Town>(&Setup { ticks: 200, deaths: 1, ..setup.clone() }, setup.fault.is_some())
}

/// Writes, reads and removes at four members, a few shards.
pub fn busy() -> Setup {
    let wishes = vec![
        Wish::Put(0, 0),
        Wish::Put(1, 1),
        Wish::Get(2, 0),
        Wish::Put(2, 0),
        Wish::Remove(3, 1),
        Wish::Put(3, 2),
        Wish::Get(0, 1),
        Wish::Put(1, 0),
    ];
    let policy = Policy { shards: 4, batch: 2, ..STRONG };
    Setup { members: 4, keys: 6, wishes, deaths: 0, ticks: 0, policy, room: usize::MAX, fault: None }
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
    holds(busy(), 20);
}

#[test]
fn an_end_before_every_message_while_members_come_and_go() {
    holds(comings_and_goings(), 100);
}

#[test]
fn an_end_before_every_message_of_an_eventual_map() {
    let policy = Policy { shards: 4, batch: 2, ..EVENTUAL };
    holds(Setup { policy, ..comings_and_goings() }, 60);
}

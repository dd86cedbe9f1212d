//! An end at every message of busy towns.

use super::models::{SMALL, small, take};
use super::town::{Setup, Town, Violation, Wish};
use crate::{Policy, Scheme};
use fos_container::town::{self, Kill};
use std::vec;

/// Timers that go off in a run.
const TICKS: u16 = 60;

/// Every kill point of a run; answers how many there were, and the first that something forbidden followed.
pub fn enumerate(setup: &Setup) -> (usize, Option<(Kill, Violation)>) {
    town::enumerate::<Town>(&Setup { ticks: TICKS, ..setup.clone() }, setup.fault.is_some())
}

/// Every kill point of a run with a scheme: takes and gives at three members, of whom one has nearly everything.
pub fn busy(policy: Policy) -> Setup {
    let take = |place| Wish::Take(place, 2);
    let wishes = vec![take(0), take(2), Wish::Give(1), take(0), Wish::Give(0), take(2), Wish::Take(1, 4)];
    Setup { stocks: vec![vec![], (0..20).collect(), vec![20, 21]], wishes, policy, ..take_nothing() }
}

fn take_nothing() -> Setup {
    Setup { wishes: vec![], ..take() }
}

/// A member leaves, another comes, and clients go on.
pub fn comings_and_goings() -> Setup {
    let Setup { wishes, .. } = busy(small(Scheme::Estimate));
    let wishes = wishes.into_iter().chain([Wish::Leave(1), Wish::Join]).collect();
    Setup { wishes, ..busy(small(Scheme::Estimate)) }
}

fn holds(setup: Setup, points_min: usize) {
    let (points, bad) = enumerate(&setup);
    assert_eq!(bad, None, "{:?}", setup.policy);
    assert!(points >= points_min, "only {points} kill points with {:?}", setup.policy);
}

#[test]
fn an_end_before_every_message_of_each_scheme() {
    for scheme in [Scheme::OnDemand, Scheme::Bulk, Scheme::Pull, Scheme::Push, Scheme::Estimate] {
        holds(busy(small(scheme)), 10);
        // The numbers of a real pool.
        holds(busy(Policy::distributed(scheme)), 6);
    }
}

#[test]
fn an_end_before_every_message_of_a_single_location() {
    holds(busy(Policy { thresholds: SMALL, ..Policy::SINGLE }), 10);
}

#[test]
fn an_end_before_every_message_while_members_come_and_go() {
    holds(comings_and_goings(), 30);
}

//! An end at every message: the same run again and again, in which one member ends just before one of the messages that it
//! sends. First without an end, to know how many there are.

use super::models::{SMALL, small, take};
use super::town::{Event, Setup, Town, Violation, Wish};
use crate::{Policy, Scheme};
use fos_container::Member;
use fos_container::world::Action;
use std::vec;
use std::vec::Vec;

/// Who ends, and before which of its messages.
type Kill = (Member, usize);

const STEPS_MAX: usize = 2_000;
/// Timers that go off in a run.
const TICKS: u8 = 60;

/// Runs to the end by a fixed schedule. Answers how many messages each member sent, and what was forbidden.
fn run(setup: &Setup, kill: Option<Kill>) -> (Vec<Kill>, Option<Violation>) {
    let mut town = Town::new(setup);
    (town.world.kill, town.world.counts) = (kill, true);
    // What was sent while the town was made is not counted; what the ended has is written down whenever it changes.
    let mut events = Vec::new();
    let mut turn = 0;
    while turn < 7 * STEPS_MAX && town.violation.is_none() {
        events.clear();
        town.events(setup, &mut events);
        let is_tick = |event: &Event| matches!(event, Event::In(Action::Tick(_)));
        // Timers wait while anything else can happen.
        if events.iter().any(|event| !is_tick(event)) {
            events.retain(|event| !is_tick(event));
        }
        // A stride that differs from step to step mixes wishes, deliveries and notices.
        let Some(event) = events.get(turn % events.len().max(1)) else { break };
        town.perform(setup, *event);
        turn += 7;
    }
    town.world.kill = None;
    town.drain(setup);
    let sent = town.world.sent.iter().map(|(member, count)| (*member, *count)).collect();
    (sent, town.flaw())
}

/// Every kill point of a run; answers how many there were, and the first that something forbidden followed.
pub fn enumerate(setup: &Setup) -> (usize, Option<(Kill, Violation)>) {
    let setup = &Setup { ticks: TICKS, ..setup.clone() };
    let (sent, violation) = run(setup, None);
    assert!(setup.fault.is_some() || violation.is_none(), "without an end: {violation:?}");
    let kills: Vec<Kill> =
        sent.iter().flat_map(|(member, count)| (0..*count).map(|index| (*member, index))).collect();
    let bad = |kill: &Kill| run(setup, Some(*kill)).1.map(|violation| (*kill, violation));
    (kills.len(), kills.iter().find_map(bad))
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

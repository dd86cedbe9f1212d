//! An end at every message: the same run again and again, in which one member ends just before one of the messages that it
//! sends. First without an end, to know how many there are.

use super::models::take;
use super::town::{Event, Setup, Town, Violation, Wish};
use fos_container::Member;
use fos_container::world::Action;
use std::vec;
use std::vec::Vec;

/// Who ends, and before which of its messages.
type Kill = (Member, usize);

const STEPS_MAX: usize = 2_000;

/// Runs to the end by a fixed schedule. Answers how many messages each member sent, and what was forbidden.
fn run(setup: &Setup, kill: Option<Kill>) -> (Vec<Kill>, Option<Violation>) {
    let mut town = Town::new(setup);
    (town.world.kill, town.world.counts) = (kill, true);
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
    let setup = &Setup { ticks: 60, ..setup.clone() };
    let (sent, violation) = run(setup, None);
    assert!(setup.fault.is_some() || violation.is_none(), "without an end: {violation:?}");
    let kills: Vec<Kill> =
        sent.iter().flat_map(|(member, count)| (0..*count).map(|index| (*member, index))).collect();
    let bad = |kill: &Kill| run(setup, Some(*kill)).1.map(|violation| (*kill, violation));
    (kills.len(), kills.iter().find_map(bad))
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

//! An end at every message: the same run again and again, in which one member ends just before one of the messages that it
//! sends. First without an end, to know how many there are.

use super::models::{EVENTUAL, STRONG};
use super::town::{Event, Setup, Town, Violation, Wish};
use crate::Policy;
use fos_container::Member;
use fos_container::world::Action;
use std::vec;
use std::vec::Vec;

/// Who ends, and before which of its messages.
type Kill = (Member, usize);

const STEPS_MAX: usize = 3_000;

/// Runs to the end by a fixed schedule. Answers how many messages each member sent, and what was forbidden.
fn run(setup: &Setup, kill: Option<Kill>) -> (Vec<Kill>, Option<Violation>) {
    let mut town = Town::new(setup);
    (town.world.kill, town.world.counts) = (kill, true);
    let mut events = Vec::new();
    let mut turn = 0;
    while turn < 7 * STEPS_MAX && town.violation.is_none() {
        events.clear();
        town.events(setup, &mut events);
        events.retain(|event| !matches!(event, Event::In(Action::Die(_) | Action::DeliverAndDie(..))));
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
    (sent, town.flaw(setup))
}

/// Every kill point of a run; answers how many there were, and the first that something forbidden followed.
pub fn enumerate(setup: &Setup) -> (usize, Option<(Kill, Violation)>) {
    // A death is counted, so that no shard may be lost by it.
    let setup = &Setup { ticks: 200, deaths: 1, ..setup.clone() };
    let (sent, violation) = run(setup, None);
    assert!(setup.fault.is_some() || violation.is_none(), "without an end: {violation:?}");
    let kills: Vec<Kill> =
        sent.iter().flat_map(|(member, count)| (0..*count).map(|index| (*member, index))).collect();
    let bad = |kill: &Kill| run(setup, Some(*kill)).1.map(|violation| (*kill, violation));
    (kills.len(), kills.iter().find_map(bad))
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
    Setup { members: 4, keys: 6, wishes, deaths: 0, ticks: 0, policy, fault: None }
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

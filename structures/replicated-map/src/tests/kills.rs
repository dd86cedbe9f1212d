//! A death at every message: the same run again and again, in which one member dies just before one of the messages
//! that it sends. First without a death, to know how many there are.

use super::checks::Violation;
use super::models::{base, insert, joining, machines, one_machine};
use super::world::{Action, Setup, Wish, World};
use crate::{Identity, Limits, Member, Operation, Version};
use std::vec;
use std::vec::Vec;

/// Who dies, and before which of its messages.
type Kill = (Member, usize);

const STEPS_MAX: usize = 20_000;

/// Runs to the end by a fixed schedule. Answers how many messages each member sent, and what was forbidden.
fn run(setup: &Setup, kill: Option<Kill>) -> (Vec<Member>, Option<Violation>) {
    let mut world = World::new(setup);
    (world.kill, world.counts) = (kill, true);
    let mut actions = Vec::new();
    let mut turn = 0;
    loop {
        actions.clear();
        world.actions(setup, &mut actions);
        actions.retain(|action| {
            !matches!(action, Action::Die(_) | Action::DeliverAndDie(..) | Action::Lose(..))
        });
        if !world.is_quiet() {
            actions.retain(|action| *action != Action::Tick);
        }
        // A client that everybody refuses asks for ever.
        if turn > STEPS_MAX || actions.is_empty() || world.violation.is_some() {
            break;
        }
        // A stride that differs from step to step mixes submissions, deliveries and notices.
        world.perform(setup, actions[turn % actions.len()]);
        turn += 7;
    }
    if world.violation.is_none() && !world.ends_well(setup) {
        world.violate(Violation::Unfinished);
    }
    (world.sent.clone(), world.violation)
}

/// Every kill point of a run; answers how many there were, and the first that something forbidden followed.
pub fn enumerate(setup: &Setup) -> (usize, Option<(Kill, Violation)>) {
    let (sent, violation) = run(setup, None);
    assert_eq!(violation, None, "without a death");
    let count = |member| sent.iter().filter(|sender| **sender == member).count();
    let members = setup.members.iter().copied().chain(setup.joiners.iter().map(|(member, _)| *member));
    let kills: Vec<Kill> =
        members.flat_map(|member| (0..count(member)).map(move |index| (member, index))).collect();
    let bad = |kill: &Kill| run(setup, Some(*kill)).1.map(|violation| (*kill, violation));
    (kills.len(), kills.iter().find_map(bad))
}

/// Four updates by two clients at two members.
pub fn updates() -> Setup {
    let remove = Wish::Update(Operation::Remove { key: 1, version: None });
    let first = vec![insert(1, 1), remove];
    let second =
        vec![insert(1, 2), Wish::Update(Operation::Replace { key: 1, value: 9, version: Version(1) })];
    Setup { clients: vec![(0, first), (1, second)], ..base(one_machine(3)) }
}

/// A join while names come and go: more entries than fit in one part, and an owner that ends in between.
pub fn join() -> Setup {
    let end = Wish::Update(Operation::RemoveOwner { owner: Identity(1) });
    let first = vec![insert(1, 1), insert(2, 1), insert(3, 3), insert(4, 4), insert(5, 5)];
    let second = vec![insert(6, 6), insert(7, 7), end, insert(1, 8), insert(2, 9)];
    let limits = Limits { tail_max: 1, ..super::models::small() };
    joining(Setup { clients: vec![(0, first), (1, second)], limits, ..base(one_machine(3)) })
}

#[test]
fn a_death_before_every_message_of_updates() {
    let (points, bad) = enumerate(&updates());
    assert_eq!(bad, None);
    assert!(points > 20, "only {points} kill points");
}

#[test]
fn a_death_before_every_message_of_a_join() {
    let (points, bad) = enumerate(&join());
    assert_eq!(bad, None);
    assert!(points > 60, "only {points} kill points");
}

/// The same between machines, where nobody is told: the others notice by silence.
#[test]
fn a_death_before_every_message_between_machines() {
    let limits = Limits { lease_ticks: 3, ..super::models::small() };
    let (points, bad) = enumerate(&Setup { members: machines(3), limits, ticks: 40, ..updates() });
    assert_eq!(bad, None);
    assert!(points > 20, "only {points} kill points");
}

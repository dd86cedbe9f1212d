//! What is known, what it is taken to mean, and what does not fit.

use super::{at, packages};
use crate::estimate::Far;
use crate::facts::{Facts, Full};
use crate::limits::{COSTS_MAX, PROCESSES_MAX, assumed};
use fos_messages::knowledge::{Fact, Near, Place, Way};
use std::vec;
use std::vec::Vec;

fn distance(from: u16, to: u16, distance: u8) -> Fact {
    Fact::Distance { machine: 0, from, to, distance }
}

fn cost(from: u16, to: u16, nanoseconds: u32) -> Fact {
    Fact::Cost { from: at(from), to: at(to), way: Way::Channel, nanoseconds }
}

fn load(core: u16, busy_permille: u16, wait_nanoseconds: u32) -> Fact {
    Fact::Load { at: at(core), busy_permille, wait_nanoseconds }
}

#[test]
fn distances_follow_packages_nodes_and_machines() {
    let mut facts = packages(2, 2);
    facts.learn(&[distance(1, 0, 21)]).unwrap();
    let second = Place { machine: 1, core: 0 };
    assert_eq!(facts.far(at(0), at(0)), Far::SameCore);
    assert_eq!(facts.far(at(0), at(1)), Far::SamePackage);
    assert_eq!(facts.far(at(0), at(2)), Far::Nodes(21), "the table is read both ways");
    assert_eq!(facts.far(at(0), second), Far::Machines);
    let thread = Fact::Core { at: at(1), package: 0, physical: 0, node: 0, is_reserved: false };
    facts.learn(&[thread]).unwrap();
    assert_eq!(facts.far(at(0), at(1)), Far::SamePhysical);
}

#[test]
fn what_was_measured_counts_more_than_the_mean_and_that_more_than_what_is_assumed() {
    let mut facts = packages(2, 4);
    let far = (at(0), at(4), Way::Channel);
    assert_eq!(
        facts.cost(far.0, far.1, far.2),
        (assumed(Way::Channel) * 2, false),
        "nodes are 20 apart, not 10"
    );
    facts.learn(&[cost(1, 5, 100), cost(5, 2, 300)]).unwrap();
    assert_eq!(facts.cost(far.0, far.1, far.2), (200, false));
    facts.learn(&[cost(4, 0, 150)]).unwrap();
    assert_eq!(facts.cost(far.0, far.1, far.2), (150, true));
    assert_eq!(facts.cost(at(0), at(1), Way::Channel), (assumed(Way::Channel), false));
    assert!(facts.route(at(0), at(4)).is_measured);
    assert_eq!(facts.route(at(0), Place { machine: 1, core: 0 }).way, Way::Network);
}

#[test]
fn a_process_belongs_beside_those_it_talks_to_unless_it_would_wait_there() {
    let mut facts = packages(2, 2);
    facts.learn(&[Fact::Process { process: 7, at: at(3) }, load(3, 900, 50_000), load(2, 10, 0)]).unwrap();
    let near =
        [Near { process: 7, messages_per_second: 10_000 }, Near { process: 8, messages_per_second: 9 }];
    let order: Vec<u16> = facts.nearest(&near, &[]).iter().map(|choice| choice.at.core).collect();
    assert_eq!(order, [2, 0, 1, 3], "the core beside it, then the other package, and last where it waits");
    let order: Vec<u16> = facts.nearest(&near, &[at(2), at(0)]).iter().map(|choice| choice.at.core).collect();
    assert_eq!(order, [1, 3]);
    let comparison = facts.compare(&near, at(0), &[]);
    assert_eq!(comparison.best, at(2));
    assert!(comparison.then_nanoseconds < comparison.now_nanoseconds);
    assert_eq!(facts.compare(&near, at(2), &[]).best, at(2), "none is better");
    assert_eq!(
        facts.compare(&near, at(99), &[at(2)]).best,
        at(0),
        "any is better than one that nobody knows"
    );
}

#[test]
fn of_equal_cores_the_one_with_least_on_it_is_first_and_those_that_may_not_be_used_are_not_there() {
    let mut facts = packages(1, 4);
    let reserved = Fact::Core { at: at(0), package: 0, physical: 0, node: 0, is_reserved: true };
    let processes = [1, 2].map(|process| Fact::Process { process, at: at(1) });
    facts.learn(&[reserved, Fact::Gone { at: at(2) }]).unwrap();
    facts.learn(&processes).unwrap();
    let choices = facts.nearest(&[], &[]);
    assert_eq!(choices.iter().map(|choice| choice.at.core).collect::<Vec<_>>(), [3, 1]);
    assert!(choices[0].is_idle && !choices[1].is_idle);
    let back = Fact::Core { at: at(2), package: 0, physical: 2, node: 0, is_reserved: false };
    facts.learn(&[back]).unwrap();
    assert_eq!(facts.nearest(&[], &[]).len(), 3);
}

#[test]
fn memory_is_told_by_distance() {
    let mut facts = packages(3, 1);
    let memory = |node, first| Fact::Memory { machine: 0, node, first, frames: 100 };
    facts.learn(&[memory(0, 0), memory(1, 100), memory(2, 200), distance(2, 1, 15)]).unwrap();
    let nodes: Vec<u16> = facts.memory_near(at(2)).iter().map(|memory| memory.node).collect();
    assert_eq!(nodes, [2, 1, 0]);
    assert!(facts.memory_near(Place { machine: 3, core: 0 }).is_empty());
}

#[test]
fn what_does_not_fit_is_refused_and_the_oldest_process_forgotten() {
    let mut facts = Facts::default();
    let costs =
        (0..COSTS_MAX as u32).map(|number| cost((number >> 8) as u16, (number & 0xff) as u16 + 1000, 1));
    facts.learn(&costs.collect::<Vec<_>>()).unwrap();
    assert_eq!(facts.learn(&[cost(60_000, 60_001, 1)]), Err(Full));
    assert_eq!(facts.learn(&[cost(0, 1000, 2)]), Ok(()), "what is known may change");
    let processes = (0..=PROCESSES_MAX as u64).map(|process| Fact::Process { process, at: at(1) });
    facts.learn(&processes.collect::<Vec<_>>()).unwrap();
    assert_eq!(facts.place_of(0), None);
    assert_eq!(facts.place_of(PROCESSES_MAX as u64), Some(at(1)));
}

#[test]
fn who_copies_all_facts_knows_the_same() {
    let mut facts = packages(2, 3);
    let memory = Fact::Memory { machine: 0, node: 1, first: 5, frames: 9 };
    let process = Fact::Process { process: 4, at: at(1) };
    let some =
        vec![distance(0, 1, 17), memory, cost(0, 3, 444), load(2, 300, 7), process, Fact::Gone { at: at(5) }];
    facts.learn(&some).unwrap();
    let (mut copy, mut known) = (Facts::default(), 0);
    loop {
        let some = facts.some_from(known);
        if some.is_empty() {
            break;
        }
        known += some.len();
        copy.learn(&some).unwrap();
    }
    assert_eq!(copy, facts);
}

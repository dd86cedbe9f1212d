//! Handles in the simulator: whoever of a fleet ends, comes or leaves, no handle comes twice and no number is lost; and one client
//! alone finds what a table of its own says.

use super::{figure, well, with_faults};
use crate::scenarios::handles::{SCENARIO, TERMS, begin_with};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Setup, kill_points};
use fos_handles::Terms;

fn handles(seed: u64) -> Setup {
    Setup::new(find("handles").unwrap(), seed, Costs::load("default").unwrap())
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 151;

const ALONE: Scenario =
    Scenario { begin: |world, messages| begin_with(world, messages, (1, TERMS)), ..SCENARIO };

#[test]
fn a_client_alone_finds_what_a_table_says() {
    for seed in 0..40 {
        let setup = Setup { scenario: &ALONE, ..handles(seed) };
        let report = setup.run(None);
        let of = |key| figure(well(&report), key);
        assert!(of("answered") > 100.0 && of("stale") > 5.0 && of("stopped") == 0.0, "{report:#?}");
    }
}

#[test]
fn clients_meet_and_a_member_leaves() {
    for seed in 0..20 {
        let report = handles(seed).run(None);
        let of = |key| figure(well(&report), key);
        assert!(of("answered") > 100.0 && of("started") >= 4.0 && of("recovered") == 0.0, "{report:#?}");
    }
}

#[test]
fn no_handle_comes_twice_and_no_number_is_lost_whatever_goes_wrong() {
    for seed in 0..60 {
        well(&handles(seed).with_faults_of_the_seed().run(None));
    }
}

/// A map that does not answer, since a core stands still, must not be waited for by more calls each time that a client asks again: a slow
/// member did nothing else then.
#[test]
fn calls_do_not_pile_up_while_a_core_stands_still() {
    let faults = ["slow core 3 by 30 at message 345", "stop core 2 at message 1456"];
    let report = with_faults(handles(1190), &faults).run(None);
    assert!(well(&report).steps < 1_000_000, "{report:#?}");
}

/// Whoever leaves last hands on to who is started in place of those that have ended: it may be alone for a while, or find late that the
/// one to whom it hands on stands still.
#[test]
fn the_last_one_to_leave_takes_nothing_along() {
    let killed = ["kill member-1 at message 2023", "kill member-0 at message 1366"];
    let stopped = ["stop core 3 at message 2011", "stop core 2 at message 1441"];
    for (seed, faults) in [(991_838_982, killed), (991_839_086, stopped)] {
        well(&with_faults(handles(seed), &faults).run(None));
    }
}

#[test]
fn any_member_may_end_at_many_points() {
    let setup = handles(1);
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 5_000, "{}", points.len());
    let mut recovered = 0.0;
    for kill in points.iter().step_by(ONE_IN) {
        let report = Setup { plan: kill.plan(), ..setup.clone() }.run(None);
        recovered += figure(well(&report), "recovered");
    }
    assert!(recovered > 10.0, "only {recovered} numbers were found again");
}

/// Each entry of the map with one member: what that knew ends with it.
const FORGETS: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, (3, Terms { copies: 1, ..TERMS })),
    ..SCENARIO
};

#[test]
fn a_map_that_forgets_handles_is_noticed() {
    let setup = Setup { scenario: &FORGETS, ..handles(1) };
    let points = kill_points(&setup).unwrap();
    let late = points.iter().skip(points.len() / 2).step_by(ONE_IN).take(12);
    let failures: Vec<String> =
        late.filter_map(|kill| Setup { plan: kill.plan(), ..setup.clone() }.run(None).failure).collect();
    assert!(failures.iter().any(|failure| failure.contains("behind handle")), "{failures:?}");
}

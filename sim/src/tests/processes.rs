//! The fleet `processes` in the simulator: what was answered stands, whoever ends.

use super::{figure, well, with_faults};
use crate::scenarios::planted_processes::{
    FORGETS_NOTHING, KEEPS_NOTHING, STARTS_STRANGERS, TELLS_OTHER_ENDS,
};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Setup, kill_points};

fn processes(seed: u64) -> Setup {
    let setup = Setup::new(find("processes").unwrap(), seed, Costs::load("default").unwrap());
    Setup { messages: 1500, ..setup }
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 61;

#[test]
fn children_of_clients_and_of_their_children_are_started_and_storms_refused() {
    for seed in 0..5 {
        let report = processes(seed).run(None);
        let of = |key| figure(well(&report), key);
        assert!(of("spawned") >= 18.0, "every client comes to its bound: {report:#?}");
        assert!(of("started") >= of("spawned"), "{report:#?}");
        assert!(of("refused") >= 3.0, "every client is refused once at least: {report:#?}");
    }
}

#[test]
fn no_end_is_left_out_or_told_twice_whatever_goes_wrong() {
    for seed in 0..20 {
        well(&processes(seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn members_and_clients_may_end_at_many_points() {
    let setup = Setup { messages: 300, ..processes(1) };
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 5_000, "{}", points.len());
    for kill in points.iter().step_by(ONE_IN) {
        well(&Setup { plan: kill.plan(), ..setup.clone() }.run(None));
    }
}

#[test]
fn a_coordinator_may_end_and_the_next_one_too() {
    let faults = ["kill member-0 at 8ms", "kill member-1 at 12ms"];
    let report = with_faults(processes(2), &faults).run(None);
    assert!(well(&report).faults.iter().all(|(_, came_about)| *came_about), "{report:#?}");
}

#[test]
fn planted_errors_of_processes_are_caught() {
    let caught = |(scenario, found): (&'static Scenario, &str)| {
        let failure = Setup { scenario, ..processes(1) }.run(None).failure;
        let is_it = failure.as_ref().is_some_and(|failure| failure.contains(found));
        (!is_it).then(|| format!("{failure:?} instead of {found:?}"))
    };
    let planted: [(&'static Scenario, &str); 4] = [
        (&STARTS_STRANGERS, "is told that"),
        (&TELLS_OTHER_ENDS, "is told that"),
        (&FORGETS_NOTHING, "are remembered for nothing"),
        // Who asks such a member for an end that it was told of, and did not keep, waits for ever.
        (&KEEPS_NOTHING, "has not ended after"),
    ];
    let wrong: Vec<String> = planted.into_iter().filter_map(caught).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! Blocks, maps and the search in the simulator: whoever of a fleet ends, comes or leaves, nothing is lost, with two, or stale.

use super::{figure, well};
use crate::scenarios::find;
use crate::{Costs, Setup, kill_points};

fn setup(scenario: &str, seed: u64) -> Setup {
    Setup::new(find(scenario).unwrap(), seed, Costs::load("default").unwrap())
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 211;

#[test]
fn without_faults_every_call_is_served_while_one_leaves() {
    for seed in 0..5 {
        for scenario in ["buddy", "sharded-map"] {
            let report = setup(scenario, seed).run(None);
            let of = |key| figure(well(&report), key);
            assert!(of("served") == of("calls") && of("calls") > 200.0, "{report:#?}");
            assert!(of("moved") > 0.0, "{report:#?}");
        }
    }
}

#[test]
fn a_search_lengthens_or_tries_each_beginning_once() {
    for seed in 0..5 {
        let report = setup("search", seed).run(None);
        let of = |key| figure(well(&report), key);
        // Of six and of five cities, three long at most: 1 + 5 + 20 + 60, and 1 + 4 + 12 + 24.
        assert_eq!((of("settled"), of("again")), (127.0, 0.0), "{report:#?}");
        assert!(of("started") >= 4.0, "nobody was moved: {report:#?}");
    }
}

#[test]
fn they_hold_whatever_goes_wrong() {
    for scenario in ["buddy", "sharded-map", "search"] {
        for seed in 0..15 {
            well(&setup(scenario, seed).with_faults_of_the_seed().run(None));
        }
    }
}

#[test]
fn any_member_may_end_at_many_points() {
    for (scenario, found) in [("buddy", "recovered"), ("sharded-map", "moved"), ("search", "again")] {
        let setup = setup(scenario, 1);
        let points = kill_points(&setup).unwrap();
        assert!(points.len() > 3_000, "{scenario} has {} points", points.len());
        let mut sum = 0.0;
        for kill in points.iter().step_by(ONE_IN) {
            let report = Setup { plan: kill.plan(), ..setup.clone() }.run(None);
            sum += figure(well(&report), found);
        }
        assert!(sum > 0.0, "{scenario}: {found} is 0, whoever ends");
    }
}

//! The demo fleet in the simulator: it grows and shrinks as it should, whoever of it ends.

use super::{figure, well};
use crate::scenarios::planted_fleet::{COPIES_NOTHING, FORGETS, GROWS_TOO_FAR, NEVER_SHRINKS};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Setup, kill_points};

fn fleet(seed: u64) -> Setup {
    let setup = Setup::new(find("fleet").unwrap(), seed, Costs::load("default").unwrap());
    Setup { messages: 2000, ..setup }
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn. The suite
/// `sim` tries all of them when it may take long.
const ONE_IN: usize = 101;

#[test]
fn it_grows_under_load_and_shrinks_after_without_swinging() {
    for seed in 0..10 {
        let report = fleet(seed).run(None);
        let of = |key| figure(well(&report), key);
        // From one to four and one in the place of another; back to two.
        assert_eq!((of("grown"), of("moved"), of("shrunk"), of("lost")), (4.0, 1.0, 2.0, 0.0), "{report:#?}");
        assert!(of("grown_after") < 1.5e9 && of("shrunk_after") < 2e9, "{report:#?}");
        assert!(of("notes") > 200.0 && of("failed_calls") == 0.0, "{report:#?}");
    }
}

#[test]
fn it_loses_nothing_and_goes_on_whatever_goes_wrong() {
    for seed in 0..20 {
        well(&fleet(seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn any_member_may_end_at_many_points() {
    let setup = Setup { messages: 200, ..fleet(1) };
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 20_000, "{}", points.len());
    for kill in points.iter().step_by(ONE_IN) {
        well(&Setup { plan: kill.plan(), ..setup.clone() }.run(None));
    }
}

#[test]
fn planted_errors_of_the_fleet_are_caught() {
    let failure = |scenario: &'static Scenario| {
        let failure = Setup { scenario, ..fleet(1) }.run(None).failure;
        failure.unwrap_or_else(|| panic!("nothing was found wrong: {scenario:?}"))
    };
    for (scenario, found) in [
        (&FORGETS, "acknowledged notes are lost"),
        (&COPIES_NOTHING, "acknowledged notes are lost"),
        (&GROWS_TOO_FAR, "counts 5 members"),
        (&NEVER_SHRINKS, "waited in vain for 2 members"),
    ] {
        let failure = failure(scenario);
        assert!(failure.contains(found), "{failure:?} instead of {found:?}");
    }
}

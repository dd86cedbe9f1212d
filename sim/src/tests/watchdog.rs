//! The watchdog in the simulator: whoever ends or is silent is replaced soon, and nobody else is ended.

use super::{figure, well, with_faults};
use crate::scenarios::planted_watchdog::{
    BOUNDED, HASTY, HOLDS_ON, LOOKS_ONLY_AT_OTHERS, PRETENDS, VERY_SLOW,
};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Setup, kill_points};

fn watched(seed: u64) -> Setup {
    Setup::new(find("watchdog").unwrap(), seed, Costs::load("default").unwrap())
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 499;

#[test]
fn without_faults_nobody_is_ended() {
    for seed in 0..10 {
        let report = watched(seed).run(None);
        let of = |key| figure(well(&report), key);
        assert_eq!((of("fenced"), of("noticed"), of("longest_not_whole")), (0.0, 0.0, 0.0), "{report:#?}");
    }
}

#[test]
fn both_fleets_are_whole_again_whatever_goes_wrong() {
    for seed in 0..20 {
        well(&watched(seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn what_ran_on_a_core_that_stops_is_replaced_soon() {
    for core in 4..10 {
        let setup = Setup { scenario: &BOUNDED, ..watched(core) };
        let report = with_faults(setup, &[&format!("stop core {core} at 2s")]).run(None);
        let of = |key| figure(well(&report), key);
        assert!(of("fenced") <= 2.0 && of("fenced_running") == 0.0, "{report:#?}");
    }
}

#[test]
fn a_fleet_whose_only_member_stands_still_before_there_is_another_begins_anew() {
    let report = with_faults(watched(310_477_173), &["stop core 5 at message 171"]).run(None);
    assert_eq!(figure(well(&report), "fenced_running"), 0.0, "{report:#?}");
}

#[test]
fn a_slow_core_is_left_alone() {
    for (seed, core) in (4..10).enumerate() {
        let report =
            with_faults(watched(seed as u64), &[&format!("slow core {core} by 1000 at 2s")]).run(None);
        assert_eq!(figure(well(&report), "fenced"), 0.0, "{report:#?}");
    }
}

#[test]
fn who_is_ended_though_it_runs_never_acts_beside_its_successor() {
    let mut wronged = 0.0;
    for core in 4..10 {
        let setup = Setup { scenario: &VERY_SLOW, ..watched(core) };
        let report = with_faults(setup, &[&format!("slow core {core} by 10000000 at 2s")]).run(None);
        wronged += figure(well(&report), "fenced_running");
    }
    assert!((1.0..=12.0).contains(&wronged), "{wronged}: once for each process on it");
}

#[test]
fn any_member_may_end_at_many_points() {
    let setup = Setup { messages: 1500, scenario: &BOUNDED, ..watched(1) };
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 5_000, "{}", points.len());
    for kill in points.iter().step_by(ONE_IN) {
        well(&Setup { plan: kill.plan(), ..setup.clone() }.run(None));
    }
}

#[test]
fn planted_errors_of_the_watchdog_are_caught() {
    let failure = |scenario: &'static Scenario, fault: &str, core: u32| {
        let fault = format!("{} at 2s", fault.replace('N', &core.to_string()));
        with_faults(Setup { scenario, ..watched(1) }, &[&fault]).run(None).failure
    };
    for (scenario, fault, found) in [
        (&PRETENDS, "stop core N", "have not been whole"),
        (&LOOKS_ONLY_AT_OTHERS, "stop core N", "have not been whole"),
        (&HOLDS_ON, "stop core N", "acts in place"),
        (&HASTY, "slow core N by 20000", "was fenced who was running"),
    ] {
        let failures: Vec<String> = (4..7).filter_map(|core| failure(scenario, fault, core)).collect();
        assert!(failures.iter().any(|failure| failure.contains(found)), "{failures:?} instead of {found:?}");
    }
}

//! A fleet that places itself: it goes where its messages come from, and the arbiter knows where it is, whatever goes wrong.

use super::{figure, well};
use crate::scenarios::planted_placement::{HIDES, STAYS};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Setup, kill_points};

fn placing(scenario: &'static Scenario, costs: &str, seed: u64) -> Setup {
    Setup::new(scenario, seed, Costs::load(costs).unwrap())
}

fn honest() -> &'static Scenario {
    find("placement").unwrap()
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 1999;

#[test]
fn fewer_messages_come_from_afar() {
    for seed in 0..4 {
        let report = placing(honest(), "8x4", seed).run(None);
        let of = |key| figure(well(&report), key);
        assert!(of("far_at_last") < of("far_at_first") / 2.0, "{report:#?}");
        assert!(of("far_at_the_end") < of("far_after_the_change") / 2.0, "{report:#?}");
        assert!((2.0..=4.0).contains(&of("moved")), "once for each group, and a second member: {report:#?}");
        let stays = placing(&STAYS, "8x4", seed).run(None);
        let share = figure(well(&stays), "far_at_the_end");
        assert!(share > 2.0 * of("far_at_the_end"), "{share} if it stays: {report:#?}");
    }
}

#[test]
fn where_all_cores_are_equally_near_nobody_moves() {
    for seed in 0..4 {
        let report = placing(honest(), "default", seed).run(None);
        assert_eq!(figure(well(&report), "moved"), 0.0, "{report:#?}");
    }
}

#[test]
fn every_call_is_answered_and_grants_are_what_is_used_whatever_goes_wrong() {
    for seed in 0..20 {
        well(&placing(honest(), "8x4", seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn any_process_may_end_after_any_message() {
    let setup = Setup { messages: 6_000, ..placing(honest(), "8x4", 3) };
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 10_000, "{}", points.len());
    for kill in points.iter().step_by(ONE_IN) {
        well(&Setup { plan: kill.plan(), ..setup.clone() }.run(None));
    }
}

#[test]
fn who_uses_what_nobody_granted_is_noticed() {
    let report = placing(&HIDES, "8x4", 1).run(None);
    assert!(report.failure.is_some_and(|why| why.contains("workers are on")), "nobody noticed");
}

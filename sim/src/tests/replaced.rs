//! Members of naming that end are replaced, and no name is lost.

use super::{figure, well, with_faults};
use crate::scenarios::{Scenario, find, replaced};
use crate::{Costs, Setup, kill_points};

fn replaced(seed: u64) -> Setup {
    Setup::new(find("replaced").unwrap(), seed, Costs::load("default").unwrap())
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 101;
/// Whose clients take one name for made without asking.
static BELIEVES: Scenario = Scenario {
    name: "replaced",
    about: "clients believe",
    cores: 8,
    messages: 3_000,
    begin: |world, messages| replaced::begin_with(world, messages, true),
};

/// The starter ends as members enter, or while all serve, and then members of which only the next one can know.
#[test]
fn a_starter_that_ends_is_replaced_and_the_next_one_replaces_members() {
    for message in [10, 60, 700] {
        let later = message + 300;
        let ends = [
            format!("kill starter-0 at message {message}"),
            format!("kill naming-0 at message {later}"),
            format!("kill naming-1 at message {}", later + 400),
            format!("kill starter-1 at message {}", later + 800),
            format!("kill naming-2 at message {}", later + 900),
        ];
        let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
        let report = with_faults(replaced(1), &ends).run(None);
        assert_eq!(figure(well(&report), "starters"), 3.0, "{report:#?}");
    }
}

#[test]
fn none_of_the_first_members_is_left_and_no_name_is_lost() {
    let ends: Vec<String> =
        (0..5).map(|number| format!("kill naming-{number} at message {}", 600 + 450 * number)).collect();
    let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
    let report = with_faults(replaced(1), &ends).run(None);
    assert!(well(&report).faults.iter().all(|(_, came_about)| *came_about), "{report:#?}");
    let of = |key| figure(&report, key);
    assert_eq!((of("started"), of("wiped")), (8.0, 0.0), "{report:#?}");
    assert!(of("made") > 20.0, "{report:#?}");
}

#[test]
fn a_hundred_seeds_lose_no_name_whatever_goes_wrong() {
    for seed in 0..100 {
        well(&replaced(seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn any_member_may_end_at_many_points() {
    let setup = Setup { messages: 1000, ..replaced(1) };
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 1_000, "{}", points.len());
    for kill in points.iter().step_by(ONE_IN) {
        well(&Setup { plan: kill.plan(), ..setup.clone() }.run(None));
    }
}

#[test]
fn a_name_that_nobody_has_is_found_missing() {
    let setup = Setup { scenario: &BELIEVES, ..replaced(1) };
    let report =
        with_faults(setup, &["kill naming-0 at message 1200", "kill naming-1 at message 1210"]).run(None);
    assert!(report.failure.is_some_and(|failure| failure.contains("was acknowledged and is not at")));
}

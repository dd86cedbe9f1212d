//! The fleet `pages` in the simulator: no frame is lost or with two, whoever ends.

use super::{figure, well, with_faults};
use crate::scenarios::planted_pages::{FORGETS_HOLDERS, FORGETS_TO_CLEAN, HEARS_NO_ENDS, LOSES_THE_DEAD};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Report, Setup, kill_points};

fn pages(seed: u64) -> Setup {
    let setup = Setup::new(find("pages").unwrap(), seed, Costs::load("default").unwrap());
    Setup { messages: 3000, ..setup }
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 101;

#[test]
fn the_hog_is_refused_and_everybody_comes_to_an_end() {
    let reports: Vec<Report> = (0..20).map(|seed| pages(seed).run(None)).collect();
    let of = |report: &Report, key: &str| figure(well(report), key);
    let sum = |key: &str| reports.iter().map(|report| of(report, key)).sum::<f64>();
    for report in &reports {
        assert!(of(report, "out_of_memory") + of(report, "over_quota") > 0.0, "{}", report.replay);
    }
    assert!(sum("out_of_memory") > 10.0 && sum("over_quota") > 5.0 && sum("refused") > 50.0);
    assert!(sum("too_many_runs") > 50.0, "the hoarder has not come to its share");
    assert_eq!(sum("lost"), 0.0);
}

#[test]
fn members_do_not_hinder_each_other() {
    let rate = |members: u32| {
        let scenario = find("pages-rates").unwrap();
        let setup = Setup::new(scenario, 1, Costs::load("default").unwrap());
        let setup = Setup { cores: 3 + 3 * members, messages: u64::from(members) * 1500, ..setup };
        figure(well(&setup.run(None)), "pages_per_second")
    };
    let (one, eight) = (rate(1), rate(8));
    assert!(eight > 0.95 * 8.0 * one, "{one} {eight}");
}

#[test]
fn a_hundred_seeds_lose_no_frame_whatever_goes_wrong() {
    for seed in 0..100 {
        well(&pages(seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn anybody_may_end_at_many_points() {
    let setup = Setup { messages: 800, ..pages(1) };
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 5_000, "{}", points.len());
    for kill in points.iter().step_by(ONE_IN) {
        well(&Setup { plan: kill.plan(), ..setup.clone() }.run(None));
    }
}

#[test]
fn a_fleet_all_of_whose_members_end_leaves_every_frame_to_the_next_one() {
    let ends =
        ["kill member-0 at message 1500", "kill member-1 at message 1500", "kill member-2 at message 1500"];
    let report = with_faults(pages(1), &ends).run(None);
    assert!(well(&report).faults.iter().all(|(_, came_about)| *came_about), "{report:#?}");
}

#[test]
fn planted_errors_of_pages_are_caught() {
    let failure = |scenario: &'static Scenario| {
        let setup = with_faults(
            Setup { scenario, ..pages(1) },
            &["kill member-1 at message 1500", "kill client-2 at message 1600"],
        );
        setup.run(None).failure.unwrap_or_else(|| panic!("nothing was found wrong: {scenario:?}"))
    };
    // What is lost is missed at the end, unless somebody waits for it until then.
    let lost: &[&str] = &["members keep", "it has not ended"];
    for (scenario, found) in [
        (&FORGETS_TO_CLEAN, &["reads in frame"][..]),
        (&FORGETS_HOLDERS, &["a frame that is not given up"]),
        (&HEARS_NO_ENDS, lost),
        (&LOSES_THE_DEAD, lost),
    ] {
        let failure = failure(scenario);
        assert!(found.iter().any(|found| failure.contains(found)), "{failure:?} instead of {found:?}");
    }
}

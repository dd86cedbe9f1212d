//! Pools in the simulator: whoever of a fleet ends, comes or leaves, no number is lost or handed out twice; and an owner that says
//! something wrong is noticed.

use super::{figure, well, with_faults};
use crate::scenarios::dpool::rates::{CLIENTS, SCENARIOS};
use crate::scenarios::dpool::{Dress, Owner, SCENARIO, begin_with};
use crate::scenarios::{Scenario, find};
use crate::{Costs, Setup, kill_points};
use fos_dpool::{Policy, Scheme};

fn pool(seed: u64) -> Setup {
    Setup::new(find("dpool").unwrap(), seed, Costs::load("default").unwrap())
}

/// Of all points at which a process may end, one in so many is tried here: a prime, so that each process has its turn.
const ONE_IN: usize = 101;

#[test]
fn members_come_and_leave_and_every_number_is_somewhere() {
    for seed in 0..10 {
        let report = pool(seed).run(None);
        let of = |key| figure(well(&report), key);
        assert!(of("served") == of("calls") && of("calls") > 200.0, "{report:#?}");
        assert!(of("started") >= 4.0 && of("recovered") == 0.0, "{report:#?}");
    }
}

#[test]
fn nothing_is_lost_or_handed_out_twice_whatever_goes_wrong() {
    for seed in 0..60 {
        well(&pool(seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn a_fleet_whose_first_member_ends_before_there_is_another_is_no_hang() {
    for name in ["dpool", "buddy", "sharded-map", "search"] {
        let setup = Setup::new(find(name).unwrap(), 420_887_350, Costs::load("default").unwrap());
        let report = with_faults(setup, &["kill member-0 at message 16"]).run(None);
        assert!(well(&report).nanoseconds < 1_000_000_000, "{report:#?}");
    }
}

#[test]
fn any_member_may_end_at_many_points() {
    let setup = pool(1);
    let points = kill_points(&setup).unwrap();
    assert!(points.len() > 5_000, "{}", points.len());
    let mut recovered = 0.0;
    for kill in points.iter().step_by(ONE_IN) {
        let report = Setup { plan: kill.plan(), ..setup.clone() }.run(None);
        recovered += figure(well(&report), "recovered");
    }
    assert!(recovered > 100.0, "only {recovered} numbers were found again");
}

/// Every scheme, on many seeds with faults.
const SINGLE: Scenario = with_policy(|world, messages| begin_with(world, messages, dress(Policy::SINGLE)));
const PUSH: Scenario =
    with_policy(|world, messages| begin_with(world, messages, dress(Policy::distributed(Scheme::Push))));
const PULL: Scenario =
    with_policy(|world, messages| begin_with(world, messages, dress(Policy::distributed(Scheme::Pull))));
const BULK: Scenario =
    with_policy(|world, messages| begin_with(world, messages, dress(Policy::distributed(Scheme::Bulk))));

const fn with_policy(begin: fn(&crate::World, u64) -> Box<dyn crate::scenarios::Course>) -> Scenario {
    Scenario { begin, ..SCENARIO }
}

const fn dress(policy: Policy) -> Dress {
    Dress { policy, ..Dress::HONEST }
}

#[test]
fn every_scheme_keeps_every_number() {
    for scenario in [&SINGLE, &PUSH, &PULL, &BULK] {
        for seed in 0..15 {
            well(&Setup { scenario, ..pool(seed) }.with_faults_of_the_seed().run(None));
        }
    }
}

/// An owner that knows of nothing that ended members had.
const FORGETS: Scenario = with_policy(|world, messages| {
    begin_with(world, messages, Dress { named: |_| Vec::new(), ..Dress::HONEST })
});
/// An owner that names what is outside, too.
const NAMES_WHAT_IS_OUTSIDE: Scenario = with_policy(|world, messages| {
    begin_with(
        world,
        messages,
        Dress { named: |owner: &Owner| (0..owner.universe).collect(), ..Dress::HONEST },
    )
});

#[test]
fn owners_that_say_something_wrong_are_noticed() {
    for (scenario, found) in [(&FORGETS, "are lost"), (&NAMES_WHAT_IS_OUTSIDE, "")] {
        let setup = Setup { scenario, ..pool(1) };
        let points = kill_points(&setup).unwrap();
        let late = points.iter().skip(points.len() / 2).step_by(ONE_IN).take(12);
        let failures: Vec<String> =
            late.filter_map(|kill| Setup { plan: kill.plan(), ..setup.clone() }.run(None).failure).collect();
        assert!(failures.iter().any(|failure| failure.contains(found)), "{failures:?}");
    }
}

#[test]
fn every_scheme_serves_and_keeps_what_it_has_under_load() {
    for row in &SCENARIOS {
        let place = CLIENTS.iter().position(|clients| *clients == 16).unwrap();
        let scenario = &row[place];
        let setup = Setup { cores: 16 + 4, ..Setup::new(scenario, 1, Costs::load("default").unwrap()) };
        let report = setup.run(None);
        assert!(figure(well(&report), "takes_per_second") > 10_000.0, "{report:#?}");
    }
}

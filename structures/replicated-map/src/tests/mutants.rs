//! Broken rules, and the model or test that notices each: `tests/mutants.md` says the same in words.

use super::world::Setup;
use super::{kills, models, units};
use crate::fault::Fault;
use std::vec::Vec;

/// What is to notice.
enum Judge {
    /// This world, explored in every order of events.
    Model(fn() -> Setup),
    /// This world on one schedule, with a death at every message.
    Kills(fn() -> Setup),
    /// A unit test: whether all is well.
    Unit(fn(Option<Fault>) -> bool),
}

/// Each broken rule, and what notices it.
const MUTANTS: &[(Fault, Judge)] = &[
    (Fault::CommitsEarly, Judge::Model(models::updates)),
    (Fault::AnswersEarly, Judge::Model(models::updates)),
    (Fault::PromisesLatest, Judge::Model(models::updates)),
    (Fault::DropsLosers, Judge::Model(models::updates)),
    (Fault::DropsHanded, Judge::Model(models::updates_and_a_death)),
    (Fault::TellsEarly, Judge::Model(models::updates)),
    (Fault::HidesPromise, Judge::Model(models::updates_and_a_death)),
    (Fault::RepeatsRequests, Judge::Model(models::updates_and_a_death)),
    (Fault::VotesAfterReport, Judge::Model(models::join_and_updates)),
    (Fault::SkipsAccept, Judge::Model(models::updates_and_two_deaths)),
    (Fault::IgnoresAccepted, Judge::Model(models::updates_and_two_deaths)),
    (Fault::IgnoresSeen, Judge::Model(models::reads_here_and_there)),
    (Fault::AdmitsUnsettled, Judge::Model(models::join_of_several_parts)),
    (Fault::IgnoresFounder, Judge::Model(models::cut_and_updates)),
    (Fault::IgnoresLease, Judge::Model(models::cut_and_reads)),
    (Fault::HidesPromise, Judge::Kills(kills::updates)),
    (Fault::ObeysOldEpochs, Judge::Unit(units::older_epochs_are_refused)),
];

fn is_noticed(fault: Option<Fault>, judge: &Judge) -> bool {
    match judge {
        Judge::Model(setup) => models::explore(Setup { fault, ..setup() }).violation.is_some(),
        Judge::Kills(setup) => kills::enumerate(&Setup { fault, ..setup() }).1.is_some(),
        Judge::Unit(holds) => !holds(fault),
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let unnoticed = MUTANTS.iter().filter(|(fault, judge)| !is_noticed(Some(*fault), judge));
    let unnoticed: Vec<Fault> = unnoticed.map(|(fault, _)| *fault).collect();
    assert_eq!(unnoticed, []);
}

/// The models do so themselves, in `models::closed`.
#[test]
fn unbroken_rules_are_not_complained_about() {
    let quick = MUTANTS.iter().filter(|(_, judge)| !matches!(judge, Judge::Model(_)));
    let complaints: Vec<Fault> =
        quick.filter(|(_, judge)| is_noticed(None, judge)).map(|(fault, _)| *fault).collect();
    assert_eq!(complaints, []);
}

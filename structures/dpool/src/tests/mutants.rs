//! Broken rules, and the model or test that notices each: `tests/mutants.md` says the same in words.

use super::town::{Setup, Town};
use super::{kills, models, property, units};
use crate::fault::Fault;
use fos_container::town::explore;
use std::vec::Vec;

/// What is to notice.
enum Judge {
    /// This town, explored in every order of events.
    Model(fn() -> Setup),
    /// This town on one schedule, with an end at every message.
    Kills(fn() -> Setup),
    /// A unit test: whether all is well.
    Unit(fn(Option<Fault>) -> bool),
}

/// Each broken rule, and what notices it.
const MUTANTS: &[(Fault, Judge)] = &[
    (Fault::ForgetsSent, Judge::Model(models::take_and_a_death_exactly)),
    (Fault::TakesBackUnasked, Judge::Model(models::take_and_a_death)),
    (Fault::AsksUnfenced, Judge::Model(models::takes_and_a_death)),
    (Fault::FencesOnce, Judge::Unit(property::what_goes_round_the_fence_is_found)),
    (Fault::SkipsCensus, Judge::Model(models::take_and_a_death)),
    (Fault::ForgetsWhatWent, Judge::Model(models::takes_and_a_death)),
    (Fault::ForgetsDeparting, Judge::Model(models::take_beside_a_death)),
    (Fault::ClaimsWhatWasTaken, Judge::Unit(units::what_was_taken_is_not_the_senders)),
    (Fault::HidesDeclined, Judge::Unit(units::what_is_declined_is_still_the_senders)),
    (Fault::NeverRecovers, Judge::Model(models::take_and_a_death)),
    (Fault::ForgetsMourned, Judge::Model(models::take_and_two_deaths)),
    (Fault::FindsThoughLeft, Judge::Model(models::leave_and_a_death)),
    (Fault::NeverReminds, Judge::Model(models::leave_in_turn)),
    (Fault::LeavesUnheard, Judge::Unit(units::who_leaves_waits_until_all_know)),
    (Fault::LeavesUnconfirmed, Judge::Model(models::leave_and_a_death_exactly)),
    (Fault::DropsDeclined, Judge::Model(models::leave_and_push)),
    (Fault::TakesDeclined, Judge::Model(models::leave_and_push)),
    (Fault::AsksOneOnly, Judge::Unit(units::removes_find_what_is_anywhere)),
    (Fault::WaitsForTheDead, Judge::Model(models::take_past_the_dead)),
    (Fault::AnswersShort, Judge::Model(models::take_two)),
    (Fault::IgnoresItsEnd, Judge::Unit(units::who_is_out_serves_nobody)),
    (Fault::SkipsCensus, Judge::Kills(busy_on_demand)),
    (Fault::NeverRecovers, Judge::Kills(busy_on_demand)),
];

fn busy_on_demand() -> Setup {
    kills::busy(models::small(crate::Scheme::OnDemand))
}

fn is_noticed(fault: Option<Fault>, judge: &Judge) -> bool {
    match judge {
        Judge::Model(setup) => explore::<Town>(&Setup { fault, ..setup() }).is_some(),
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

//! Broken rules, and the model or test that notices each: `tests/mutants.md` says the same in words.

use super::town::{Setup, Town};
use super::{kills, models, units};
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
    (Fault::TakesBackUnasked, Judge::Model(models::take_and_a_death)),
    (Fault::TakesDeclined, Judge::Model(models::leave_and_halves)),
    (Fault::KeepsDeclined, Judge::Unit(units::what_is_declined_was_not_taken)),
    (Fault::DropsDeclined, Judge::Unit(units::what_is_declined_comes_back)),
    (Fault::BringsCopies, Judge::Model(models::halves)),
    (Fault::BringsUnasked, Judge::Model(models::halves_and_a_take)),
    (Fault::NeverBrings, Judge::Model(models::halves)),
    (Fault::BelievesTheOld, Judge::Unit(units::home_asks_again)),
    (Fault::AsksUnfenced, Judge::Model(models::takes_and_a_death)),
    (Fault::SkipsCensus, Judge::Model(models::take_and_a_death)),
    (Fault::ForgetsWhatCame, Judge::Model(models::take_give_and_a_death)),
    (Fault::ForgetsWhatWent, Judge::Model(models::takes_and_a_death)),
    (Fault::ForgetsDeparting, Judge::Model(models::under_way_at_a_death)),
    (Fault::ClaimsWhatWasTaken, Judge::Model(models::passed_on_and_a_death)),
    (Fault::NeverRecovers, Judge::Model(models::take_and_a_death)),
    (Fault::NeverMourns, Judge::Unit(units::the_eldest_is_told_of_ends)),
    (Fault::LeavesUnheard, Judge::Unit(units::who_leaves_waits_until_all_know)),
    (Fault::LeavesUnconfirmed, Judge::Unit(units::who_leaves_waits_until_all_was_taken)),
    (Fault::AsksOneOnly, Judge::Unit(units::allocations_find_what_is_anywhere)),
    (Fault::WaitsForTheDead, Judge::Model(models::take_past_the_dead)),
    (Fault::IgnoresItsEnd, Judge::Unit(units::who_is_out_serves_nobody)),
    (Fault::SkipsCensus, Judge::Kills(kills::busy)),
    (Fault::NeverRecovers, Judge::Kills(kills::busy)),
];

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

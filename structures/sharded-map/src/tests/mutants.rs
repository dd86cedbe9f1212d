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
    (Fault::SettlesAlone, Judge::Model(models::write_and_a_death)),
    (Fault::ReadsUnsettled, Judge::Model(models::write_read_and_a_death)),
    (Fault::RepeatsWrites, Judge::Model(models::two_writes_and_a_death)),
    (Fault::OpensEarly, Judge::Model(models::write_read_and_a_death)),
    (Fault::LeadsByPlace, Judge::Model(models::three_copies_and_a_death)),
    (Fault::LeavesBehind, Judge::Model(models::three_copies_and_a_death)),
    (Fault::ObeysOldEpochs, Judge::Unit(units::older_epochs_are_not_obeyed)),
    (Fault::NeverMoves, Judge::Model(models::join_and_a_write)),
    (Fault::ForgetsWhatWaits, Judge::Unit(units::every_shard_is_copied)),
    (Fault::HandsOverAtOnce, Judge::Model(models::handed_to_a_newcomer)),
    (Fault::DropsHeld, Judge::Model(models::handed_to_a_newcomer)),
    (Fault::DropsEarly, Judge::Model(models::join_a_write_and_a_death)),
    (Fault::SaysWholeEarly, Judge::Model(models::join_a_write_and_a_death)),
    (Fault::NeverAsksAgain, Judge::Model(models::write_and_a_death)),
    (Fault::LeavesUnheard, Judge::Unit(units::who_leaves_waits_until_all_know)),
    (Fault::BeginsAnewAtTheEnd, Judge::Model(models::all_leave)),
    (Fault::ForgetsTheCrowded, Judge::Unit(units::who_was_crowded_has_everything_in_the_end)),
    (Fault::LastComerWins, Judge::Unit(units::the_last_writer_wins)),
    (Fault::LastComerWins, Judge::Model(models::eventual_writes)),
    (Fault::NeverCompares, Judge::Model(models::eventual_write_and_a_death)),
    (Fault::ForgetsRemoved, Judge::Unit(units::what_is_removed_stays_so)),
    (Fault::ForgetsUnagreed, Judge::Unit(units::all_agree_before_anything_is_forgotten)),
    (Fault::ForgetsAtOnce, Judge::Unit(units::what_is_on_its_way_comes_before_it_is_forgotten)),
    (Fault::TakesWhatIsPast, Judge::Unit(units::what_is_past_is_not_taken)),
    (Fault::CountsAlone, Judge::Unit(units::writers_heed_what_they_saw)),
    (Fault::IgnoresItsEnd, Judge::Unit(units::who_is_out_serves_nobody)),
    (Fault::SettlesAlone, Judge::Kills(kills::comings_and_goings)),
    (Fault::NeverAsksAgain, Judge::Kills(kills::busy)),
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

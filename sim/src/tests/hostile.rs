//! The scenarios of bad peers and of poison: they hold whatever goes wrong, every deed is done in them, and weaknesses that
//! are planted are noticed.

use super::{Setup, find, well};
use crate::Costs;
use crate::scenarios::Scenario;
use crate::scenarios::planted::ASKS_FOR_POISON_AGAIN;
use crate::scenarios::planted_hostile::{
    BELIEVES_THE_ENVELOPE, CAN_NOT_READ_LONG_ONES, IGNORES_THE_MARK, NEEDS_NO_KEY, TAKES_ANYBODYS_ANSWER,
};
use fos_peers::deeds::DEEDS;

fn setup(name: &str, seed: u64) -> Setup {
    Setup::new(find(name).unwrap(), seed, Costs::load("default").unwrap())
}

#[test]
fn honest_clients_notice_nothing_whatever_bad_peers_do() {
    for seed in 0..20 {
        well(&setup("hostile", seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn every_deed_is_done() {
    let setup = setup("hostile", 1);
    let report = Setup { messages: 3 * setup.messages, ..setup }.run(None);
    let kinds = well(&report).figures.iter().find(|figure| figure.key == "kinds").unwrap().value;
    assert_eq!(kinds, DEEDS.len() as f64);
}

/// What the first of a few seeds that notices a weakness says of it.
fn noticed(scenario: &'static Scenario) -> String {
    let failure = |seed| Setup { scenario, ..setup("hostile", seed) }.run(None).failure;
    (0..8).find_map(failure).unwrap_or_default()
}

#[test]
fn planted_weaknesses_are_noticed() {
    let stamp = noticed(&BELIEVES_THE_ENVELOPE);
    assert!(stamp.contains("count came back as") || stamp.contains("calls were counted for it"), "{stamp:?}");
    let asked = noticed(&TAKES_ANYBODYS_ANSWER);
    assert!(asked.contains("came back as 666"), "{asked:?}");
    let mark = noticed(&IGNORES_THE_MARK);
    assert!(mark.contains("false-reports-of-poison"), "{mark:?}");
    let room = noticed(&CAN_NOT_READ_LONG_ONES);
    assert!(room.contains("server panicked: a message of"), "{room:?}");
    let key = noticed(&NEEDS_NO_KEY);
    assert!(key.contains("names-in-others-directories: make was done"), "{key:?}");
}

#[test]
fn a_request_that_ends_each_member_ends_two() {
    for seed in 0..40 {
        well(&setup("poison", seed).with_faults_of_the_seed().run(None));
    }
}

#[test]
fn a_client_that_does_not_take_no_for_an_answer_is_noticed() {
    let report = Setup { scenario: &ASKS_FOR_POISON_AGAIN, ..setup("poison", 1) }.run(None);
    assert_eq!(report.failure.as_deref(), Some("4 members ended instead of 2"));
}

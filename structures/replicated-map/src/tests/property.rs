//! Worlds that are larger than a model checker can exhaust, run at random: more members, longer scripts, several
//! deaths, losses and cuts. Whatever comes out is checked like the models' states.

use super::models::{base, joining, one_machine, small};
use super::world::{Action, Setup, Wish, World};
use crate::{Identity, Limits, Machine, Member, Operation, Version};
use proptest::prelude::*;
use std::vec::Vec;

fn operation() -> impl Strategy<Value = Operation<u8, u8>> {
    let (key, value, owner) = (0..4_u8, any::<u8>(), (0..3_u64).prop_map(Identity));
    let version = (0..12_u64).prop_map(Version);
    prop_oneof![
        4 => (key.clone(), value, owner.clone())
            .prop_map(|(key, value, owner)| Operation::Insert { key, value, owner }),
        2 => (key.clone(), value, version.clone())
            .prop_map(|(key, value, version)| Operation::Replace { key, value, version }),
        2 => (key, proptest::option::of(version)).prop_map(|(key, version)| Operation::Remove { key, version }),
        1 => owner.prop_map(|owner| Operation::RemoveOwner { owner }),
    ]
}

fn wish(members: usize) -> impl Strategy<Value = Wish> {
    prop_oneof![
        6 => operation().prop_map(Wish::Update),
        3 => (0..4_u8).prop_map(Wish::Read),
        1 => (0..members).prop_map(Wish::Go),
    ]
}

fn clients(members: usize) -> impl Strategy<Value = Vec<(usize, Vec<Wish>)>> {
    let script = proptest::collection::vec(wish(members), 1..12);
    proptest::collection::vec((0..members, script), 1..4)
}

/// Lets things happen as `choices` say, then lets the world come to rest.
fn run(setup: &Setup, choices: &[u16]) -> Result<(), TestCaseError> {
    let mut world = World::new(setup);
    let mut actions = Vec::new();
    for choice in choices {
        actions.clear();
        world.actions(setup, &mut actions);
        // Rare things happen rarely.
        let rare =
            |action: &Action| !matches!(action, Action::Submit(_) | Action::Deliver(..) | Action::Notice(..));
        if choice % 8 != 0 && actions.iter().any(|action| !rare(action)) {
            actions.retain(|action| !rare(action));
        }
        let Some(action) = actions.get(usize::from(choice / 8) % actions.len().max(1)) else { break };
        world.perform(setup, *action);
        prop_assert_eq!(world.violation, None);
    }
    if world.cuts == 1 {
        world.perform(setup, Action::Cut);
    }
    world.drain(setup);
    prop_assert_eq!(world.violation, None);
    prop_assert!(world.ends_well(setup), "somebody still waits");
    Ok(())
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_machine_with_deaths_and_a_join(clients in clients(4), deaths in 0..4_u8, choices in choices()) {
        let limits = Limits { batch_max: 2, tail_max: 1, ..small() };
        run(&joining(Setup { clients, deaths, limits, ..base(one_machine(4)) }), &choices)?;
    }

    #[test]
    fn machines_that_lose_messages(clients in clients(4), deaths in 0..2_u8, choices in choices()) {
        let members = [(0, 1), (0, 2), (1, 1), (2, 1)].map(|(machine, number)| Member::new(machine, number));
        let limits = Limits { lease_ticks: 3, ..small() };
        let setup = Setup { clients, deaths, losses: 8, ticks: 200, limits, ..base(members.to_vec()) };
        run(&setup, &choices)?;
    }

    #[test]
    fn a_machine_is_cut_off(clients in clients(4), cut in 0..3_u16, choices in choices()) {
        let members = [(0, 1), (1, 1), (1, 2), (2, 1)].map(|(machine, number)| Member::new(machine, number));
        let limits = Limits { lease_ticks: 2, ..small() };
        let setup = Setup { clients, cut: Some(Machine(cut)), ticks: 200, limits, ..base(members.to_vec()) };
        run(&setup, &choices)?;
    }
}

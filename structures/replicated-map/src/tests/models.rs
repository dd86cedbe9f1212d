//! Worlds explored to closure: every order of deliveries, notices, deaths, losses and ticks within their budgets.

use super::checks::Violation;
use super::world::{Action, Setup, Wish, World};
use crate::{Identity, Limits, Machine, Member, Operation};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::vec;
use std::vec::Vec;

pub struct Explored(pub Setup);

impl Model for Explored {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.violation.is_none() {
            world.actions(&self.0, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.perform(&self.0, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing forbidden happens", |_, world: &World| world.violation.is_none()),
            Property::always("what ends, ends well", |model: &Explored, world: &World| {
                world.ends_well(&model.0)
            }),
            Property::sometimes("all clients are served", |model: &Explored, world: &World| {
                let served = |(client, script): (&super::world::Client, &(usize, Vec<Wish>))| {
                    client.wish == script.1.len()
                };
                world.clients.iter().zip(&model.0.clients).all(served)
            }),
        ]
    }
}

/// What an exploration found.
pub struct Found {
    pub states: usize,
    pub violation: Option<Violation>,
}

/// Explores until nothing is new, or something forbidden is found.
pub fn explore(setup: Setup) -> Found {
    let finish = HasDiscoveries::AnyFailures;
    let checker = Explored(setup).checker().threads(2).finish_when(finish).spawn_dfs().join();
    let states = checker.unique_state_count();
    let last = |name| {
        let steps = checker.discovery(name)?.into_vec();
        let shown = steps.iter().filter_map(|(_, action)| *action).map(|action| std::format!("{action:?}"));
        let shown: Vec<_> = shown.collect();
        std::println!("{}", shown.join("\n"));
        steps.into_iter().next_back().map(|(world, _)| world)
    };
    let bad = last("nothing forbidden happens").and_then(|world: World| world.violation);
    let bad = bad.or_else(|| last("what ends, ends well").map(|_| Violation::Unfinished));
    if bad.is_none() {
        assert!(checker.is_done(), "the exploration did not come to its end");
        checker.assert_any_discovery("all clients are served");
    }
    Found { states, violation: bad }
}

pub fn small() -> Limits {
    Limits { part_max: 2, log_kept: 8, ..Limits::DEFAULT }
}

pub fn one_machine(count: u32) -> Vec<Member> {
    (1..=count).map(|number| Member::new(0, number)).collect()
}

pub fn insert(key: u8, value: u8) -> Wish {
    Wish::Update(Operation::Insert { key, value, owner: Identity(u64::from(value)) })
}

pub fn base(members: Vec<Member>) -> Setup {
    Setup {
        members,
        joiners: Vec::new(),
        clients: vec![(0, vec![insert(1, 1)]), (1, vec![insert(1, 2)])],
        deaths: 0,
        losses: 0,
        ticks: 0,
        slow_ticks: false,
        cut: None,
        proxies: false,
        limits: small(),
        fault: None,
    }
}

fn closes(setup: Setup) {
    let began = std::time::Instant::now();
    let found = explore(setup);
    std::println!("{} states in {:?}", found.states, began.elapsed());
    assert_eq!(found.violation, None);
}

/// One more member joins, and asks the others in the order of their numbers.
pub fn joining(setup: Setup) -> Setup {
    let sponsors = setup.members.clone();
    Setup { joiners: vec![(Member::new(0, 9), sponsors)], ..setup }
}

/// One member on each of some machines.
pub fn machines(count: u16) -> Vec<Member> {
    (0..count).map(|machine| Member::new(machine, 1)).collect()
}

/// Timers only send again: nobody is taken for dead.
pub fn patient() -> Limits {
    Limits { ping_ticks: 100, lease_ticks: 1000, ..small() }
}

pub fn updates() -> Setup {
    base(one_machine(3))
}

pub fn updates_and_a_death() -> Setup {
    Setup { deaths: 1, ..updates() }
}

pub fn updates_and_two_deaths() -> Setup {
    Setup { deaths: 2, ..updates() }
}

/// A client reads at one member after another while another one writes.
pub fn reads_here_and_there() -> Setup {
    let hop = vec![Wish::Read(1), Wish::Go(1), Wish::Read(1), Wish::Go(2), Wish::Read(1)];
    Setup { clients: vec![(0, vec![insert(1, 1)]), (0, hop)], ..updates_and_a_death() }
}

pub fn join_and_updates() -> Setup {
    joining(base(one_machine(2)))
}

pub fn join_updates_and_a_death() -> Setup {
    Setup { deaths: 1, ..join_and_updates() }
}

/// Two join at once: the sponsor of one sends the other away until it has time.
pub fn two_joins() -> Setup {
    let members = one_machine(1);
    let joiners = [8, 9].map(|number| (Member::new(0, number), members.clone())).to_vec();
    Setup { joiners, clients: vec![(0, vec![insert(1, 1)])], ..base(members) }
}

pub fn two_joins_and_a_death() -> Setup {
    Setup { deaths: 1, ..two_joins() }
}

/// A copy of several parts, changing while it is read.
pub fn join_of_several_parts() -> Setup {
    let first = vec![insert(1, 1), insert(3, 3)];
    let second = vec![Wish::Update(Operation::Remove { key: 1, version: None }), insert(2, 2)];
    let limits = Limits { part_max: 1, tail_max: 1, ..small() };
    joining(Setup { clients: vec![(0, first), (0, second)], limits, ..base(one_machine(1)) })
}

pub fn updates_and_a_loss() -> Setup {
    Setup { losses: 1, ticks: 1, limits: patient(), ..base(machines(3)) }
}

pub fn join_update_and_a_loss() -> Setup {
    let clients = vec![(1, vec![insert(1, 1)])];
    joining(Setup { clients, losses: 1, ticks: 1, limits: patient(), ..base(machines(2)) })
}

/// One of two machines is cut off and comes back; both sides have clients.
pub fn cut_and_updates() -> Setup {
    let limits = Limits { lease_ticks: 1, ..small() };
    Setup { cut: Some(Machine(1)), ticks: 3, limits, ..base(machines(2)) }
}

/// As before, but the clients of the cut machine read.
pub fn cut_and_reads() -> Setup {
    let clients = vec![(0, vec![insert(1, 1)]), (1, vec![Wish::Read(1)])];
    Setup { clients, ticks: 4, ..cut_and_updates() }
}

/// All of it: two members and a third that joins from another machine, two clients that want one name, a death of
/// anyone, a lost message, and a slow timer.
pub fn everything() -> Setup {
    Setup { slow_ticks: true, ..everything_with_quick_ticks() }
}

/// The same with a timer that goes off at any time after the loss.
pub fn everything_with_quick_ticks() -> Setup {
    let members = one_machine(2);
    let joiners = vec![(Member::new(1, 9), members.clone())];
    Setup { joiners, deaths: 1, losses: 1, ticks: 1, proxies: true, limits: patient(), ..base(members) }
}

/// Without a loss, but with three members besides the joiner.
pub fn everything_on_one_machine() -> Setup {
    joining(Setup { deaths: 1, ..base(one_machine(3)) })
}

macro_rules! models {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod closed {
            $(#[test] $(#[$attribute])* fn $name() { super::closes(super::$name()); })*
        }
    };
}

models! {
    updates,
    updates_and_a_death,
    updates_and_two_deaths,
    reads_here_and_there,
    join_and_updates,
    join_updates_and_a_death,
    two_joins,
    two_joins_and_a_death,
    join_of_several_parts,
    updates_and_a_loss,
    join_update_and_a_loss,
    cut_and_updates,
    cut_and_reads,
    #[ignore = "long"]
    everything,
    #[ignore = "long"]
    everything_with_quick_ticks,
    #[ignore = "long"]
    everything_on_one_machine,
}

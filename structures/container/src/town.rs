//! A town: a world with clients, and an owner if the structure has one. What may happen and what must not is each structure's;
//! how a town is tried is the same for all: explored to closure by a model checker, at random, with an end at every message.

use crate::world::{Action, World};
use crate::{Container, Member};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::{format, println, vec};

/// Who ends, and before which of its messages.
pub type Kill = (Member, usize);

/// A town, which is one state of what a model checker explores.
pub trait Town: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// What its members have shares of.
    type Container: Container;
    /// What is the same in every state.
    type Setup: Clone + Send + Sync + 'static;
    /// Something that can happen: in the world, or to it.
    type Event: Copy + Debug + Eq + Hash + From<Action>;
    /// What must not happen.
    type Violation: Copy + Debug + PartialEq;

    /// Steps of one run with an end.
    const STEPS_MAX: usize = 2_000;
    /// How often timers go off before a town counts as drained.
    const ROUNDS: usize = 60;

    /// The first state.
    fn new(setup: &Self::Setup) -> Self;

    /// The world.
    fn world(&self) -> &World<Self::Container>;

    /// The same, to be driven.
    fn world_mut(&mut self) -> &mut World<Self::Container>;

    /// What an event is in the world, if it is there.
    fn in_world(event: &Self::Event) -> Option<Action>;

    /// What can happen next.
    fn events(&self, setup: &Self::Setup, events: &mut Vec<Self::Event>);

    /// Lets one thing happen.
    fn perform(&mut self, setup: &Self::Setup, event: Self::Event);

    /// So many members may end from now on, and so many timers go off.
    fn allow(&mut self, deaths: u8, ticks: u16);

    /// What has happened that must not.
    fn violation(&self) -> Option<Self::Violation>;

    /// The same, or what is wrong although nothing more will happen.
    fn flaw(&self, setup: &Self::Setup) -> Option<Self::Violation>;

    /// Whether nothing is left to do but what a timer does.
    fn is_at_rest(&self, setup: &Self::Setup) -> bool {
        let mut events = Vec::new();
        self.events(setup, &mut events);
        events.iter().all(|event| matches!(Self::in_world(event), Some(Action::Die(_))))
    }

    /// Lets everything happen that is under way, by turns, and timers go off as long as something comes of it.
    fn drain(&mut self, setup: &Self::Setup) {
        for _ in 0..Self::ROUNDS {
            self.run_out(setup);
            let mut actions = Vec::new();
            self.world().actions(&mut actions);
            if actions.is_empty() || self.violation().is_some() {
                return;
            }
            self.allow(0, actions.len() as u16);
            actions.into_iter().for_each(|action| self.perform(setup, action.into()));
        }
        self.run_out(setup);
    }

    /// Everything but timers and ends.
    fn run_out(&mut self, setup: &Self::Setup) {
        self.allow(0, 0);
        loop {
            let mut events = Vec::new();
            self.events(setup, &mut events);
            let Some(event) = events.first().filter(|_| self.violation().is_none()) else { return };
            self.perform(setup, *event);
        }
    }
}

fn is_end<T: Town>(event: &T::Event) -> bool {
    matches!(T::in_world(event), Some(Action::Die(_) | Action::DeliverAndDie(..)))
}

fn is_tick<T: Town>(event: &T::Event) -> bool {
    matches!(T::in_world(event), Some(Action::Tick(_)))
}

struct Explored<T: Town>(T::Setup);

const NOTHING_FORBIDDEN: &str = "nothing forbidden happens";
const RIGHT_AT_REST: &str = "what comes to rest is right";
const RESTS: &str = "everything comes to rest";

impl<T: Town> Model for Explored<T> {
    type State = T;
    type Action = T::Event;

    fn init_states(&self) -> Vec<T> {
        vec![T::new(&self.0)]
    }

    fn actions(&self, town: &T, events: &mut Vec<T::Event>) {
        if town.violation().is_none() {
            town.events(&self.0, events);
        }
    }

    fn next_state(&self, town: &T, event: T::Event) -> Option<T> {
        let mut next = town.clone();
        next.perform(&self.0, event);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_FORBIDDEN, |_, town: &T| town.violation().is_none()),
            Property::always(RIGHT_AT_REST, |model: &Explored<T>, town: &T| {
                !town.is_at_rest(&model.0) || town.flaw(&model.0).is_none()
            }),
            Property::sometimes(RESTS, |model: &Explored<T>, town: &T| town.is_at_rest(&model.0)),
        ]
    }
}

/// Explores until nothing is new, or something forbidden is found: what. Says by which events on standard output.
pub fn explore<T: Town>(setup: &T::Setup) -> Option<T::Violation> {
    let began = std::time::Instant::now();
    let finish = HasDiscoveries::AnyFailures;
    let checker = Explored::<T>(setup.clone()).checker().threads(2).finish_when(finish).spawn_dfs().join();
    let last = |name| {
        let steps = checker.discovery(name)?.into_vec();
        let shown: Vec<_> =
            steps.iter().filter_map(|(_, event)| *event).map(|event| format!("{event:?}")).collect();
        println!("{}", shown.join("\n"));
        steps.into_iter().next_back().map(|(town, _)| town)
    };
    let bad = last(NOTHING_FORBIDDEN).and_then(|town: T| town.violation());
    let bad = bad.or_else(|| last(RIGHT_AT_REST).and_then(|town: T| town.flaw(setup)));
    if bad.is_none() {
        assert!(checker.is_done(), "the exploration did not come to its end");
        checker.assert_any_discovery(RESTS);
    }
    println!("{} states in {:?}", checker.unique_state_count(), began.elapsed());
    bad
}

/// Lets things happen as `choices` say, ends more rarely, then lets the town come to rest: what was forbidden.
pub fn at_random<T: Town>(setup: &T::Setup, choices: &[u16]) -> Option<T::Violation> {
    let mut town = T::new(setup);
    let mut events = Vec::new();
    for choice in choices {
        events.clear();
        town.events(setup, &mut events);
        if choice % 8 != 0 && events.iter().any(|event| !is_end::<T>(event)) {
            events.retain(|event| !is_end::<T>(event));
        }
        let Some(event) = events.get(usize::from(choice / 8) % events.len().max(1)) else { break };
        town.perform(setup, *event);
        if let Some(violation) = town.violation() {
            return Some(violation);
        }
    }
    town.drain(setup);
    town.flaw(setup)
}

/// Runs to the end by a fixed schedule. Answers how many messages each member sent, and what was forbidden.
fn run<T: Town>(setup: &T::Setup, kill: Option<Kill>) -> (Vec<Kill>, Option<T::Violation>) {
    let mut town = T::new(setup);
    // What was sent while the town was made is not counted.
    (town.world_mut().kill, town.world_mut().counts) = (kill, true);
    let mut events = Vec::new();
    let mut turn = 0;
    while turn < 7 * T::STEPS_MAX && town.violation().is_none() {
        events.clear();
        town.events(setup, &mut events);
        events.retain(|event| !is_end::<T>(event));
        // Timers wait while anything else can happen.
        if events.iter().any(|event| !is_tick::<T>(event)) {
            events.retain(|event| !is_tick::<T>(event));
        }
        // A stride that differs from step to step mixes wishes, deliveries and notices.
        let Some(event) = events.get(turn % events.len().max(1)) else { break };
        town.perform(setup, *event);
        turn += 7;
    }
    town.world_mut().kill = None;
    town.drain(setup);
    let sent = town.world().sent.iter().map(|(member, count)| (*member, *count)).collect();
    (sent, town.flaw(setup))
}

/// An end at every message: the same run again and again, in which one member ends just before one of the messages that it
/// sends. First without an end, to know how many there are, which must be well unless a rule is broken. Answers how many kill
/// points there were, and the first that something forbidden followed.
pub fn enumerate<T: Town>(setup: &T::Setup, is_broken: bool) -> (usize, Option<(Kill, T::Violation)>) {
    let (sent, violation) = run::<T>(setup, None);
    assert!(is_broken || violation.is_none(), "without an end: {violation:?}");
    let kills: Vec<Kill> =
        sent.iter().flat_map(|(member, count)| (0..*count).map(|index| (*member, index))).collect();
    let bad = |kill: &Kill| run::<T>(setup, Some(*kill)).1.map(|violation| (*kill, violation));
    (kills.len(), kills.iter().find_map(bad))
}

//! A town: a world of shares, and clients at their members. What a strong map tells them must be linearizable, and what it
//! acknowledged there. When nothing is left to happen, each shard is where it should be and nowhere else, and all who have it
//! agree.

use super::history::History;
use crate::fault::Fault;
use crate::{Answer, Consistency, Map, Operation, Policy};
use fos_container::town::Town as _;
use fos_container::world::{Action, Said, World};
use fos_container::{Container, Member, Ticket};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

/// What a client does at a member, given by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Reads a key.
    Get(usize, u8),
    /// Writes a value that no other wish writes.
    Put(usize, u8),
    /// Removes a key.
    Remove(usize, u8),
    /// Has the member leave.
    Leave(usize),
    /// Has one more member come.
    Join,
}

/// What is the same in every state of a town.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Members at first.
    pub members: usize,
    /// Keys that have a value at first.
    pub keys: u8,
    /// What happens, in any order.
    pub wishes: Vec<Wish>,
    pub deaths: u8,
    pub ticks: u16,
    pub policy: Policy,
    /// Messages on a wire from which on it is crowded.
    pub room: usize,
    pub fault: Option<Fault>,
}

impl Setup {
    /// Whether all first members are asked to leave and another comes: the map may end, and another begin.
    fn may_begin_anew(&self) -> bool {
        let leaves = |place| self.wishes.contains(&Wish::Leave(place));
        (0..self.members).all(leaves) && self.wishes.contains(&Wish::Join)
    }
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// No single map could have told this.
    NotLinearizable,
    /// A shard was lost although enough members lived.
    Lost,
    /// A request is not answered although its member lives.
    Unanswered,
    /// A member that leaves is still there.
    StillThere,
    /// A shard is not just where it should be.
    Misplaced(u16),
    /// Two members do not have the same of a shard.
    Differ(u16),
    /// A key that was removed is still kept in mind.
    Remembered,
    /// Of writes one after the other not the last is there.
    NotTheLast(u8),
}

/// Something that can happen in a town.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    In(Action),
    Wish(usize),
}

impl From<Action> for Event {
    fn from(action: Action) -> Event {
        Event::In(action)
    }
}

type Share = Map<u8, u8>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Town {
    pub world: World<Share>,
    pub history: History,
    /// Wishes that are not fulfilled yet, by their place.
    wishes: BTreeSet<usize>,
    asked: BTreeMap<Ticket, (Member, usize)>,
    next_ticket: u64,
    next_value: u8,
    deaths: u8,
    pub ticks: u16,
    leaving: BTreeSet<Member>,
    /// The last value of each key, where one thing happens after the other.
    pub last: BTreeMap<u8, Option<u8>>,
    pub violation: Option<Violation>,
}

pub fn member(place: usize) -> Member {
    Member(place as u64 + 1)
}

fn share(place: usize, setup: &Setup) -> Share {
    let mut share = Map::new(member(place), setup.policy);
    share.faults.planted = setup.fault;
    share
}

impl fos_container::town::Town for Town {
    type Container = Share;
    type Setup = Setup;
    type Event = Event;
    type Violation = Violation;

    const STEPS_MAX: usize = 3_000;
    const ROUNDS: usize = 200;

    /// All first members have begun, and the first keys are written.
    fn new(setup: &Setup) -> Town {
        let mut town = Town {
            world: World::new((0..setup.members).map(|place| share(place, setup)).collect()),
            history: History::default(),
            wishes: BTreeSet::new(),
            asked: BTreeMap::new(),
            next_ticket: 0,
            next_value: 0,
            deaths: 0,
            ticks: 0,
            leaving: BTreeSet::new(),
            last: BTreeMap::new(),
            violation: None,
        };
        town.world.room = setup.room;
        town.drain(setup);
        for key in 0..setup.keys {
            town.wish_alone(setup, Wish::Put(0, key));
            town.drain(setup);
        }
        town.wishes = (0..setup.wishes.len()).collect();
        (town.deaths, town.ticks) = (setup.deaths, setup.ticks);
        town
    }

    fn world(&self) -> &World<Share> {
        &self.world
    }

    fn world_mut(&mut self) -> &mut World<Share> {
        &mut self.world
    }

    fn in_world(event: &Event) -> Option<Action> {
        if let Event::In(action) = event { Some(*action) } else { None }
    }

    /// What can happen next.
    fn events(&self, setup: &Setup, events: &mut Vec<Event>) {
        let mut actions = Vec::new();
        self.world.actions(&mut actions);
        actions.retain(|action| self.ticks > 0 || !matches!(action, Action::Tick(_)));
        if self.deaths > 0 && self.world.places.len() > 1 {
            self.world.ends(&mut actions);
        }
        events.extend(actions.into_iter().map(Event::In));
        events.extend(
            self.wishes.iter().filter(|wish| self.is_possible(setup, **wish)).copied().map(Event::Wish),
        );
    }

    /// Lets one thing happen.
    fn perform(&mut self, setup: &Setup, event: Event) {
        match event {
            Event::In(action) => {
                match action {
                    Action::Tick(_) => self.ticks -= 1,
                    Action::Die(_) | Action::DeliverAndDie(..) => self.deaths -= 1,
                    _ => {}
                }
                self.world.perform(action);
            }
            Event::Wish(wish) => {
                self.wishes.remove(&wish);
                self.wish(setup, setup.wishes[wish]);
            }
        }
        self.listen(setup);
    }

    fn allow(&mut self, deaths: u8, ticks: u16) {
        (self.deaths, self.ticks) = (deaths, ticks);
    }

    fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// What is wrong although nothing more will happen.
    fn flaw(&self, setup: &Setup) -> Option<Violation> {
        if self.violation.is_some() || self.world.places.is_empty() {
            return self.violation;
        }
        if !self.asked.is_empty() {
            return Some(Violation::Unanswered);
        }
        // A timer would help.
        if self.world.places.values().any(|place| place.container.wants_ticks()) {
            return None;
        }
        if !self.leaving.is_empty() {
            return Some(Violation::StillThere);
        }
        if self.world.places.values().any(|place| place.container.removed() > 0) {
            return Some(Violation::Remembered);
        }
        (0..setup.policy.shards).find_map(|shard| self.misplaced(shard)).or_else(|| self.unread(setup))
    }
}

impl Town {
    fn is_possible(&self, setup: &Setup, wish: usize) -> bool {
        match setup.wishes[wish] {
            Wish::Get(place, _) | Wish::Put(place, _) | Wish::Remove(place, _) | Wish::Leave(place) => {
                self.world.places.contains_key(&member(place))
            }
            Wish::Join => true,
        }
    }

    fn wish(&mut self, setup: &Setup, wish: Wish) {
        let (place, operation) = match wish {
            Wish::Get(place, key) => (place, Operation::Get(key)),
            Wish::Put(place, key) => {
                self.next_value += 1;
                (place, Operation::Put(key, self.next_value))
            }
            Wish::Remove(place, key) => (place, Operation::Remove(key)),
            Wish::Leave(place) => {
                self.leaving.insert(member(place));
                return self.world.leave(member(place));
            }
            Wish::Join => {
                self.next_ticket += 1;
                return self.world.join(share(setup.members + self.next_ticket as usize, setup));
            }
        };
        self.ask(member(place), operation);
    }

    fn ask(&mut self, at: Member, operation: Operation<u8, u8>) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        match operation {
            Operation::Get(_) => {}
            Operation::Put(key, value) => _ = self.last.insert(key, Some(value)),
            Operation::Remove(key) => _ = self.last.insert(key, None),
        }
        let call = self.history.ask(operation.clone());
        self.asked.insert(ticket, (at, call));
        self.world.ask(at, ticket, operation);
    }

    /// One wish that is not in the setup, now.
    pub fn wish_alone(&mut self, setup: &Setup, wish: Wish) {
        let setup = Setup { wishes: [wish].into(), ..setup.clone() };
        if self.is_possible(&setup, 0) {
            self.wish(&setup, wish);
            self.listen(&setup);
        }
    }

    /// Looks at everything that was said.
    fn listen(&mut self, setup: &Setup) {
        let before = self.history.clone();
        while let Some((_, said)) = self.world.said.pop_front() {
            let Said::Answer(ticket, answer) = said else { continue };
            let Some((_, call)) = self.asked.remove(&ticket) else { continue };
            match answer {
                Answer::Value(value) | Answer::Written(value) => self.history.answer(call, value),
                Answer::Busy | Answer::NotServing => self.history.withdraw(call),
                Answer::Interrupted => {}
            }
        }
        let places = &self.world.places;
        self.asked.retain(|_, (member, _)| places.contains_key(member));
        self.leaving.retain(|member| places.contains_key(member));
        let is_strong = setup.policy.consistency == Consistency::Strong;
        if setup.may_begin_anew() {
            return;
        }
        if is_strong && self.history != before && !self.history.is_linearizable() {
            self.violate(Violation::NotLinearizable);
        }
        let enough = usize::from(setup.deaths) < setup.policy.replicas.min(setup.members);
        if enough && self.world.places.values().any(|place| place.container.lost() > 0) {
            self.violate(Violation::Lost);
        }
    }

    fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// What is wrong about who has a shard.
    fn misplaced(&self, shard: u16) -> Option<Violation> {
        let shares = || self.world.places.values().map(|place| &place.container);
        let targets = shares().next()?.targets(shard).to_vec();
        let strong = |share: &Share| share.strong.replicas.get(&shard).map(|replica| replica.entries.clone());
        let cells = |share: &Share| share.eventual.shards.get(&shard).map(|cells| cells.cells.clone());
        let is_strong = shares().any(|share| share.is_strong());
        for share in shares() {
            let has = if is_strong { strong(share).is_some() } else { cells(share).is_some() };
            let should = targets.contains(&share.me());
            // Of an eventual map a shard is nowhere until something is in it.
            if has && !should || is_strong && should && !has {
                return Some(Violation::Misplaced(shard));
            }
        }
        let first = shares().find(|share| targets.first() == Some(&share.me()))?;
        let differs = |share: &Share| {
            targets.contains(&share.me()) && (strong(share), cells(share)) != (strong(first), cells(first))
        };
        shares().any(differs).then_some(Violation::Differ(shard))
    }

    /// Reads every key at every member.
    fn unread(&self, setup: &Setup) -> Option<Violation> {
        let mut town = self.clone();
        let members: Vec<Member> = town.world.places.keys().copied().collect();
        let keys: Vec<u8> = (0..setup.keys).chain(self.last.keys().copied()).collect();
        for key in keys {
            for member in &members {
                town.ask(*member, Operation::Get(key));
            }
            town.listen(setup);
            town.run_out(setup);
        }
        if !town.asked.is_empty() {
            return Some(Violation::Unanswered);
        }
        town.violation
    }

    /// What is wrong where one thing happened after the other.
    pub fn not_the_last(&self) -> Option<Violation> {
        let share = &self.world.places.values().next()?.container;
        let wrong = self.last.iter().find(|(key, last)| {
            let shard = crate::place::shard_of(*key, share.policy);
            let has = |share: &Share| match share.is_strong() {
                true => share.strong.replicas.get(&shard).map(|replica| replica.entries.get(key).copied()),
                false => share.eventual.shards.get(&shard).map(|cells| cells.cells.get(key)?.value),
            };
            let shares = self.world.places.values().map(|place| &place.container);
            shares.filter_map(has).any(|value| value != **last)
        });
        wrong.map(|(key, _)| Violation::NotTheLast(*key))
    }
}

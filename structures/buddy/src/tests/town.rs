//! A town: a world of shares, and an owner that knows which frames are outside. Whatever is handed out must not be outside
//! already; when nothing is left to happen, each frame is outside or free at one member, and no two halves of a block are free at
//! two members.

use crate::fault::Fault;
use crate::{Answer, Block, Buddy, ORDER_MAX, Question, Ranges, Request};
use fos_container::world::{Action, Said, World};
use fos_container::{Container, Member, Ticket};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

/// What a client does at a member, given by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Takes a block of this order.
    Take(usize, u8),
    /// Gives back the first block of those that were taken.
    Give(usize),
    /// Gives back the upper half of the last one, or all of it.
    GiveHalf(usize),
    /// Has the member leave.
    Leave(usize),
    /// Has one more member come.
    Join,
}

/// What is the same in every state of a town.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What each of the first members has: first frames and orders.
    pub stocks: Vec<Vec<(u64, u8)>>,
    /// What happens, in any order.
    pub wishes: Vec<Wish>,
    pub deaths: u8,
    pub ticks: u16,
    /// Messages on a wire from which on it is crowded.
    pub room: usize,
    pub fault: Option<Fault>,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A frame was handed out that was outside already, or is at two members' disposal.
    Twice(u64),
    /// A frame came to a member that had it.
    CameTwice,
    /// A frame is nowhere.
    Lost(u64),
    /// A block of another order than was asked for.
    WrongOrder,
    /// A request is not answered although its member lives.
    Unanswered,
    /// A member that leaves is still there.
    StillThere,
    /// Both halves of a block are free, at two members.
    Apart(Block),
}

/// Something that can happen in a town.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    In(Action),
    Wish(usize),
    /// What the owner has to say arrives.
    Owner,
}

impl From<Action> for Event {
    fn from(action: Action) -> Event {
        Event::In(action)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Town {
    pub world: World<Buddy>,
    /// The blocks that are outside.
    pub outside: BTreeSet<Block>,
    universe: BTreeSet<u64>,
    /// Wishes that are not fulfilled yet, by their place.
    wishes: BTreeSet<usize>,
    asked: BTreeMap<Ticket, (Member, Wish)>,
    /// What the owner has decided to say.
    sayings: VecDeque<(Member, Request)>,
    deaths: u8,
    pub ticks: u16,
    leaving: BTreeSet<Member>,
    pub violation: Option<Violation>,
}

pub fn member(place: usize) -> Member {
    Member(place as u64 + 1)
}

pub fn block((frame, order): (u64, u8)) -> Block {
    Block::new(frame, order).expect("a block of a test")
}

fn share(place: usize, setup: &Setup) -> Buddy {
    let mut share = Buddy::new(member(place));
    share.faults.planted = setup.fault;
    share
}

impl fos_container::town::Town for Town {
    type Container = Buddy;
    type Setup = Setup;
    type Event = Event;
    type Violation = Violation;

    /// All first members have begun and have their stocks.
    fn new(setup: &Setup) -> Town {
        let shares = (0..setup.stocks.len()).map(|place| share(place, setup)).collect();
        let mut town = Town {
            world: World::new(shares),
            outside: BTreeSet::new(),
            universe: BTreeSet::new(),
            wishes: BTreeSet::new(),
            asked: BTreeMap::new(),
            sayings: VecDeque::new(),
            deaths: 0,
            ticks: 0,
            leaving: BTreeSet::new(),
            violation: None,
        };
        town.world.room = setup.room;
        town.run_out(setup);
        for (place, stock) in setup.stocks.iter().enumerate() {
            for one in stock {
                town.universe.extend(block(*one).range());
                town.world.ask(member(place), Ticket(u64::MAX), Request::Free(block(*one)));
            }
        }
        town.world.said.clear();
        town.wishes = (0..setup.wishes.len()).collect();
        (town.deaths, town.ticks) = (setup.deaths, setup.ticks);
        town
    }

    fn world(&self) -> &World<Buddy> {
        &self.world
    }

    fn world_mut(&mut self) -> &mut World<Buddy> {
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
        if !self.sayings.is_empty() {
            events.push(Event::Owner);
        }
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
            Event::Wish(wish) => self.wish(setup, wish),
            Event::Owner => {
                if let Some((to, found)) = self.sayings.pop_front() {
                    self.world.ask(to, Ticket(u64::MAX), found);
                }
            }
        }
        self.listen();
    }

    fn allow(&mut self, deaths: u8, ticks: u16) {
        (self.deaths, self.ticks) = (deaths, ticks);
    }

    fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// What is wrong although nothing more will happen.
    fn flaw(&self, _: &Setup) -> Option<Violation> {
        if self.violation.is_some() || self.world.places.is_empty() {
            return self.violation;
        }
        if !self.asked.is_empty() {
            return Some(Violation::Unanswered);
        }
        let free = self.free();
        let held = free.iter().chain(&self.outside).flat_map(|block| block.range());
        let held: BTreeSet<u64> = held.collect();
        if let Some(frame) = self.universe.difference(&held).next() {
            return Some(Violation::Lost(*frame));
        }
        // A timer would help.
        if self.world.places.values().any(|place| place.container.wants_ticks()) {
            return None;
        }
        if !self.leaving.is_empty() {
            return Some(Violation::StillThere);
        }
        let is_apart = |block: &&Block| block.buddy().is_some_and(|buddy| free.contains(&buddy));
        free.iter().find(is_apart).map(|block| Violation::Apart(*block))
    }
}

impl Town {
    fn is_possible(&self, setup: &Setup, wish: usize) -> bool {
        let serves = |place: &usize| self.world.places.contains_key(&member(*place));
        match &setup.wishes[wish] {
            Wish::Take(place, _) | Wish::Leave(place) => serves(place),
            Wish::Give(place) | Wish::GiveHalf(place) => serves(place) && !self.outside.is_empty(),
            Wish::Join => true,
        }
    }

    fn wish(&mut self, setup: &Setup, place: usize) {
        self.wishes.remove(&place);
        let (ticket, wish) = (Ticket(place as u64), setup.wishes[place]);
        match wish {
            Wish::Take(place, order) => {
                self.asked.insert(ticket, (member(place), wish));
                self.world.ask(member(place), ticket, Request::Allocate { order });
            }
            Wish::Give(place) => {
                if let Some(block) = self.outside.pop_first() {
                    self.asked.insert(ticket, (member(place), wish));
                    self.world.ask(member(place), ticket, Request::Free(block));
                }
            }
            Wish::GiveHalf(place) => {
                if let Some(block) = self.outside.pop_last() {
                    let given = block.halves().map_or(block, |(lower, upper)| {
                        self.outside.insert(lower);
                        upper
                    });
                    self.asked.insert(ticket, (member(place), wish));
                    self.world.ask(member(place), ticket, Request::Free(given));
                }
            }
            Wish::Leave(place) => {
                self.leaving.insert(member(place));
                self.world.leave(member(place));
            }
            Wish::Join => self.world.join(share(setup.stocks.len() + place, setup)),
        }
    }

    /// One wish that is not in the setup, now.
    pub fn wish_alone(&mut self, setup: &Setup, wish: Wish) {
        let setup = Setup { wishes: [wish].into(), ..setup.clone() };
        if self.is_possible(&setup, 0) {
            self.wish(&setup, 0);
            self.listen();
        }
    }

    /// Looks at everything that was said.
    fn listen(&mut self) {
        while let Some((from, said)) = self.world.said.pop_front() {
            match said {
                Said::Answer(ticket, answer) => self.answered(ticket, answer),
                Said::Question(Question { epoch }) => {
                    // The owner looks at its record now; what it says may arrive later.
                    let mut inside = Ranges::new();
                    self.universe.iter().for_each(|frame| inside.insert(*frame..*frame + 1));
                    self.outside.iter().for_each(|block| inside.remove(block.range()));
                    self.sayings.push_back((from, Request::Found { epoch, inside: inside.iter().collect() }));
                }
                Said::Stopped => {}
            }
        }
        let places = &self.world.places;
        self.asked.retain(|_, (member, _)| places.contains_key(member));
        self.sayings.retain(|(member, _)| places.contains_key(member));
        self.leaving.retain(|member| places.contains_key(member));
        self.look_for_twice();
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer) {
        let wish = self.asked.remove(&ticket).map(|(_, wish)| wish);
        match (answer, wish) {
            (Answer::Allocated(block), Some(Wish::Take(_, order))) => {
                if block.order() != order {
                    self.violate(Violation::WrongOrder);
                }
                if self.outside.iter().any(|other| other.range().any(|frame| block.range().contains(&frame)))
                {
                    self.violate(Violation::Twice(block.frame()));
                }
                self.outside.insert(block);
            }
            // It stays outside.
            (Answer::NotServing(Some(block)), _) => _ = self.outside.insert(block),
            (Answer::Overlap(block), _) => self.violate(Violation::Twice(block.frame())),
            _ => {}
        }
    }

    fn look_for_twice(&mut self) {
        let mut seen: BTreeSet<u64> = self.outside.iter().flat_map(|block| block.range()).collect();
        let twice = self.free().into_iter().flat_map(Block::range).find(|frame| !seen.insert(*frame));
        twice.into_iter().for_each(|frame| self.violate(Violation::Twice(frame)));
        if self.world.places.values().any(|place| place.container.overlaps() > 0) {
            self.violate(Violation::CameTwice);
        }
    }

    fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// What is free anywhere.
    pub fn free(&self) -> Vec<Block> {
        self.world.places.values().flat_map(|place| place.container.store().blocks()).collect()
    }

    /// The order of the largest block that is free anywhere.
    pub fn largest(&self) -> Option<u8> {
        (0..=ORDER_MAX).rev().find(|order| self.free().iter().any(|block| block.order() == *order))
    }
}

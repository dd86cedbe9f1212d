//! A town: a world of pools, and an owner that knows which elements are outside. Whatever is handed out must not be outside
//! already; when nothing is left to happen, each element is outside or at one member's disposal.

use crate::fault::Fault;
use crate::{Answer, Policy, Pool, Question, Request};
use fos_container::world::{Action, Said, World};
use fos_container::{Container, Member, Statistics, Ticket};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

/// What a client does at a member, given by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Takes so many, or a few more.
    Take(usize, usize),
    /// Gives back one of those that were taken.
    Give(usize),
    /// Has the member leave.
    Leave(usize),
    /// Has one more member come.
    Join,
}

/// What is the same in every state of a town.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What each of the first members has.
    pub stocks: Vec<Vec<u8>>,
    /// What happens, in any order.
    pub wishes: Vec<Wish>,
    pub deaths: u8,
    pub ticks: u16,
    pub policy: Policy,
    /// The owner names just what the ended had and the doubtful, instead of all that is not outside.
    pub is_exact: bool,
    /// Messages on a wire from which on it is crowded.
    pub room: usize,
    pub fault: Option<Fault>,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// An element was handed out that was outside already, or is at two members' disposal.
    Twice(u8),
    /// An element is nowhere.
    Lost(u8),
    /// A remove was answered with too few or too many.
    WrongCount,
    /// A request is not answered although its member lives.
    Unanswered,
    /// A member that leaves is still there.
    StillThere,
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

type Asked = BTreeMap<Ticket, (Member, Wish)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Town {
    pub world: World<Pool<u8>>,
    pub outside: BTreeSet<u8>,
    universe: BTreeSet<u8>,
    /// Wishes that are not fulfilled yet, by their place.
    wishes: BTreeSet<usize>,
    asked: Asked,
    /// What the owner has decided to say.
    sayings: VecDeque<(Member, Request<u8>)>,
    /// What ended members had.
    had: BTreeMap<Member, BTreeSet<u8>>,
    deaths: u8,
    ticks: u16,
    leaving: BTreeSet<Member>,
    pub violation: Option<Violation>,
}

pub fn member(place: usize) -> Member {
    Member(place as u64 + 1)
}

fn pool(place: usize, setup: &Setup) -> Pool<u8> {
    let mut pool = Pool::new(member(place), setup.policy);
    pool.faults.planted = setup.fault;
    pool
}

impl fos_container::town::Town for Town {
    type Container = Pool<u8>;
    type Setup = Setup;
    type Event = Event;
    type Violation = Violation;

    /// All first members have begun and have their stocks.
    fn new(setup: &Setup) -> Town {
        let pools = (0..setup.stocks.len()).map(|place| pool(place, setup)).collect();
        let mut town = Town {
            world: World::new(pools),
            outside: BTreeSet::new(),
            universe: setup.stocks.iter().flatten().copied().collect(),
            wishes: (0..setup.wishes.len()).collect(),
            asked: BTreeMap::new(),
            sayings: VecDeque::new(),
            had: BTreeMap::new(),
            deaths: setup.deaths,
            ticks: setup.ticks,
            leaving: BTreeSet::new(),
            violation: None,
        };
        town.world.room = setup.room;
        (0..setup.stocks.len()).for_each(|place| town.world.perform(Action::Begin(member(place))));
        for (place, stock) in setup.stocks.iter().enumerate() {
            town.world.ask(member(place), Ticket(u64::MAX), Request::Add(stock.clone()));
        }
        town.world.said.clear();
        town
    }

    fn world(&self) -> &World<Pool<u8>> {
        &self.world
    }

    fn world_mut(&mut self) -> &mut World<Pool<u8>> {
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
                    Action::Die(member) | Action::DeliverAndDie(_, member, _) => {
                        self.deaths = self.deaths.saturating_sub(1);
                        if matches!(action, Action::Die(_)) {
                            self.note_had(member);
                        }
                    }
                    // When nobody stays it goes with what it has.
                    Action::Go(member) => {
                        self.note_had(member);
                        let rest = self.world.at(member).and_then(Pool::rest);
                        self.outside.extend(rest.unwrap_or_default());
                    }
                    _ => {}
                }
                self.act(action);
            }
            Event::Wish(wish) => self.wish(setup, wish),
            Event::Owner => {
                if let Some((to, found)) = self.sayings.pop_front() {
                    self.world.ask(to, Ticket(u64::MAX), found);
                }
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
    fn flaw(&self, _: &Setup) -> Option<Violation> {
        if self.violation.is_some() || self.world.places.is_empty() {
            return self.violation;
        }
        if !self.asked.is_empty() {
            return Some(Violation::Unanswered);
        }
        // The last of all goes with what it has.
        let held = |place: &fos_container::world::Place<Pool<u8>>| place.container.stock().to_vec();
        let held: BTreeSet<u8> = self.world.places.values().flat_map(held).collect();
        let lost = |element: &&u8| !held.contains(element) && !self.outside.contains(element);
        if let Some(element) = self.universe.iter().find(lost) {
            return Some(Violation::Lost(*element));
        }
        // A timer would help.
        let waits = self.world.places.values().any(|place| place.container.wants_ticks());
        (!self.leaving.is_empty() && !waits).then_some(Violation::StillThere)
    }
}

impl Town {
    /// Wishes of one place happen in order.
    fn is_possible(&self, setup: &Setup, wish: usize) -> bool {
        let serves = |place: &usize| self.world.places.contains_key(&member(*place));
        match &setup.wishes[wish] {
            Wish::Take(place, _) | Wish::Leave(place) => serves(place),
            Wish::Give(place) => serves(place) && !self.outside.is_empty(),
            Wish::Join => true,
        }
    }

    /// What a member has is written down just before it may end: an owner's records, for what they are.
    fn act(&mut self, action: Action) {
        match action {
            Action::DeliverAndDie(from, to, count) => {
                // What its last step brought it counts too, also what it did not come to hand out.
                let mut after = self.clone();
                after.world.perform(Action::Deliver(from, to));
                self.note_had(to);
                let brought = after.holdings(to).into_iter().chain(self.on_the_way(from, to));
                let brought: Vec<u8> = brought.collect();
                self.had.entry(to).or_default().extend(brought);
                self.world.perform(Action::DeliverAndDie(from, to, count));
            }
            action => self.world.perform(action),
        }
    }

    fn on_the_way(&self, from: Member, to: Member) -> Vec<u8> {
        let peer = self.world.at(from).and_then(|pool| pool.peers.get(&to));
        let transfers = peer.into_iter().flat_map(|peer| &peer.departing);
        transfers.flat_map(|(_, elements)| elements.clone()).collect()
    }

    /// What a member has, and what left it on the way to somebody.
    fn holdings(&self, of: Member) -> Vec<u8> {
        let Some(pool) = self.world.at(of) else { return Vec::new() };
        let departed = pool.departing().copied().chain(pool.recovery.doubtful());
        pool.stock().iter().copied().chain(departed).collect()
    }

    fn note_had(&mut self, member: Member) {
        let holdings = self.holdings(member);
        self.had.entry(member).or_default().extend(holdings);
    }

    fn wish(&mut self, setup: &Setup, wish: usize) {
        self.wishes.remove(&wish);
        let ticket = Ticket(wish as u64);
        match setup.wishes[wish] {
            Wish::Take(place, least) => {
                self.asked.insert(ticket, (member(place), setup.wishes[wish]));
                self.world.ask(member(place), ticket, Request::Remove { least, most: least + 1 });
            }
            Wish::Give(place) => {
                let Some(element) = self.outside.first().copied() else { return };
                self.asked.insert(ticket, (member(place), setup.wishes[wish]));
                // It is inside from here on: the answer to this step is looked at before anything else happens.
                self.outside.remove(&element);
                self.world.ask(member(place), ticket, Request::Add([element].into()));
            }
            Wish::Leave(place) => {
                self.leaving.insert(member(place));
                self.world.leave(member(place));
            }
            Wish::Join => {
                let place = setup.stocks.len() + wish;
                self.world.join(pool(place, setup));
            }
        }
    }

    /// One wish that is not in the setup, now.
    pub fn wish_alone(&mut self, setup: &Setup, wish: Wish) {
        let setup = Setup { wishes: [wish].into(), ..setup.clone() };
        if self.is_possible(&setup, 0) {
            self.wish(&setup, 0);
            self.listen(&setup);
        }
    }

    /// Looks at everything that was said.
    fn listen(&mut self, setup: &Setup) {
        while let Some((from, said)) = self.world.said.pop_front() {
            match said {
                Said::Answer(ticket, answer) => self.answered(ticket, answer),
                Said::Question(question) => self.asked_owner(setup, from, question),
                Said::Stopped => {}
            }
        }
        let places = &self.world.places;
        if places.is_empty() {
            // A fleet that is gone leaves everything to the owner.
            self.outside.clone_from(&self.universe);
        }
        self.asked.retain(|_, (member, _)| places.contains_key(member));
        self.sayings.retain(|(member, _)| places.contains_key(member));
        self.leaving.retain(|member| places.contains_key(member));
        self.look_for_twice();
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer<u8>) {
        let wish = self.asked.remove(&ticket).map(|(_, wish)| wish);
        match (answer, wish) {
            (Answer::Removed(elements), Some(Wish::Take(_, least))) => {
                if elements.len() < least || elements.len() > least + 1 {
                    self.violate(Violation::WrongCount);
                }
                for element in elements {
                    if !self.outside.insert(element) {
                        self.violate(Violation::Twice(element));
                    }
                }
            }
            // It stays outside.
            (Answer::NotServing(elements), _) => self.outside.extend(elements),
            _ => {}
        }
    }

    /// The owner looks at its records now; what it says may arrive later.
    fn asked_owner(&mut self, setup: &Setup, from: Member, question: Question<u8>) {
        let had: BTreeSet<u8> =
            question.dead.iter().filter_map(|dead| self.had.get(dead)).flatten().copied().collect();
        let is_named = |element: &u8| {
            let may_be = !setup.is_exact || had.contains(element) || question.doubtful.contains(element);
            may_be && !self.outside.contains(element)
        };
        let elements = self.universe.iter().copied().filter(is_named).collect();
        self.sayings.push_back((from, Request::Found { epoch: question.epoch, elements }));
    }

    fn look_for_twice(&mut self) {
        let mut seen = self.outside.clone();
        let stocks = self.world.places.values().flat_map(|place| place.container.stock()).copied();
        let stocks: Vec<u8> = stocks.collect();
        for element in stocks {
            if !seen.insert(element) {
                self.violate(Violation::Twice(element));
            }
        }
    }

    fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// What all members have done.
    pub fn statistics(&self) -> Statistics {
        self.world.places.values().map(|place| place.container.statistics()).sum()
    }
}

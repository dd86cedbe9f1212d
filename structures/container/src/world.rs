//! A world of containers for tests: members, the wires between them, epochs and notices of ends on their way. What can happen
//! next is a list of [`Action`]s; who chooses among them is a model checker, a random number, or a schedule.
//!
//! A wire is first in, first out; nothing else is ordered. A member may end between any two things that one of its steps wants
//! done. What it had sent still comes, before or after the epoch that does without it. Epochs are agreed elsewhere: here each
//! change of who lives makes the next, which every member hears of at a time of its own.

use crate::{Container, Effect, Effects, Epoch, Heard, Member, Roll, Ticket};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next message from the first to the second arrives.
    Deliver(Member, Member),
    /// The same, and the receiver ends after so many of the things that it then wants done.
    DeliverAndDie(Member, Member, usize),
    /// A member hears of its next epoch.
    Begin(Member),
    /// The first hears that the second has ended.
    Notice(Member, Member),
    /// A member's period is over.
    Tick(Member),
    /// A member ends.
    Die(Member),
    /// A member that has left is counted out, and ends.
    Go(Member),
}

/// One living member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place<C: Container> {
    /// The container.
    pub container: C,
    roll: Roll<C::Message>,
    /// Epochs that it has not heard of yet.
    coming: VecDeque<(Epoch, Vec<Member>)>,
    /// It has left, and waits to be counted out.
    has_left: bool,
}

/// What a member told its server, or asked its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Said<A, Q> {
    /// An answer.
    Answer(Ticket, A),
    /// A question.
    Question(Q),
    /// It has stopped: its process has ended.
    Stopped,
}

/// What members said, in the order in which they did.
type SaidBy<A, Q> = VecDeque<(Member, Said<A, Q>)>;
type Wires<M> = BTreeMap<(Member, Member), VecDeque<(Epoch, M)>>;

/// The world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World<C: Container> {
    /// Who lives.
    pub places: BTreeMap<Member, Place<C>>,
    wires: Wires<C::Message>,
    notices: BTreeSet<(Member, Member)>,
    epoch: Epoch,
    members: Vec<Member>,
    /// What was said and not taken out yet, by whom.
    pub said: SaidBy<C::Answer, C::Question>,
    /// Who ends just before sending which of its messages, counted from 0.
    pub kill: Option<(Member, usize)>,
    /// Messages that each member has sent, the dead too.
    pub sent: BTreeMap<Member, usize>,
    /// Whether those are counted; where states are compared they must not be.
    pub counts: bool,
    /// Messages on one wire from which on its sender is told that the receiver is crowded.
    pub room: usize,
    /// Senders that were told, and of whom.
    crowded: BTreeSet<(Member, Member)>,
}

impl<C: Container> World<C> {
    /// A world of these members, who are all in the first epoch once they have heard of it; the first is the eldest.
    pub fn new(containers: Vec<C>) -> World<C> {
        let mut world = World {
            places: BTreeMap::new(),
            wires: BTreeMap::new(),
            notices: BTreeSet::new(),
            epoch: Epoch(0),
            members: Vec::new(),
            said: VecDeque::new(),
            kill: None,
            sent: BTreeMap::new(),
            counts: false,
            room: usize::MAX,
            crowded: BTreeSet::new(),
        };
        containers.into_iter().for_each(|container| world.add(container));
        world.announce();
        world
    }

    fn add(&mut self, container: C) {
        let member = container.me();
        let (roll, coming) = (Roll::default(), VecDeque::new());
        self.places.insert(member, Place { container, roll, coming, has_left: false });
        self.members.push(member);
    }

    /// One more member comes, as the youngest.
    pub fn join(&mut self, container: C) {
        self.add(container);
        self.announce();
    }

    /// The next epoch: all who live.
    fn announce(&mut self) {
        let places = &self.places;
        self.members.retain(|member| places.contains_key(member));
        self.epoch = Epoch(self.epoch.0 + 1);
        for place in self.places.values_mut() {
            place.coming.push_back((self.epoch, self.members.clone()));
        }
    }

    /// A member's container.
    pub fn at(&self, member: Member) -> Option<&C> {
        self.places.get(&member).map(|place| &place.container)
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        let settled = self.places.values().all(|place| place.coming.is_empty());
        self.wires.is_empty() && self.notices.is_empty() && settled
    }

    /// What can happen, but for ends of members.
    pub fn actions(&self, actions: &mut Vec<Action>) {
        actions.extend(self.wires.keys().map(|(from, to)| Action::Deliver(*from, *to)));
        let coming = self.places.iter().filter(|(_, place)| !place.coming.is_empty());
        actions.extend(coming.map(|(member, _)| Action::Begin(*member)));
        actions.extend(self.notices.iter().map(|(to, dead)| Action::Notice(*to, *dead)));
        let ticking = self.places.iter().filter(|(_, place)| place.container.wants_ticks());
        actions.extend(ticking.map(|(member, _)| Action::Tick(*member)));
        let going = self.places.iter().filter(|(_, place)| place.has_left);
        actions.extend(going.map(|(member, _)| Action::Go(*member)));
    }

    /// The ends that are possible now.
    pub fn ends(&self, actions: &mut Vec<Action>)
    where
        C: Clone,
        C::Message: Clone,
    {
        actions.extend(self.places.keys().map(|member| Action::Die(*member)));
        for (from, to) in self.wires.keys() {
            let things = self.would_do(*from, *to);
            actions.extend((1..things).map(|count| Action::DeliverAndDie(*from, *to, count)));
        }
    }

    /// How many things the next message on a wire would have done.
    fn would_do(&self, from: Member, to: Member) -> usize
    where
        C: Clone,
        C::Message: Clone,
    {
        let Some(Place { container, roll, .. }) = self.places.get(&to) else { return 0 };
        let Some((sent, message)) = self.wires[&(from, to)].front() else { return 0 };
        let mut effects = Vec::new();
        if *sent <= roll.epoch() && roll.members().contains(&from) {
            container.clone().hear(from, message.clone(), &mut effects);
        }
        effects.len()
    }

    /// Lets one thing happen.
    pub fn perform(&mut self, action: Action) {
        match action {
            Action::Deliver(from, to) => self.deliver(from, to, usize::MAX),
            Action::DeliverAndDie(from, to, count) => {
                self.deliver(from, to, count);
                self.end(to);
            }
            Action::Begin(member) => self.begin(member),
            Action::Notice(to, dead) => {
                self.notices.remove(&(to, dead));
                self.step(to, usize::MAX, |container, effects| container.died(dead, effects));
            }
            Action::Tick(member) => self.step(member, usize::MAX, Container::tick),
            Action::Die(member) | Action::Go(member) => self.end(member),
        }
    }

    /// A member's server asks it for something.
    pub fn ask(&mut self, member: Member, ticket: Ticket, request: C::Request) {
        self.step(member, usize::MAX, |container, effects| container.ask(ticket, request, effects));
    }

    /// A member is to leave.
    pub fn leave(&mut self, member: Member) {
        self.step(member, usize::MAX, Container::leave);
    }

    /// A member ends: what is on its way to it is lost, the others get a notice and the next epoch.
    pub fn end(&mut self, member: Member) {
        if self.places.remove(&member).is_none() {
            return;
        }
        self.wires.retain(|(_, to), _| *to != member);
        self.notices.retain(|(to, _)| *to != member);
        self.crowded.retain(|(from, to)| *from != member && *to != member);
        self.notices.extend(self.places.keys().map(|other| (*other, member)));
        self.announce();
    }

    fn begin(&mut self, member: Member) {
        let Some(place) = self.places.get_mut(&member) else { return };
        let Some((epoch, members)) = place.coming.pop_front() else { return };
        place.roll.begin(epoch, &members);
        self.step(member, usize::MAX, |container, effects| container.epoch(epoch, &members, effects));
        let released = self.places.get_mut(&member).map(|place| place.roll.released()).unwrap_or_default();
        for (from, message) in released {
            self.step(member, usize::MAX, |container, effects| container.hear(from, message, effects));
        }
    }

    fn deliver(&mut self, from: Member, to: Member, count: usize) {
        let Some(wire) = self.wires.get_mut(&(from, to)) else { return };
        let message = wire.pop_front();
        if wire.is_empty() {
            self.wires.remove(&(from, to));
        }
        if self.room < usize::MAX {
            self.tell_of_crowds(from);
        }
        let (Some((sent, message)), Some(place)) = (message, self.places.get_mut(&to)) else { return };
        if let Heard::Now(message) = place.roll.hear(from, sent, message) {
            self.step(to, count, |container, effects| container.hear(from, message, effects));
        }
    }

    fn step(&mut self, member: Member, count: usize, step: impl FnOnce(&mut C, &mut Effects<C>)) {
        let Some(place) = self.places.get_mut(&member) else { return };
        let mut effects = Vec::new();
        step(&mut place.container, &mut effects);
        for effect in effects.into_iter().take(count) {
            self.carry_out(member, effect);
        }
        // Who ends in the middle of a step says nothing afterwards.
        if count == usize::MAX && self.room < usize::MAX {
            self.tell_of_crowds(member);
        }
    }

    /// Tells a member when messages of its find no room, and when they have all gone out.
    fn tell_of_crowds(&mut self, member: Member) {
        let wires = self.wires.iter().filter(|((from, _), _)| *from == member);
        let full = wires.filter(|(_, wire)| wire.len() >= self.room).map(|(wire, _)| *wire);
        let full: Vec<(Member, Member)> = full.filter(|wire| !self.crowded.contains(wire)).collect();
        let told = self.crowded.iter().filter(|(from, _)| *from == member);
        let empty: Vec<_> = told.filter(|wire| !self.wires.contains_key(*wire)).copied().collect();
        self.crowded.extend(full.iter().copied());
        self.crowded.retain(|wire| !empty.contains(wire));
        let changes =
            full.into_iter().map(|wire| (wire, true)).chain(empty.into_iter().map(|wire| (wire, false)));
        for ((_, to), is_crowded) in changes.collect::<Vec<_>>() {
            self.step(member, usize::MAX, |container, effects| container.crowded(to, is_crowded, effects));
        }
    }

    fn carry_out(&mut self, member: Member, effect: Effect<C::Message, C::Answer, C::Question>) {
        // A planned end may have come before.
        let Some(place) = self.places.get_mut(&member) else { return };
        match effect {
            Effect::Send { to, message } => {
                let epoch = place.roll.epoch();
                if self.dies_now(member) {
                    self.end(member);
                } else if self.places.contains_key(&to) {
                    self.wires.entry((member, to)).or_default().push_back((epoch, message));
                }
            }
            Effect::Answer { ticket, answer } => self.said.push_back((member, Said::Answer(ticket, answer))),
            Effect::Question(question) => self.said.push_back((member, Said::Question(question))),
            Effect::Left => place.has_left = true,
            Effect::Returned => place.has_left = false,
            Effect::Stopped => {
                self.said.push_back((member, Said::Stopped));
                self.end(member);
            }
        }
    }

    /// Counts a message, and says whether its sender ends first.
    fn dies_now(&mut self, member: Member) -> bool {
        if !self.counts {
            return false;
        }
        let sent = self.sent.entry(member).or_default();
        *sent += 1;
        self.kill == Some((member, *sent - 1))
    }
}

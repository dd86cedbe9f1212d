//! A world: replicas, the wires between them, death notices on their way, clients with scripts. What can happen next
//! is a list of actions; who chooses among them is a model checker, a random number or a schedule.
//!
//! A wire is first in, first out; nothing else is ordered, notices least of all. A member may die between any two
//! things that one of its steps wants done. Only wires between machines lose messages. Ticks reach all members at
//! once: that is the clocks' promise that leases stand on.

use super::checks::Violation;
use crate::fault::Fault;
use crate::{
    Answer, Body, Identity, Input, Limits, Machine, Member, Membership, Message, Operation, Output, Refusal,
    Replica, Request, Stop, Update, Version,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

pub type TestReplica = Replica<u8, u8>;
pub type TestOutput = Output<u8, u8>;

/// What a client does, one thing after another.
#[derive(Clone, Debug)]
pub enum Wish {
    Update(Operation<u8, u8>),
    Read(u8),
    /// From now on it talks to the member with this place in [`Setup::members`].
    Go(usize),
}

/// What is the same in every state of a world.
#[derive(Clone, Debug)]
pub struct Setup {
    pub members: Vec<Member>,
    /// Who joins, and whom each asks in this order.
    pub joiners: Vec<(Member, Vec<Member>)>,
    /// Each client's first member and wishes.
    pub clients: Vec<(usize, Vec<Wish>)>,
    pub deaths: u8,
    pub losses: u8,
    pub ticks: u8,
    /// Whether timers are so slow that they go off only when nothing else is on its way.
    pub slow_ticks: bool,
    /// The machine whose wires can be cut once and mended once.
    pub cut: Option<Machine>,
    /// Whether proxies tell of deaths on other machines; else there is only silence.
    pub proxies: bool,
    pub limits: Limits,
    pub fault: Option<Fault>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub contact: Member,
    /// How many wishes are fulfilled.
    pub wish: usize,
    pub waiting: bool,
    /// The highest version that it got.
    pub seen: Version,
    /// The highest version that anybody got before it asked first.
    pub floor: Option<Version>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub replicas: BTreeMap<Member, TestReplica>,
    pub wires: BTreeMap<(Member, Member), VecDeque<Message<u8, u8>>>,
    /// To whom, about whom.
    pub notices: BTreeSet<(Member, Member)>,
    pub clients: Vec<Client>,
    /// Every update that was ever applied anywhere, at its version.
    pub history: Vec<Update<u8, u8>>,
    /// The highest version that was acknowledged to a client.
    pub acknowledged: Version,
    /// Joiners that have begun.
    pub joined: BTreeSet<Member>,
    pub deaths: u8,
    pub losses: u8,
    pub ticks: u8,
    /// How often the wires of the machine were cut or mended.
    pub cuts: u8,
    /// Who dies, before which of the messages that it sends; `sent` counts then.
    pub kill: Option<(Member, usize)>,
    /// Who sent, for each message; only outside models, where it would tell states apart that are the same.
    pub sent: Vec<Member>,
    pub counts: bool,
    pub violation: Option<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Submit(usize),
    Deliver(Member, Member),
    /// The receiver dies when it has done so many of the things that its step wants done.
    DeliverAndDie(Member, Member, usize),
    Die(Member),
    Notice(Member, Member),
    Join(usize),
    Lose(Member, Member),
    Tick,
    Cut,
}

/// Clients' identities are higher than any owner in a script.
pub fn identity(client: usize) -> Identity {
    Identity(100 + client as u64)
}

impl World {
    pub fn new(setup: &Setup) -> World {
        let membership = Membership::first(setup.members.clone(), setup.members[0].machine);
        let replica = |member: &Member| {
            let mut replica = Replica::new(*member, membership.clone(), setup.limits);
            replica.faults.planted = setup.fault;
            (*member, replica)
        };
        let client = |(contact, _): &(usize, Vec<Wish>)| Client {
            contact: setup.members[*contact],
            wish: 0,
            waiting: false,
            seen: Version(0),
            floor: None,
        };
        World {
            replicas: setup.members.iter().map(replica).collect(),
            wires: BTreeMap::new(),
            notices: BTreeSet::new(),
            clients: setup.clients.iter().map(client).collect(),
            history: Vec::new(),
            acknowledged: Version(0),
            joined: BTreeSet::new(),
            deaths: setup.deaths,
            losses: setup.losses,
            ticks: setup.ticks,
            cuts: 0,
            kill: None,
            sent: Vec::new(),
            counts: false,
            violation: None,
        }
    }

    /// What can happen next.
    pub fn actions(&self, setup: &Setup, actions: &mut Vec<Action>) {
        let clients = self.clients.iter().enumerate().filter(|_| !self.replicas.is_empty());
        for (index, client) in clients {
            let alive = self.replicas.contains_key(&client.contact);
            if client.wish < setup.clients[index].1.len() && (!client.waiting || !alive) {
                actions.push(Action::Submit(index));
            }
        }
        actions.extend(self.wires.keys().map(|(from, to)| Action::Deliver(*from, *to)));
        actions.extend(self.notices.iter().map(|(to, dead)| Action::Notice(*to, *dead)));
        let absent = |(_, (member, _)): &(usize, &(Member, _))| !self.joined.contains(member);
        actions.extend(setup.joiners.iter().enumerate().filter(absent).map(|(index, _)| Action::Join(index)));
        if self.deaths > 0 && self.replicas.len() > 1 {
            actions.extend(self.replicas.keys().map(|member| Action::Die(*member)));
            for (from, to) in self.wires.keys() {
                let things = self.would_do(*from, *to);
                actions.extend((1..things).map(|count| Action::DeliverAndDie(*from, *to, count)));
            }
        }
        if self.losses > 0 {
            let between = self.wires.keys().filter(|(from, to)| from.machine != to.machine);
            actions.extend(between.map(|(from, to)| Action::Lose(*from, *to)));
        }
        // With a message to lose, timers are about that one: they go off after it is lost.
        if self.ticks > 0 && self.losses == 0 && (self.is_quiet() || !setup.slow_ticks) {
            actions.push(Action::Tick);
        }
        if setup.cut.is_some() && self.cuts < 2 {
            actions.push(Action::Cut);
        }
    }

    /// How many things the delivery of the next message on a wire would want done.
    fn would_do(&self, from: Member, to: Member) -> usize {
        let (Some(message), Some(replica)) = (self.wires[&(from, to)].front(), self.replicas.get(&to)) else {
            return 0;
        };
        let mut outputs = Vec::new();
        replica.clone().step(Input::Message { from, message: message.clone() }, &mut outputs);
        outputs.len()
    }

    /// Lets one thing happen.
    pub fn perform(&mut self, setup: &Setup, action: Action) {
        match action {
            Action::Submit(client) => self.submit(setup, client),
            Action::Deliver(from, to) => self.deliver(setup, from, to, usize::MAX),
            Action::DeliverAndDie(from, to, count) => {
                self.deliver(setup, from, to, count);
                self.die(setup, to);
            }
            Action::Die(member) => self.die(setup, member),
            Action::Notice(to, dead) => {
                self.notices.remove(&(to, dead));
                self.step(setup, to, Input::Died(dead), usize::MAX);
            }
            Action::Join(index) => self.join(setup, index),
            Action::Lose(from, to) => {
                self.losses -= 1;
                self.take(from, to);
            }
            Action::Tick => {
                self.ticks = self.ticks.saturating_sub(1);
                let members: Vec<Member> = self.replicas.keys().copied().collect();
                members.into_iter().for_each(|member| self.step(setup, member, Input::Tick, usize::MAX));
            }
            Action::Cut => {
                self.cuts += 1;
                let cut = |(from, to): &(Member, Member)| self.is_cut(setup, *from, *to);
                let lost: Vec<(Member, Member)> = self.wires.keys().copied().filter(cut).collect();
                lost.iter().for_each(|wire| drop(self.wires.remove(wire)));
            }
        }
    }

    fn is_cut(&self, setup: &Setup, from: Member, to: Member) -> bool {
        let other_side = |member: Member| Some(member.machine) == setup.cut;
        self.cuts == 1 && other_side(from) != other_side(to)
    }

    fn take(&mut self, from: Member, to: Member) -> Option<Message<u8, u8>> {
        let wire = self.wires.get_mut(&(from, to))?;
        let message = wire.pop_front();
        if wire.is_empty() {
            self.wires.remove(&(from, to));
        }
        message
    }

    fn deliver(&mut self, setup: &Setup, from: Member, to: Member, count: usize) {
        if let Some(message) = self.take(from, to) {
            self.step(setup, to, Input::Message { from, message }, count);
        }
    }

    fn submit(&mut self, setup: &Setup, index: usize) {
        let client = &mut self.clients[index];
        if !self.replicas.contains_key(&client.contact) {
            let alive = || self.replicas.keys().copied();
            client.contact =
                alive().find(|member| *member > client.contact).or(alive().next()).expect("one lives");
        }
        client.waiting = true;
        client.floor.get_or_insert(self.acknowledged);
        let (contact, seen) = (client.contact, client.seen);
        let (client, request) = (identity(index), Request(client.wish as u64));
        let input = match &setup.clients[index].1[request.0 as usize] {
            Wish::Update(operation) => {
                Input::Update(Update { client, request, operation: operation.clone() })
            }
            Wish::Read(key) => Input::Read { client, request, key: *key, seen },
            Wish::Go(place) => {
                let client = &mut self.clients[index];
                client.contact = setup.members[*place];
                return client.fulfil();
            }
        };
        self.step(setup, contact, input, usize::MAX);
    }

    fn die(&mut self, setup: &Setup, member: Member) {
        if self.replicas.contains_key(&member) {
            self.deaths = self.deaths.saturating_sub(1);
            self.end(setup, member);
        }
    }

    fn end(&mut self, setup: &Setup, member: Member) {
        self.replicas.remove(&member);
        self.wires.retain(|(_, to), _| *to != member);
        self.notices.retain(|(to, _)| *to != member);
        let told = self.replicas.keys().filter(|other| setup.proxies || other.machine == member.machine);
        self.notices.extend(told.map(|other| (*other, member)));
    }

    fn join(&mut self, setup: &Setup, index: usize) {
        let (member, sponsors) = &setup.joiners[index];
        self.joined.insert(*member);
        let mut outputs = Vec::new();
        let mut replica = Replica::join(*member, sponsors, setup.limits, &mut outputs);
        replica.faults.planted = setup.fault;
        // It watches whom it asks: a notice about those who are dead already comes at once.
        let dead = sponsors.iter().filter(|sponsor| !self.replicas.contains_key(sponsor));
        self.notices.extend(dead.map(|dead| (*member, *dead)));
        self.replicas.insert(*member, replica);
        outputs.into_iter().for_each(|output| self.carry_out(setup, *member, output));
    }

    fn step(&mut self, setup: &Setup, member: Member, input: Input<u8, u8>, count: usize) {
        let Some(replica) = self.replicas.get_mut(&member) else { return };
        let epoch = replica.epoch();
        let before = replica.store().version();
        let mut outputs = Vec::new();
        replica.step(input, &mut outputs);
        self.note_history(member, before);
        for output in outputs.into_iter().take(count) {
            // A planned death may have come before.
            if self.replicas.contains_key(&member) {
                self.carry_out(setup, member, output);
            }
        }
        if self.replicas.get(&member).is_some_and(|replica| replica.epoch() != epoch) {
            self.drop_dead_letters(member);
        }
        self.check_acknowledged();
    }

    /// Takes messages off the wires that `to` would refuse without a word now and, as epochs only grow, whenever they
    /// came: to deliver one changes nothing, so no order is lost.
    fn drop_dead_letters(&mut self, to: Member) {
        let replica = &self.replicas[&to];
        for ((from, receiver), wire) in &mut self.wires {
            // One that is out but lives would be told.
            let untold = replica.membership().contains(*from) || !self.replicas.contains_key(from);
            if *receiver == to && untold {
                wire.retain(|message| !is_refused(replica, message));
            }
        }
        self.wires.retain(|_, wire| !wire.is_empty());
    }

    fn carry_out(&mut self, setup: &Setup, member: Member, output: TestOutput) {
        match output {
            Output::Send { .. } if self.dies_now(member) => self.die(setup, member),
            Output::Send { to, message } => {
                if self.replicas.contains_key(&to) && !self.is_cut(setup, member, to) {
                    self.wires.entry((member, to)).or_default().push_back(message);
                }
            }
            Output::Answer { client, request, answer } => {
                let index = (client.0 - 100) as usize;
                if self.clients[index].wish as u64 == request.0 {
                    self.check_answer(setup, member, index, &answer);
                    self.clients[index].hear(answer, &setup.members);
                }
            }
            Output::Began(membership) => {
                // Whoever watches one that is dead is told at once.
                let told = |other: &Member| setup.proxies || other.machine == member.machine;
                let gone = |other: &&Member| !self.replicas.contains_key(other) && told(other);
                let dead: Vec<Member> = membership.members.iter().filter(gone).copied().collect();
                self.notices.extend(dead.into_iter().map(|dead| (member, dead)));
            }
            // Its process ends.
            Output::Stopped(stop) => {
                if stop == Stop::Diverged {
                    self.violate(Violation::FalseAlarm);
                }
                self.end(setup, member);
            }
            Output::Changed { .. } => {}
        }
    }

    /// Counts a message, and says whether its sender is to die first.
    fn dies_now(&mut self, member: Member) -> bool {
        if !self.counts {
            return false;
        }
        let before = self.sent.iter().filter(|sender| **sender == member).count();
        self.sent.push(member);
        self.kill == Some((member, before))
    }

    pub fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }
}

/// Whether a replica refuses a message silently, for good.
fn is_refused(replica: &TestReplica, message: &Message<u8, u8>) -> bool {
    let told = matches!(message.body, Body::Collect { .. } | Body::Ping { .. });
    let any_epoch = matches!(
        message.body,
        Body::Install(_)
            | Body::Ask
            | Body::Fetch(_)
            | Body::Part(_)
            | Body::Records { .. }
            | Body::Refused(_)
    );
    let obeys = replica.faults.has(Fault::ObeysOldEpochs);
    message.epoch < replica.epoch() && !told && !any_epoch && !obeys
}

impl Client {
    fn fulfil(&mut self) {
        self.waiting = false;
        self.wish += 1;
        self.floor = None;
    }

    fn hear(&mut self, answer: Answer<u8>, members: &[Member]) {
        match answer {
            Answer::Updated { version, .. } | Answer::Found { version, .. } => {
                self.seen = self.seen.max(version);
                self.fulfil();
            }
            // Nothing was done: it asks the same member again, later.
            Answer::Refused(Refusal::Full(_)) => self.waiting = false,
            Answer::Refused(_) => {
                self.waiting = false;
                let place = members.iter().position(|member| *member == self.contact).unwrap_or(0);
                self.contact = members[(place + 1) % members.len()];
            }
        }
    }
}

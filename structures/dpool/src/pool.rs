//! One member's whole state and the one way in. Each step ends with [`Pool::settle`], which does whatever can be done now:
//! answers removes, asks for what is missing, hands on.

use crate::balance::Balance;
use crate::fault::{Fault, Faults};
use crate::gather::Gather;
use crate::peers::Peer;
use crate::recovery::{Claims, Recovery, Report};
use crate::{Answer, Body, Element, Header, Message, Placement, Policy, Question, Request};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_container::{Container, Effect, Effects, Epoch, Member, Statistics, Ticket};

/// Whether a member takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// It has not heard of an epoch yet.
    Joining,
    Member,
    /// It hands on what it has.
    Leaving,
    /// It has nothing any more and waits to be counted out.
    Left,
    /// The others have gone on without it.
    Stopped,
}

/// What a step is to do, so far.
pub(crate) type Doing<T> = Effects<Pool<T>>;

/// A member's share of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool<T> {
    pub(crate) me: Member,
    pub(crate) policy: Policy,
    pub(crate) epoch: Epoch,
    /// All members of the epoch, eldest first.
    pub(crate) members: Vec<Member>,
    pub(crate) standing: Standing,
    /// What is at this member's disposal. The last one in is the first one out: it may still be in a cache.
    pub(crate) stock: Vec<T>,
    pub(crate) peers: BTreeMap<Member, Peer<T>>,
    pub(crate) gather: Gather,
    pub(crate) balance: Balance,
    pub(crate) recovery: Recovery<T>,
    pub(crate) counts: Statistics,
    pub(crate) faults: Faults,
}

impl<T: Element> Pool<T> {
    /// A member's empty share. It joins with the first epoch that it hears of.
    pub fn new(me: Member, policy: Policy) -> Pool<T> {
        Pool {
            me,
            policy,
            epoch: Epoch(0),
            members: Vec::new(),
            standing: Standing::Joining,
            stock: Vec::new(),
            peers: BTreeMap::new(),
            gather: Gather::default(),
            balance: Balance::default(),
            recovery: Recovery::default(),
            counts: Statistics::default(),
            faults: Faults::default(),
        }
    }

    /// What is at this member's disposal.
    pub fn stock(&self) -> &[T] {
        &self.stock
    }

    /// What is on its way to others, as far as is known here.
    pub fn departing(&self) -> impl Iterator<Item = &T> {
        let transfers = self.peers.values().flat_map(|peer| &peer.departing);
        transfers.flat_map(|(_, elements)| elements)
    }

    /// What the last of all had when it left: the owner's from then on. None while anybody else can find it.
    pub fn rest(&self) -> Option<&[T]> {
        (self.standing == Standing::Left && self.peers.is_empty()).then_some(&self.stock)
    }

    /// Whether what ended members had is still looked for, as far as is known here.
    pub fn is_recovering(&self) -> bool {
        self.recovery.is_under_way()
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.standing == Standing::Member
    }

    /// Who has everything, with a single location: the eldest that stays.
    pub(crate) fn holder(&self) -> Option<Member> {
        let stays = |member: &&Member| match self.peers.get(member) {
            Some(peer) => peer.takes_part(),
            None => self.is_serving(),
        };
        self.members.iter().find(stays).copied()
    }

    pub(crate) fn send(&mut self, to: Member, body: Body<T>, effects: &mut Doing<T>) {
        let stock = self.stock.len();
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| !peer.is_dead) else { return };
        (peer.told_taken, peer.told_stock) = (peer.taken, stock);
        let header = Header { stock: u32::try_from(stock).unwrap_or(u32::MAX), taken: peer.taken };
        self.counts.messages += 1;
        effects.push(Effect::Send { to, message: Message { header, body } });
    }

    pub(crate) fn broadcast(&mut self, body: &Body<T>, effects: &mut Doing<T>)
    where
        T: Clone,
    {
        let others: Vec<Member> = self.peers.keys().copied().collect();
        others.into_iter().for_each(|to| self.send(to, body.clone(), effects));
    }

    /// Does whatever can be done now.
    pub(crate) fn settle(&mut self, effects: &mut Doing<T>) {
        match self.standing {
            Standing::Member => {
                self.serve(effects);
                self.search(effects);
                if self.policy.placement == Placement::Single {
                    self.ship(effects);
                }
            }
            Standing::Leaving => self.hand_on(effects),
            Standing::Joining | Standing::Left | Standing::Stopped => {}
        }
        self.confirm_many(effects);
    }

    fn add(&mut self, ticket: Ticket, elements: Vec<T>, effects: &mut Doing<T>) {
        self.counts.requests += 1;
        let answer = if self.is_serving() {
            self.stock.extend(elements);
            Answer::Added
        } else {
            self.counts.refused += 1;
            Answer::NotServing(elements)
        };
        effects.push(Effect::Answer { ticket, answer });
    }

    /// Somebody who was a member is none any more.
    fn forget(&mut self, member: Member) {
        let Some(peer) = self.peers.remove(&member) else { return };
        let departing: Vec<T> = peer.departing.into_iter().flat_map(|(_, elements)| elements).collect();
        if self.gather.asked == Some(member) && !self.faults.has(Fault::WaitsForTheDead) {
            self.gather.asked = None;
        }
        if !peer.is_gone || !departing.is_empty() {
            if self.faults.has(Fault::TakesBackUnasked) {
                return self.stock.extend(departing);
            }
            self.recovery.mourn(member, departing);
        }
    }

    /// The others have gone on.
    fn stop(&mut self, effects: &mut Doing<T>) {
        if self.standing == Standing::Left || self.faults.has(Fault::IgnoresItsEnd) {
            return;
        }
        self.standing = Standing::Stopped;
        self.refuse_waiting(effects);
        effects.push(Effect::Stopped);
    }
}

impl<T: Element> Container for Pool<T> {
    type Request = Request<T>;
    type Answer = Answer<T>;
    type Message = Message<T>;
    type Question = Question<T>;

    fn me(&self) -> Member {
        self.me
    }

    fn epoch(&mut self, epoch: Epoch, members: &[Member], effects: &mut Doing<T>) {
        if epoch <= self.epoch {
            return;
        }
        if !members.contains(&self.me) {
            return self.stop(effects);
        }
        self.epoch = epoch;
        self.members = members.to_vec();
        let gone = self.peers.keys().filter(|peer| !members.contains(peer)).copied();
        let gone: Vec<Member> = gone.collect();
        gone.into_iter().for_each(|member| self.forget(member));
        let me = self.me;
        for member in members.iter().filter(|member| **member != me) {
            self.peers.entry(*member).or_insert_with(Peer::new);
        }
        if self.standing == Standing::Joining {
            self.standing = Standing::Member;
        }
        self.say_leaving(effects);
        self.begin_recovery(effects);
        self.settle(effects);
    }

    fn died(&mut self, member: Member, effects: &mut Doing<T>) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        peer.is_dead = true;
        if self.gather.asked == Some(member) && !self.faults.has(Fault::WaitsForTheDead) {
            self.gather.asked = None;
        }
        self.settle(effects);
    }

    fn crowded(&mut self, member: Member, is_crowded: bool, effects: &mut Doing<T>) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.is_crowded = is_crowded;
            self.settle(effects);
        }
    }

    fn leave(&mut self, effects: &mut Doing<T>) {
        if matches!(self.standing, Standing::Joining | Standing::Member) {
            self.standing = Standing::Leaving;
            self.refuse_waiting(effects);
            self.say_leaving(effects);
            self.settle(effects);
        }
    }

    fn ask(&mut self, ticket: Ticket, request: Request<T>, effects: &mut Doing<T>) {
        match request {
            Request::Add(elements) => self.add(ticket, elements, effects),
            Request::Remove { least, most } => self.remove(ticket, least, most, effects),
            Request::Found { epoch, elements } => self.owner_said(epoch, elements, effects),
        }
        self.settle(effects);
    }

    fn hear(&mut self, from: Member, message: Message<T>, effects: &mut Doing<T>) {
        let Message { header, body } = message;
        // A transfer that is declined is not one that was taken, though both are behind this header.
        if let Body::Decline { number } = body {
            self.declined(from, number);
        }
        self.note_header(from, header);
        match body {
            Body::Tell | Body::Decline { .. } => {}
            Body::Want { least, most } => self.wanted(from, least as usize, most as usize, effects),
            Body::Nothing => self.given_nothing(from),
            Body::Offer { number, wanted, elements } => self.offered(from, number, wanted, elements, effects),
            Body::Leaving => self.other_leaves(from, effects),
            Body::Heard => self.heard_leaving(from),
            Body::Gone => self.other_is_gone(from),
            Body::Mourn { dead } => self.hear_of_dead(from, dead, effects),
            Body::Fence { epoch, dead } => self.fence(from, epoch, dead, effects),
            Body::Fenced { epoch, dead, doubtful, last, taken, declined } => {
                self.fenced(from, epoch, Report { dead, doubtful, taken, declined }, last, effects);
            }
            Body::Census { epoch, part, elements } => self.counted(from, epoch, part, &elements, effects),
            Body::Claims { epoch, part, elements, open } => {
                self.claimed(from, epoch, part, &Claims { elements, open }, effects);
            }
            Body::Recovered { dead } => self.recovered(&dead),
        }
        self.settle(effects);
    }

    fn tick(&mut self, effects: &mut Doing<T>) {
        self.confirm_all(effects);
        self.remind(effects);
        if self.is_serving() {
            self.balance(effects);
        }
        self.settle(effects);
    }

    fn wants_ticks(&self) -> bool {
        self.owes_confirmation() || self.mourns_alone() || self.is_serving() && self.wants_balance()
    }

    fn statistics(&self) -> Statistics {
        Statistics { stock: self.stock.len() as u64, ..self.counts }
    }
}

//! One member's whole state and the one way in. Each step ends with [`Map::settle`], which does whatever can be done now: sends
//! requests, moves shards, hands on.

use crate::evening::Eventual;
use crate::fault::{Fault, Faults};
use crate::origin::Requests;
use crate::place::choose;
use crate::rollcall::Strong;
use crate::{Answer, Body, Consistency, Key, Message, Operation, Policy};
use alloc::collections::BTreeSet;
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
pub(crate) type Doing<K, V> = Effects<Map<K, V>>;

/// A member's share of a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Map<K, V> {
    pub(crate) me: Member,
    pub(crate) policy: Policy,
    pub(crate) epoch: Epoch,
    pub(crate) standing: Standing,
    /// All members of the epoch.
    pub(crate) members: Vec<Member>,
    /// Those of them that leave.
    pub(crate) leaving: BTreeSet<Member>,
    /// Those of them that know that this one does.
    pub(crate) heard: BTreeSet<Member>,
    /// Those of them to whom messages wait for room.
    pub(crate) crowded: BTreeSet<Member>,
    /// Who should have each shard, as far as is known here.
    pub(crate) targets: Vec<Vec<Member>>,
    pub(crate) requests: Requests<K, V>,
    pub(crate) strong: Strong<K, V>,
    pub(crate) eventual: Eventual<K, V>,
    pub(crate) counts: Statistics,
    pub(crate) faults: Faults,
}

impl<K: Key, V: Clone> Map<K, V> {
    /// A member's empty share. It joins with the first epoch that it hears of.
    pub fn new(me: Member, policy: Policy) -> Map<K, V> {
        Map {
            me,
            policy,
            epoch: Epoch(0),
            standing: Standing::Joining,
            members: Vec::new(),
            leaving: BTreeSet::new(),
            heard: BTreeSet::new(),
            crowded: BTreeSet::new(),
            targets: Vec::new(),
            requests: Requests::default(),
            strong: Strong::default(),
            eventual: Eventual::default(),
            counts: Statistics::default(),
            faults: Faults::default(),
        }
    }

    /// Keys that are here.
    pub fn len(&self) -> usize {
        let strong: usize = self.strong.replicas.values().map(|replica| replica.entries.len()).sum();
        strong + self.eventual.shards.values().map(|shard| shard.cells.len()).sum::<usize>()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn is_strong(&self) -> bool {
        self.policy.consistency == Consistency::Strong
    }

    /// The other members.
    pub(crate) fn others(&self) -> impl Iterator<Item = Member> + use<K, V> {
        let me = self.me;
        self.members.clone().into_iter().filter(move |member| *member != me)
    }

    /// Who should have each shard: of those that stay.
    pub(crate) fn place_shards(&mut self) {
        let gone = self.leaves();
        let stays = |member: &Member| !self.leaving.contains(member) && (*member != self.me || !gone);
        let staying: Vec<Member> = self.members.iter().copied().filter(stays).collect();
        let replicas = self.policy.replicas;
        let place = |shard| choose(shard, staying.iter().copied(), replicas);
        self.targets = (0..self.policy.shards.max(1)).map(place).collect();
    }

    /// Who should have a shard.
    pub(crate) fn targets(&self, shard: u16) -> &[Member] {
        self.targets.get(usize::from(shard)).map_or(&[], Vec::as_slice)
    }

    /// Says something to a member, perhaps to itself.
    pub(crate) fn say(&mut self, to: Member, body: Body<K, V>, effects: &mut Doing<K, V>) {
        if to == self.me {
            return self.obey(to, body, effects);
        }
        if self.members.contains(&to) {
            self.counts.messages += 1;
            let message = Message { epoch: self.epoch, clock: self.eventual.clock, body };
            effects.push(Effect::Send { to, message });
        }
    }

    /// Says several things.
    pub(crate) fn say_all(&mut self, out: Vec<(Member, Body<K, V>)>, effects: &mut Doing<K, V>) {
        out.into_iter().for_each(|(to, body)| self.say(to, body, effects));
    }

    pub(crate) fn broadcast(&mut self, body: &Body<K, V>, effects: &mut Doing<K, V>) {
        self.others().for_each(|to| self.say(to, body.clone(), effects));
    }

    fn obey(&mut self, from: Member, body: Body<K, V>, effects: &mut Doing<K, V>) {
        match body {
            Body::Leaving => self.other_leaves(from, effects),
            Body::Heard => _ = self.heard.insert(from),
            Body::Report { copies, is_new } => self.reported(from, copies, is_new, effects),
            Body::Ask { origin, number, shard, operation } => {
                self.asked(shard, (origin, number, operation), effects);
            }
            Body::Told { number, value } => self.told(number, value, effects),
            Body::Write { shard, sequence, entry } => self.write(from, shard, sequence, entry, effects),
            Body::Wrote { shard, sequence } => self.wrote(from, shard, sequence, effects),
            Body::Copy { shard, first, entries, last } => {
                self.copied_to(from, shard, first, (entries, last), effects);
            }
            Body::Copied { shard } => self.copy_on(from, shard, effects),
            Body::Drop { shard } => self.drop_shard(from, shard, effects),
            Body::Dropped { shard } => self.dropped(from, shard, effects),
            Body::Lead { shard, term, members } => self.lead(shard, term, members, effects),
            Body::Leads { shard, term } => self.other_leads(from, shard, term),
            Body::Take { number, key, value } => self.take(from, number, key, value, effects),
            Body::Read { number, key } => self.read_for(from, number, &key, effects),
            Body::Update { key, cell } => self.merge([(key, cell)].into()),
            Body::Digest { shard, digest } => self.compare(from, shard, digest, effects),
            Body::Compared { shard, same } => self.compared(from, shard, same, effects),
            Body::Page { shard, cells } => {
                self.merge(cells);
                self.say(from, Body::Paged { shard }, effects);
            }
            Body::Paged { shard } => self.page(from, shard, effects),
            Body::Bury { number, removed } => self.buries(from, number, removed, effects),
            Body::Buried { number } => self.buried(from, number, effects),
            Body::Forget { number } => self.forget(from, number, effects),
            Body::Past { of, number } => self.past(from, of, number),
        }
    }

    /// Does whatever can be done now.
    pub(crate) fn settle(&mut self, effects: &mut Doing<K, V>) {
        if matches!(self.standing, Standing::Joining | Standing::Stopped) {
            return;
        }
        self.arrange_due(effects);
        self.route(effects);
        self.drop_even();
        self.go_if_done(effects);
    }

    /// The others have gone on.
    fn stop(&mut self, effects: &mut Doing<K, V>) {
        if self.standing == Standing::Left || self.faults.has(Fault::IgnoresItsEnd) {
            return;
        }
        self.standing = Standing::Stopped;
        self.interrupt(effects);
        effects.push(Effect::Stopped);
    }
}

impl<K: Key, V: Clone> Container for Map<K, V> {
    type Request = Operation<K, V>;
    type Answer = Answer<V>;
    type Message = Message<K, V>;
    /// What is lost with all that had it, nobody knows.
    type Question = core::convert::Infallible;

    fn me(&self) -> Member {
        self.me
    }

    fn epoch(&mut self, epoch: Epoch, members: &[Member], effects: &mut Doing<K, V>) {
        if epoch <= self.epoch {
            return;
        }
        if !members.contains(&self.me) {
            return self.stop(effects);
        }
        self.epoch = epoch;
        self.members = members.to_vec();
        self.leaving.retain(|member| members.contains(member));
        self.crowded.retain(|member| members.contains(member));
        self.heard.clear();
        let is_new = self.standing == Standing::Joining;
        if is_new {
            self.standing = Standing::Member;
        }
        self.return_to_hand_on(effects);
        self.place_shards();
        self.say_leaving(effects);
        self.requests.begin(self.faults);
        match self.policy.consistency {
            Consistency::Strong => self.call_roll(is_new, effects),
            Consistency::Eventual => self.eventual.begin(),
        }
        self.settle(effects);
    }

    fn died(&mut self, _: Member, _: &mut Doing<K, V>) {
        // What it was asked is asked again in the next epoch, which comes for sure.
    }

    fn crowded(&mut self, member: Member, is_crowded: bool, effects: &mut Doing<K, V>) {
        if is_crowded {
            self.crowded.insert(member);
        } else {
            self.crowded.remove(&member);
        }
        self.settle(effects);
    }

    fn leave(&mut self, effects: &mut Doing<K, V>) {
        if matches!(self.standing, Standing::Joining | Standing::Member) {
            let is_in = self.standing == Standing::Member;
            self.standing = Standing::Leaving;
            if is_in {
                self.place_shards();
                self.say_leaving(effects);
                self.all_are_due();
            }
            self.settle(effects);
        }
    }

    fn ask(&mut self, ticket: Ticket, request: Operation<K, V>, effects: &mut Doing<K, V>) {
        self.request(ticket, request, effects);
        self.settle(effects);
    }

    fn hear(&mut self, from: Member, message: Message<K, V>, effects: &mut Doing<K, V>) {
        if !self.faults.has(Fault::CountsAlone) {
            self.eventual.clock = self.eventual.clock.max(message.clock);
        }
        if message.epoch == self.epoch || self.faults.has(Fault::ObeysOldEpochs) {
            self.obey(from, message.body, effects);
            self.settle(effects);
        }
    }

    fn tick(&mut self, effects: &mut Doing<K, V>) {
        self.even_out(effects);
        self.bury(effects);
        self.settle(effects);
    }

    fn wants_ticks(&self) -> bool {
        self.is_uneven() || self.has_removed()
    }

    fn statistics(&self) -> Statistics {
        Statistics { stock: self.len() as u64, ..self.counts }
    }
}

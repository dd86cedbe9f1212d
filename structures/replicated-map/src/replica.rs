//! One member's whole state and the one way in. A step takes one input, changes the state, and appends what is to be
//! done to a list; it never waits. What a step does depends on its input and the state alone.

use crate::clients::{Parked, Unanswered};
use crate::commit::Committed;
use crate::election::Election;
use crate::fault::Faults;
use crate::hand::Queued;
use crate::interface::{Input, Output, Refusal, Stop};
use crate::joiner::Joiner;
use crate::log::Log;
use crate::silence::Silence;
use crate::sponsor::Sponsored;
use crate::{Body, Decree, Epoch, Key, Limits, Member, Membership, Message, Proposal, Store, Value, Version};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Whether a replica takes part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing<K> {
    Joining(Joiner<K>),
    Member,
    Stopped,
}

/// What a step is to do, so far.
pub(crate) type Outputs<K, V> = Vec<Output<K, V>>;

/// A member's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica<K: Key, V> {
    pub(crate) me: Member,
    pub(crate) limits: Limits,
    pub(crate) standing: Standing<K>,
    pub(crate) membership: Membership,
    /// What this epoch began with, for members that missed it.
    pub(crate) decree: Option<Decree<K, V>>,
    /// Known to have died. Their messages are not heard any more.
    pub(crate) dead: BTreeSet<Member>,
    pub(crate) store: Store<K, V>,
    pub(crate) log: Log<K, V>,

    // The next position (commit.rs).
    /// Who won the last position of this epoch.
    pub(crate) last: Option<Member>,
    /// What this member promised at the next position; its own proposal while it coordinates one.
    pub(crate) promise: Option<Proposal<K, V>>,
    /// Who promised this member's own proposal, with the digest of its map.
    pub(crate) votes: BTreeMap<Member, u64>,
    /// This member's last proposal that was committed in this epoch.
    pub(crate) committed: Option<Committed>,

    // Clients (clients.rs).
    pub(crate) queue: VecDeque<Queued<K, V>>,
    /// Updates of others that this member committed: their origins are told when every member has applied them.
    pub(crate) owed: VecDeque<(Version, Member)>,
    pub(crate) unanswered: VecDeque<Unanswered>,
    pub(crate) parked: Vec<Parked<K>>,
    /// What other members are known to have applied.
    pub(crate) applied_by: BTreeMap<Member, Version>,
    /// Every member of the epoch has applied this one.
    pub(crate) stable: Version,

    pub(crate) election: Election<K, V>,
    pub(crate) sponsored: Option<Sponsored>,
    pub(crate) silence: Silence,
    pub(crate) faults: Faults,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// A member of a map's first epoch, with an empty map. Usually there is one, and the others join.
    pub fn new(me: Member, membership: Membership, limits: Limits) -> Replica<K, V> {
        Replica {
            me,
            limits,
            standing: Standing::Member,
            membership,
            decree: None,
            dead: BTreeSet::new(),
            store: Store::new(),
            log: Log::new(Version(0)),
            last: None,
            promise: None,
            votes: BTreeMap::new(),
            committed: None,
            queue: VecDeque::new(),
            owed: VecDeque::new(),
            unanswered: VecDeque::new(),
            parked: Vec::new(),
            applied_by: BTreeMap::new(),
            stable: Version(0),
            election: Election::new(),
            sponsored: None,
            silence: Silence::new(),
            faults: Faults::default(),
        }
    }

    /// Its name.
    pub fn me(&self) -> Member {
        self.me
    }

    /// The epoch it is in.
    pub fn epoch(&self) -> Epoch {
        self.membership.epoch
    }

    /// The members of that epoch.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The map, for reads of ranges. Look at [`Replica::may_read`] first.
    pub fn store(&self) -> &Store<K, V> {
        &self.store
    }

    /// Whether a client that has seen `seen` may be answered from [`Replica::store`] now.
    pub fn may_read(&self, seen: Version) -> Result<(), Refusal> {
        match self.refusal() {
            Some(refusal) => Err(refusal),
            None if self.store.version() < seen => Err(Refusal::Behind(self.store.version())),
            None => Ok(()),
        }
    }

    /// Whether it needs ticks now.
    pub fn wants_ticks(&self) -> bool {
        let alone = self.membership.machines().iter().all(|machine| *machine == self.me.machine);
        let joins = matches!(self.standing, Standing::Joining(_)) || self.sponsored.is_some();
        !alone || joins || !self.parked.is_empty()
    }

    /// Takes one input and appends to `outputs` what is to be done about it.
    pub fn step(&mut self, input: Input<K, V>, outputs: &mut Vec<Output<K, V>>) {
        match input {
            Input::Update(update) => self.update(update, outputs),
            Input::Read { client, request, key, seen } => {
                self.read(Parked { client, request, key, seen, ticks: 0 }, outputs)
            }
            Input::Message { from, message } => self.receive(from, message, outputs),
            Input::Died(member) => self.died(member, outputs),
            Input::Tick => self.tick(outputs),
            Input::Audit => self.audit(outputs),
        }
    }

    fn receive(&mut self, from: Member, message: Message<K, V>, outputs: &mut Outputs<K, V>) {
        if from == self.me || matches!(self.standing, Standing::Stopped) {
            return;
        }
        self.hear(from);
        match message.body {
            // What a decree says was agreed, whoever passes it on, even one who died since.
            Body::Install(decree) => self.installed(from, decree, outputs),
            Body::Ask => self.help(from, outputs),
            Body::Fetch(cursor) => self.fetch(from, cursor, outputs),
            Body::Part(part) => self.part(from, part, outputs),
            Body::Records { after, records } => self.records(from, after, records, outputs),
            Body::Refused(refusal) => self.refused(from, refusal, outputs),
            body => self.receive_in_epoch(from, message.epoch, body, outputs),
        }
    }

    /// Messages that mean something only in the epoch in which they were sent.
    fn receive_in_epoch(
        &mut self,
        from: Member,
        epoch: Epoch,
        body: Body<K, V>,
        outputs: &mut Outputs<K, V>,
    ) {
        let mine = self.membership.epoch;
        if epoch > mine {
            return self.send(from, Body::Ask, outputs);
        }
        let obeys = self.faults.has(crate::fault::Fault::ObeysOldEpochs);
        if epoch < mine && !obeys {
            return self.refuse_old(from, &body, outputs);
        }
        if self.dead.contains(&from) || !self.membership.contains(from) {
            return;
        }
        match body {
            Body::Prepare(proposal) => self.prepare(from, proposal, outputs),
            Body::Vote { base, digest } => self.vote(from, base, digest, outputs),
            Body::Commit { base } => self.commit(from, base, outputs),
            Body::Applied { version } => {
                self.note_applied(from, version, outputs);
                self.propose(outputs);
            }
            Body::Odd => self.stop(Stop::Diverged, outputs),
            Body::Hand { updates } => self.take_over(updates, outputs),
            Body::Stable { version } => self.note_stable(version, outputs),
            Body::Query => self.send(from, Body::Applied { version: self.store.version }, outputs),
            Body::Obituary { dead } => self.mourn(dead, outputs),
            Body::Collect { ballot, alive, dead } => self.collect(from, ballot, &alive, dead, outputs),
            Body::Report { ballot, report } => self.report(from, ballot, report, outputs),
            Body::Outbid { ballot } => self.outbid(ballot, outputs),
            Body::Propose { ballot, decree } => self.propose_decree(from, ballot, decree, outputs),
            Body::Accepted { ballot } => self.accepted(from, ballot, outputs),
            Body::Ping { tick, echo } => self.pinged(from, tick, echo),
            Body::Install(_) | Body::Ask | Body::Fetch(_) | Body::Part(_) => {}
            Body::Records { .. } | Body::Refused(_) => {}
        }
    }

    /// An older epoch's message has no effect. Its sender will hear of the new epoch from whoever led it; told at once
    /// are those who may wait for ever: the excluded, and one who tries to end the epoch that has ended.
    fn refuse_old(&mut self, from: Member, body: &Body<K, V>, outputs: &mut Outputs<K, V>) {
        let waits = matches!(body, Body::Collect { .. } | Body::Ping { .. });
        if waits || !self.membership.contains(from) {
            self.send_decree(from, outputs);
        }
    }

    /// Says what a member lacks that is in an older epoch, and again what it could not understand until now.
    pub(crate) fn help(&mut self, from: Member, outputs: &mut Outputs<K, V>) {
        self.send_decree(from, outputs);
        if self.membership.contains(from) {
            self.repeat_to(from, outputs);
        }
    }

    pub(crate) fn send_decree(&self, to: Member, outputs: &mut Outputs<K, V>) {
        if let Some(decree) = &self.decree {
            self.send(to, Body::Install(decree.clone()), outputs);
        }
    }

    pub(crate) fn send(&self, to: Member, body: Body<K, V>, outputs: &mut Outputs<K, V>) {
        outputs.push(Output::Send { to, message: Message { epoch: self.membership.epoch, body } });
    }

    pub(crate) fn broadcast(&self, body: &Body<K, V>, outputs: &mut Outputs<K, V>) {
        self.others().for_each(|member| self.send(member, body.clone(), outputs));
    }

    /// The other members of the epoch.
    pub(crate) fn others(&self) -> impl Iterator<Item = Member> + '_ {
        self.membership.members.iter().copied().filter(|member| *member != self.me)
    }

    /// Stops for good; clients are told to ask elsewhere.
    pub(crate) fn stop(&mut self, stop: Stop, outputs: &mut Outputs<K, V>) {
        self.standing = Standing::Stopped;
        self.refuse_everyone(outputs);
        outputs.push(Output::Stopped(stop));
    }
}

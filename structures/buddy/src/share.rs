//! One member's whole state and the one way in. Each step ends with [`Buddy::settle`], which does whatever can be done now:
//! answers allocations, asks for what is missing, hands on.

use crate::fault::{Fault, Faults};
use crate::merge::Merge;
use crate::peers::Peer;
use crate::recovery::Recovery;
use crate::seek::Seek;
use crate::{Answer, Block, Body, Header, Message, Overlap, Question, Request, Store};
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
pub(crate) type Doing = Effects<Buddy>;

/// A member's share of the blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Buddy {
    pub(crate) me: Member,
    pub(crate) epoch: Epoch,
    /// All members of the epoch, eldest first.
    pub(crate) members: Vec<Member>,
    pub(crate) standing: Standing,
    /// What is at this member's disposal.
    pub(crate) store: Store,
    pub(crate) peers: BTreeMap<Member, Peer>,
    pub(crate) seek: Seek,
    pub(crate) merge: Merge,
    pub(crate) recovery: Recovery,
    pub(crate) counts: Statistics,
    overlaps: u64,
    pub(crate) faults: Faults,
}

impl Buddy {
    /// A member's empty share. It joins with the first epoch that it hears of.
    pub fn new(me: Member) -> Buddy {
        Buddy {
            me,
            epoch: Epoch(0),
            members: Vec::new(),
            standing: Standing::Joining,
            store: Store::default(),
            peers: BTreeMap::new(),
            seek: Seek::default(),
            merge: Merge::default(),
            recovery: Recovery::default(),
            counts: Statistics::default(),
            overlaps: 0,
            faults: Faults::default(),
        }
    }

    /// What is at this member's disposal.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is on its way to others, as far as is known here: at nobody's disposal, or at theirs already.
    pub fn departing(&self) -> impl Iterator<Item = Block> + '_ {
        let transfers = self.peers.values().flat_map(|peer| &peer.departing);
        transfers.flat_map(|(_, blocks)| blocks).copied()
    }

    /// Frames that came from another member or were found although they were free here: none, unless the owner's answers or
    /// members break the rules.
    pub fn overlaps(&self) -> u64 {
        self.overlaps
    }

    /// Whether what ended members had is still looked for, as far as is known here.
    pub fn is_recovering(&self) -> bool {
        self.recovery.is_pending
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.standing == Standing::Member
    }

    /// A block is this member's.
    pub(crate) fn gain(&mut self, block: Block) -> Result<(), Overlap> {
        self.store.insert(block)?;
        self.recovery.note_gained(block, self.faults);
        self.merge.has_changed();
        Ok(())
    }

    /// Blocks that should be nowhere else. If a rule was broken and some of one is here already, the rest is taken.
    pub(crate) fn gain_all(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            match (self.gain(block), block.halves()) {
                (Ok(()), _) => {}
                (Err(Overlap), Some((lower, upper))) => self.gain_all([lower, upper].into()),
                (Err(Overlap), None) => self.overlaps += 1,
            }
        }
    }

    pub(crate) fn send(&mut self, to: Member, body: Body, effects: &mut Doing) {
        let (frames, largest) = (self.store.frames(), self.store.largest());
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| !peer.is_dead) else { return };
        peer.told = peer.taken;
        let header = Header { frames, largest, taken: peer.taken };
        self.counts.messages += 1;
        effects.push(Effect::Send { to, message: Message { header, body } });
    }

    pub(crate) fn broadcast(&mut self, body: &Body, effects: &mut Doing) {
        let others: Vec<Member> = self.peers.keys().copied().collect();
        others.into_iter().for_each(|to| self.send(to, body.clone(), effects));
    }

    /// Does whatever can be done now.
    pub(crate) fn settle(&mut self, effects: &mut Doing) {
        match self.standing {
            Standing::Member => {
                self.serve(effects);
                self.search(effects);
            }
            Standing::Leaving => self.hand_on(effects),
            Standing::Joining | Standing::Left | Standing::Stopped => {}
        }
        self.confirm_many(effects);
    }

    fn free(&mut self, ticket: Ticket, block: Block, effects: &mut Doing) {
        self.counts.requests += 1;
        let answer = match self.is_serving() {
            true if self.gain(block).is_ok() => Answer::Freed(block),
            true => Answer::Overlap(block),
            false => Answer::NotServing(Some(block)),
        };
        self.counts.refused += u64::from(answer != Answer::Freed(block));
        effects.push(Effect::Answer { ticket, answer });
    }

    /// Somebody who was a member is none any more.
    fn forget(&mut self, member: Member) {
        let Some(peer) = self.peers.remove(&member) else { return };
        self.no_answer_from(member);
        self.recovery.is_pending = true;
        if self.faults.has(Fault::TakesBackUnasked) {
            self.gain_all(peer.departing.into_iter().flat_map(|(_, blocks)| blocks).collect());
        }
    }

    /// The others have gone on.
    fn stop(&mut self, effects: &mut Doing) {
        if self.standing == Standing::Left || self.faults.has(Fault::IgnoresItsEnd) {
            return;
        }
        self.standing = Standing::Stopped;
        self.refuse_waiting(effects);
        effects.push(Effect::Stopped);
    }
}

impl Container for Buddy {
    type Request = Request;
    type Answer = Answer;
    type Message = Message;
    type Question = Question;

    fn me(&self) -> Member {
        self.me
    }

    fn epoch(&mut self, epoch: Epoch, members: &[Member], effects: &mut Doing) {
        if epoch <= self.epoch {
            return;
        }
        if !members.contains(&self.me) {
            return self.stop(effects);
        }
        self.epoch = epoch;
        self.members = members.to_vec();
        let gone: Vec<Member> = self.peers.keys().filter(|peer| !members.contains(peer)).copied().collect();
        gone.into_iter().for_each(|member| self.forget(member));
        for member in members.iter().filter(|member| **member != self.me) {
            self.peers.entry(*member).or_insert_with(Peer::new);
        }
        if self.standing == Standing::Joining {
            self.standing = Standing::Member;
            // Whoever was before it may have ended, with nobody left who knows.
            self.recovery.is_pending = self.is_eldest();
        }
        self.merge.begin();
        self.say_leaving(effects);
        self.begin_recovery(effects);
        self.settle(effects);
    }

    fn died(&mut self, member: Member, effects: &mut Doing) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        peer.is_dead = true;
        self.no_answer_from(member);
        self.settle(effects);
    }

    fn crowded(&mut self, member: Member, is_crowded: bool, effects: &mut Doing) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.is_crowded = is_crowded;
        }
        if !is_crowded {
            self.make_up_for_silence(member, effects);
        }
        self.settle(effects);
    }

    fn leave(&mut self, effects: &mut Doing) {
        if matches!(self.standing, Standing::Joining | Standing::Member) {
            self.standing = Standing::Leaving;
            self.refuse_waiting(effects);
            self.say_leaving(effects);
            self.settle(effects);
        }
    }

    fn ask(&mut self, ticket: Ticket, request: Request, effects: &mut Doing) {
        match request {
            Request::Allocate { order } => self.allocate(ticket, order, effects),
            Request::Free(block) => self.free(ticket, block, effects),
            Request::Found { epoch, inside } => self.owner_said(epoch, inside, effects),
        }
        self.settle(effects);
    }

    fn hear(&mut self, from: Member, message: Message, effects: &mut Doing) {
        let Message { header, body } = message;
        // A transfer that is declined is not one that was taken, though both are behind this header.
        if let Body::Decline { number } = body {
            self.declined(from, number);
        }
        self.note_header(from, header);
        match body {
            Body::Tell | Body::Decline { .. } => {}
            Body::Want { order } => self.wanted(from, order, effects),
            Body::Nothing => self.given_nothing(from),
            Body::Transfer { number, wanted, blocks } => {
                self.transferred(from, number, wanted, blocks, effects);
            }
            Body::Lonely(halves) => self.hear_of_lonely(from, &halves, effects),
            Body::Bring { half, to } => self.bring(from, half, to, effects),
            Body::Lacks(half) => self.hear_of_lack(half, effects),
            Body::Name { parent } => self.name_half(from, parent, effects),
            Body::Again => self.merge.has_changed(),
            Body::Leaving => self.other_leaves(from, effects),
            Body::Heard => self.heard_leaving(from),
            Body::Mourn { epoch } => self.hear_of_end(epoch, effects),
            Body::Fence { epoch } => self.fence(from, epoch, effects),
            Body::Fenced { epoch, taken } => self.fenced(from, epoch, taken, effects),
            Body::Census { epoch } => self.counted(from, epoch, effects),
            Body::Claims { epoch, frames, open, last } => {
                self.claimed(from, epoch, (frames, open), last, effects);
            }
            Body::Recovered { epoch } => self.recovered(epoch),
        }
        self.settle(effects);
    }

    fn tick(&mut self, effects: &mut Doing) {
        self.confirm_all(effects);
        if self.is_serving() {
            self.sweep(effects);
        }
        self.settle(effects);
    }

    fn wants_ticks(&self) -> bool {
        self.owes_confirmation() || self.is_serving() && self.merge.is_under_way()
    }

    fn statistics(&self) -> Statistics {
        Statistics { stock: self.store.frames(), ..self.counts }
    }
}

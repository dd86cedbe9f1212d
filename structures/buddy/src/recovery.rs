//! What ended members had. The eldest member finds it again:
//!
//! 1. *Fence.* Everybody confirms that its epoch does without them. From then on nothing of theirs is taken any more, so each of
//!    their frames is with a member for good, outside, or nowhere; and everybody remembers what it has and what it gets.
//! 2. *The owner's record.* The owner names all frames that are not outside.
//! 3. *Census.* Everybody claims what is its own, or was at or since the fence. What nobody claims was nowhere: it is the
//!    eldest's. What was on its way between two members at their fences is the receiver's to claim if it had taken it, else the
//!    sender's: the sender may not know yet, and the receiver may have sent it on, to who ended. What the receiver declined it never took.
//!
//! A frame that came in after the owner was asked was outside then; one that went out was somebody's at or since the fence, who
//! claims it. If the epoch ends in the middle, the eldest of the next begins again; what was found already is claimed or outside
//! then. Who has left is not the one to find anything: it is counted out soon, and the next eldest begins.
//!
//! A member that is missing has ended or has left; both are looked after alike, so nobody has to know which.

use crate::block::{Block, blocks_of};
use crate::fault::{Fault, Faults};
use crate::limits::PART;
use crate::share::{Buddy, Doing, Standing};
use crate::{Body, Question, Ranges};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;
use fos_container::{Effect, Epoch, Member};

/// A block on its way: to whom, by which transfer.
type Open = (Block, Member, u64);

/// What a member says in the census: frames, and what was on its way.
type Claims = (Vec<Range<u64>>, Vec<Open>);

/// How far the eldest is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Stage {
    /// Nothing to do, or another's to do.
    #[default]
    Idle,
    /// Waits for these to confirm.
    Fencing(BTreeSet<Member>),
    /// Waits for the owner.
    Asking,
    /// Waits for these to claim; what nobody has claimed so far.
    Counting(BTreeSet<Member>, Ranges),
}

/// What a member remembers of the time from its fence on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Since {
    had: Ranges,
    open: Vec<Open>,
}

/// What is to be found again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Recovery {
    /// Somebody is missing, and what it had has not been looked for.
    pub is_pending: bool,
    since: Option<Since>,
    stage: Stage,
    /// What was taken at the fence: by whom, from whom, up to which transfer.
    taken: BTreeMap<(Member, Member), u64>,
}

impl Recovery {
    pub fn note_gained(&mut self, block: Block, faults: Faults) {
        if let Some(since) = self.since.as_mut().filter(|_| !faults.has(Fault::ForgetsWhatCame)) {
            since.had.insert(block.range());
        }
    }

    /// Whether the receiver of this transfer had not taken it at the fence.
    fn is_still_the_senders(&self, from: Member, (_, to, number): Open, faults: Faults) -> bool {
        let taken = self.taken.get(&(to, from)).copied().unwrap_or_default();
        taken < number || faults.has(Fault::ClaimsWhatWasTaken)
    }
}

impl Buddy {
    pub(crate) fn is_eldest(&self) -> bool {
        self.members.first() == Some(&self.me)
    }

    /// An epoch has begun: what was begun in another begins again, if it is this member's to do.
    pub(crate) fn begin_recovery(&mut self, effects: &mut Doing) {
        self.recovery.stage = Stage::Idle;
        self.recovery.since = None;
        if !self.recovery.is_pending {
            return;
        }
        if self.is_eldest() {
            self.recover(effects);
        } else if let Some(eldest) = self.members.first().copied()
            && !self.faults.has(Fault::NeverMourns)
        {
            self.send(eldest, Body::Mourn { epoch: self.epoch }, effects);
        }
    }

    pub(crate) fn hear_of_end(&mut self, epoch: Epoch, effects: &mut Doing) {
        if epoch == self.epoch {
            self.recover(effects);
        }
    }

    fn recover(&mut self, effects: &mut Doing) {
        let is_mine = self.is_eldest() && self.standing != Standing::Left;
        if !is_mine || self.recovery.stage != Stage::Idle || self.faults.has(Fault::NeverRecovers) {
            return;
        }
        self.recovery.is_pending = true;
        self.recovery.taken.clear();
        let taken = self.fence_here();
        self.note_taken(self.me, taken);
        self.recovery.stage = Stage::Fencing(self.peers.keys().copied().collect());
        self.broadcast(&Body::Fence { epoch: self.epoch }, effects);
        self.ask_the_owner(effects);
    }

    /// This member's fence. Answers the last transfer that it has taken from each.
    fn fence_here(&mut self) -> Vec<(Member, u64)> {
        let mut had = Ranges::new();
        self.store.blocks().for_each(|block| had.insert(block.range()));
        let open = self.peers.iter().flat_map(|(to, peer)| {
            let transfers = peer.departing.iter();
            transfers.flat_map(|(number, blocks)| blocks.iter().map(|block| (*block, *to, *number)))
        });
        self.recovery.since = Some(Since { had, open: open.collect() });
        self.peers.iter().map(|(from, peer)| (*from, peer.kept)).filter(|(_, kept)| *kept > 0).collect()
    }

    fn note_taken(&mut self, by: Member, taken: Vec<(Member, u64)>) {
        self.recovery.taken.extend(taken.into_iter().map(|(from, number)| ((by, from), number)));
    }

    /// The eldest asks whether this member's epoch does without who ended. It does, or this would not be heard. Of what was asked in an
    /// earlier epoch it asks again.
    pub(crate) fn fence(&mut self, from: Member, epoch: Epoch, effects: &mut Doing) {
        if epoch == self.epoch {
            let taken = self.fence_here();
            self.send(from, Body::Fenced { epoch, taken }, effects);
        }
    }

    pub(crate) fn fenced(
        &mut self,
        from: Member,
        epoch: Epoch,
        taken: Vec<(Member, u64)>,
        effects: &mut Doing,
    ) {
        if epoch != self.epoch {
            return;
        }
        if let Stage::Fencing(silent) = &mut self.recovery.stage {
            silent.remove(&from);
            self.note_taken(from, taken);
            self.ask_the_owner(effects);
        }
    }

    /// Asks when everybody has confirmed.
    fn ask_the_owner(&mut self, effects: &mut Doing) {
        let Stage::Fencing(silent) = &self.recovery.stage else { return };
        if silent.is_empty() || self.faults.has(Fault::AsksUnfenced) {
            self.recovery.stage = Stage::Asking;
            effects.push(Effect::Question(Question { epoch: self.epoch }));
        }
    }

    /// The owner has said what is not outside: asks everybody.
    pub(crate) fn owner_said(&mut self, epoch: Epoch, inside: Vec<Range<u64>>, effects: &mut Doing) {
        if epoch != self.epoch || self.recovery.stage != Stage::Asking {
            return;
        }
        let mut unclaimed = Ranges::new();
        inside.into_iter().for_each(|range| unclaimed.insert(range));
        let others = match self.faults.has(Fault::SkipsCensus) {
            true => BTreeSet::new(),
            false => self.peers.keys().copied().collect(),
        };
        self.recovery.stage = Stage::Counting(others, unclaimed);
        let own = self.claims();
        self.strike(self.me, own);
        self.broadcast(&Body::Census { epoch }, effects);
        self.count(effects);
    }

    /// What is, or was at or since the fence, this member's.
    fn claims(&self) -> Claims {
        let Some(Since { had, open }) = &self.recovery.since else { return Default::default() };
        let mut frames = had.clone();
        if self.faults.has(Fault::ForgetsWhatWent) {
            frames = Ranges::new();
            self.store.blocks().for_each(|block| frames.insert(block.range()));
        }
        let forgets = self.faults.has(Fault::ForgetsDeparting);
        let open = open.iter().filter(|_| !forgets).copied().collect();
        (frames.iter().collect(), open)
    }

    /// Takes what a member claims off the list.
    fn strike(&mut self, from: Member, (frames, open): Claims) {
        let Stage::Counting(awaited, mut unclaimed) = core::mem::take(&mut self.recovery.stage) else {
            return;
        };
        frames.into_iter().for_each(|range| unclaimed.remove(range));
        let open = open.into_iter();
        open.filter(|open| self.recovery.is_still_the_senders(from, *open, self.faults))
            .for_each(|(block, ..)| unclaimed.remove(block.range()));
        self.recovery.stage = Stage::Counting(awaited, unclaimed);
    }

    pub(crate) fn counted(&mut self, from: Member, epoch: Epoch, effects: &mut Doing) {
        if epoch != self.epoch {
            return;
        }
        let (frames, open) = self.claims();
        for part in frames.chunks(PART) {
            let body = Body::Claims { epoch, frames: part.to_vec(), open: Vec::new(), last: false };
            self.send(from, body, effects);
        }
        for part in open.chunks(PART) {
            let body = Body::Claims { epoch, frames: Vec::new(), open: part.to_vec(), last: false };
            self.send(from, body, effects);
        }
        self.send(from, Body::Claims { epoch, frames: Vec::new(), open: Vec::new(), last: true }, effects);
    }

    pub(crate) fn claimed(
        &mut self,
        from: Member,
        epoch: Epoch,
        claims: Claims,
        last: bool,
        effects: &mut Doing,
    ) {
        if epoch != self.epoch || !matches!(self.recovery.stage, Stage::Counting(..)) {
            return;
        }
        self.strike(from, claims);
        if let Stage::Counting(awaited, _) = &mut self.recovery.stage
            && last
        {
            awaited.remove(&from);
            self.count(effects);
        }
    }

    /// When all claims are there, the rest is this member's.
    fn count(&mut self, effects: &mut Doing) {
        let Stage::Counting(awaited, unclaimed) = &mut self.recovery.stage else { return };
        if !awaited.is_empty() {
            return;
        }
        let found = core::mem::take(unclaimed);
        self.counts.recovered += found.frames();
        self.recovery.stage = Stage::Idle;
        self.gain_all(found.iter().flat_map(blocks_of).collect());
        let epoch = self.epoch;
        self.broadcast(&Body::Recovered { epoch }, effects);
        self.recovered(epoch);
    }

    /// What ended members had is found.
    pub(crate) fn recovered(&mut self, epoch: Epoch) {
        if epoch == self.epoch {
            self.recovery.is_pending = false;
            self.recovery.since = None;
        }
    }
}

//! Allocations that find no block that is large enough here: they wait, and the other members are asked in turn, first who is
//! believed to have one. Who has none says so; when all have, the first that waits is told that there is none.

use crate::fault::Fault;
use crate::limits::WAITING_MAX;
use crate::share::{Buddy, Doing};
use crate::{Answer, Body, ORDER_MAX};
use alloc::collections::{BTreeSet, VecDeque};
use fos_container::{Effect, Member, Ticket};

/// What waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seek {
    /// Allocations and their orders, the oldest first.
    waiting: VecDeque<(Ticket, u8)>,
    /// Who is asked, and for which order: that of the first, or of one that was the first then.
    asked: Option<(Member, u8)>,
    /// Who has nothing for it.
    refused: BTreeSet<Member>,
}

impl Buddy {
    pub(crate) fn allocate(&mut self, ticket: Ticket, order: u8, effects: &mut Doing) {
        self.counts.requests += 1;
        let refusal = match () {
            () if !self.is_serving() => Some(Answer::NotServing(None)),
            () if order > ORDER_MAX => Some(Answer::TooLarge),
            () if self.seek.waiting.len() >= WAITING_MAX => Some(Answer::Busy),
            () => None,
        };
        match refusal {
            Some(refusal) => self.refuse(ticket, refusal, effects),
            None if self.serve_one(ticket, order, effects) => {}
            None => {
                self.counts.stalls += 1;
                self.seek.waiting.push_back((ticket, order));
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, answer: Answer, effects: &mut Doing) {
        self.counts.refused += 1;
        effects.push(Effect::Answer { ticket, answer });
    }

    fn serve_one(&mut self, ticket: Ticket, order: u8, effects: &mut Doing) -> bool {
        let Some(block) = self.store.take(order) else { return false };
        self.merge.has_changed();
        effects.push(Effect::Answer { ticket, answer: Answer::Allocated(block) });
        true
    }

    /// Answers those that wait, as far as what is here goes. A small one does not wait behind a large one.
    pub(crate) fn serve(&mut self, effects: &mut Doing) {
        let first = self.seek.waiting.front().copied();
        let mut waiting = core::mem::take(&mut self.seek.waiting);
        waiting.retain(|(ticket, order)| !self.serve_one(*ticket, *order, effects));
        self.seek.waiting = waiting;
        if self.seek.waiting.front().copied() != first {
            self.seek.refused.clear();
        }
    }

    /// Asks the next member for the first that waits, or gives it up.
    pub(crate) fn search(&mut self, effects: &mut Doing) {
        while self.seek.asked.is_none()
            && let Some((ticket, order)) = self.seek.waiting.front().copied()
        {
            if let Some(member) = self.most_promising(order) {
                self.seek.asked = Some((member, order));
                return self.send(member, Body::Want { order }, effects);
            }
            self.seek.waiting.pop_front();
            self.seek.refused.clear();
            self.refuse(ticket, Answer::Exhausted, effects);
        }
    }

    /// Whom to ask next: believed to have a large enough block, else anyone, since what is believed may be old.
    fn most_promising(&self, order: u8) -> Option<Member> {
        let gives_up = self.faults.has(Fault::AsksOneOnly) && !self.seek.refused.is_empty();
        let open =
            self.peers.iter().filter(|(member, peer)| !peer.is_dead && !self.seek.refused.contains(member));
        let best = open.max_by_key(|(_, peer)| (peer.header.largest >= Some(order), peer.header.frames));
        best.map(|(member, _)| *member).filter(|_| !gives_up)
    }

    pub(crate) fn given_nothing(&mut self, from: Member) {
        let Some((_, order)) = self.seek.asked.take_if(|(asked, _)| *asked == from) else { return };
        // Who has nothing so large may have something for a smaller one.
        if self.seek.waiting.front().is_some_and(|(_, first)| *first >= order) {
            self.seek.refused.insert(from);
        }
    }

    /// What was wanted has come. If it is for another that waits by now, this one is asked again.
    pub(crate) fn given(&mut self, from: Member) {
        self.seek.asked.take_if(|(asked, _)| *asked == from);
    }

    pub(crate) fn no_answer_from(&mut self, member: Member) {
        if !self.faults.has(Fault::WaitsForTheDead) {
            self.seek.asked.take_if(|(asked, _)| *asked == member);
        }
    }

    /// This member serves no more.
    pub(crate) fn refuse_waiting(&mut self, effects: &mut Doing) {
        let Seek { waiting, .. } = core::mem::take(&mut self.seek);
        waiting.into_iter().for_each(|(ticket, _)| self.refuse(ticket, Answer::NotServing(None), effects));
    }
}

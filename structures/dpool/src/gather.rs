//! Removes that find too little here. They wait in order; one member is asked at a time. A remove is told that the pool is
//! exhausted when everybody has been asked since it came, and it still finds too little. Who gave as much as a message takes, and has
//! more, is asked again before the next.

use crate::fault::Fault;
use crate::pool::{Doing, Pool};
use crate::thresholds::WAITING_MAX;
use crate::{Answer, Body, Element, Placement, Scheme};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use fos_container::{Effect, Member, Ticket};

/// A remove that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Waiting {
    ticket: Ticket,
    least: usize,
    most: usize,
    /// Searches that had begun when it came.
    since: u64,
}

/// Going from one member to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Search {
    number: u64,
    left: VecDeque<Member>,
}

/// What is being looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gather {
    pub waiting: VecDeque<Waiting>,
    search: Option<Search>,
    searches: u64,
    /// Who was asked and has not answered.
    pub asked: Option<Member>,
    /// Who gave something last.
    giver: Option<Member>,
}

impl<T: Element> Pool<T> {
    pub(crate) fn remove(&mut self, ticket: Ticket, least: usize, most: usize, effects: &mut Doing<T>) {
        self.counts.requests += 1;
        let refusal = match () {
            () if !self.is_serving() => Some(Answer::NotServing(Vec::new())),
            () if self.gather.waiting.len() >= WAITING_MAX => Some(Answer::Busy),
            () => None,
        };
        if let Some(answer) = refusal {
            self.counts.refused += 1;
            return effects.push(Effect::Answer { ticket, answer });
        }
        let least = least.max(1);
        let waiting = Waiting { ticket, least, most: most.max(least), since: self.gather.searches };
        if !self.gather.waiting.is_empty() || self.stock.len() < least {
            self.counts.stalls += 1;
        }
        self.gather.waiting.push_back(waiting);
    }

    /// Answers those who can be, in order.
    pub(crate) fn serve(&mut self, effects: &mut Doing<T>) {
        let is_short = self.faults.has(Fault::AnswersShort);
        loop {
            let here = self.stock.len();
            let enough = |waiting: &mut Waiting| waiting.least <= here || is_short && here > 0;
            let Some(waiting) = self.gather.waiting.pop_front_if(enough) else { return };
            let elements = self.stock.split_off(here - waiting.most.min(here));
            self.recovery.note_gone(&elements, self.faults);
            effects.push(Effect::Answer { ticket: waiting.ticket, answer: Answer::Removed(elements) });
        }
    }

    /// Asks the next member, if something is missing and nobody has been asked.
    pub(crate) fn search(&mut self, effects: &mut Doing<T>) {
        while self.gather.asked.is_none() {
            if self.gather.waiting.is_empty() {
                self.gather.search = None;
                return;
            }
            if self.gather.search.is_none() {
                self.gather.searches += 1;
                let (number, left) = (self.gather.searches, self.sources());
                self.gather.search = Some(Search { number, left });
            }
            let next = self.gather.search.as_mut().and_then(|search| search.left.pop_front());
            match next {
                Some(member) => self.want(member, effects),
                None => self.give_up(effects),
            }
        }
    }

    /// Whom to ask, in this order.
    fn sources(&self) -> VecDeque<Member> {
        if self.policy.placement == Placement::Single {
            return self.holder().filter(|holder| *holder != self.me).into_iter().collect();
        }
        // Everybody begins elsewhere, lest all ask the eldest.
        let place = self.members.iter().position(|member| *member == self.me).unwrap_or(0);
        let (before, after) = self.members.split_at(place);
        let mut left: Vec<Member> = after.iter().skip(1).chain(before).copied().collect();
        if self.policy.scheme() == Some(Scheme::Estimate) {
            left.sort_by_key(|member| {
                core::cmp::Reverse(self.peers.get(member).map_or(0, |peer| peer.estimate))
            });
        } else if let Some(giver) = self.gather.giver {
            left.sort_by_key(|member| *member != giver);
        }
        left.into()
    }

    fn want(&mut self, member: Member, effects: &mut Doing<T>) {
        if !self.peers.get(&member).is_some_and(|peer| peer.takes_part()) {
            return;
        }
        let wanted: usize = self.gather.waiting.iter().map(|waiting| waiting.least).sum();
        let least = wanted.saturating_sub(self.stock.len()).max(1);
        let most = match self.policy.placement {
            Placement::Single | Placement::Distributed(Scheme::OnDemand) => least,
            Placement::Distributed(_) => least.max(self.policy.thresholds.block),
        };
        self.gather.asked = Some(member);
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.send(member, Body::Want { least: number(least), most: number(most) }, effects);
    }

    /// Everybody was asked in vain.
    fn give_up(&mut self, effects: &mut Doing<T>) {
        let Some(search) = self.gather.search.take() else { return };
        let (failed, left) = self.gather.waiting.drain(..).partition(|waiting| waiting.since < search.number);
        self.gather.waiting = left;
        let failed: VecDeque<Waiting> = failed;
        self.counts.refused += failed.len() as u64;
        let answers = failed.into_iter().map(|waiting| waiting.ticket);
        effects.extend(answers.map(|ticket| Effect::Answer { ticket, answer: Answer::Exhausted }));
    }

    /// Whoever was asked has answered.
    pub(crate) fn answered(&mut self, from: Member, gave: bool) {
        if self.gather.asked == Some(from) {
            self.gather.asked = None;
            self.rest_after(gave);
        }
        if gave {
            self.gather.giver = Some(from);
        } else if self.gather.giver == Some(from) {
            self.gather.giver = None;
        }
    }

    /// Whoever was asked has given something.
    pub(crate) fn given(&mut self, from: Member) {
        let has_more = self.peers.get(&from).is_some_and(|peer| peer.estimate > 0);
        if self.gather.asked == Some(from)
            && has_more
            && let Some(search) = &mut self.gather.search
        {
            search.left.push_front(from);
        }
        self.answered(from, true);
    }

    pub(crate) fn given_nothing(&mut self, from: Member) {
        self.answered(from, false);
        if self.faults.has(Fault::AsksOneOnly)
            && let Some(search) = &mut self.gather.search
        {
            search.left.clear();
        }
    }

    /// Sends those who wait to another member.
    pub(crate) fn refuse_waiting(&mut self, effects: &mut Doing<T>) {
        self.gather.search = None;
        self.counts.refused += self.gather.waiting.len() as u64;
        let tickets = self.gather.waiting.drain(..).map(|waiting| waiting.ticket);
        effects
            .extend(tickets.map(|ticket| Effect::Answer { ticket, answer: Answer::NotServing(Vec::new()) }));
    }
}

//! What ended members had. The eldest member finds it again:
//!
//! 1. *Fence.* Everybody confirms that its epoch does without them, and then once more. From the first time on nothing of theirs is
//!    taken any more, and nothing sent to them, so each of their elements is with a member for good, outside, or nowhere; from the
//!    second on everybody remembers what goes out or elsewhere. Were both one, what goes out at who has confirmed could come in at
//!    who has not, and be sent to the ended from there: it would be remembered as somebody's, and is nowhere.
//! 2. *The owner's records.* The owner names what they may have had and what was on its way to them, without what is outside.
//! 3. *Census.* Everybody claims what is, or was at or since the fence, its own. What nobody claims was nowhere: it is the
//!    eldest's. What was on its way between two members at their fences is the receiver's to claim if it had taken it, else the
//!    sender's: the sender may not know yet, and the receiver may have sent it on, to who ended.
//!
//! The census goes in parts, a few of which are under way to each member at a time; each member sorts what is its own once, before the
//! first. What comes in later is not asked for: the owner had answered by then.
//!
//! An element that was handed out after the owner was asked was somebody's at the fence, who remembers it. If the epoch ends in
//! the middle, the eldest of the next begins again; elements that were found already are claimed or outside then. Who has left is
//! not the one to find anything: it is counted out soon, and the next eldest begins.

use crate::fault::{Fault, Faults};
use crate::pool::{Doing, Pool, Standing};
use crate::thresholds::{CENSUS_OPEN, CENSUS_PART, FOUND_MAX, part_of};
use crate::{Body, Element, Question};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use fos_container::{Effect, Epoch, Member};

/// What a member says at the fence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Report<T> {
    /// Who ended, as far as it knows.
    pub dead: Vec<Member>,
    /// What was on its way from it to them.
    pub doubtful: Vec<T>,
    /// The last transfer that it has taken or declined from each member, and those that it has declined.
    pub taken: Vec<(Member, u64)>,
    pub declined: Vec<(Member, u64)>,
}

/// What a member says in the census.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Claims<T> {
    /// What is its own.
    pub elements: Vec<T>,
    /// What is its own unless this member had taken that transfer.
    pub open: Vec<(T, Member, u64)>,
}

/// What was taken at the fence: by whom, from whom, up to which transfer; and which of those were declined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Taken {
    last: BTreeMap<(Member, Member), u64>,
    declined: BTreeSet<(Member, Member, u64)>,
}

/// How far the eldest is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Stage<T> {
    /// Nothing to do, or another's to do.
    #[default]
    Idle,
    /// Waits for these to confirm that they are in the epoch.
    Entering(BTreeSet<Member>),
    /// Waits for these to confirm; what was on its way to the ended so far.
    Fencing(BTreeSet<Member>, Vec<T>),
    /// Waits for the owner.
    Asking,
    /// Waits for claims.
    Counting(Count<T>),
}

/// A census.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count<T> {
    /// What everybody is asked about, part by part.
    asked: Vec<T>,
    /// What nobody has claimed so far.
    unclaimed: BTreeSet<T>,
    /// Whose claims are missing: parts sent to it, and parts that it has answered.
    silent: BTreeMap<Member, (u32, u32)>,
}

impl<T: Clone> Count<T> {
    fn part(&self, number: u32) -> Option<Vec<T>> {
        let length = CENSUS_PART.min(part_of::<T>());
        self.asked.chunks(length).nth(number as usize).map(<[T]>::to_vec)
    }

    /// The next part for a member, if it may be sent one more.
    fn next(&mut self, member: Member) -> Option<(u32, Vec<T>)> {
        let (sent, answered) = self.silent.get(&member).copied()?;
        let part = self.part(sent).filter(|_| sent - answered < CENSUS_OPEN)?;
        self.silent.insert(member, (sent + 1, answered));
        Some((sent, part))
    }
}

/// What goes out or elsewhere from the fence on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Since<T> {
    /// What was on its way at the fence: to whom, by which transfer. One that went out there and came in here again may be on
    /// two ways, of which the first is not confirmed yet.
    open: BTreeSet<(T, Member, u64)>,
    /// What was this member's since then and is not any more.
    gone: BTreeSet<T>,
    /// All that is or was its own when the census came here, sorted.
    own: Option<Vec<T>>,
}

/// What is to be found again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Recovery<T> {
    /// Who ended, and what was on its way from here to each.
    mourned: BTreeMap<Member, Vec<T>>,
    /// Ended members whose elements this member has found, as the eldest.
    found: BTreeSet<Member>,
    since: Option<Since<T>>,
    stage: Stage<T>,
    taken: Taken,
}

impl<T> Default for Recovery<T> {
    fn default() -> Recovery<T> {
        let (mourned, found, taken) = Default::default();
        Recovery { mourned, found, since: None, stage: Stage::Idle, taken }
    }
}

impl<T: Element> Recovery<T> {
    pub fn is_under_way(&self) -> bool {
        !self.mourned.is_empty()
    }

    pub fn mourn(&mut self, member: Member, doubtful: Vec<T>) {
        self.mourned.entry(member).or_default().extend(doubtful);
    }

    /// These went out.
    pub fn note_gone(&mut self, elements: &[T], faults: Faults) {
        if let Some(since) = self.since.as_mut().filter(|_| !faults.has(Fault::ForgetsWhatWent)) {
            since.gone.extend(elements.iter().cloned());
        }
    }

    /// Another has what was sent to it by this transfer. If that was before the fence, it was not this member's since then.
    pub fn note_arrived(&mut self, at: Member, number: u64, elements: &[T], faults: Faults) {
        let sent_since = |since: &Since<T>, element: &T| !since.open.contains(&(element.clone(), at, number));
        let Some(since) = &self.since else { return };
        let gone: Vec<T> = elements.iter().filter(|element| sent_since(since, element)).cloned().collect();
        self.note_gone(&gone, faults);
    }

    fn learn(&mut self, dead: Vec<Member>) {
        let new = dead.into_iter().filter(|member| !self.found.contains(member));
        new.for_each(|member| _ = self.mourned.entry(member).or_default());
    }

    /// So many are enough: who mourns one of them was told that it was looked after, and has only not heard it yet.
    fn forget_some_found(&mut self) {
        while self.found.len() > FOUND_MAX {
            self.found.pop_first();
        }
    }

    fn dead(&self) -> Vec<Member> {
        self.mourned.keys().copied().collect()
    }

    /// What was on its way from here to who ended.
    pub fn doubtful(&self) -> Vec<T> {
        self.mourned.values().flatten().cloned().collect()
    }

    fn note_taken(&mut self, by: Member, taken: Vec<(Member, u64)>, declined: Vec<(Member, u64)>) {
        self.taken.last.extend(taken.into_iter().map(|(from, number)| ((by, from), number)));
        self.taken.declined.extend(declined.into_iter().map(|(from, number)| (by, from, number)));
    }

    /// Whether the receiver of this transfer had not taken it at the fence.
    fn is_still_the_senders(&self, from: Member, (to, number): (Member, u64), faults: Faults) -> bool {
        let last = self.taken.last.get(&(to, from)).copied().unwrap_or_default();
        let was_declined = self.taken.declined.contains(&(to, from, number));
        last < number
            || was_declined && !faults.has(Fault::HidesDeclined)
            || faults.has(Fault::ClaimsWhatWasTaken)
    }
}

impl<T: Element> Pool<T> {
    /// An epoch has begun: what was begun in another begins again, if it is this member's to do.
    pub(crate) fn begin_recovery(&mut self, effects: &mut Doing<T>) {
        self.recovery.stage = Stage::Idle;
        let was_begun = self.recovery.since.take().is_some();
        if self.faults.has(Fault::ForgetsMourned) && was_begun {
            self.recovery.mourned.clear();
        }
        if self.standing == Standing::Left && self.recovery.is_under_way() {
            // Perhaps nobody else was there.
            self.broadcast(&Body::Mourn { dead: self.recovery.dead() }, effects);
        }
        self.go_on_recovering(effects);
    }

    fn go_on_recovering(&mut self, effects: &mut Doing<T>) {
        let is_eldest = self.members.first() == Some(&self.me);
        let has_left = self.standing == Standing::Left && !self.faults.has(Fault::FindsThoughLeft);
        let is_mine = is_eldest && !has_left && !self.faults.has(Fault::NeverRecovers);
        if !is_mine || !self.recovery.is_under_way() || self.recovery.stage != Stage::Idle {
            return;
        }
        self.recovery.stage = Stage::Entering(self.peers.keys().copied().collect());
        self.broadcast(&Body::Fence { epoch: self.epoch, dead: self.recovery.dead() }, effects);
        self.fence_when_all_are_in(effects);
    }

    fn fence_when_all_are_in(&mut self, effects: &mut Doing<T>) {
        let Stage::Entering(silent) = &self.recovery.stage else { return };
        if !silent.is_empty() && !self.faults.has(Fault::FencesOnce) {
            return;
        }
        let Report { dead, doubtful, taken, declined } = self.report();
        self.recovery.taken = Taken::default();
        self.recovery.note_taken(self.me, taken, declined);
        let others = self.peers.keys().copied().collect();
        self.recovery.stage = Stage::Fencing(others, doubtful);
        if !self.faults.has(Fault::FencesOnce) {
            self.broadcast(&Body::Fence { epoch: self.epoch, dead }, effects);
        }
        self.ask_the_owner(effects);
    }

    /// This member's fence: what it says of it, and what it remembers from here on.
    fn report(&mut self) -> Report<T> {
        let open = self.peers.iter().flat_map(|(to, peer)| {
            let transfers = peer.departing.iter();
            transfers.flat_map(|(number, elements)| elements.iter().map(|one| (one.clone(), *to, *number)))
        });
        let open = open.collect();
        self.recovery.since = Some(Since { open, gone: BTreeSet::new(), own: None });
        let taken = self.peers.iter().map(|(from, peer)| (*from, peer.taken)).filter(|(_, taken)| *taken > 0);
        let taken = taken.collect();
        let declined =
            self.peers.iter().flat_map(|(from, peer)| peer.declined.iter().map(|one| (*from, *one)));
        let (dead, doubtful) = (self.recovery.dead(), self.recovery.doubtful());
        Report { dead, doubtful, taken, declined: declined.collect() }
    }

    /// Whether it knows of ends that nobody has looked after in this epoch, as far as it has heard. The eldest may have heard that
    /// they had left, and this member not.
    pub(crate) fn mourns_alone(&self) -> bool {
        let is_eldest = self.members.first() == Some(&self.me);
        let alone = self.recovery.is_under_way() && self.recovery.since.is_none() && !is_eldest;
        alone && !self.faults.has(Fault::NeverReminds)
    }

    pub(crate) fn remind(&mut self, effects: &mut Doing<T>) {
        if self.mourns_alone()
            && let Some(eldest) = self.members.first().copied()
            && self.peers.get(&eldest).is_some_and(|eldest| !eldest.is_crowded)
        {
            self.send(eldest, Body::Mourn { dead: self.recovery.dead() }, effects);
        }
    }

    pub(crate) fn hear_of_dead(&mut self, from: Member, dead: Vec<Member>, effects: &mut Doing<T>) {
        let found = dead.iter().filter(|member| self.recovery.found.contains(member)).copied();
        let found: Vec<Member> = found.collect();
        if !found.is_empty() && self.recovery.stage == Stage::Idle {
            self.send(from, Body::Recovered { dead: found }, effects);
        }
        self.recovery.learn(dead);
        self.go_on_recovering(effects);
    }

    /// The eldest asks whether this member's epoch does without these. It does, or this would not be heard. Of what was asked in
    /// an earlier epoch it asks again.
    pub(crate) fn fence(&mut self, from: Member, epoch: Epoch, dead: Vec<Member>, effects: &mut Doing<T>) {
        if epoch == self.epoch {
            self.recovery.learn(dead);
            let Report { dead, mut doubtful, taken, declined } = self.report();
            while doubtful.len() > part_of::<T>() {
                let doubtful = doubtful.split_off(doubtful.len() - part_of::<T>());
                let (dead, taken, declined) = (Vec::new(), Vec::new(), Vec::new());
                self.send(
                    from,
                    Body::Fenced { epoch, dead, doubtful, last: false, taken, declined },
                    effects,
                );
            }
            self.send(from, Body::Fenced { epoch, dead, doubtful, last: true, taken, declined }, effects);
        }
    }

    pub(crate) fn fenced(
        &mut self,
        from: Member,
        epoch: Epoch,
        report: Report<T>,
        last: bool,
        effects: &mut Doing<T>,
    ) {
        if epoch != self.epoch {
            return;
        }
        match &mut self.recovery.stage {
            Stage::Entering(silent) if last => {
                silent.remove(&from);
                self.recovery.learn(report.dead);
                self.fence_when_all_are_in(effects);
            }
            Stage::Fencing(silent, doubtful) => {
                doubtful.extend(report.doubtful);
                if !last {
                    return;
                }
                silent.remove(&from);
                self.recovery.learn(report.dead);
                self.recovery.note_taken(from, report.taken, report.declined);
                self.ask_the_owner(effects);
            }
            _ => {}
        }
    }

    /// Asks when everybody has confirmed.
    fn ask_the_owner(&mut self, effects: &mut Doing<T>) {
        let Stage::Fencing(silent, doubtful) = &mut self.recovery.stage else { return };
        if !silent.is_empty() && !self.faults.has(Fault::AsksUnfenced) {
            return;
        }
        let doubtful = core::mem::take(doubtful);
        self.recovery.stage = Stage::Asking;
        let question = Question { epoch: self.epoch, dead: self.recovery.dead(), doubtful };
        effects.push(Effect::Question(question));
    }

    /// The owner has said what may be nowhere: asks everybody.
    pub(crate) fn owner_said(&mut self, epoch: Epoch, elements: Vec<T>, effects: &mut Doing<T>) {
        if epoch != self.epoch || self.recovery.stage != Stage::Asking {
            return;
        }
        let mut unclaimed: BTreeSet<T> = elements.into_iter().collect();
        let all: Vec<T> = unclaimed.iter().cloned().collect();
        let own = self.claims(&all);
        self.strike(self.me, &own, &mut unclaimed);
        let asked: Vec<T> = unclaimed.iter().cloned().collect();
        let is_needed = !asked.is_empty() && !self.faults.has(Fault::SkipsCensus);
        let others: Vec<Member> = self.peers.keys().copied().filter(|_| is_needed).collect();
        let silent = others.iter().map(|member| (*member, (0, 0))).collect();
        let mut count = Count { asked, unclaimed, silent };
        others.iter().for_each(|member| self.ask_on(&mut count, *member, effects));
        self.count(count, effects);
    }

    /// Sends a member as many parts of the census as may be under way.
    fn ask_on(&mut self, count: &mut Count<T>, member: Member, effects: &mut Doing<T>) {
        let epoch = self.epoch;
        while let Some((part, elements)) = count.next(member) {
            self.send(member, Body::Census { epoch, part, elements }, effects);
        }
    }

    /// All that is, or was at or since the fence, this member's, sorted.
    fn own(&self) -> Vec<T> {
        let mut own = self.stock.clone();
        let since = self.recovery.since.as_ref();
        own.extend(since.iter().flat_map(|since| &since.gone).cloned());
        // What was sent after the fence was this member's at it.
        let sent = self.peers.iter().flat_map(|(to, peer)| {
            let transfers = peer.departing.iter();
            transfers.flat_map(|(number, elements)| elements.iter().map(|one| (one.clone(), *to, *number)))
        });
        let is_new = |one: &(T, Member, u64)| since.is_none_or(|since| !since.open.contains(one));
        own.extend(sent.filter(is_new).map(|(one, ..)| one));
        own.sort_unstable();
        own
    }

    /// Which of these are, or were at or since the fence, this member's.
    fn claims(&mut self, asked: &[T]) -> Claims<T> {
        if self.recovery.since.as_ref().is_some_and(|since| since.own.is_none()) {
            let own = self.own();
            if let Some(since) = &mut self.recovery.since {
                since.own = Some(own);
            }
        }
        let (mut elements, mut open) = (Vec::new(), Vec::new());
        let none = BTreeSet::new();
        let since = self.recovery.since.as_ref();
        let opened = since.map_or(&none, |since| &since.open);
        let unfenced = since.is_none().then(|| self.own());
        let own = since.and_then(|since| since.own.as_ref()).or(unfenced.as_ref());
        let own = own.map_or(&[][..], Vec::as_slice);
        for element in asked {
            if own.binary_search(element).is_ok() {
                elements.push(element.clone());
            } else if !self.faults.has(Fault::ForgetsDeparting) {
                let from = opened.range((element.clone(), Member(0), 0)..);
                open.extend(from.take_while(|(one, ..)| one == element).cloned());
            }
        }
        Claims { elements, open }
    }

    /// Takes what a member claims off the list.
    fn strike(&self, from: Member, claims: &Claims<T>, unclaimed: &mut BTreeSet<T>) {
        claims.elements.iter().for_each(|element| _ = unclaimed.remove(element));
        for (element, to, number) in &claims.open {
            if self.recovery.is_still_the_senders(from, (*to, *number), self.faults) {
                unclaimed.remove(element);
            }
        }
    }

    pub(crate) fn counted(
        &mut self,
        from: Member,
        epoch: Epoch,
        part: u32,
        elements: &[T],
        effects: &mut Doing<T>,
    ) {
        if epoch == self.epoch {
            let Claims { elements, open } = self.claims(elements);
            self.send(from, Body::Claims { epoch, part, elements, open }, effects);
        }
    }

    pub(crate) fn claimed(
        &mut self,
        from: Member,
        epoch: Epoch,
        part: u32,
        claims: &Claims<T>,
        effects: &mut Doing<T>,
    ) {
        if epoch != self.epoch || !matches!(self.recovery.stage, Stage::Counting(_)) {
            return;
        }
        let Stage::Counting(mut count) = core::mem::take(&mut self.recovery.stage) else { return };
        // They are answered in the order in which they were sent.
        if let Some((_, answered)) = count.silent.get_mut(&from).filter(|(_, answered)| *answered == part) {
            *answered += 1;
            self.strike(from, claims, &mut count.unclaimed);
            if count.part(part + 1).is_none() {
                count.silent.remove(&from);
            }
            self.ask_on(&mut count, from, effects);
        }
        self.count(count, effects);
    }

    /// When all claims are there, the rest is this member's.
    fn count(&mut self, count: Count<T>, effects: &mut Doing<T>) {
        if !count.silent.is_empty() {
            self.recovery.stage = Stage::Counting(count);
            return;
        }
        self.counts.recovered += count.unclaimed.len() as u64;
        self.stock.extend(count.unclaimed);
        self.recovery.stage = Stage::Idle;
        let dead = self.recovery.dead();
        self.broadcast(&Body::Recovered { dead: dead.clone() }, effects);
        self.recovery.found.extend(&dead);
        self.recovery.forget_some_found();
        self.recovered(&dead);
    }

    /// These are looked after.
    pub(crate) fn recovered(&mut self, dead: &[Member]) {
        self.recovery.mourned.retain(|member, _| !dead.contains(member));
        self.recovery.since = None;
    }
}

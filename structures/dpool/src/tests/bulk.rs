//! Pools with many elements: what one message has is bounded, and the work is not more than sorting them.

use crate::thresholds::{CENSUS_OPEN, CENSUS_PART, WAITING_MAX, part_of};
use crate::{Answer, Body, Element, Message, Policy, Pool, Request, Scheme};
use fos_container::{Container, Effect, Effects, Epoch, Member, Ticket};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

const ONE: Member = Member(1);
const TWO: Member = Member(2);
const THREE: Member = Member(3);

std::thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

/// An element that counts how often one is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted(u64);

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Counted) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Counted) -> Ordering {
        COMPARED.set(COMPARED.get() + 1);
        self.0.cmp(&other.0)
    }
}

/// Members whose messages come in the order in which they were sent.
struct Fleet<T: Element> {
    pools: BTreeMap<Member, Pool<T>>,
    wires: VecDeque<(Member, Member, Message<T>)>,
    answers: Vec<Answer<T>>,
    /// The most elements in one message.
    largest: usize,
    /// Parts of a census that have been sent and not answered, and the most of those.
    open: BTreeMap<Member, u32>,
    most_open: u32,
}

impl<T: Element + 'static> Fleet<T> {
    fn new(members: &[Member], policy: Policy) -> Fleet<T> {
        let pools = members.iter().map(|member| (*member, Pool::new(*member, policy))).collect();
        let (wires, answers, open) = Default::default();
        let mut fleet = Fleet { pools, wires, answers, largest: 0, open, most_open: 0 };
        fleet.begin(Epoch(1), members);
        fleet
    }

    fn begin(&mut self, epoch: Epoch, members: &[Member]) {
        self.pools.retain(|member, _| members.contains(member));
        self.wires.retain(|(from, to, _)| members.contains(from) && members.contains(to));
        members.iter().for_each(|member| self.step(*member, |pool, done| pool.epoch(epoch, members, done)));
    }

    fn step(&mut self, at: Member, step: impl FnOnce(&mut Pool<T>, &mut Effects<Pool<T>>)) {
        let mut effects = Vec::new();
        step(self.pools.get_mut(&at).unwrap(), &mut effects);
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.sent(at, to, message),
                Effect::Answer { answer, .. } => self.answers.push(answer),
                Effect::Question(_) => {}
                Effect::Left | Effect::Returned | Effect::Stopped => panic!("{at:?} goes on"),
            }
        }
    }

    fn sent(&mut self, from: Member, to: Member, message: Message<T>) {
        let elements = match &message.body {
            Body::Offer { elements, .. } | Body::Census { elements, .. } => elements.len(),
            Body::Claims { elements, open, .. } => elements.len() + open.len(),
            Body::Fenced { doubtful, .. } => doubtful.len(),
            _ => 0,
        };
        self.largest = self.largest.max(elements);
        match &message.body {
            Body::Census { .. } => *self.open.entry(to).or_default() += 1,
            Body::Claims { .. } => *self.open.entry(from).or_default() -= 1,
            _ => {}
        }
        self.most_open = self.most_open.max(self.open.values().copied().max().unwrap_or_default());
        self.wires.push_back((from, to, message));
    }

    /// Until nothing is on its way any more. Answers how many messages there were.
    fn run(&mut self) -> usize {
        let mut count = 0;
        while let Some((from, to, message)) = self.wires.pop_front() {
            count += 1;
            self.step(to, |pool, done| pool.hear(from, message, done));
        }
        count
    }

    fn ask(&mut self, at: Member, request: Request<T>) -> usize {
        self.step(at, |pool, done| pool.ask(Ticket(1), request, done));
        self.run()
    }
}

const MANY: u64 = 40_000;

#[test]
fn a_large_remove_comes_in_parts() {
    for scheme in [Scheme::OnDemand, Scheme::Bulk] {
        let mut fleet: Fleet<u64> = Fleet::new(&[ONE, TWO, THREE], Policy::distributed(scheme));
        fleet.ask(ONE, Request::Add((0..MANY / 2).collect()));
        fleet.ask(THREE, Request::Add((MANY / 2..MANY).collect()));
        fleet.answers.clear();
        let messages = fleet.ask(TWO, Request::Remove { least: MANY as usize, most: MANY as usize });
        let [Answer::Removed(elements)] = &fleet.answers[..] else { panic!("{:?}", fleet.answers.len()) };
        assert_eq!(elements.len(), MANY as usize);
        assert!(fleet.largest <= part_of::<u64>(), "{}", fleet.largest);
        assert!(messages <= 4 * MANY as usize / part_of::<u64>() + 10, "{messages}");
        assert!(fleet.ask(TWO, Request::Remove { least: 1, most: 1 }) <= 4, "nothing is asked for twice");
        assert_eq!(fleet.answers.last(), Some(&Answer::Exhausted));
    }
}

#[test]
fn a_single_location_is_sent_what_it_should_have_in_parts() {
    let mut fleet: Fleet<u64> = Fleet::new(&[ONE, TWO], Policy::SINGLE);
    fleet.ask(TWO, Request::Add((0..MANY).collect()));
    assert_eq!((fleet.pools[&ONE].stock().len(), fleet.pools[&TWO].stock().len()), (MANY as usize, 0));
    assert!(fleet.largest <= part_of::<u64>(), "{}", fleet.largest);
}

#[test]
fn so_many_removes_wait_and_no_more() {
    let mut fleet: Fleet<u64> = Fleet::new(&[ONE, TWO], Policy::distributed(Scheme::OnDemand));
    // Nobody answers.
    let ask = |fleet: &mut Fleet<u64>| {
        let request = Request::Remove { least: 1, most: 1 };
        fleet.step(ONE, |pool, done| pool.ask(Ticket(1), request, done));
    };
    (0..WAITING_MAX).for_each(|_| ask(&mut fleet));
    assert_eq!(fleet.answers, []);
    ask(&mut fleet);
    assert_eq!(fleet.answers, [Answer::Busy]);
}

/// Half a million elements at three members, of which one ends. Each element is compared as often as sorting takes, a few times;
/// so this takes a fraction of a second where it took more than a minute.
#[test]
fn finding_what_one_of_many_elements_had_costs_what_sorting_costs() {
    const ALL: u64 = 512 * 1024;
    let mut fleet: Fleet<Counted> = Fleet::new(&[ONE, TWO, THREE], Policy::distributed(Scheme::OnDemand));
    // As they come to be after a while: in no order.
    let mixed = |place: u64| Counted(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
    let share = ALL / 3;
    for (member, first) in [(ONE, 0), (TWO, share), (THREE, 2 * share)] {
        fleet.ask(member, Request::Add((first..first + share).map(mixed).collect()));
    }
    fleet.begin(Epoch(2), &[ONE, TWO]);
    fleet.run();
    COMPARED.set(0);
    let everything = (0..3 * share).map(mixed).collect();
    let messages = fleet.ask(ONE, Request::Found { epoch: Epoch(2), elements: everything }) as u64;
    assert_eq!(fleet.pools[&ONE].statistics().recovered, share);
    assert_eq!(fleet.pools[&ONE].stock().len() as u64, 2 * share);
    let sorted = ALL * u64::from(ALL.ilog2());
    assert!(COMPARED.get() <= 8 * sorted, "{} comparisons, {sorted} to sort them", COMPARED.get());
    assert!(messages <= 2 * (2 * share).div_ceil(CENSUS_PART as u64) + 10, "{messages}");
    assert!(fleet.most_open <= CENSUS_OPEN && fleet.largest <= CENSUS_PART);
}

/// What was on its way to several who ended is told in parts.
#[test]
fn what_was_on_its_way_is_told_in_parts() {
    let mut fleet: Fleet<u64> = Fleet::new(&[ONE, TWO, THREE], Policy::distributed(Scheme::OnDemand));
    fleet.ask(TWO, Request::Add((0..MANY).collect()));
    let mut open = 0;
    while fleet.pools[&TWO].departing().count() < 3 * part_of::<u64>() {
        let body = Body::Want { least: MANY as u32, most: MANY as u32 };
        let message = Message { header: crate::Header::default(), body };
        fleet.step(TWO, |pool, done| pool.hear(THREE, message, done));
        open += 1;
    }
    assert_eq!(open, 3);
    fleet.largest = 0;
    fleet.begin(Epoch(2), &[ONE, TWO]);
    fleet.run();
    assert_eq!(fleet.largest, part_of::<u64>());
    let everything = (0..MANY).collect();
    fleet.ask(ONE, Request::Found { epoch: Epoch(2), elements: everything });
    assert_eq!(fleet.pools[&ONE].stock().len(), 3 * part_of::<u64>());
}

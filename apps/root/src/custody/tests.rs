//! The custodian beside a model of one entry per frame, under random requests of members that may be wrong about everything,
//! and ends of processes.

use super::*;
use fos_messages::custody::With;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::vec;

const FRAMES: u64 = 48;
const FIRST: u64 = 1000;
const MEMBERS: std::ops::Range<u64> = 1..4;
const PROCESSES: std::ops::Range<u64> = 10..13;
/// Gifts that fit the kernel's table in these tests, those of them that are for leases, and what one process may have.
const SLOTS: usize = 12;
const LEASED: usize = 2;
const SHARE: usize = 6;

/// Who has what, and what each gave up.
#[derive(Debug, Default)]
struct Fake {
    given: BTreeMap<u64, (Range, u64)>,
    dropped: BTreeSet<u64>,
    ended: BTreeSet<u64>,
    /// After so many gifts one fails.
    fails_after: Option<usize>,
    last: u64,
    told: usize,
}

impl Hands for Fake {
    type Slot = u64;
    fn is_running(&self, process: u64) -> bool {
        !self.ended.contains(&process)
    }
    fn room(&self, is_lease: bool) -> usize {
        (SLOTS - if is_lease { 0 } else { LEASED }).saturating_sub(self.given.len())
    }
    fn share(&self) -> usize {
        SHARE
    }
    fn give(&mut self, range: Range, process: u64) -> Result<(u64, u32), NotGiven> {
        if self.fails_after.is_some_and(|most| self.given.len() >= most) {
            return Err(NotGiven::TooMany);
        }
        self.last += 1;
        self.given.insert(self.last, (range, process));
        Ok((self.last, self.last as u32))
    }
    fn is_home(&self, slot: &u64) -> bool {
        self.dropped.contains(slot)
    }
    fn take(&mut self, slot: &u64) -> bool {
        self.given.remove(slot).is_some()
    }
    fn tell(&mut self, _: &Address) {
        self.told += 1;
    }
}

/// The state of one frame: with whom, and under which tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Nobody,
    Kept(u64),
    /// By a process, in the run that begins there; a lease is with who kept it.
    Held(u64, u64, bool),
}

#[derive(Clone, Debug)]
enum Step {
    Adopt(u64),
    Give { member: u64, process: u64, tag: u64, ranges: Vec<Range> },
    HandOver { member: u64, to: u64, range: Range },
    Drop { nth: usize },
    TakeHome { member: u64, process: u64, first: u64, by_force: bool },
    End(u64),
    Release(u64),
    Limit(u64, u64),
}

fn range() -> impl Strategy<Value = Range> {
    (FIRST - 2..FIRST + FRAMES, 0..20u64).prop_map(|(first, count)| Range { first, count })
}

fn step() -> impl Strategy<Value = Step> {
    let process = || prop_oneof![8 => PROCESSES, 1 => MEMBERS];
    prop_oneof![
        3 => MEMBERS.prop_map(Step::Adopt),
        8 => (MEMBERS, process(), 0..6u64, prop::collection::vec(range(), 1..3))
            .prop_map(|(member, process, tag, ranges)| Step::Give { member, process, tag, ranges }),
        3 => (MEMBERS, MEMBERS, range()).prop_map(|(member, to, range)| Step::HandOver { member, to, range }),
        4 => any::<usize>().prop_map(|nth| Step::Drop { nth }),
        6 => (MEMBERS, process(), FIRST..FIRST + FRAMES, any::<bool>())
            .prop_map(|(member, process, first, by_force)| Step::TakeHome { member, process, first, by_force }),
        1 => prop_oneof![MEMBERS, PROCESSES].prop_map(Step::End),
        1 => MEMBERS.prop_map(Step::Release),
        1 => (PROCESSES, 0..40u64).prop_map(|(process, frames)| Step::Limit(process, frames)),
    ]
}

struct World {
    custodian: Custodian<Fake>,
    frames: Vec<Frame>,
    limits: BTreeMap<u64, u64>,
}

impl World {
    fn new() -> World {
        let mut custodian = Custodian::new(Fake::default());
        custodian.add(Range { first: FIRST, count: FRAMES / 2 }, true);
        custodian.add(Range { first: FIRST + FRAMES / 2, count: FRAMES / 2 }, true);
        World { custodian, frames: vec![Frame::Nobody; FRAMES as usize], limits: BTreeMap::new() }
    }

    fn of(&mut self, range: &Range) -> Option<&mut [Frame]> {
        let from = range.first.checked_sub(FIRST)? as usize;
        self.frames.get_mut(from..from + range.count as usize)
    }

    fn are_kept(&mut self, by: u64, range: &Range) -> bool {
        range.count > 0
            && self.of(range).is_some_and(|frames| frames.iter().all(|frame| *frame == Frame::Kept(by)))
    }

    fn set(&mut self, range: &Range, frame: Frame) {
        self.of(range).unwrap().fill(frame);
    }

    fn held(&self, process: u64) -> u64 {
        self.frames.iter().filter(|frame| matches!(frame, Frame::Held(by, ..) if *by == process)).count()
            as u64
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Adopt(member) => {
                for row in self.custodian.adopt(*member) {
                    assert!(self.of(&row.range).unwrap().iter().all(|frame| *frame == Frame::Nobody));
                    self.set(&row.range, Frame::Kept(*member));
                }
            }
            Step::Give { member, process, tag, ranges } => self.give(*member, *process, *tag, ranges),
            Step::HandOver { member, to, range } => {
                let is_kept = self.are_kept(*member, range);
                let done = self.custodian.hand_over(*member, *to, &[*range]);
                let runs = self.custodian.hands.is_running(*to);
                assert_eq!(done.is_ok(), is_kept && runs, "{done:?}");
                if done.is_ok() {
                    self.set(range, Frame::Kept(*to));
                }
            }
            Step::Drop { nth } => {
                let given: Vec<u64> = self.custodian.hands.given.keys().copied().collect();
                if !given.is_empty() {
                    self.custodian.hands.dropped.insert(given[nth % given.len()]);
                }
            }
            Step::TakeHome { member, process, first, by_force } => {
                self.take_home(*member, *process, *first, *by_force);
            }
            Step::End(process) => {
                self.custodian.hands.ended.insert(*process);
                self.custodian.ended(Identity(*process));
                for frame in &mut self.frames {
                    if *frame == Frame::Kept(*process)
                        || matches!(frame, Frame::Held(by, ..) if by == process)
                    {
                        *frame = Frame::Nobody;
                    }
                }
                self.limits.remove(process);
                // Another process with its number, which the kernel never makes, begins with nothing.
                self.custodian.hands.ended.remove(process);
            }
            Step::Release(member) => {
                self.custodian.release(*member);
                self.frames
                    .iter_mut()
                    .filter(|frame| **frame == Frame::Kept(*member))
                    .for_each(|frame| *frame = Frame::Nobody);
            }
            Step::Limit(process, frames) => {
                self.custodian.set_limit(*process, *frames).unwrap();
                self.limits.insert(*process, *frames);
            }
        }
    }

    fn give(&mut self, member: u64, process: u64, tag: u64, ranges: &[Range]) {
        let can = are_apart(ranges) && ranges.iter().all(|range| self.are_kept(member, range));
        let more: u64 = ranges.iter().map(|range| range.count).sum();
        let limit = self.limits.get(&process).copied().unwrap_or(30);
        let is_within = self.held(process) + more <= limit;
        let given = self.custodian.hands.given.values();
        let own = given.clone().filter(|(_, to)| *to == process).count();
        let has_slots = match process == member {
            true => given.len() + ranges.len() <= SLOTS,
            false => given.len() + ranges.len() <= SLOTS - LEASED && own + ranges.len() <= SHARE,
        };
        let before = self.custodian.hands.given.len();
        match self.custodian.give(member, (process, tag), ranges, 30) {
            Ok(given) if given.is_repeated => {
                for run in given.runs {
                    let first = run.range.first;
                    let is_it = |frame: &Frame| matches!(frame, Frame::Held(by, from, _) if (*by, *from) == (process, first));
                    assert!(self.of(&run.range).unwrap().iter().all(is_it));
                }
                assert_eq!(self.custodian.hands.given.len(), before);
            }
            Ok(given) => {
                assert!(can && is_within && has_slots);
                assert_eq!(given.runs.iter().map(|run| run.range).collect::<Vec<_>>(), ranges);
                let held = |range: &Range| Frame::Held(process, range.first, member == process);
                ranges.iter().for_each(|range| self.set(range, held(range)));
            }
            Err(why) => {
                assert!(!(can && is_within && has_slots), "{why:?}");
                assert_eq!(self.custodian.hands.given.len(), before);
            }
        }
    }

    fn take_home(&mut self, member: u64, process: u64, first: u64, by_force: bool) {
        let is_it =
            |frame: &&Frame| matches!(frame, Frame::Held(by, from, _) if (*by, *from) == (process, first));
        let count = self.frames.iter().filter(is_it).count() as u64;
        let returned = self.custodian.take_home(member, process, &[first], by_force, true).unwrap();
        match returned.ranges[0] {
            Return::NotHeld => assert_eq!(count, 0),
            Return::StillOut => assert!(count > 0 && !by_force),
            Return::Home(range) => {
                assert_eq!(range, Range { first, count });
                self.set(&range, Frame::Kept(member));
            }
        }
    }

    /// What a member lacks of a block that nobody holds is found if there is such a block, and is as it is.
    fn has_block(&self, member: u64, order: u8) {
        let state = |frame: u64| frame.checked_sub(FIRST).and_then(|place| self.frames.get(place as usize));
        let is_free = |frame: u64| state(frame).is_some_and(|frame| !matches!(frame, Frame::Held(..)));
        let lacks = |frame: &u64| state(*frame) != Some(&Frame::Kept(member));
        let blocks = (0..FIRST + FRAMES).step_by(1 << order).map(|start| start..start + (1 << order));
        let free = blocks.filter(|block| block.clone().all(is_free));
        let lacking: Vec<Vec<u64>> = free.map(|block| block.filter(lacks).collect()).collect();
        let rows = self.custodian.block(member, order);
        let found: Vec<u64> = rows.iter().flat_map(|row| row.range.first..row.range.end().unwrap()).collect();
        let is_one = |all: &Vec<u64>| {
            all.starts_with(&found) && (all.len() == found.len() || rows.len() == RANGES_MAX)
        };
        assert!(
            lacking.iter().any(is_one) || (lacking.is_empty() && rows.is_empty()),
            "{rows:?} {lacking:?}"
        );
        for row in rows {
            let is_same = |whole: &Row| {
                whole.range.first <= row.range.first
                    && row.range.end() <= whole.range.end()
                    && (whole.with, whole.is_clean) == (row.with, row.is_clean)
            };
            assert!(self.custodian.rows(0).any(|whole| is_same(&whole)));
        }
    }

    /// So many frames are to be had in blocks of this order if the largest that there are have so many.
    fn has_blocks(&self, frames: u64, order: u8) {
        let state = |frame: u64| frame.checked_sub(FIRST).and_then(|place| self.frames.get(place as usize));
        let is_free = |frame: u64| state(frame).is_some_and(|frame| !matches!(frame, Frame::Held(..)));
        let mut left: BTreeSet<u64> = (FIRST..FIRST + FRAMES).filter(|frame| is_free(*frame)).collect();
        let mut sum = 0;
        let mut blocks = 0;
        for order in (order..7).rev() {
            for start in (0..FIRST + FRAMES).step_by(1 << order) {
                let block = start..start + (1 << order);
                if blocks < RANGES_MAX && block.clone().all(|frame| left.contains(&frame)) {
                    block.for_each(|frame| _ = left.remove(&frame));
                    (sum, blocks) = (sum + (1 << order), blocks + 1);
                }
            }
        }
        assert_eq!(self.custodian.has_blocks(frames, order), sum >= frames, "{sum} {frames} {order}");
    }

    /// The table says of each frame what the model does, once; the capabilities that are out are those of what is held.
    fn agrees(&self) {
        let rows: Vec<Row> = self.custodian.rows(0).collect();
        let mut next = FIRST;
        for row in &rows {
            assert_eq!(row.range.first, next);
            for frame in row.range.first..row.range.end().unwrap() {
                let expected = match self.frames[(frame - FIRST) as usize] {
                    Frame::Nobody => With::Nobody,
                    Frame::Kept(by) => With::Keeper(by),
                    Frame::Held(by, ..) => With::Holder(by),
                };
                assert_eq!(row.with, expected, "frame {frame}");
            }
            next = row.range.end().unwrap();
        }
        assert_eq!(next, FIRST + FRAMES);
        let held: BTreeSet<(Range, u64)> = rows
            .iter()
            .filter_map(|row| match row.with {
                With::Holder(by) => Some((row.range, by)),
                _ => None,
            })
            .collect();
        let given: BTreeSet<(Range, u64)> = self.custodian.hands.given.values().copied().collect();
        assert_eq!(held, given);
        let totals = self.custodian.totals();
        let count = |is: fn(&Frame) -> bool| self.frames.iter().filter(|frame| is(frame)).count() as u64;
        assert_eq!(totals.frames, FRAMES);
        assert_eq!(totals.free, count(|frame| !matches!(frame, Frame::Held(_, _, false))));
        assert_eq!(totals.orphans, count(|frame| *frame == Frame::Nobody));
        assert_eq!(totals.holdings, given.len() as u64);
        for process in PROCESSES.chain(MEMBERS) {
            assert_eq!(self.custodian.account(process).frames, self.held(process), "process {process}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn no_frame_is_with_two_nor_with_none(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for (step, order) in steps.iter().zip((0..7u64).cycle()) {
            world.step(step);
            world.agrees();
            world.has_block(1 + order % 3, order as u8);
            (0..=FRAMES).step_by(5).for_each(|frames| world.has_blocks(frames, order as u8));
        }
    }
}

fn whole(member: u64) -> Custodian<Fake> {
    let mut custodian = Custodian::new(Fake::default());
    custodian.add(Range { first: FIRST, count: FRAMES }, true);
    custodian.adopt(member);
    custodian
}

#[test]
fn what_is_not_given_up_stays_out_until_it_is_taken_by_force() {
    let mut custodian = whole(1);
    let range = Range { first: FIRST + 8, count: 8 };
    custodian.give(1, (10, 0), &[range], 30).unwrap();
    let mut take = |by_force| custodian.take_home(2, 10, &[range.first], by_force, false).unwrap().ranges[0];
    assert_eq!(take(false), Return::StillOut);
    assert_eq!(take(true), Return::Home(range));
    assert_eq!(take(true), Return::NotHeld);
    assert!(custodian.hands.given.is_empty());
}

#[test]
fn a_gift_that_is_asked_for_again_is_the_same_gift() {
    let mut custodian = whole(1);
    let [one, other] = [0, 16].map(|at| Range { first: FIRST + at, count: 4 });
    let given = custodian.give(1, (10, 7), &[one], 30).unwrap();
    let again = custodian.give(1, (10, 7), &[other], 30).unwrap();
    assert_eq!((again.runs, again.is_repeated), (given.runs, true));
    assert!(!custodian.give(1, (11, 7), &[other], 30).unwrap().is_repeated);
    assert_eq!(custodian.account(10).frames, 4);
}

#[test]
fn only_what_its_giver_held_itself_comes_home_clean() {
    let is_clean = |custodian: &Custodian<Fake>, at| {
        custodian.rows(0).find(|row| row.range.first <= at && at < row.range.end().unwrap()).unwrap().is_clean
    };
    let mut custodian = whole(1);
    for (process, clean) in [(1, true), (10, false)] {
        custodian.give(1, (process, 0), &[Range { first: FIRST, count: 4 }], 30).unwrap();
        custodian.take_home(1, process, &[FIRST], true, true).unwrap();
        assert_eq!(is_clean(&custodian, FIRST), clean);
    }
}

#[test]
fn who_subscribed_is_told_of_what_nobody_has() {
    let mut custodian = Custodian::new(Fake::default());
    custodian.subscribe(1, Address::default());
    assert_eq!(custodian.hands.told, 0);
    custodian.add(Range { first: FIRST, count: FRAMES }, true);
    assert_eq!(custodian.hands.told, 1);
    custodian.adopt(1);
    custodian.give(1, (10, 0), &[Range { first: FIRST, count: 4 }], 30).unwrap();
    custodian.ended(Identity(10));
    assert_eq!(custodian.hands.told, 2);
    custodian.ended(Identity(1));
    assert_eq!(custodian.hands.told, 2);
    assert_eq!(custodian.totals().orphans, FRAMES);
}

#[test]
fn all_or_nothing_is_given() {
    let mut custodian = whole(1);
    custodian.hands.fails_after = Some(1);
    let two = [20, 22].map(|at| Range { first: FIRST + at, count: 2 });
    assert_eq!(custodian.give(1, (10, 99), &two, 30), Err(Refusal::TooMany));
    assert_eq!(custodian.hands.given.len(), 0);
    assert_eq!(custodian.account(10).frames, 0);
    assert_eq!(custodian.give(1, (10, 99), &[two[0], two[0]], 30), Err(Refusal::BadRange));
    let beyond = Range { first: u64::MAX, count: 2 };
    assert_eq!(custodian.give(1, (10, 99), &[beyond], 30), Err(Refusal::BadRange));
    assert_eq!(custodian.give(2, (10, 99), &two[..1], 30), Err(Refusal::NotKept));
    assert_eq!(custodian.give(1, (10, 99), &two[..1], 1), Err(Refusal::OverLimit));
}

#[test]
fn who_takes_single_frames_without_end_takes_them_from_nobody_else() {
    let mut custodian = whole(1);
    let single = |at: u64| [Range { first: FIRST + at, count: 1 }];
    let hoard = |custodian: &mut Custodian<Fake>, process| {
        let given =
            (0..FRAMES).take_while(|at| custodian.give(1, (process, *at), &single(*at), FRAMES).is_ok());
        given.count()
    };
    assert_eq!(hoard(&mut custodian, 10), SHARE);
    // It deletes what it was given, and does not say so: its slots stay taken, and nobody else's.
    custodian.hands.dropped.extend(1..=SHARE as u64);
    custodian.give(1, (11, 0), &single(20), FRAMES).unwrap();
    // Also when many do so a member can zero frames.
    let more =
        (30..).map(|at| custodian.give(1, (11 + at % 2, at), &single(at), FRAMES)).take_while(Result::is_ok);
    assert_eq!(SHARE + 1 + more.count(), SLOTS - LEASED);
    assert!(custodian.give(1, (1, 0), &single(45), FRAMES).is_ok());
    // What is told of comes home.
    custodian.take_home(1, 1, &[FIRST + 45], true, true).unwrap();
    custodian.take_home(1, 10, &[FIRST], false, false).unwrap();
    assert!(custodian.give(1, (10, 99), &single(46), FRAMES).is_ok());
}

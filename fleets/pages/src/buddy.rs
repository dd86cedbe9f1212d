//! One member's free frames as blocks of powers of two, each aligned to its size. A block that is given back is one with its
//! buddy, the other half of the block twice as large, when that is free here too.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use fos_messages::pages::{ORDER_MAX, Range};

const ORDERS: usize = ORDER_MAX as usize + 1;

/// Free blocks, by their order: a block of order `n` has two to the `n` frames.
#[derive(Clone, Debug, Default)]
pub struct Buddy {
    blocks: [BTreeSet<u64>; ORDERS],
    frames: u64,
}

/// Frames of a block.
pub fn size(order: u8) -> u64 {
    1 << order
}

/// The order of the largest block that is no larger than this. `frames` is at least 1.
pub fn order_below(frames: u64) -> u8 {
    (frames.ilog2() as u8).min(ORDER_MAX)
}

impl Buddy {
    /// Frames in all blocks.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The order of the largest block.
    pub fn largest(&self) -> Option<u8> {
        (0..ORDERS).rev().find(|order| !self.blocks[*order].is_empty()).map(|order| order as u8)
    }

    /// Adds frames that are not here.
    pub fn add(&mut self, range: Range) {
        let mut next = range.first;
        let mut left = range.count;
        while left > 0 {
            let aligned = (next.trailing_zeros() as u8).min(ORDER_MAX);
            let order = aligned.min(order_below(left));
            self.add_block(next, order);
            next += size(order);
            left -= size(order);
        }
    }

    fn add_block(&mut self, first: u64, order: u8) {
        self.frames += size(order);
        let (mut first, mut order) = (first, order);
        while order < ORDER_MAX {
            let buddy = first ^ size(order);
            if !self.blocks[usize::from(order)].remove(&buddy) {
                break;
            }
            first = first.min(buddy);
            order += 1;
        }
        let is_new = self.blocks[usize::from(order)].insert(first);
        debug_assert!(is_new, "block {first} is free twice");
    }

    /// Takes a block of this order: out of the smallest that is large enough, and of those the lowest.
    pub fn take(&mut self, order: u8) -> Option<u64> {
        let from = (usize::from(order)..ORDERS).find(|order| !self.blocks[*order].is_empty())?;
        let first = self.blocks[from].pop_first()?;
        for half in usize::from(order)..from {
            self.blocks[half].insert(first + size(half as u8));
        }
        self.frames -= size(order);
        Some(first)
    }

    /// Takes these very frames: all of them, or none. False: some are not here.
    pub fn take_range(&mut self, range: Range) -> bool {
        let Some(end) = range.end() else { return false };
        let mut next = range.first;
        let mut taken = Vec::new();
        while next < end {
            let Some(block) = self.take_around(next) else { break };
            next = block.first + block.count;
            taken.push(block);
        }
        let is_whole = next >= end;
        for block in taken {
            let (first, block_end) = (block.first, block.first + block.count);
            let outside = if is_whole {
                [(first, range.first.clamp(first, block_end)), (end.clamp(first, block_end), block_end)]
            } else {
                [(first, block_end), (block_end, block_end)]
            };
            outside.iter().for_each(|(from, to)| self.add(Range { first: *from, count: to - from }));
        }
        is_whole
    }

    /// Takes the block that has this frame.
    fn take_around(&mut self, frame: u64) -> Option<Range> {
        let found = (0..=ORDER_MAX).find_map(|order| {
            let first = frame & !(size(order) - 1);
            self.blocks[usize::from(order)].remove(&first).then_some(Range { first, count: size(order) })
        })?;
        self.frames -= found.count;
        Some(found)
    }

    /// Takes at most so many frames in blocks of at least this order, the largest that fit first, in at most so many blocks.
    pub fn take_some(&mut self, frames: u64, order: u8, blocks_max: usize) -> Vec<Range> {
        let mut taken = Vec::new();
        let mut left = frames;
        while left >= size(order) && taken.len() < blocks_max {
            let Some(largest) = self.largest().filter(|largest| *largest >= order) else { break };
            let next = order_below(left).min(largest);
            let Some(first) = self.take(next) else { break };
            taken.push(Range { first, count: size(next) });
            left -= size(next);
        }
        taken
    }

    /// Takes at most so many frames in at most so many blocks of at least this order, the largest there are first, and of the
    /// last the beginning only. `frames` is a multiple of two to the `order`.
    pub fn take_largest(&mut self, frames: u64, order: u8, blocks_max: usize) -> Vec<Range> {
        let mut taken = Vec::new();
        let mut left = frames;
        while left > 0 && taken.len() < blocks_max {
            let Some(largest) = self.largest().filter(|largest| *largest >= order) else { break };
            let Some(first) = self.take(largest) else { break };
            let count = left.min(size(largest));
            self.add(Range { first: first + count, count: size(largest) - count });
            taken.push(Range { first, count });
            left -= count;
        }
        taken
    }

    /// All free blocks.
    pub fn ranges(&self) -> impl Iterator<Item = Range> + '_ {
        let of = |(order, blocks): (usize, &'_ BTreeSet<u64>)| {
            let count = size(order as u8);
            blocks.iter().map(move |first| Range { first: *first, count }).collect::<Vec<_>>()
        };
        self.blocks.iter().enumerate().flat_map(of)
    }
}

/// Joins ranges that touch: fewer capabilities for the same frames.
pub fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut whole: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match whole.last_mut() {
            Some(last) if last.first + last.count == range.first => last.count += range.count,
            _ => whole.push(range),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    enum Step {
        Take(u8),
        TakeSome { frames: u64, order: u8, blocks: usize },
        TakeLargest { parts: u64, order: u8, blocks: usize },
        TakeRange(Range),
        GiveBack(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6u8).prop_map(Step::Take),
            (0..90u64, 0..5u8, 1..6usize).prop_map(|(frames, order, blocks)| Step::TakeSome {
                frames,
                order,
                blocks
            }),
            (0..20u64, 0..5u8, 1..6usize).prop_map(|(parts, order, blocks)| Step::TakeLargest {
                parts,
                order,
                blocks
            }),
            (0..270u64, 1..40u64).prop_map(|(first, count)| Step::TakeRange(Range { first, count })),
            any::<usize>().prop_map(Step::GiveBack),
        ]
    }

    /// Whether a free block of this order can be made of these frames.
    fn has_block(free: &BTreeSet<u64>, order: u8) -> bool {
        free.iter()
            .any(|first| first % size(order) == 0 && (0..size(order)).all(|at| free.contains(&(first + at))))
    }

    fn frames(ranges: &[Range]) -> impl Iterator<Item = u64> + '_ {
        ranges.iter().flat_map(|range| range.first..range.first + range.count)
    }

    proptest! {
        #[test]
        fn it_has_what_a_set_of_frames_has(first in 0..70u64, count in 1..200u64, steps in prop::collection::vec(step(), 1..60)) {
            let mut buddy = Buddy::default();
            buddy.add(Range { first, count });
            let mut free: BTreeSet<u64> = (first..first + count).collect();
            let mut out: std::vec::Vec<Range> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(order) => {
                        let could = has_block(&free, order);
                        let taken = buddy.take(order);
                        prop_assert_eq!(taken.is_some(), could);
                        out.extend(taken.map(|first| Range { first, count: size(order) }));
                    }
                    Step::TakeSome { frames, order, blocks } => {
                        let could = has_block(&free, order) && frames >= size(order);
                        let taken = buddy.take_some(frames, order, blocks);
                        prop_assert_eq!(!taken.is_empty(), could);
                        prop_assert!(taken.len() <= blocks);
                        prop_assert!(taken.iter().map(|range| range.count).sum::<u64>() <= frames);
                        prop_assert!(taken.iter().all(|range| range.count >= size(order)));
                        out.extend(taken);
                    }
                    Step::TakeLargest { parts, order, blocks } => {
                        let mut sizes: std::vec::Vec<u64> = buddy.ranges().map(|range| range.count).collect();
                        sizes.sort_unstable();
                        let sizes = sizes.iter().rev().filter(|count| **count >= size(order)).take(blocks);
                        let frames = parts * size(order);
                        let could = frames.min(sizes.sum());
                        let taken = buddy.take_largest(frames, order, blocks);
                        prop_assert!(taken.len() <= blocks);
                        prop_assert_eq!(taken.iter().map(|range| range.count).sum::<u64>(), could);
                        let is_whole = |range: &Range| (range.first | range.count).is_multiple_of(size(order));
                        prop_assert!(taken.iter().all(is_whole));
                        for range in taken {
                            let mut parts = Buddy::default();
                            parts.add(range);
                            out.extend(parts.ranges());
                        }
                    }
                    Step::TakeRange(range) => {
                        let could = frames(&[range]).all(|frame| free.contains(&frame));
                        prop_assert_eq!(buddy.take_range(range), could);
                        if could {
                            let mut parts = Buddy::default();
                            parts.add(range);
                            out.extend(parts.ranges());
                        }
                    }
                    Step::GiveBack(nth) if !out.is_empty() => {
                        let range = out.swap_remove(nth % out.len());
                        free.extend(frames(&[range]));
                        buddy.add(range);
                    }
                    Step::GiveBack(_) => {}
                }
                for range in &out {
                    prop_assert!(range.count.is_power_of_two() && range.first % range.count == 0);
                    frames(&[*range]).for_each(|frame| _ = free.remove(&frame));
                }
                let has: std::vec::Vec<Range> = buddy.ranges().collect();
                let listed: BTreeSet<u64> = frames(&has).collect();
                prop_assert_eq!(&listed, &free);
                prop_assert_eq!(buddy.frames(), free.len() as u64);
            }
            prop_assert_eq!(frames(&out).collect::<BTreeSet<u64>>().len() as u64 + buddy.frames(), count);
        }

        #[test]
        fn what_came_back_is_as_large_as_before(orders in prop::collection::vec(0..7u8, 1..40)) {
            let mut buddy = Buddy::default();
            buddy.add(Range { first: 1 << 8, count: 1 << 8 });
            let taken: std::vec::Vec<Range> = orders
                .iter()
                .filter_map(|order| Some(Range { first: buddy.take(*order)?, count: size(*order) }))
                .collect();
            taken.iter().for_each(|range| buddy.add(*range));
            prop_assert_eq!(buddy.largest(), Some(8));
        }
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let range = |first, count| Range { first, count };
        assert_eq!(
            joined([range(8, 8), range(0, 4), range(4, 4), range(32, 1)].into()),
            [range(0, 16), range(32, 1)]
        );
    }
}

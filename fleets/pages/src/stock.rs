//! What one member keeps: clean frames, which read as zeros, and others. A frame is here or on its way somewhere, never both:
//! what is taken out is gone until it is put back.

use crate::buddy::{Buddy, joined, size};
use alloc::vec::Vec;
use fos_messages::custody::{Row, With};
use fos_messages::pages::{Lent, RUNS_MAX, Range};

/// The frames that a member keeps.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    clean: Buddy,
    dirty: Buddy,
}

impl Stock {
    /// What the custodian's table says this member keeps.
    pub fn of(rows: &[Row], member: u64) -> Stock {
        let mut stock = Stock::default();
        let kept = rows.iter().filter(|row| row.with == With::Keeper(member));
        kept.for_each(|row| stock.add(row.range, row.is_clean));
        stock
    }

    /// Frames in all.
    pub fn frames(&self) -> u64 {
        self.clean.frames() + self.dirty.frames()
    }

    /// Clean ones.
    pub fn clean_frames(&self) -> u64 {
        self.clean.frames()
    }

    /// Adds frames that are not here.
    pub fn add(&mut self, range: Range, is_clean: bool) {
        if is_clean { self.clean.add(range) } else { self.dirty.add(range) }
    }

    /// Takes so many clean frames in blocks of at least this order and at most [`RUNS_MAX`] runs: all of them, or none.
    pub fn take(&mut self, frames: u64, order: u8) -> Option<Vec<Range>> {
        if frames > self.clean.frames() {
            return None;
        }
        let fits = |runs: &Vec<Range>| runs.iter().map(|run| run.count).sum::<u64>() == frames;
        let exact = joined(self.clean.take_some(frames, order, usize::MAX));
        if fits(&exact) && exact.len() <= RUNS_MAX {
            return Some(exact);
        }
        exact.into_iter().for_each(|range| self.clean.add(range));
        // The rest of a number of frames may be in many small blocks: fewer of the largest have it too.
        let largest = self.clean.take_largest(frames, order, RUNS_MAX);
        if fits(&largest) {
            return Some(joined(largest));
        }
        largest.into_iter().for_each(|range| self.clean.add(range));
        None
    }

    /// Takes what is to be zeroed: at most so many frames, in at most [`RUNS_MAX`] runs. None: nothing here is.
    pub fn take_dirty(&mut self, most: u64) -> Vec<Range> {
        joined(self.dirty.take_some(most, 0, RUNS_MAX))
    }

    /// Takes blocks for another member: so many frames, in blocks of at least this order, at most [`RUNS_MAX`], and not more than
    /// a quarter of what is here unless it is to be the last resort: who lends more soon has to borrow it back.
    pub fn lend(&mut self, frames: u64, order: u8, is_last: bool) -> Vec<Lent> {
        let most = if is_last { frames } else { frames.min(self.frames() / 4) };
        let most = most.max(size(order));
        let mut lent = Vec::new();
        let mut left = most;
        for (part, is_clean) in [(&mut self.clean, true), (&mut self.dirty, false)] {
            let taken = part.take_some(left, order, RUNS_MAX - lent.len());
            left -= taken.iter().map(|range| range.count).sum::<u64>();
            lent.extend(taken.into_iter().map(|range| Lent { range, is_clean }));
        }
        lent
    }

    /// Takes these very ranges for another member, those that are here, clean or not.
    pub fn cede(&mut self, ranges: &[Range]) -> Vec<Lent> {
        let ceded = ranges.iter().take(RUNS_MAX).filter_map(|range| {
            let is_clean = self.clean.take_range(*range);
            (range.count > 0 && (is_clean || self.dirty.take_range(*range)))
                .then_some(Lent { range: *range, is_clean })
        });
        ceded.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(clean: &[(u64, u64)], dirty: &[(u64, u64)]) -> Stock {
        let mut stock = Stock::default();
        for (ranges, is_clean) in [(clean, true), (dirty, false)] {
            ranges
                .iter()
                .for_each(|(first, count)| stock.add(Range { first: *first, count: *count }, is_clean));
        }
        stock
    }

    #[test]
    fn all_is_taken_or_nothing() {
        let mut stock = stock(&[(0, 8), (16, 4)], &[(32, 8)]);
        assert_eq!(stock.take(13, 0), None);
        assert_eq!(stock.take(12, 3), None);
        assert_eq!(stock.frames(), 20);
        assert_eq!(stock.take(12, 2).unwrap().len(), 2);
        assert_eq!(stock.clean_frames(), 0);
    }

    #[test]
    fn more_runs_than_fit_an_answer_are_not_taken() {
        let singles: Vec<(u64, u64)> = (0..RUNS_MAX as u64 + 1).map(|number| (2 * number, 1)).collect();
        let mut stock = stock(&singles, &[]);
        assert_eq!(stock.take(RUNS_MAX as u64 + 1, 0), None);
        assert_eq!(stock.take(RUNS_MAX as u64, 0).unwrap().len(), RUNS_MAX);
    }

    #[test]
    fn a_number_with_many_ones_is_taken_out_of_a_large_block_if_small_ones_are_too_many() {
        let halves: Vec<(u64, u64)> = (0..13).map(|order| (3 << order, 1 << order)).collect();
        let mut stock = stock(&halves, &[]);
        stock.add(Range { first: 1 << 14, count: 1 << 13 }, true);
        let taken = stock.take((1 << 13) - 1, 0).unwrap();
        assert_eq!(taken, [Range { first: 1 << 14, count: (1 << 13) - 1 }]);
        assert_eq!(stock.clean_frames(), 1 << 13);
    }

    #[test]
    fn the_largest_of_what_is_to_be_zeroed_is_taken_first() {
        let mut stock = stock(&[(0, 8)], &[(16, 4), (24, 8), (40, 2)]);
        assert_eq!(stock.take_dirty(10), [Range { first: 24, count: 8 }, Range { first: 40, count: 2 }]);
        assert_eq!(stock.take_dirty(10), [Range { first: 16, count: 4 }]);
        assert_eq!(stock.take_dirty(10), []);
        let apart = (0..2 * RUNS_MAX as u64).map(|number| (2 * number, 1)).collect::<Vec<_>>();
        assert_eq!(self::stock(&[], &apart).take_dirty(100).len(), RUNS_MAX);
    }

    #[test]
    fn what_is_here_is_ceded_and_the_rest_left_out() {
        let mut stock = stock(&[(0, 8)], &[(16, 8)]);
        let range = |first, count| Range { first, count };
        let wanted = [range(2, 4), range(6, 4), range(18, 6), range(40, 1), range(0, 0)];
        let ceded = stock.cede(&wanted);
        assert_eq!(
            ceded,
            [(2, 4, true), (18, 6, false)]
                .map(|(first, count, is_clean)| Lent { range: range(first, count), is_clean })
        );
        assert_eq!((stock.frames(), stock.clean_frames()), (6, 4));
        assert_eq!(stock.cede(&wanted), []);
    }

    #[test]
    fn a_quarter_is_lent_and_all_only_as_the_last_resort() {
        let quarter = stock(&[(0, 8)], &[(16, 8)]).lend(100, 0, false);
        assert_eq!(quarter.iter().map(|lent| lent.range.count).sum::<u64>(), 4);
        let all = stock(&[(0, 8)], &[(16, 8)]).lend(100, 0, true);
        assert_eq!(
            all.iter().map(|lent| (lent.range.count, lent.is_clean)).collect::<Vec<_>>(),
            [(8, true), (8, false)]
        );
        assert!(stock(&[(0, 4)], &[(16, 4)]).lend(100, 3, true).is_empty());
    }
}

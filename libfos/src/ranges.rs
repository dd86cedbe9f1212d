//! Which parts of a range of numbers are free: page numbers of an address space, frames of a capability.
//!
//! A sorted list of free pieces, no two of which touch; the first that is large enough is used. Meant for hundreds of
//! pieces, not for millions.

use alloc::vec::Vec;

/// The free pieces of a range.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    /// Sorted by start; between two there is always something taken.
    free: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: u64,
    end: u64,
}

impl Ranges {
    /// All of `start..end` is free.
    pub fn new(start: u64, end: u64) -> Ranges {
        let free = if start < end { alloc::vec![Piece { start, end }] } else { Vec::new() };
        Ranges { free }
    }

    /// Takes `count` numbers in a row, the first a multiple of `alignment` (a power of two).
    pub fn take(&mut self, count: u64, alignment: u64) -> Option<u64> {
        debug_assert!(alignment.is_power_of_two());
        if count == 0 {
            return None;
        }
        let fits = |piece: &Piece| {
            let start = piece.start.checked_next_multiple_of(alignment)?;
            (start.checked_add(count)? <= piece.end).then_some(start)
        };
        let (index, start) =
            self.free.iter().enumerate().find_map(|(index, piece)| Some((index, fits(piece)?)))?;
        self.cut(index, start, start + count);
        Some(start)
    }

    /// Takes these very numbers, if all of them are free.
    #[must_use]
    pub fn take_at(&mut self, start: u64, count: u64) -> bool {
        let Some(end) = start.checked_add(count) else { return false };
        let after = self.free.partition_point(|piece| piece.start <= start);
        let holds = |index: &usize| count > 0 && end <= self.free[*index].end;
        let Some(index) = after.checked_sub(1).filter(holds) else { return false };
        self.cut(index, start, end);
        true
    }

    /// Gives back what [`take`](Self::take) gave, whole or in part. Refuses (false) what is not taken.
    #[must_use]
    pub fn give_back(&mut self, start: u64, count: u64) -> bool {
        let Some(end) = start.checked_add(count) else { return false };
        let after = self.free.partition_point(|piece| piece.start < start);
        let before_ends = after.checked_sub(1).map(|before| self.free[before].end);
        let after_starts = self.free.get(after).map(|piece| piece.start);
        if count == 0
            || before_ends.is_some_and(|known| known > start)
            || after_starts.is_some_and(|known| known < end)
        {
            return false;
        }
        match (before_ends == Some(start), after_starts == Some(end)) {
            (true, true) => self.free[after - 1].end = self.free.remove(after).end,
            (true, false) => self.free[after - 1].end = end,
            (false, true) => self.free[after].start = start,
            (false, false) => self.free.insert(after, Piece { start, end }),
        }
        true
    }

    /// How many numbers are free.
    pub fn free_count(&self) -> u64 {
        self.free.iter().map(|piece| piece.end - piece.start).sum()
    }

    /// Takes `start..end` out of the piece at `index`, which holds it.
    fn cut(&mut self, index: usize, start: u64, end: u64) {
        let piece = self.free[index];
        match (piece.start < start, end < piece.end) {
            (false, false) => drop(self.free.remove(index)),
            (false, true) => self.free[index].start = end,
            (true, false) => self.free[index].end = start,
            (true, true) => {
                self.free[index].end = start;
                self.free.insert(index + 1, Piece { start: end, end: piece.end });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn alignment_is_kept_and_the_gap_stays_free() {
        let mut ranges = Ranges::new(3, 100);
        assert_eq!(ranges.take(8, 8), Some(8));
        assert_eq!(ranges.take(5, 1), Some(3));
        assert_eq!(ranges.take(1, 1), Some(16));
        assert_eq!(ranges.free_count(), 100 - 17);
    }

    #[test]
    fn what_is_not_taken_is_not_taken_back() {
        let mut ranges = Ranges::new(0, 10);
        assert!(!ranges.give_back(0, 1));
        assert_eq!(ranges.take(4, 1), Some(0));
        assert!(!ranges.give_back(3, 2));
        assert!(!ranges.give_back(2, 0));
        assert!(!ranges.give_back(u64::MAX, 2));
        assert!(ranges.give_back(0, 4));
        assert!(!ranges.give_back(0, 4));
        assert_eq!(ranges.take(10, 1), Some(0));
    }

    #[test]
    fn numbers_are_taken_by_name_only_if_all_are_free() {
        let mut ranges = Ranges::new(10, 20);
        assert!(!ranges.take_at(9, 2) && !ranges.take_at(19, 2) && !ranges.take_at(12, 0));
        assert!(ranges.take_at(12, 3));
        assert!(!ranges.take_at(11, 2) && !ranges.take_at(14, 1));
        assert!(ranges.take_at(10, 2) && ranges.take_at(15, 5));
        assert!(!ranges.take_at(u64::MAX, 2));
        assert_eq!(ranges.free_count(), 0);
    }

    #[test]
    fn numbers_near_the_end_do_not_wrap() {
        let mut ranges = Ranges::new(u64::MAX - 4, u64::MAX);
        assert_eq!(ranges.take(1, 1 << 63), None);
        assert_eq!(ranges.take(u64::MAX, 1), None);
        assert_eq!(ranges.take(4, 1), Some(u64::MAX - 4));
    }

    proptest! {
        /// A map of single numbers is the slow, obvious twin.
        #[test]
        fn agrees_with_a_map_of_single_numbers(steps in prop::collection::vec((any::<bool>(), 0u64..20, 0u32..4, any::<prop::sample::Index>()), 1..200)) {
            const SIZE: usize = 64;
            let mut ranges = Ranges::new(0, SIZE as u64);
            let mut taken = [false; SIZE];
            let mut held: Vec<(u64, u64)> = Vec::new();
            for (take, count, alignment, which) in steps {
                if take || held.is_empty() {
                    let alignment = 1 << alignment;
                    let expected = (0..SIZE).step_by(alignment).find(|&start| {
                        count > 0 && start + count as usize <= SIZE && !taken[start..start + count as usize].contains(&true)
                    });
                    let got = ranges.take(count, alignment as u64);
                    prop_assert_eq!(got, expected.map(|start| start as u64));
                    if let Some(start) = expected {
                        taken[start..start + count as usize].fill(true);
                        held.push((start as u64, count));
                    }
                } else {
                    let (start, count) = held.swap_remove(which.index(held.len()));
                    prop_assert!(ranges.give_back(start, count));
                    taken[start as usize..(start + count) as usize].fill(false);
                }
                prop_assert_eq!(ranges.free_count(), taken.iter().filter(|taken| !**taken).count() as u64);
            }
        }
    }
}

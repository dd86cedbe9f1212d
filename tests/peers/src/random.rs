//! Choices from a seed: the same on the machine, in the simulator and in tests.

use core::cell::Cell;

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// The choices of this seed.
    pub fn new(seed: u64) -> Random {
        Random(Cell::new(seed))
    }

    /// Any number.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// A byte, of those that are often special more often.
    pub fn byte(&self) -> u8 {
        const SPECIAL: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        if self.next().is_multiple_of(2) { SPECIAL[self.below(SPECIAL.len())] } else { self.next() as u8 }
    }
}

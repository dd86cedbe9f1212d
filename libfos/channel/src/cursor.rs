//! Where an end of a channel is. It goes through *runs*: slots in a row that it may use without looking anywhere else, so
//! that for a message of one slot going on is one addition and one comparison.

use fos_abi::channel::{first_header, lap_of};

use crate::shared::Line;

/// A slot's number, and the lap that its header has or will have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub slot: usize,
    pub lap: u32,
}

impl Position {
    /// The position `count` slots further, at most a lap.
    pub fn after(self, count: usize, slots: usize) -> Position {
        let slot = self.slot + count;
        if slot < slots {
            Position { slot, ..self }
        } else {
            Position { slot: slot - slots, lap: self.lap.wrapping_add(1) }
        }
    }
}

/// Slots in a row.
pub(crate) type Run<'a, W> = core::slice::Iter<'a, Line<W>>;

/// The place of one end, which only that end knows.
#[derive(Debug)]
pub(crate) struct Cursor<'a, W> {
    slots: &'a [Line<W>],
    /// What is left of the run.
    run: Run<'a, W>,
    /// The slot behind the run.
    run_end: usize,
    /// The header, without a length, of messages that begin in the run.
    first: u64,
}

impl<'a, W> Cursor<'a, W> {
    /// Before the first slot, on the first lap. Zeroed memory looks like the lap before.
    pub fn new(slots: &'a [Line<W>]) -> Cursor<'a, W> {
        Cursor { slots, run: [].iter(), run_end: 0, first: first_header(1) }
    }

    /// The next slot, if it is in the run, and the run behind it, with which [`advance`](Self::advance) goes there.
    #[inline(always)]
    pub fn next(&self) -> Option<(&'a Line<W>, Run<'a, W>)> {
        let mut run = self.run.clone();
        Some((run.next()?, run))
    }

    /// Goes on to what is left of the run.
    #[inline(always)]
    pub fn advance(&mut self, run: Run<'a, W>) {
        self.run = run;
    }

    /// The header, without a length, of a message that begins in the run's next slot.
    #[inline(always)]
    pub fn first_header(&self) -> u64 {
        self.first
    }

    /// Slots left of the run.
    #[inline(always)]
    pub fn run_left(&self) -> usize {
        self.run.len()
    }

    /// Slots of the ring.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The slot and the position `ahead` slots after the next.
    pub fn ahead(&self, ahead: usize) -> (&'a Line<W>, Position) {
        let slots = self.slots.len();
        let next = Position { slot: self.run_end - self.run.len(), lap: lap_of(self.first) };
        // A run that is used up at the ring's end leaves the cursor behind the last slot.
        let position = next.after(0, slots).after(ahead, slots);
        (&self.slots[position.slot], position)
    }

    /// Goes `count` slots further and begins a run there of at most `length` slots, which ends at the ring's end.
    pub fn begin_run(&mut self, count: usize, length: usize) {
        let (_, begin) = self.ahead(count);
        self.run_end = self.slots.len().min(begin.slot + length);
        self.run = self.slots[begin.slot..self.run_end].iter();
        self.first = first_header(begin.lap);
    }
}

//! The frames that a pager has: runs, and which frames of them are free. A frame that was used and is free again is *dirty*: it is
//! zeroed before it is used for something else, or goes back to the fleet with its run.

use alloc::vec;
use alloc::vec::Vec;

use fos_abi::capability::Handle;
use fos_messages::pages::Run;

/// Frames of a run at most; what a larder brings is never longer.
pub const RUN_MAX: u64 = 1 << RUN_BITS;
const RUN_BITS: u32 = 12;
/// Runs at most: frames have numbers of 31 bits.
const RUNS_MAX: usize = 1 << (31 - RUN_BITS);
/// Frames that are taken at once at most: those of one word of a bitmap.
pub const TAKE_MAX: usize = 64;

/// A frame of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame(pub u32);

impl Frame {
    /// Which run it is of.
    pub fn run(self) -> usize {
        (self.0 >> RUN_BITS) as usize
    }

    /// Which frame of the run's capability.
    pub fn index(self) -> u32 {
        self.0 & ((1 << RUN_BITS) - 1)
    }
}

/// Frames in a row that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The capability that they are of.
    pub handle: Handle,
    /// The first.
    pub first: Frame,
    /// How many.
    pub count: usize,
    /// They read as zeros.
    pub is_clean: bool,
}

/// Free frames of one run, a bit for each.
#[derive(Debug)]
struct Bits {
    words: Vec<u64>,
    count: u64,
    /// No word before this one has a bit.
    from: usize,
}

impl Bits {
    fn new(bits: u64, is_set: bool) -> Bits {
        let mut words = vec![if is_set { u64::MAX } else { 0 }; bits.div_ceil(64) as usize];
        if let (true, Some(last), tail @ 1..) = (is_set, words.last_mut(), bits % 64) {
            *last = (1 << tail) - 1;
        }
        Bits { words, count: if is_set { bits } else { 0 }, from: 0 }
    }

    /// Clears the first bits in a row, at most so many, of one word; the first of them, and how many.
    fn take(&mut self, most: usize) -> Option<(u32, usize)> {
        while *self.words.get(self.from)? == 0 {
            self.from += 1;
        }
        let word = self.words[self.from];
        let first = word.trailing_zeros();
        let count = ((!(word >> first)).trailing_zeros() as usize).min(most).min(64 - first as usize);
        let mask = if count == 64 { u64::MAX } else { (1 << count) - 1 };
        self.words[self.from] &= !(mask << first);
        self.count -= count as u64;
        Some((self.from as u32 * 64 + first, count))
    }

    fn set(&mut self, bit: u32) {
        let (word, mask) = (bit as usize / 64, 1 << (bit % 64));
        debug_assert!(self.words[word] & mask == 0, "frame {bit} of a run is freed twice");
        self.words[word] |= mask;
        self.count += 1;
        self.from = self.from.min(word);
    }
}

#[derive(Debug)]
struct Held {
    run: Run,
    clean: Bits,
    dirty: Bits,
}

impl Held {
    fn free(&self) -> u64 {
        self.clean.count + self.dirty.count
    }
}

/// All runs.
#[derive(Debug, Default)]
pub struct Store {
    runs: Vec<Option<Held>>,
    free: u64,
    clean: u64,
    /// Where the last frames were taken.
    at: usize,
}

impl Store {
    /// Adds a run of clean frames. False: it is too long, or there are too many.
    pub fn add(&mut self, run: Run) -> bool {
        let count = run.range.count;
        let place = self.runs.iter().position(Option::is_none).unwrap_or(self.runs.len());
        if count > RUN_MAX || place >= RUNS_MAX {
            return false;
        }
        let held = Held { run, clean: Bits::new(count, true), dirty: Bits::new(count, false) };
        match self.runs.get_mut(place) {
            Some(empty) => *empty = Some(held),
            None => self.runs.push(Some(held)),
        }
        self.free += count;
        self.clean += count;
        true
    }

    /// Frames that are free.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// Frames in all.
    pub fn frames(&self) -> u64 {
        self.runs.iter().flatten().map(|held| held.run.range.count).sum()
    }

    /// Takes at most so many frames in a row, clean ones if there are any.
    pub fn take(&mut self, most: usize) -> Option<Taken> {
        let most = most.min(TAKE_MAX);
        let is_clean = self.clean > 0;
        let length = self.runs.len();
        let (place, handle, (index, count)) = (0..length).find_map(|step| {
            let place = (self.at + step) % length;
            let held = self.runs[place].as_mut()?;
            let taken = if is_clean { held.clean.take(most) } else { held.dirty.take(most) }?;
            Some((place, Handle(held.run.handle), taken))
        })?;
        self.at = place;
        self.free -= count as u64;
        self.clean -= if is_clean { count as u64 } else { 0 };
        Some(Taken { handle, first: Frame((place as u32) << RUN_BITS | index), count, is_clean })
    }

    /// The capability that a frame is of.
    pub fn handle(&self, frame: Frame) -> Option<Handle> {
        self.runs.get(frame.run())?.as_ref().map(|held| Handle(held.run.handle))
    }

    /// A frame that was taken is free, and dirty.
    pub fn free_one(&mut self, frame: Frame) {
        if let Some(held) = self.runs.get_mut(frame.run()).and_then(Option::as_mut) {
            held.dirty.set(frame.index());
            self.free += 1;
        }
    }

    /// Whether all frames of a run are free.
    pub fn is_unused(&self, run: usize) -> bool {
        self.runs.get(run).and_then(Option::as_ref).is_some_and(|held| held.free() == held.run.range.count)
    }

    /// Takes runs out whose frames are all free, dirty ones first, as long as so many free frames stay.
    pub fn remove_unused(&mut self, stay: u64) -> Vec<Run> {
        let mut unused: Vec<usize> = (0..self.runs.len()).filter(|run| self.is_unused(*run)).collect();
        unused.sort_by_key(|run| self.runs[*run].as_ref().map_or(0, |held| held.clean.count));
        let mut removed = Vec::new();
        for run in unused {
            let count = self.runs[run].as_ref().map_or(0, |held| held.run.range.count);
            if self.free >= stay + count
                && let Some(held) = self.runs[run].take()
            {
                self.free -= count;
                self.clean -= held.clean.count;
                removed.push(held.run);
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_messages::pages::Range;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn run(handle: u32, count: u64) -> Run {
        Run { handle, range: Range { first: u64::from(handle) << 20, count } }
    }

    proptest! {
        /// A set of frames, each free and clean, free and dirty, or taken, is the slow, obvious twin.
        #[test]
        fn every_frame_is_free_once_or_taken(
            counts in prop::collection::vec(1u64..200, 1..4),
            steps in prop::collection::vec((0usize..80, any::<prop::sample::Index>(), 0u64..150), 1..120),
        ) {
            let mut store = Store::default();
            let mut next = 0;
            let mut taken: Vec<(Frame, u32)> = Vec::new();
            // Of each frame that was not taken yet or is free: whether it is clean.
            let mut free: BTreeMap<(u32, u32), bool> = BTreeMap::new();
            let mut add = |store: &mut Store, free: &mut BTreeMap<(u32, u32), bool>, count: u64| {
                next += 1;
                assert!(store.add(run(next, count)));
                free.extend((0..count as u32).map(|index| ((next, index), true)));
            };
            counts.iter().for_each(|count| add(&mut store, &mut free, *count));
            for (most, which, stay) in steps {
                match most {
                    0..40 if !taken.is_empty() => {
                        let (frame, run) = taken.swap_remove(which.index(taken.len()));
                        store.free_one(frame);
                        prop_assert_eq!(free.insert((run, frame.index()), false), None);
                    }
                    40..45 => {
                        for run in store.remove_unused(stay) {
                            for index in 0..run.range.count as u32 {
                                prop_assert!(free.remove(&(run.handle, index)).is_some());
                            }
                        }
                        prop_assert!(store.free() >= stay || free.len() as u64 == store.free());
                    }
                    45 => add(&mut store, &mut free, 1 + stay),
                    _ => {
                        let most = most.max(1);
                        let Some(some) = store.take(most) else {
                            prop_assert!(free.is_empty());
                            continue;
                        };
                        prop_assert!((1..=most.min(TAKE_MAX)).contains(&some.count));
                        prop_assert_eq!(some.is_clean, free.values().any(|is_clean| *is_clean));
                        for index in 0..some.count as u32 {
                            let frame = Frame(some.first.0 + index);
                            prop_assert_eq!(free.remove(&(some.handle.0, frame.index())), Some(some.is_clean));
                            prop_assert_eq!(store.handle(frame), Some(some.handle));
                            taken.push((frame, some.handle.0));
                        }
                    }
                }
                prop_assert_eq!(store.free(), free.len() as u64);
                prop_assert_eq!(store.frames(), (free.len() + taken.len()) as u64);
            }
        }
    }

    #[test]
    fn what_does_not_fit_a_number_is_not_added() {
        assert!(!Store::default().add(run(1, RUN_MAX + 1)));
        assert!(Store::default().add(run(1, RUN_MAX)));
        assert_eq!(Store::default().take(1), None);
    }
}

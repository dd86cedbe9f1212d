//! The shared memory of a channel, and copies in and out of its slots.

use core::mem::offset_of;
use core::sync::atomic::AtomicU64;

use fos_abi::channel::{Control, LINE_WORDS, OPEN, Progress, SLOT_PAYLOAD, SLOTS_AT};

use crate::sync::{Ordering, Word};

/// Word of the control line: [`Control::open`].
const OPEN_AT: usize = offset_of!(Control, open) / 8;
/// Word of the control line: [`Control::sleeps`].
const SLEEPS_AT: usize = offset_of!(Control, sleeps) / 8;
/// Word of the control line: [`Control::waits`].
const WAITS_AT: usize = offset_of!(Control, waits) / 8;
/// Word of the second line: [`Progress::freed`].
const FREED_AT: usize = offset_of!(Progress, freed) / 8;

/// One line of shared memory.
pub type Line<W> = [W; LINE_WORDS];

/// The shared memory of a channel in one direction.
#[derive(Debug)]
pub struct Shared<'a, W = AtomicU64> {
    control: &'a Line<W>,
    progress: &'a Line<W>,
    /// At least one.
    pub(crate) slots: &'a [Line<W>],
}

impl<W> Clone for Shared<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Shared<'_, W> {}

impl<'a, W: Word> Shared<'a, W> {
    /// Takes shared words as a channel; `None` if they are not whole lines, or too few.
    pub fn new(words: &'a [W]) -> Option<Shared<'a, W>> {
        let (lines, []) = words.as_chunks() else { return None };
        let ([control, progress], slots) = lines.split_first_chunk::<SLOTS_AT>()?;
        (!slots.is_empty()).then_some(Shared { control, progress, slots })
    }

    /// Two channels, one for each direction, in the halves of shared words. Both peers must take the same half as the
    /// same direction: by convention, who set the memory up sends in the first.
    pub fn halves(words: &'a [W]) -> Option<(Shared<'a, W>, Shared<'a, W>)> {
        let (first, second) = words.split_at(words.len() / 2);
        Some((Shared::new(first)?, Shared::new(second)?))
    }

    /// Sets the channel up: whoever made the (zeroed) memory calls this once, before the peer gets it.
    pub fn open(&self) {
        self.control[OPEN_AT].store(OPEN, Ordering::Release);
    }

    /// Ends it for both. What was sent before may still be received.
    pub fn close(&self) {
        self.control[OPEN_AT].store(0, Ordering::Release);
    }

    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.control[OPEN_AT].load(Ordering::Relaxed) == OPEN
    }

    #[inline(always)]
    pub(crate) fn sleeps(&self) -> &'a W {
        &self.control[SLEEPS_AT]
    }

    #[inline(always)]
    pub(crate) fn waits(&self) -> &'a W {
        &self.control[WAITS_AT]
    }

    #[inline(always)]
    pub(crate) fn freed(&self) -> &'a W {
        &self.progress[FREED_AT]
    }
}

/// Writes at most 56 bytes to a slot's payload, word by word, the last one filled up with zeros.
#[inline(always)]
pub(crate) fn copy_in<W: Word>(slot: &Line<W>, bytes: &[u8]) {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut payload = slot[1..].iter();
    for (bytes, word) in words.iter().zip(&mut payload) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (tail.is_empty(), payload.next()) {
        let last = tail.iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte));
        word.store(last, Ordering::Relaxed);
    }
}

/// Reads a slot's whole payload, each word once.
#[inline(always)]
pub(crate) fn copy_out<W: Word>(slot: &Line<W>, bytes: &mut [u8; SLOT_PAYLOAD]) {
    for (word, bytes) in slot[1..].iter().zip(bytes.as_chunks_mut::<8>().0) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
}

//! The end of a channel that writes.

use core::sync::atomic::AtomicU64;

use fos_abi::channel::{MESSAGE_SLOTS_MAX, SLOT_PAYLOAD, first_header, rest_header, slots_for};

use crate::ChannelError;
use crate::cursor::Cursor;
use crate::shared::{Shared, copy_in};
use crate::sync::{Ordering, Word};

/// The end that writes.
#[derive(Debug)]
pub struct Sender<'a, W = AtomicU64> {
    shared: Shared<'a, W>,
    /// Its run is slots that are free as far as the sender knows.
    cursor: Cursor<'a, W>,
    /// Slots behind the run that are free as far as the sender knows.
    beyond: usize,
    /// What it has believed of the receiver's count of freed slots.
    freed: u64,
    /// How often it has waited for room.
    waits: u64,
    /// The first header of the messages that wait to be shown: while it is missing, the receiver sees none of them.
    held: Option<Header<'a, W>>,
}

/// A header that is ready to be written.
#[derive(Debug)]
struct Header<'a, W> {
    word: &'a W,
    value: u64,
}

impl<W: Word> Header<'_, W> {
    /// Writes it.
    #[inline(always)]
    fn publish(&self, store: impl FnOnce(&W, u64)) {
        store(self.word, self.value);
    }
}

/// Stores the header of a message behind a held one: the receiver gets there by way of the held header, whose later store
/// is a release of this one too.
#[inline(always)]
fn store_behind_held<W: Word>(word: &W, value: u64) {
    word.store(value, Ordering::Relaxed);
}

impl<'a, W: Word> Sender<'a, W> {
    /// The only sender of a channel that nothing was sent over yet.
    pub fn new(shared: Shared<'a, W>) -> Sender<'a, W> {
        Sender {
            shared,
            cursor: Cursor::new(shared.slots),
            beyond: shared.slots.len(),
            freed: 0,
            waits: 0,
            held: None,
        }
    }

    /// Puts a message into the ring, whole or not at all. `true`: the receiver sleeps, so ring its bell.
    #[inline(always)]
    pub fn send(&mut self, message: &[u8]) -> Result<bool, ChannelError> {
        let first = self.write(message)?;
        if self.held.is_some() {
            first.publish(store_behind_held);
            return Ok(self.flush());
        }
        first.publish(W::store_then_fence);
        Ok(self.receiver_sleeps())
    }

    /// Puts a message into the ring, whole or not at all, for the next [`flush`](Self::flush) or
    /// [`send`](Self::send) to show to the receiver, together with all others that were put before.
    #[inline]
    pub fn put(&mut self, message: &[u8]) -> Result<(), ChannelError> {
        let first = self.write(message)?;
        match self.held {
            None => self.held = Some(first),
            Some(_) => first.publish(store_behind_held),
        }
        Ok(())
    }

    /// Shows the receiver what was [`put`](Self::put). `true`: the receiver sleeps, so ring its bell.
    #[inline]
    pub fn flush(&mut self) -> bool {
        let Some(held) = self.held.take() else { return false };
        held.publish(W::store_then_fence);
        self.receiver_sleeps()
    }

    /// Says that the sender is about to wait until there is room for a message of `length` bytes, which was refused with
    /// [`ChannelError::Full`]. `true`: there is none yet, so wait for the bell now. `false`: do not wait;
    /// send again, and hear what is the matter. What was put is to be flushed before, or nobody makes room.
    pub fn prepare_to_wait(&mut self, length: usize) -> bool {
        self.waits = self.waits.wrapping_add(1);
        self.shared.waits().store_then_fence(self.waits);
        self.find_room(slots_for(length)) == Err(ChannelError::Full)
    }

    /// Whether the receiver's sleep word is set, which is then cleared: one bell is enough.
    #[inline(always)]
    fn receiver_sleeps(&self) -> bool {
        let sleeps = self.shared.sleeps();
        sleeps.load(Ordering::SeqCst) != 0 && sleeps.swap(0, Ordering::Relaxed) != 0
    }

    /// Writes a message into free slots, all but its first header.
    #[inline(always)]
    fn write(&mut self, message: &[u8]) -> Result<Header<'a, W>, ChannelError> {
        match self.cursor.next() {
            Some((slot, run)) if message.len() <= SLOT_PAYLOAD && self.shared.is_open() => {
                copy_in(slot, message);
                self.cursor.advance(run);
                Ok(Header { word: &slot[0], value: self.cursor.first_header() | message.len() as u64 })
            }
            _ => self.write_slots(message),
        }
    }

    /// As [`write`](Self::write), for a message of any length, after looking for room.
    #[cold]
    #[inline(never)]
    fn write_slots(&mut self, message: &[u8]) -> Result<Header<'a, W>, ChannelError> {
        let count = slots_for(message.len());
        let room = self.find_room(count)?;
        for (ahead, part) in message.chunks(SLOT_PAYLOAD).enumerate() {
            let (slot, position) = self.cursor.ahead(ahead);
            copy_in(slot, part);
            if ahead > 0 {
                slot[0].store(rest_header(position.lap), Ordering::Relaxed);
            }
        }
        let (first, position) = self.cursor.ahead(0);
        self.cursor.begin_run(count, room - count);
        self.beyond = room - count - self.cursor.run_left();
        Ok(Header { word: &first[0], value: first_header(position.lap) | message.len() as u64 })
    }

    /// How many slots are free, at least `count`. What the receiver says is read once, and believed only if it frees no slot
    /// twice; a receiver that lies within that loses its own messages.
    fn find_room(&mut self, count: usize) -> Result<usize, ChannelError> {
        let slots = self.cursor.slots();
        if !self.shared.is_open() {
            return Err(ChannelError::Closed);
        }
        if count > slots.min(MESSAGE_SLOTS_MAX) {
            return Err(ChannelError::TooLong);
        }
        let room = self.cursor.run_left() + self.beyond;
        if room >= count {
            return Ok(room);
        }
        let newly = self.shared.freed().load(Ordering::Acquire).wrapping_sub(self.freed);
        if newly > (slots - room) as u64 {
            // The peer may have gone since: its place holds zeros.
            let open = self.shared.is_open();
            return Err(if open { ChannelError::Garbage } else { ChannelError::Closed });
        }
        self.freed = self.freed.wrapping_add(newly);
        self.beyond += newly as usize;
        let room = room + newly as usize;
        if room < count { Err(ChannelError::Full) } else { Ok(room) }
    }
}

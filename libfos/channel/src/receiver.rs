//! The end of a channel that reads.

use core::sync::atomic::AtomicU64;

use fos_abi::channel::{MESSAGE_SLOTS_MAX, SLOT_PAYLOAD, lap_of, rest_header, slots_for};

use crate::ChannelError;
use crate::cursor::Cursor;
use crate::shared::{Shared, copy_out};
use crate::sync::{Ordering, Word};

/// While messages keep coming, the sender is told each time this part of the ring is free.
const TOLD_PART: usize = 4;

/// The end that reads.
#[derive(Debug)]
pub struct Receiver<'a, W = AtomicU64> {
    shared: Shared<'a, W>,
    /// Its run is slots that are read before the sender is told again what is free.
    cursor: Cursor<'a, W>,
    /// What was left of the run when the sender was last told.
    told_left: usize,
    /// Slots that the sender was told are free, since the beginning.
    freed: u64,
    /// How often the sender had waited when it was last told.
    waits: u64,
    /// It has waited since it was last rung.
    is_waited_for: bool,
}

impl<'a, W: Word> Receiver<'a, W> {
    /// The only receiver of a channel that nothing was received from yet.
    pub fn new(shared: Shared<'a, W>) -> Receiver<'a, W> {
        Receiver {
            shared,
            cursor: Cursor::new(shared.slots),
            told_left: 0,
            freed: 0,
            waits: 0,
            is_waited_for: false,
        }
    }

    /// Copies the next message into `buffer` and frees its slots. `Ok(None)`: there is none now. Whatever the buffer
    /// holds behind the message afterwards came from the sender too.
    #[inline(always)]
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ChannelError> {
        let Some((slot, run)) = self.cursor.next() else { return self.receive_in_next_run(buffer) };
        let header = slot[0].load(Ordering::Acquire);
        // What is left of a sound header is the length; of any other, more than a slot holds.
        let length = header ^ self.cursor.first_header();
        match buffer.first_chunk_mut() {
            Some(start) if length <= SLOT_PAYLOAD as u64 => {
                copy_out(slot, start);
                self.cursor.advance(run);
                Ok(Some(length as usize))
            }
            _ if self.is_empty(header) => Ok(None),
            _ => self.receive_other(header, buffer),
        }
    }

    /// Whether this header says that there is no message, and there is nothing to tell the sender: a poll in vain.
    #[inline]
    fn is_empty(&self, header: u64) -> bool {
        let lap = lap_of(self.cursor.first_header());
        lap_of(header) == lap.wrapping_sub(1)
            && self.told_left == self.cursor.run_left()
            && self.shared.is_open()
    }

    /// As [`receive`](Self::receive), behind the end of the run.
    #[cold]
    #[inline(never)]
    fn receive_in_next_run(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ChannelError> {
        self.begin_run(0);
        let header = self.cursor.ahead(0).0[0].load(Ordering::Acquire);
        self.receive_other(header, buffer)
    }

    /// What [`receive`](Self::receive) does when there is no message, or one of several slots, or garbage, or a buffer
    /// shorter than a slot; right for every other message too.
    #[inline(never)]
    fn receive_other(&mut self, header: u64, buffer: &mut [u8]) -> Result<Option<usize>, ChannelError> {
        let first = self.cursor.first_header();
        let (lap, length) = (lap_of(first), (header ^ first) as usize);
        if lap_of(header) != lap || slots_for(length) > self.cursor.slots().min(MESSAGE_SLOTS_MAX) {
            return self.nothing(header, lap);
        }
        let Some(target) = buffer.get_mut(..length) else {
            return Err(ChannelError::BufferTooSmall { length });
        };
        let count = slots_for(length);
        if !self.has_rest(count) {
            return Err(ChannelError::Garbage);
        }
        self.copy_slots(target);
        match self.cursor.next() {
            Some((_, run)) if count == 1 => self.cursor.advance(run),
            _ => self.begin_run(count),
        }
        Ok(Some(length))
    }

    /// Why there is no message of this lap under this header. A receiver that finds none has told all that it freed.
    fn nothing(&mut self, header: u64, lap: u32) -> Result<Option<usize>, ChannelError> {
        if !self.shared.is_open() {
            return Err(ChannelError::Closed);
        }
        if lap_of(header) != lap.wrapping_sub(1) {
            return Err(ChannelError::Garbage);
        }
        self.tell(0);
        Ok(None)
    }

    /// Whether the slots after a message's first belong to it.
    fn has_rest(&self, count: usize) -> bool {
        (1..count)
            .map(|ahead| self.cursor.ahead(ahead))
            .all(|(slot, position)| slot[0].load(Ordering::Relaxed) == rest_header(position.lap))
    }

    /// Copies a message from its slots.
    fn copy_slots(&self, target: &mut [u8]) {
        for (ahead, part) in target.chunks_mut(SLOT_PAYLOAD).enumerate() {
            let mut payload = [0; SLOT_PAYLOAD];
            copy_out(self.cursor.ahead(ahead).0, &mut payload);
            part.copy_from_slice(&payload[..part.len()]);
        }
    }

    /// Tells the sender what is free, `count` slots beyond those of the run included, and goes on behind them with a new
    /// run.
    fn begin_run(&mut self, count: usize) {
        self.tell(count);
        self.cursor.begin_run(count, self.cursor.slots().div_ceil(TOLD_PART));
        self.told_left = self.cursor.run_left();
    }

    /// Tells the sender what is free: what was read of the run, and `count` slots after that.
    fn tell(&mut self, count: usize) {
        let newly = self.told_left - self.cursor.run_left() + count;
        if newly > 0 {
            self.told_left = self.cursor.run_left();
            self.freed = self.freed.wrapping_add(newly as u64);
            self.shared.freed().store_then_fence(self.freed);
            let waits = self.shared.waits().load(Ordering::SeqCst);
            self.is_waited_for |= core::mem::replace(&mut self.waits, waits) != waits;
        }
    }

    /// Whether the sender waited for the room that was made since this was last asked: then ring its bell. To be asked after
    /// [`receive`](Self::receive) and [`prepare_to_sleep`](Self::prepare_to_sleep) by who has a sender that waits.
    #[inline]
    pub fn must_ring(&mut self) -> bool {
        core::mem::take(&mut self.is_waited_for)
    }

    /// Whether [`receive`](Self::receive) would answer something else than "none now": a message, or an error.
    #[inline]
    pub fn has_news(&self) -> bool {
        let (slot, position) = self.cursor.ahead(0);
        let header = slot[0].load(Ordering::SeqCst);
        lap_of(header) != position.lap.wrapping_sub(1) || !self.shared.is_open()
    }

    /// Says that the receiver is about to sleep. `true`: nothing came meanwhile, so wait for the bell now, then
    /// call [`wake`](Self::wake). `false`: do not wait, something is there.
    pub fn prepare_to_sleep(&mut self) -> bool {
        self.tell(0);
        self.shared.sleeps().store_then_fence(1);
        let news = self.has_news();
        if news {
            self.wake();
        }
        !news
    }

    /// Says that the receiver is awake: no bell is needed.
    pub fn wake(&mut self) {
        self.shared.sleeps().store(0, Ordering::Relaxed);
    }
}

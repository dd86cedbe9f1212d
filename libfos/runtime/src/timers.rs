//! Who is to be woken when. Ordered by time, then by order of asking.

use crate::Instant;
use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};
use core::task::Waker;

/// A runtime's timers.
#[derive(Default)]
pub struct Timers {
    sleepers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_number: Cell<u64>,
    /// Nobody is to be woken before.
    first: Cell<Instant>,
}

/// One timer, for changing or cancelling it.
#[derive(Clone, Copy, Debug)]
pub struct Timer(Instant, u64);

impl Timers {
    /// Wakes at a time.
    pub fn set(&self, at: Instant, waker: Waker) -> Timer {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.sleepers.borrow_mut().insert((at, number), waker);
        self.first.set(self.first.get().min(at));
        Timer(at, number)
    }

    /// Does not wake after all.
    pub fn cancel(&self, timer: Timer) {
        self.sleepers.borrow_mut().remove(&(timer.0, timer.1));
    }

    /// The first time at which somebody is to be woken.
    pub fn next(&self) -> Option<Instant> {
        self.sleepers.borrow().first_key_value().map(|(key, _)| key.0)
    }

    /// Wakes everybody whose time has come.
    #[inline]
    pub fn fire(&self, now: Instant) {
        if now >= self.first.get() {
            self.wake(now);
        }
    }

    #[inline(never)]
    fn wake(&self, now: Instant) {
        while self.next().is_some_and(|at| at <= now) {
            let first = self.sleepers.borrow_mut().pop_first();
            if let Some((_, waker)) = first {
                waker.wake();
            }
        }
        self.first.set(self.next().unwrap_or(Instant::NEVER));
    }
}

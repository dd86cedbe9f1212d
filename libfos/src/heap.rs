//! A program's heap: one arena of a size fixed at build time, in `.bss`, so that it costs nothing in the ELF and
//! needs no call. [`entry!`](crate::entry) makes one per program; a program that is out of heap panics and so ends.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use talc::TalcLock;
use talc::source::Claim;

use crate::calls;

/// Bytes of heap that a program gets unless it says otherwise.
pub const DEFAULT_SIZE: usize = 1024 * 1024;

/// The allocator of a program.
pub type Heap = TalcLock<YieldLock, Claim>;

/// The memory that a heap hands out.
#[repr(C, align(4096))]
pub struct Arena<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: nothing reads or writes the arena but the one heap over it, which has a lock.
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

impl<const SIZE: usize> Arena<SIZE> {
    /// Zeroed memory.
    pub const fn new() -> Self {
        Arena(UnsafeCell::new([0; SIZE]))
    }

    /// A heap that takes this arena at its first allocation.
    ///
    /// # Safety
    /// At most one heap may be made over an arena.
    pub const unsafe fn heap(&'static self) -> Heap {
        // SAFETY: the memory is static, and by the caller's promise only this heap uses it.
        TalcLock::new(unsafe { Claim::new(self.0.get().cast(), SIZE) })
    }
}

impl<const SIZE: usize> Default for Arena<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

/// The heap's lock: who finds it taken lets the other threads of the core run.
pub struct YieldLock(AtomicBool);

// SAFETY: `try_lock` gives the lock to one caller until `unlock`, with acquire and release order.
unsafe impl lock_api::RawMutex for YieldLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait's way to make a lock")]
    const INIT: YieldLock = YieldLock(AtomicBool::new(false));
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            calls::thread_yield();
        }
    }

    fn try_lock(&self) -> bool {
        self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

//! The words that a channel is made of. Programs use [`AtomicU64`]; the tests put a model checker's words in their place,
//! or words that change whenever they are read.

pub use core::sync::atomic::Ordering;
use core::sync::atomic::{AtomicU64, fence};

/// A word of memory that two programs share.
pub trait Word {
    /// Reads it.
    fn load(&self, ordering: Ordering) -> u64;
    /// Writes it.
    fn store(&self, value: u64, ordering: Ordering);
    /// Writes it and answers what was there.
    fn swap(&self, value: u64, ordering: Ordering) -> u64;
    /// Orders what was stored before it against what is loaded after it.
    fn fence();
    /// Writes it as a release, ordered before everything that is loaded after it with `SeqCst`.
    fn store_then_fence(&self, value: u64) {
        self.store(value, Ordering::Release);
        Self::fence();
    }
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self, ordering: Ordering) -> u64 {
        AtomicU64::load(self, ordering)
    }

    #[inline(always)]
    fn store(&self, value: u64, ordering: Ordering) {
        AtomicU64::store(self, value, ordering);
    }

    #[inline(always)]
    fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        AtomicU64::swap(self, value, ordering)
    }

    #[inline(always)]
    fn fence() {
        fence(Ordering::SeqCst);
    }

    /// One instruction on x86, cheaper than a store and a fence. All accesses of the sleeping protocol are `SeqCst` or
    /// have a fence between them, so they have one order that everyone sees.
    #[inline(always)]
    fn store_then_fence(&self, value: u64) {
        AtomicU64::swap(self, value, Ordering::SeqCst);
    }
}

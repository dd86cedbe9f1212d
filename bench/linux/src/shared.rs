//! A futex word in a page that parent and child share.
//!
//! Either side writes the word and wakes the other, or sleeps while the word has a value. It is one word for
//! both directions: at most one side sleeps at a time, since the value says whose turn it is.

use crate::process::check;
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use syscalls::{Sysno, raw_syscall};

/// The word; its page stays mapped until the process ends.
pub struct SharedWord {
    word: NonNull<AtomicU32>,
}

impl SharedWord {
    /// A word of value 0, shared with children forked from now on.
    pub fn new() -> SharedWord {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at a place of the kernel's choice touches nothing that exists.
        let answer =
            unsafe { raw_syscall!(Sysno::mmap, null_mut::<u8>(), 4096usize, protection, flags, -1isize, 0) };
        let address = check(Sysno::mmap, answer) as *mut AtomicU32;
        SharedWord { word: NonNull::new(address).expect("mmap never answers the null page unasked") }
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: `new` mapped the page, zeroed and aligned, nobody unmaps it, and an AtomicU32 may be
        // written by another process while we look.
        unsafe { self.word.as_ref() }
    }

    /// Stores `value` and wakes the other side if it sleeps.
    #[inline(always)]
    pub fn set_and_wake(&self, value: u32) {
        self.word().store(value, Ordering::Release);
        // SAFETY: FUTEX_WAKE only uses the word's address, which is mapped; the last arguments are unused.
        let answer = unsafe { raw_syscall!(Sysno::futex, self.word.as_ptr(), libc::FUTEX_WAKE, 1) };
        check(Sysno::futex, answer);
    }

    /// Sleeps while the word is `value`; returns the other value that it found.
    #[inline(always)]
    pub fn wait_while(&self, value: u32) -> u32 {
        loop {
            let found = self.word().load(Ordering::Acquire);
            if found != value {
                return found;
            }
            // SAFETY: FUTEX_WAIT reads the mapped word; the null timeout means none. A refusal because the
            // word has changed is the loop's business.
            unsafe { raw_syscall!(Sysno::futex, self.word.as_ptr(), libc::FUTEX_WAIT, value, null::<u8>()) };
        }
    }
}

//! A core's one inbox: anyone posts, the core takes all at once, and gives it on in chunks. Each list is a stack with one atomic word
//! (R. K. Treiber, 1986), so a core that dies while posting leaves it whole. Nodes are part of the objects
//! they speak of; nothing is allocated.

use crate::cores::Core;
use crate::jobs::Job;
use crate::thread::Thread;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use fos_abi::limits::CHUNK_STEPS;

/// Things that concern the whole core, one bit each.
pub mod flag {
    /// Catch up with the loaded space's flush generation.
    pub const FLUSH: u32 = 1;
    /// Pass a quiescent point.
    pub const QUIESCE: u32 = 2;
    /// Look at the parked operations again.
    pub const RECHECK: u32 = 4;
    /// Another core failed.
    pub const CORE_FAILED: u32 = 8;
}

/// Things that concern one thread, one bit each; kept in the thread itself.
pub mod thread_post {
    /// A mailbox it waits for has something.
    pub const WAKE: u32 = 1;
}

/// See the module.
#[derive(Default)]
pub struct Inbox {
    jobs: AtomicPtr<Job>,
    threads: AtomicPtr<Thread>,
    flags: AtomicU32,
    /// What the core has taken and not given on yet: jobs newest first, the same in their order, threads.
    reversed: Cell<*mut Job>,
    ordered: Cell<*mut Job>,
    told: Cell<*mut Thread>,
}

/// Pushes a node on a stack.
fn push<T>(head: &AtomicPtr<T>, node: *mut T, set_next: impl Fn(*mut T)) {
    let mut first = head.load(Ordering::Relaxed);
    loop {
        set_next(first);
        match head.compare_exchange_weak(first, node, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => first = now,
        }
    }
}

impl Inbox {
    /// Hands an operation to a core.
    pub fn post_job(core: &Core, job: &'static Job) {
        push(&core.inbox.jobs, (job as *const Job).cast_mut(), |next| job.link.set(next));
        core.kick();
    }

    /// Tells a thread's core something about the thread. Coalesced: a thread is in the list at most once.
    pub fn post_thread(core: &Core, thread: &'static Thread, what: u32) {
        if thread.posted.fetch_or(what, Ordering::SeqCst) == 0 {
            push(&core.inbox.threads, (thread as *const Thread).cast_mut(), |next| {
                thread.post_link.store(next, Ordering::Relaxed);
            });
        }
        core.kick();
    }

    /// Raises flags of a core.
    pub fn post_flags(core: &Core, flags: u32) {
        core.inbox.flags.fetch_or(flags, Ordering::SeqCst);
        core.kick();
    }

    /// Whether nothing was posted.
    pub fn is_empty(&self) -> bool {
        self.flags.load(Ordering::SeqCst) == 0
            && self.jobs.load(Ordering::SeqCst).is_null()
            && self.threads.load(Ordering::SeqCst).is_null()
    }

    /// Takes the flags.
    pub fn take_flags(&self) -> u32 {
        if self.flags.load(Ordering::Relaxed) == 0 { 0 } else { self.flags.swap(0, Ordering::SeqCst) }
    }

    /// Whether it has taken more than it gave on.
    pub fn has_more(&self) -> bool {
        !(self.ordered.get().is_null() && self.reversed.get().is_null() && self.told.get().is_null())
    }

    /// Whether threads that were told something are still to be given on.
    pub fn holds_threads(&self) -> bool {
        !self.told.get().is_null() || !self.threads.load(Ordering::SeqCst).is_null()
    }

    /// Takes operations, and gives a chunk of them on, in the order they were posted. A list that is longer
    /// than that is first turned around, a chunk at a time.
    pub fn take_jobs(&self, mut each: impl FnMut(&'static Job)) {
        if self.ordered.get().is_null() && self.reversed.get().is_null() {
            if self.jobs.load(Ordering::Relaxed).is_null() {
                return;
            }
            self.reversed.set(self.jobs.swap(core::ptr::null_mut(), Ordering::SeqCst));
        }
        let mut steps = CHUNK_STEPS;
        // SAFETY: every node was posted by its owner and stays in place while it is under way.
        while let Some(job) = unsafe { self.reversed.get().as_ref() } {
            if steps == 0 {
                return;
            }
            steps -= 1;
            self.reversed.set(job.link.replace(self.ordered.replace((job as *const Job).cast_mut())));
        }
        // SAFETY: as above.
        while let Some(job) = unsafe { self.ordered.get().as_ref() }.filter(|_| steps > 0) {
            steps -= 1;
            self.ordered.set(job.link.replace(core::ptr::null_mut()));
            each(job);
        }
    }

    /// Takes threads that were told something, and gives a chunk of them on, with what. Their order does not
    /// matter.
    pub fn take_threads(&self, mut each: impl FnMut(&'static Thread, u32)) {
        if self.told.get().is_null() {
            if self.threads.load(Ordering::Relaxed).is_null() {
                return;
            }
            self.told.set(self.threads.swap(core::ptr::null_mut(), Ordering::SeqCst));
        }
        for _ in 0..CHUNK_STEPS {
            // SAFETY: a thread's end waits, after a grace period, until its core holds no such threads.
            let Some(thread) = (unsafe { self.told.get().as_ref() }) else { return };
            self.told.set(thread.post_link.load(Ordering::Relaxed));
            each(thread, thread.posted.swap(0, Ordering::SeqCst));
        }
    }
}

//! Threads. A thread belongs to one core for life; only that core's kernel reads or writes its cells.
//! Others reach it by posting to the core's inbox.

use crate::capabilities::Finding;
use crate::cores::{self, Core};
use crate::inbox::{Inbox, thread_post};
use crate::jobs::Job;
use crate::list::{Links, List};
use crate::mailbox::Mailbox;
use crate::objects::{Object, Reference};
use crate::space::Space;
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering};
use fos_abi::Key;
use fos_abi::limits::{PIPELINE_MAX, WAIT_MAX};
use fos_abi::thread::{Area, Registers};

pub use fos_abi::thread::ThreadState as State;

/// How a thread gets back to user mode.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Resume {
    /// It is inside a native call: a few registers, vector registers cleared.
    Call = 0,
    /// It was interrupted, or has not run yet: everything.
    All = 1,
}

/// A thread.
#[repr(C)]
pub struct Thread {
    /// Saved registers; machine code reaches them by offset.
    pub registers: UnsafeCell<Registers>,
    /// Its extended state: the object's second frame.
    pub extended: *mut u8,
    /// See [`Resume`].
    pub resume: Cell<Resume>,
    /// MXCSR and x87 control word while it is inside a native call.
    pub control_words: Cell<u64>,
    /// Its own reference.
    pub reference: Cell<Reference>,
    /// The space it runs in, which lives at least as long.
    pub space: &'static Space,
    /// Its core. Changes only when that core has failed, to the core that buries it.
    pub home: AtomicU16,
    /// 0 alive, 1 ending, 2 over.
    pub ending: AtomicU32,
    /// See [`State`].
    pub state: Cell<State>,
    /// Set when a stop was asked for while it waited for a call to end; it stops when the call has ended.
    pub stop_wanted: Cell<bool>,
    /// Set when a finished call still has to store its answer in the program's memory.
    pub copy_out_pending: Cell<bool>,
    /// Status for whoever watches.
    pub exit_status: Cell<u64>,
    /// Why it ends.
    pub end_reason: Cell<u64>,

    /// Ready threads of its space, while it is the one whose turn is next.
    pub followers: List<Thread>,
    /// Its place in a queue of ready threads.
    pub run: Links<Thread>,
    /// Its place in a slot of the timer wheel.
    pub timer: Links<Thread>,
    /// Which slot, plus one; 0: no timer.
    pub timer_slot: Cell<usize>,
    /// When its wait ends.
    pub deadline: Cell<u64>,

    /// The mailboxes it waits for.
    pub waiting: [Cell<*const Mailbox>; WAIT_MAX],
    /// How many.
    pub waiting_count: Cell<usize>,
    /// The mailbox it waited for last, by which handle, and whether that still holds.
    pub waited: Cell<Option<(u32, &'static Mailbox, Finding)>>,

    /// Its area in the kernel's mapping, or null.
    pub area: Cell<*mut Area>,
    /// The frame of the area.
    pub area_frame: Cell<u64>,
    /// Where the program has it: the base of GS.
    pub area_address: Cell<u64>,
    /// Entry for reflected calls, 0: none.
    pub reflect_entry: Cell<u64>,
    /// Entry for faults, 0: none.
    pub pager_entry: Cell<u64>,
    /// Stack for both.
    pub libfos_stack: Cell<u64>,
    /// Where faults are reported.
    pub report: Cell<Key>,
    /// What those reports carry.
    pub cookie: Cell<u64>,

    /// Ticks it ran.
    pub cycles: Cell<u64>,
    /// How often it was switched to.
    pub switches: Cell<u64>,

    /// What others told it, see [`thread_post`].
    pub posted: AtomicU32,
    /// Its place in an inbox.
    pub post_link: AtomicPtr<Thread>,
    /// Its place in its space's list.
    pub space_link: AtomicPtr<Thread>,
    /// Who watches it.
    pub watchers: AtomicU64,
    /// Its calls that take long or act elsewhere: the blocking one, then the pipelined ones.
    pub jobs: [Job; 1 + PIPELINE_MAX],
    /// Its own end.
    pub teardown: Job,
}
const _: () = assert!(size_of::<Thread>() <= 4096);

impl Object for Thread {
    const KIND: u8 = crate::frames::frame_kind::THREAD;
}

// SAFETY: cells are touched by the home core's kernel only; the rest is atomic or fixed.
unsafe impl Sync for Thread {}

/// Offsets of saved registers.
#[allow(missing_docs, reason = "each is the offset of the register of that name")]
pub mod register_offset {
    use core::mem::offset_of;
    use fos_abi::thread::Registers;
    pub const RAX: usize = offset_of!(Registers, rax);
    pub const RBX: usize = offset_of!(Registers, rbx);
    pub const RCX: usize = offset_of!(Registers, rcx);
    pub const RDX: usize = offset_of!(Registers, rdx);
    pub const RSI: usize = offset_of!(Registers, rsi);
    pub const RDI: usize = offset_of!(Registers, rdi);
    pub const RBP: usize = offset_of!(Registers, rbp);
    pub const R8: usize = offset_of!(Registers, r8);
    pub const R9: usize = offset_of!(Registers, r9);
    pub const R10: usize = offset_of!(Registers, r10);
    pub const R11: usize = offset_of!(Registers, r11);
    pub const R12: usize = offset_of!(Registers, r12);
    pub const R13: usize = offset_of!(Registers, r13);
    pub const R14: usize = offset_of!(Registers, r14);
    pub const R15: usize = offset_of!(Registers, r15);
    pub const RIP: usize = offset_of!(Registers, rip);
    pub const RFLAGS: usize = offset_of!(Registers, rflags);
    pub const RSP: usize = offset_of!(Registers, rsp);
}
const _: () = assert!(core::mem::offset_of!(Thread, registers) == 0);

impl Thread {
    /// The thread that called, on this core.
    #[inline(always)]
    pub fn current() -> &'static Thread {
        // SAFETY: a call's handler runs only while its thread is current, and that stays in place.
        unsafe { &*cores::this().current.get() }
    }

    /// The saved registers. Home core only, and not while the thread runs.
    #[allow(clippy::mut_from_ref, reason = "registers are the home core's, whose entries never overlap")]
    #[inline(always)]
    pub fn saved(&self) -> &mut Registers {
        // SAFETY: only the home core's kernel comes here, and no caller keeps the reference across entries.
        unsafe { &mut *self.registers.get() }
    }

    /// Its core.
    pub fn core(&self) -> &'static Core {
        cores::get(self.home.load(Ordering::Acquire)).unwrap_or_else(|| cores::this())
    }

    /// Whether it has not begun to end.
    pub fn is_alive(&self) -> bool {
        self.ending.load(Ordering::Acquire) == 0
    }

    /// Wakes it from a wait, from any core.
    #[inline(always)]
    pub fn wake(&'static self) {
        let here = cores::this();
        if self.home.load(Ordering::Relaxed) == here.number {
            self.end_wait(here, 0);
        } else {
            Inbox::post_thread(self.core(), self, thread_post::WAKE);
        }
    }

    /// Ends a wait with an error (0: none; the mask is then found by looking at the mailboxes).
    #[inline(always)]
    pub fn end_wait(&'static self, here: &'static Core, error: u64) {
        if self.waiting_count.get() == 0 || self.state.get() != State::Waiting {
            return;
        }
        let mask = self.forget_waits();
        if self.timer_slot.get() != 0 {
            here.scheduler.cancel_timer(self);
        }
        let saved = self.saved();
        saved.rax = if mask != 0 { 0 } else { error };
        saved.rdx = mask;
        if self.stop_wanted.replace(false) {
            here.scheduler.stop(here, self);
        } else {
            here.scheduler.make_ready(here, self);
        }
    }

    /// Whether it sleeps although a mailbox that it waits for has something. Home core only.
    pub fn waits_in_vain(&self) -> bool {
        let mut places = self.waiting.iter().take(self.waiting_count.get());
        // SAFETY: as in `forget_waits`.
        places.any(|place| unsafe { place.get().as_ref() }.is_some_and(Mailbox::has_something))
    }

    /// Leaves every mailbox it waits for, and says which have something.
    #[inline(always)]
    pub fn forget_waits(&'static self) -> u64 {
        match self.waiting_count.replace(0) {
            0 => 0,
            1 => self.forget_wait(0),
            count => (0..count).map(|index| self.forget_wait(index)).fold(0, |mask, bit| mask | bit),
        }
    }

    /// Leaves one of them: its bit in the mask, if it has something.
    #[inline(always)]
    fn forget_wait(&'static self, index: usize) -> u64 {
        // SAFETY: a mailbox that ends takes itself out of its waiter's list first.
        let Some(mailbox) = (unsafe { self.waiting[index].get().as_ref() }) else { return 0 };
        mailbox.stop_waiting(self);
        u64::from(mailbox.has_something()) << index
    }

    /// The result of its blocking call, and it may run again. Home core only.
    pub fn complete_call(&'static self, here: &'static Core, error: u64, value: u64) {
        let saved = self.saved();
        saved.rax = error;
        saved.rdx = value;
        if self.ending.load(Ordering::Relaxed) != 0 {
            return;
        }
        if self.stop_wanted.replace(false) {
            here.scheduler.stop(here, self);
        } else {
            here.scheduler.make_ready(here, self);
        }
    }
}

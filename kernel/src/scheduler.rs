//! Rudimentary time multiplexing of one core: spaces take turns, and the threads of each among themselves, so that many threads
//! get no more than one; slices only while more than one thread is runnable; a timer wheel for deadlines, and what an idle core does.
//! All policy is outside.

use crate::arch::machine::{clock, cpu, entry, extended_state, paging};
use crate::cores::{self, Core, core_state};
use crate::list::List;
use crate::space::Space;
use crate::thread::{Resume, State, Thread};
use crate::{failure, jobs, posts, quiescence};
use core::cell::Cell;
use core::sync::atomic::Ordering;
use fos_abi::limits::CHUNK_STEPS;

/// Slots of the timer wheel. A power of two.
const WHEEL_SLOTS: usize = 256;
/// How long a slice is, in microseconds.
const SLICE_MICROSECONDS: u64 = 4000;
/// A pause between chunks of a long operation while threads are runnable.
const CHUNK_PAUSE_MICROSECONDS: u64 = 20;
/// Steps of long operations on one way out of the kernel, while a thread could run.
const STEPS_PER_EXIT: usize = 4;
/// Longest time the timer is set to.
const HORIZON_MICROSECONDS: u64 = 100_000;

/// One core's queue, timers and accounting. Its core only.
pub struct Scheduler {
    /// Of each space with ready threads the one whose turn is next; the space's others follow that one.
    queue: List<Thread>,
    wheel: [List<Thread>; WHEEL_SLOTS],
    /// Threads with a timer.
    timers: Cell<usize>,
    /// The wheel's position: every earlier tick was looked at.
    position: Cell<u64>,
    /// Where a chunk of the slot at that position ended; null: none did.
    walk: Cell<*const Thread>,
    /// Whether the current thread is to go to the end of the queue on the way out.
    pub rotate_wanted: Cell<bool>,
    /// When a planted failure springs.
    planted_at: Cell<u64>,
    /// How long to poll before sleeping, in ticks.
    poll_budget: Cell<u64>,
    /// When the current thread got the core.
    since: Cell<u64>,
    /// When its slice ends; 0: no slice runs.
    slice_end: Cell<u64>,
    /// What the timer is set to; `u64::MAX`: off.
    armed: Cell<u64>,
    /// See `HORIZON_MICROSECONDS`, in ticks.
    pub horizon: Cell<u64>,
}

/// Log2 of the ticks of one wheel slot: about a millisecond on a GHz machine.
const SLOT_SHIFT: u32 = 20;

impl Scheduler {
    /// Puts a thread behind the others of its space, and a space's first one behind the other spaces. One that is still current
    /// (it was about to wait) goes on.
    #[inline(always)]
    pub fn make_ready(&self, here: &Core, thread: &'static Thread) {
        thread.state.set(State::Ready);
        here.leave.set(1);
        if core::ptr::eq(here.current.get(), thread) {
            return;
        }
        let head = thread.space.head_on(here);
        // SAFETY: a head is in the queue.
        match unsafe { head.get().as_ref() } {
            Some(head) => head.followers.push(thread, |thread| &thread.run),
            None => {
                head.set(thread);
                self.queue.push(thread, |thread| &thread.run);
            }
        }
    }

    #[inline(always)]
    fn take_first(&self, here: &Core) -> Option<&'static Thread> {
        let first = self.queue.first()?;
        self.remove_head(here, first);
        Some(first)
    }

    /// A head leaves the queue: the first of its followers goes to the end of that, with the others behind it.
    #[inline(always)]
    fn remove_head(&self, here: &Core, head: &Thread) {
        self.queue.remove(head, |thread| &thread.run);
        let next = head.followers.pop(|thread| &thread.run);
        head.space.head_on(here).set(next.map_or(core::ptr::null(), core::ptr::from_ref));
        if let Some(next) = next {
            next.followers.take(&head.followers);
            self.queue.push(next, |thread| &thread.run);
        }
    }

    /// Takes a thread out that is ready and not current.
    pub fn remove(&self, here: &Core, thread: &Thread) {
        let head = thread.space.head_on(here).get();
        if core::ptr::eq(head, thread) {
            self.remove_head(here, thread);
        // SAFETY: a head is in the queue.
        } else if let Some(head) = unsafe { head.as_ref() } {
            head.followers.remove(thread, |thread| &thread.run);
        }
    }

    /// A thread that is not inside a call of this entry runs no more: its registers are where others may
    /// read and change them.
    pub fn stop(&self, here: &'static Core, thread: &'static Thread) {
        if core::ptr::eq(here.current.get(), thread) {
            put_away(here, thread, cpu::time_stamp());
        } else if thread.state.get() == State::Ready {
            self.remove(here, thread);
        }
        thread.state.set(State::Stopped);
    }

    /// Starts a thread's timer for its deadline.
    #[inline(always)]
    pub fn set_timer(&self, thread: &'static Thread) {
        let deadline = thread.deadline.get();
        let slot = (deadline >> SLOT_SHIFT) as usize % WHEEL_SLOTS;
        self.wheel[slot].push(thread, |thread| &thread.timer);
        thread.timer_slot.set(slot + 1);
        self.timers.set(self.timers.get() + 1);
        self.fire_by(deadline);
    }

    /// Stops a thread's timer.
    pub fn cancel_timer(&self, thread: &Thread) {
        let slot = thread.timer_slot.replace(0);
        if slot == 0 {
            return;
        }
        let next = thread.timer.next.get();
        self.wheel[slot - 1].remove(thread, |thread| &thread.timer);
        self.timers.set(self.timers.get() - 1);
        if core::ptr::eq(self.walk.get(), thread) {
            self.walk.set(next);
        }
    }

    /// Ends the waits whose deadline has passed. Looks at the wheel slots that time has gone over, at most
    /// once around, and at a chunk of threads. Says whether these were all.
    pub fn run_timers(&self, here: &'static Core, now: u64) -> bool {
        let position = now >> SLOT_SHIFT;
        let begun = self.position.get();
        let from = begun.max(position.saturating_sub(WHEEL_SLOTS as u64 - 1));
        if self.timers.get() == 0 {
            self.position.set(position);
            return true;
        }
        let mut walk = self.walk.replace(core::ptr::null());
        let mut left = CHUNK_STEPS;
        for tick in from..=position {
            // Where the last chunk ended, if it did in a slot that is still to be looked at.
            // SAFETY: threads in the wheel are alive.
            let rest = unsafe { core::mem::replace(&mut walk, core::ptr::null()).as_ref() };
            let slot = &self.wheel[tick as usize % WHEEL_SLOTS];
            let mut next = rest.filter(|_| tick == begun).or_else(|| slot.first());
            while let Some(thread) = next {
                if left == 0 {
                    self.position.set(tick);
                    self.walk.set(thread);
                    return false;
                }
                left -= 1;
                // SAFETY: as above.
                next = unsafe { thread.timer.next.get().as_ref() };
                if thread.deadline.get() <= now {
                    thread.end_wait(here, fos_abi::Error::TimedOut as u64);
                }
            }
        }
        self.position.set(position);
        true
    }

    /// Looks for the soonest deadline, as far ahead as the horizon; `u64::MAX` without timers. Where there are
    /// more timers than a chunk, it is time to look again when the next slot begins.
    fn next_timer(&self, now: u64) -> u64 {
        let horizon = now + self.horizon.get();
        if self.timers.get() == 0 {
            return u64::MAX;
        }
        let mut soonest = horizon;
        let mut left = CHUNK_STEPS;
        let first = now >> SLOT_SHIFT;
        for tick in first..=(horizon >> SLOT_SHIFT).min(first + WHEEL_SLOTS as u64 - 1) {
            let mut next = self.wheel[tick as usize % WHEEL_SLOTS].first();
            while let Some(thread) = next {
                if left == 0 {
                    return soonest.min((first + 1) << SLOT_SHIFT);
                }
                left -= 1;
                // SAFETY: threads in the wheel are alive.
                next = unsafe { thread.timer.next.get().as_ref() };
                soonest = soonest.min(thread.deadline.get());
            }
            if soonest < horizon {
                break;
            }
        }
        soonest
    }

    /// Has the timer fire at `at` or before. It may fire early; then it is set anew.
    fn fire_by(&self, at: u64) {
        if at < self.armed.get() {
            self.armed.set(at);
            clock::start_timer(at.saturating_sub(cpu::time_stamp()).max(1));
        }
    }

    /// The timer's interrupt came.
    pub fn timer_fired(&self, here: &'static Core) {
        self.armed.set(u64::MAX);
        let now = cpu::time_stamp();
        if now >= self.planted_at.get() {
            failure::spring(here);
        }
        let all = self.run_timers(here, now);
        if self.slice_end.get() != 0 && now >= self.slice_end.get() {
            self.slice_end.set(0);
            self.rotate_wanted.set(true);
        }
        let pause = now + clock::ticks(CHUNK_PAUSE_MICROSECONDS);
        let next = if all { self.next_timer(now) } else { pause };
        let next = next.min(self.planted_at.get());
        self.fire_by(if self.slice_end.get() == 0 { next } else { next.min(self.slice_end.get()) });
    }

    /// Has the timer fire soon enough to see whether a core answers that was asked something now.
    #[inline(always)]
    pub fn look_soon(&self, now: u64) {
        self.fire_by(now + self.horizon.get());
    }
    /// Has the timer fire so soon that a long operation goes on, and threads run in between.
    pub fn go_on_soon(&self) {
        self.fire_by(cpu::time_stamp() + clock::ticks(CHUNK_PAUSE_MICROSECONDS));
    }
    /// Sets the core's timer state at its start.
    pub fn start(&self, here: &Core) {
        self.armed.set(u64::MAX);
        self.horizon.set(clock::ticks(HORIZON_MICROSECONDS));
        let now = cpu::time_stamp();
        self.planted_at.set(failure::planted(here).map_or(u64::MAX, |ticks| now + ticks));
        self.fire_by(self.planted_at.get());
        self.since.set(cpu::time_stamp());
        self.position.set(cpu::time_stamp() >> SLOT_SHIFT);
    }
}

/// The way out of a trap, of a core's start, and of a call that may have made something else runnable: does what
/// is due on this core, then runs a thread. Called by machine code, which has stored the current thread's registers.
pub extern "C" fn leave() -> ! {
    let here = cores::this();
    here.leave.set(0);
    // Something posted this instant comes with an interrupt.
    if here.kicked.load(Ordering::Relaxed) || !here.work.is_empty() {
        see_to_what_is_due(here);
    }
    let thread = choose(here).unwrap_or_else(|| wait_for_thread(here));
    if !here.work.is_empty() {
        here.scheduler.go_on_soon();
    }
    if thread.copy_out_pending.get() {
        load_space(here, thread.space);
        jobs::copy_out(thread);
    }
    run(here, thread)
}

/// Takes what was posted and makes some steps of this core's work: all of it while no thread could run.
#[inline(never)]
fn see_to_what_is_due(here: &'static Core) {
    loop {
        here.leave.set(0);
        if here.kicked.load(Ordering::Relaxed) || !here.inbox.is_empty() {
            posts::take(here);
        }
        if here.work.is_empty() {
            return;
        }
        put_away_stopped(here);
        (0..STEPS_PER_EXIT).for_each(|_| jobs::run_one(here));
        if here.work.is_empty() || has_ready(here) {
            return;
        }
        cpu::interrupt_window();
    }
}

/// Idles until there is a thread to run.
#[inline(never)]
fn wait_for_thread(here: &'static Core) -> &'static Thread {
    loop {
        idle(here);
        see_to_what_is_due(here);
        if let Some(thread) = choose(here) {
            return thread;
        }
    }
}

/// Whether a thread could run.
fn has_ready(here: &Core) -> bool {
    // SAFETY: the current thread is in place until it is put away.
    let current = unsafe { here.current.get().as_ref() };
    !here.scheduler.queue.is_empty() || current.is_some_and(|thread| thread.state.get() == State::Ready)
}

/// The current thread if it may go on, else the first of the queue.
#[inline(always)]
fn choose(here: &'static Core) -> Option<&'static Thread> {
    let scheduler = &here.scheduler;
    let now = cpu::time_stamp();
    // SAFETY: the current thread is in place until it is put away here.
    if let Some(thread) = unsafe { here.current.get().as_ref() } {
        let may_go_on = thread.state.get() == State::Ready && thread.is_alive();
        let rotate = scheduler.rotate_wanted.replace(false) && !scheduler.queue.is_empty();
        if may_go_on && !rotate {
            return Some(thread);
        }
        put_away(here, thread, now);
        if may_go_on {
            scheduler.make_ready(here, thread);
            here.leave.set(0);
        } else if thread.state.get() == State::Ready {
            // It is ending, and in no queue.
            thread.state.set(State::Stopped);
        }
    }
    let next = scheduler.take_first(here)?;
    scheduler.slice_end.set(0);
    scheduler.since.set(now);
    next.switches.set(next.switches.get() + 1);
    cores::count(&here.counters.switches);
    Some(next)
}

/// A thread that has stopped or faulted itself is current no more, before other work may look at it.
fn put_away_stopped(here: &'static Core) {
    // SAFETY: the current thread is in place until it is put away.
    let current = unsafe { here.current.get().as_ref() };
    let stopped = |thread: &&Thread| matches!(thread.state.get(), State::Stopped | State::Faulted);
    current.filter(stopped).into_iter().for_each(|thread| put_away(here, thread, cpu::time_stamp()));
}

/// The current thread stops being current: its account, and what of its state is still in the CPU.
#[inline(always)]
fn put_away(here: &'static Core, thread: &'static Thread, now: u64) {
    thread.cycles.set(thread.cycles.get() + now.wrapping_sub(here.scheduler.since.get()));
    thread.saved().fs_base = cpu::fs_base();
    if thread.resume.get() == Resume::Call {
        extended_state::save_control_words(&thread.control_words);
    }
    here.current.set(core::ptr::null());
}

/// Loads a space's tables if they are not loaded.
#[inline(always)]
pub fn load_space(here: &'static Core, space: &'static Space) {
    let before = here.loaded.get();
    if !core::ptr::eq(before, space) {
        space.enter(here);
        here.loaded.set(space);
        // SAFETY: a loaded space stays in place: its end waits until no core has it loaded.
        if let Some(before) = unsafe { before.as_ref() } {
            before.leave(here);
        }
    }
}

/// Loads the kernel's own tables, so that no space is held.
pub fn unload_space(here: &'static Core) {
    // SAFETY: as in `load_space`.
    if let Some(space) = unsafe { here.loaded.replace(core::ptr::null()).as_ref() } {
        // SAFETY: the kernel's own tables map the kernel.
        unsafe { cpu::set_page_table_root(paging::kernel_root()) };
        here.loaded_shared.store(core::ptr::null_mut(), Ordering::SeqCst);
        space.leave(here);
    }
}

/// Puts a thread's state into the CPU and goes there.
#[inline(always)]
fn run(here: &'static Core, thread: &'static Thread) -> ! {
    let (scheduler, space) = (&here.scheduler, thread.space);
    load_space(here, space);
    if !core::ptr::eq(here.current.get(), thread) {
        here.current.set(thread);
        here.identity.set(space.identity);
        crate::calls::load_setup(here, thread);
        // SAFETY: read from the register, or checked by `thread_write`.
        unsafe { cpu::set_fs_base(thread.saved().fs_base) };
        if thread.resume.get() == Resume::Call {
            if !core::ptr::eq(here.extended_owner.get(), space) {
                extended_state::reset();
            }
            extended_state::load_control_words(&thread.control_words);
        }
    }
    here.extended_owner.set(space);
    if scheduler.slice_end.get() == 0 && !scheduler.queue.is_empty() {
        let end = cpu::time_stamp() + clock::ticks(SLICE_MICROSECONDS);
        scheduler.slice_end.set(end);
        scheduler.fire_by(end);
    }
    match thread.resume.get() {
        // SAFETY: the space is loaded; registers were stored by `leave_after_call`.
        Resume::Call => unsafe { entry::resume_call(thread) },
        Resume::All => {
            // SAFETY: the area was filled by `save` or `initialise`; the space is loaded; `rip` and
            // `rflags` come from the CPU or were checked by `thread_write`.
            unsafe {
                extended_state::restore(thread.extended);
                entry::resume_all(thread)
            }
        }
    }
}

/// Nothing to run: polls for a while if that has paid off, then sleeps. The loaded space stays: most sleeps end
/// with one of its threads. Nobody asks a sleeping core to forget translations, so it looks itself when it wakes.
fn idle(here: &'static Core) {
    quiescence::pass(here);
    if !here.work.is_empty() || !here.inbox.is_empty() || here.inbox.has_more() {
        return;
    }
    if poll(here) {
        return;
    }
    here.state.swap(core_state::IDLE, Ordering::SeqCst);
    here.kicked.store(false, Ordering::SeqCst);
    if here.inbox.is_empty() {
        cpu::sleep_until_interrupt();
    }
    here.wake();
    // SAFETY: as in `load_space`.
    if unsafe { here.loaded.get().as_ref() }.is_some_and(|space| space.is_behind(here)) {
        posts::catch_up(here);
    }
    if quiescence::pass(here) {
        jobs::recheck_everywhere(here);
    }
}

/// Looks at the inbox for as long as the last sleeps suggest, without anyone having to interrupt this core.
/// The budget doubles while polling finds something and falls to nothing when it does not, or where
/// polling takes time from others (an emulated machine). Says whether something came.
fn poll(here: &'static Core) -> bool {
    let limit = clock::POLL_LIMIT.load(Ordering::Relaxed);
    if limit == 0 {
        return false;
    }
    let budget = here.scheduler.poll_budget.get().clamp(limit / 64, limit);
    here.kicked.store(true, Ordering::SeqCst);
    let start = cpu::time_stamp();
    while cpu::time_stamp().wrapping_sub(start) < budget {
        if !here.inbox.is_empty() {
            here.scheduler.poll_budget.set((budget * 2).min(limit));
            return true;
        }
        cpu::relax();
        cpu::interrupt_window();
    }
    here.scheduler.poll_budget.set(budget / 2);
    false
}

#[cfg(test)]
#[path = "tests/scheduler.rs"]
mod tests;

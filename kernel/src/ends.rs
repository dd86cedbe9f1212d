//! How objects end. Each end is a job of the object's own, begun once and by anyone, carried out step by
//! step on the home cores of what it touches:
//!
//! | | thread | mailbox | space |
//! |---|---|---|---|
//! | 1 | stops running, leaves its waits | new sends are refused, its waiter wakes | its capabilities, and all derived from them, are void |
//! | 2 | its calls under way end | watchers are told | its threads end |
//! | 3 | watchers are told | unmapped | watchers are told |
//! | 4 | leaves its space | what was attached is dropped | its capabilities are dropped, tables emptied |
//! | last | grace period, frames are ordinary memory again | same | same |

use crate::arch::machine::paging::{ENTRIES, Entry, LEVELS, index_at, table_at};
use crate::arch::machine::power_off;
use crate::calls::unmap_mailbox_page;
use crate::capabilities::{leave_parent, note_invalidation};
use crate::cores::Core;
use crate::drops;
use crate::frames;
use crate::jobs::{self, Job, Step};
use crate::mailbox::Mailbox;
use crate::objects::{self, reference_to};
use crate::quiescence;
use crate::space::{Space, forget_entry};
use crate::thread::{State, Thread};
use crate::watch;
use core::sync::atomic::Ordering;
use fos_abi::limits::CHUNK_STEPS;
use fos_abi::space::SPACE_FRAMES;
use fos_abi::thread::THREAD_FRAMES;

/// Cursor of a watcher list.
const WATCHER: usize = 0;
/// Cursor of an epoch or flush generation.
const EPOCH: usize = 3;

/// The last stage of a space's end in which its home core's list has it.
const LISTED: u32 = 6;

/// Whether a space is still to be found in its home core's list.
pub fn is_listed(space: &Space) -> bool {
    !space.teardown.active.get() || space.teardown.stage.get() <= LISTED
}

/// Begins the end of a thread. Only the first asker's reason counts.
pub fn end_thread(here: &'static Core, thread: &'static Thread, reason: u64) {
    if thread.ending.swap(1, Ordering::SeqCst) == 0 {
        thread.end_reason.set(reason);
        thread.teardown.prepare(thread_step);
        thread.teardown.owner.set((thread as *const Thread).cast());
        send_home(here, &thread.teardown, thread.home.load(Ordering::Acquire));
    }
}

/// Begins the end of a space.
pub fn end_space(here: &'static Core, space: &'static Space, reason: u64) {
    if space.ending.swap(1, Ordering::SeqCst) == 0 {
        space.end_reason.set(reason);
        space.teardown.prepare(space_step);
        space.teardown.owner.set((space as *const Space).cast());
        send_home(here, &space.teardown, space.home());
    }
}

/// Begins the end of a mailbox.
pub fn end_mailbox(here: &'static Core, mailbox: &'static Mailbox, reason: u64) {
    if mailbox.ending.swap(1, Ordering::SeqCst) == 0 {
        mailbox.end_reason.set(reason);
        mailbox.teardown.prepare(mailbox_step);
        mailbox.teardown.owner.set((mailbox as *const Mailbox).cast());
        send_home(here, &mailbox.teardown, mailbox.home.load(Ordering::Acquire));
    }
}

/// Hands an end to its object's home. If that core has failed, it waits here until the core is buried.
fn send_home(here: &'static Core, teardown: &'static Job, home: u16) {
    if !teardown.send_to(here, home) {
        teardown.send_to(here, here.number);
    }
}

fn next(job: &Job, stage: u32) {
    job.stage.set(stage);
    job.cursor.iter().for_each(|cursor| cursor.set(0));
}

/// Waits for a grace period; `true` when it is over. The epoch is in the job's last cursor.
pub fn grace(job: &Job, here: &Core) -> bool {
    if job.cursor[EPOCH].get() == 0 {
        job.cursor[EPOCH].set(quiescence::begin(here));
    }
    quiescence::is_over(here, job.cursor[EPOCH].get())
}

/// Frames become ordinary memory; parked jobs everywhere may have waited for that.
fn release(here: &'static Core, first: u64, count: usize) {
    if let Some(entry) = frames::entry(first) {
        entry.end_generation();
    }
    frames::release(first, count);
    jobs::recheck_everywhere(here);
}

fn thread_step(job: &'static Job, here: &'static Core) -> Step {
    // SAFETY: the job is part of the thread that `end_thread` stored, which is in place until the last step.
    let thread: &'static Thread = unsafe { &*job.owner.get().cast() };
    let home = thread.home.load(Ordering::Acquire);
    let space = thread.space;
    match job.stage.get() {
        0..3 if home != here.number => Step::Go(home),
        0 => {
            stop_for_good(here, thread);
            for call in thread.jobs.iter().filter(|call| call.active.get()) {
                call.cancelled.store(true, Ordering::Release);
            }
            jobs::recheck_everywhere(here);
            next(job, 1);
            Step::Again
        }
        1 => {
            // A call that waits in memory to store its answer ends here; others end by themselves.
            if thread.copy_out_pending.replace(false) {
                thread.jobs[0].active.set(false);
            }
            if thread.jobs.iter().any(|call| call.active.get()) {
                return Step::Park;
            }
            next(job, 2);
            Step::Again
        }
        2 => {
            let (reason, status) = (thread.end_reason.get(), thread.exit_status.get());
            if watch::tell(&thread.watchers, &job.cursor[WATCHER], reason, status) {
                jobs::recheck_everywhere(here);
                next(job, 3);
            }
            Step::Again
        }
        3 if space.is_root() => power_off(fos_abi::exit::ROOT_DIED),
        3 if space.home() != here.number => Step::Go(space.home()),
        3 => {
            if job.cursor[EPOCH].get() == 0 {
                space.remove_thread(thread);
                unmap_area(space, thread.area_address.get() >> 12, thread.area_frame.get());
                job.cursor[EPOCH].set(space.begin_flush(here).max(1));
            }
            if job.cursor[EPOCH].get() > 1 && !space.is_flushed(here, job.cursor[EPOCH].get()) {
                return Step::Park;
            }
            jobs::recheck_everywhere(here);
            next(job, 4);
            Step::Again
        }
        4 if home != here.number => Step::Go(home),
        4 if !grace(job, here) => Step::Park,
        // A wake-up may have been posted before the grace period ended.
        4 if here.inbox.holds_threads() => Step::Again,
        _ => {
            here.counters.threads.fetch_sub(1, Ordering::Relaxed);
            if thread.area_frame.get() != 0 {
                frames::release(thread.area_frame.get(), 1);
            }
            release(here, reference_to(thread).frame(), THREAD_FRAMES);
            Step::Vanished
        }
    }
}

/// On its core: the thread runs no more, is in no queue, and references to it no longer resolve.
fn stop_for_good(here: &'static Core, thread: &'static Thread) {
    if core::ptr::eq(here.current.get(), thread) {
        here.current.set(core::ptr::null());
    } else if thread.state.get() == State::Ready {
        here.scheduler.remove(here, thread);
    }
    thread.forget_waits();
    here.scheduler.cancel_timer(thread);
    thread.state.set(State::Dead);
    objects::end(thread);
}

/// Unmaps a thread's area, if that is still what is there. On the home core of its space.
pub fn unmap_area(space: &Space, page: u64, frame: u64) {
    let _ = space.at_page(page, |table, index, _| {
        if frame != 0 && table.get(index).frame() == frame {
            table.set(index, Entry::EMPTY);
            space.forget_here(page);
        }
    });
}

fn mailbox_step(job: &'static Job, here: &'static Core) -> Step {
    // SAFETY: as in `thread_step`.
    let mailbox: &'static Mailbox = unsafe { &*job.owner.get().cast() };
    let home = mailbox.home.load(Ordering::Acquire);
    let space = mailbox.space;
    match job.stage.get() {
        0..2 if home != here.number => Step::Go(home),
        0 => {
            objects::end(mailbox);
            note_invalidation();
            mailbox.drop_waiter();
            next(job, 1);
            Step::Again
        }
        1 => {
            if watch::tell(&mailbox.watchers, &job.cursor[WATCHER], mailbox.end_reason.get(), 0) {
                jobs::recheck_everywhere(here);
                next(job, 2);
            }
            Step::Again
        }
        2 if space.home() != here.number => Step::Go(space.home()),
        2 => unmap_mailbox(job, here, space, mailbox),
        3 if home != here.number => Step::Go(home),
        3 => {
            let from = job.cursor[1].get();
            for ticket in from..(from + CHUNK_STEPS as u64).min(u64::from(mailbox.slots())) {
                if let Some(lost) = mailbox.attachment(ticket as u32).take_any() {
                    leave_parent(&lost);
                }
            }
            job.cursor[1].set(from + CHUNK_STEPS as u64);
            if from + CHUNK_STEPS as u64 >= u64::from(mailbox.slots()) {
                next(job, 4);
            }
            Step::Again
        }
        4 if !grace(job, here) => Step::Park,
        // Its waiter's wake-up may have been posted meanwhile.
        4 if here.inbox.holds_threads() => Step::Again,
        _ => {
            release(here, reference_to(mailbox).frame(), mailbox.frames);
            Step::Vanished
        }
    }
}

fn unmap_mailbox(job: &Job, here: &'static Core, space: &'static Space, mailbox: &'static Mailbox) -> Step {
    let first = mailbox.mapped_at.get();
    let pages = 1 + 2 * (mailbox.frames - mailbox.private_frames - 1) as u64;
    if first != 0 && job.cursor[EPOCH].get() == 0 {
        for page in first..first + pages {
            unmap_mailbox_page(space, mailbox, page);
        }
        job.cursor[EPOCH].set(space.begin_flush(here).max(1));
    }
    if job.cursor[EPOCH].get() > 1 && !space.is_flushed(here, job.cursor[EPOCH].get()) {
        return Step::Park;
    }
    next(job, 3);
    Step::Again
}

fn space_step(job: &'static Job, here: &'static Core) -> Step {
    // SAFETY: as in `thread_step`.
    let space: &'static Space = unsafe { &*job.owner.get().cast() };
    if job.stage.get() < 4 && job.drop_stage.get() == 0 && space.home() != here.number {
        return Step::Go(space.home());
    }
    match job.stage.get() {
        0 => {
            objects::end(space);
            note_invalidation();
            next(job, 1);
            Step::Again
        }
        1 if !space.has_threads() => {
            next(job, 2);
            Step::Again
        }
        1 => {
            let reason = space.end_reason.get();
            if space.each_living_thread(|thread| end_thread(here, thread, reason)) {
                Step::Again
            } else {
                Step::Park
            }
        }
        2 => {
            if watch::tell(&space.watchers, &job.cursor[WATCHER], space.end_reason.get(), 0) {
                jobs::recheck_everywhere(here);
                next(job, 3);
            }
            Step::Again
        }
        3 => drop_all(job, here, space),
        4 => match drops::sweep(job, here) {
            Step::Done(_) => {
                next(job, 5);
                Step::Again
            }
            step => step,
        },
        _ if space.home() != here.number => Step::Go(space.home()),
        // Nobody can load it any more; the frames it maps are counted until nobody has it loaded.
        5 if !space.let_go(here) => Step::Park,
        5 => empty_tables(job, space),
        6 if !grace(job, here) => Step::Park,
        // A thread that was being made while this end began.
        6 if space.has_threads() => {
            next(job, 1);
            Step::Again
        }
        LISTED => {
            here.forget_space(space);
            next(job, LISTED + 1);
            Step::Again
        }
        7 => {
            for _ in 0..CHUNK_STEPS {
                let Some(frame) = space.remove_spare_table() else {
                    next(job, 8);
                    break;
                };
                frames::release(frame, 1);
            }
            Step::Again
        }
        _ => {
            release(here, reference_to(space).frame(), SPACE_FRAMES + space.table_frames);
            Step::Vanished
        }
    }
}

/// Drops the space's capabilities one by one.
fn drop_all(job: &Job, here: &'static Core, space: &'static Space) -> Step {
    for _ in 0..CHUNK_STEPS {
        let index = job.cursor[1].get() as usize;
        if index >= space.slots_used() {
            next(job, if space.had_children.get() { 4 } else { 5 });
            drops::begin_sweep(job);
            return Step::Again;
        }
        match drops::drop_slot(job, here, space, index) {
            Step::Done(_) => job.cursor[1].set(index as u64 + 1),
            step => return step,
        }
    }
    Step::Again
}

/// Takes every mapping off and gives every table back to the spare ones: depth first, a chunk at a time.
/// The cursor is the next page to look at.
fn empty_tables(job: &Job, space: &'static Space) -> Step {
    const END: u64 = 1 << 35;
    for _ in 0..CHUNK_STEPS {
        let page = job.cursor[2].get();
        if page >= END {
            next(job, 6);
            return Step::Again;
        }
        job.cursor[2].set(empty_at(space, page));
    }
    Step::Again
}

/// Empties what is at `page`: the page that comes next. A table whose last entry was passed goes back.
fn empty_at(space: &'static Space, page: u64) -> u64 {
    let mut path = [space.top(); LEVELS];
    let mut level = LEVELS - 1;
    let following = loop {
        let table = path[level];
        let index = index_at(page << 12, level);
        let entry = table.get(index);
        let size = 1u64 << (9 * level);
        if !entry.is_present() {
            // No more of them at once than take as long as unmapping a page.
            let empty = (index..ENTRIES).take_while(|at| !table.get(*at).is_present());
            break (page / size + empty.take(CHUNK_STEPS / 4).count() as u64) * size;
        }
        if level == 0 || entry.is_huge() {
            forget_entry(table.swap(index, Entry::EMPTY), size);
            break page + size;
        }
        level -= 1;
        // SAFETY: a present entry that is no page points to a table of this space.
        path[level] = unsafe { table_at(entry.frame()) };
    };
    // Tables that end before the next page hold nothing any more.
    for (upper, table) in path.iter().enumerate().skip(level + 1) {
        if !following.is_multiple_of(1u64 << (9 * upper)) {
            break;
        }
        let entry = table.swap(index_at(page << 12, upper), Entry::EMPTY);
        if entry.is_present() && !entry.is_huge() {
            space.add_spare_table(entry.frame());
        }
    }
    following
}

#[cfg(test)]
#[path = "tests/tables.rs"]
mod tests;

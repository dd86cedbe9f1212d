//! What a core does with what others posted to it.

use crate::cores::{self, Core};
use crate::inbox::{flag, thread_post};
use crate::{failure, jobs, quiescence, scheduler};
use core::sync::atomic::Ordering;

/// Takes what was posted to this core: every flag, and a chunk of threads and operations.
pub fn take(here: &'static Core) {
    here.asked_at.store(0, Ordering::Relaxed);
    here.kicked.swap(false, Ordering::SeqCst);
    let flags = here.inbox.take_flags();
    here.inbox.take_threads(|thread, what| {
        if what & thread_post::WAKE != 0 {
            thread.end_wait(here, 0);
        }
    });
    here.inbox.take_jobs(|job| here.work.push(job, |job| &job.place));
    if here.inbox.has_more() {
        here.kicked.store(true, Ordering::Relaxed);
        here.scheduler.go_on_soon();
    }
    if flags & flag::FLUSH != 0 {
        catch_up(here);
    }
    if flags & flag::QUIESCE != 0 {
        quiescence::pass(here);
        jobs::recheck_everywhere(here);
    }
    if flags & flag::RECHECK != 0 {
        jobs::unpark_all(here);
    }
    if flags & flag::CORE_FAILED != 0 {
        failure::notice(here);
    }
}

/// Catches up with the loaded space, or gives it up where none of its threads runs, and tells whoever waits.
pub fn catch_up(here: &'static Core) {
    // SAFETY: a loaded space stays in place: its end waits until no core has it loaded.
    match unsafe { here.loaded.get().as_ref() } {
        Some(space) if !here.current.get().is_null() => space.flush(here),
        _ => scheduler::unload_space(here),
    }
    cores::count(&here.counters.shootdowns);
    jobs::recheck_everywhere(here);
}

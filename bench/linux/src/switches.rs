//! Entering the kernel and changing to another thread: null call, ping-pongs and yields, all on one CPU.
//!
//! A round trip is: the partner is woken, we sleep, the partner runs, wakes us and sleeps. Both sides use the
//! scheduler as programs do: the default policy, no real-time priorities.

use crate::byte_streams;
use crate::clock::{COUNTING, Effort, median, timed};
use crate::process::{Child, check};
use crate::shared::SharedWord;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use syscalls::{Sysno, raw_syscall};

/// A call that only reads one number of the kernel's.
pub fn getppid(effort: Effort) -> u64 {
    median(effort, || {
        // SAFETY: getppid takes no argument and touches no memory of ours.
        Some(timed(|| unsafe { raw_syscall!(Sysno::getppid) }).0)
    })
}

/// Round trip of two processes through one futex word in a shared page.
pub fn futex_ping_pong() -> u64 {
    const OURS: u32 = 0;
    const THEIRS: u32 = 1;
    const STOP: u32 = 2;
    let word = SharedWord::new();
    let partner = Child::start(|| {
        while word.wait_while(OURS) != STOP {
            word.set_and_wake(OURS);
        }
    });
    let ticks = median(COUNTING, || {
        Some(
            timed(|| {
                word.set_and_wake(THEIRS);
                word.wait_while(THEIRS);
            })
            .0,
        )
    });
    word.set_and_wake(STOP);
    partner.join();
    ticks
}

/// Round trip of two processes on one CPU through two pipes, 64 bytes each way.
pub fn pipe_ping_pong() -> u64 {
    byte_streams::pipes(COUNTING, 0)
}

/// One switch between two threads of one process that yield to each other: half a round trip.
pub fn sched_yield_switch() -> u64 {
    let (turns, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let partner = std::thread::spawn({
        let (turns, stop) = (turns.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                turns.fetch_add(1, Ordering::Relaxed);
                give_way();
            }
        }
    });
    let round = median(COUNTING, || {
        let before = turns.load(Ordering::Relaxed);
        let (ticks, ()) = timed(give_way);
        // The scheduler may return to us at once, or run the partner twice: neither is a round trip.
        (turns.load(Ordering::Relaxed) == before + 1).then_some(ticks)
    });
    stop.store(true, Ordering::Relaxed);
    partner.join().expect("the partner thread only yields");
    round / 2
}

#[inline(always)]
fn give_way() {
    // SAFETY: sched_yield takes no argument and touches no memory of ours.
    let answer = unsafe { raw_syscall!(Sysno::sched_yield) };
    check(Sysno::sched_yield, answer);
}

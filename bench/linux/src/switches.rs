//! Entering the kernel and changing to another thread: null call, ping-pongs and yields, all on one CPU.
//!
//! A round trip is: the partner is woken, we sleep, the partner runs, wakes us and sleeps. Both sides use the
//! scheduler as programs do: the default policy, no real-time priorities.

use crate::clock::{COUNTING, median, timed};
use crate::process::{Child, check};
use crate::shared::SharedWord;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use syscalls::{Sysno, raw_syscall};

/// Bytes of one pipe message: a fos message's 64, so that both systems copy the same.
const PIPE_MESSAGE: usize = 64;

/// A call that only reads one number of the kernel's.
pub fn getppid() -> u64 {
    median(COUNTING, || {
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

/// Round trip of two processes through two pipes, 64 bytes each way.
pub fn pipe_ping_pong() -> u64 {
    let (their_input, our_output) = std::io::pipe().expect("a pipe to the partner");
    let (our_input, their_output) = std::io::pipe().expect("a pipe from the partner");
    let mut message = [7u8; PIPE_MESSAGE];
    let partner = Child::start(|| {
        let mut message = [0u8; PIPE_MESSAGE];
        loop {
            receive(&their_input, &mut message);
            if message[0] == 0 {
                break;
            }
            send(&their_output, &message);
        }
    });
    let ticks = median(COUNTING, || {
        Some(
            timed(|| {
                send(&our_output, &message);
                receive(&our_input, &mut message);
            })
            .0,
        )
    });
    send(&our_output, &[0; PIPE_MESSAGE]);
    partner.join();
    ticks
}

#[inline(always)]
fn send(pipe: &PipeWriter, message: &[u8; PIPE_MESSAGE]) {
    // SAFETY: the kernel reads the borrowed message and nothing else.
    let sent = unsafe { raw_syscall!(Sysno::write, pipe.as_raw_fd(), message.as_ptr(), PIPE_MESSAGE) };
    assert_eq!(sent, PIPE_MESSAGE, "write to the pipe");
}

#[inline(always)]
fn receive(pipe: &PipeReader, message: &mut [u8; PIPE_MESSAGE]) {
    // SAFETY: the kernel writes at most the length of the exclusively borrowed message.
    let received = unsafe { raw_syscall!(Sysno::read, pipe.as_raw_fd(), message.as_mut_ptr(), PIPE_MESSAGE) };
    assert_eq!(received, PIPE_MESSAGE, "read from the pipe");
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

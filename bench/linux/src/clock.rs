//! The clock of every measurement: the time stamp counter, read in pairs.
//!
//! Under `-icount shift=0` QEMU's counter advances by one per instruction, so a pair counts instructions
//! exactly; without icount it advances with the host's time and [`Scale`] turns it into nanoseconds.
//! The pair's own cost is measured in the same way and taken off. Medians leave out what the timer tick
//! interrupts (250 a second: one tick in four million instructions).

use std::arch::asm;
use std::time::{Duration, Instant};

/// How often an operation runs.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Runs before the first that counts: they fill caches, page tables and the kernel's free lists.
    warm_up: usize,
    /// Runs that count. Odd, so that the median is one of them.
    pub samples: usize,
}

/// For counts of instructions.
pub const COUNTING: Effort = Effort { warm_up: 300, samples: 2001 };

/// For what takes as long as starting a program.
pub const SPAWNING: Effort = Effort { warm_up: 100, samples: 1001 };

/// For times on two CPUs: on a busy host each run may wait a time slice or two until both get to run.
pub const TIMING: Effort = Effort { warm_up: 100, samples: 301 };

/// The time stamp counter.
#[inline(always)]
fn now() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: rdtsc reads a counter into rax and rdx, both declared. Memory is not declared untouched, so
    // the compiler moves no access of the measured operation across it.
    unsafe { asm!("rdtsc", out("rax") low, out("rdx") high, options(nostack, preserves_flags)) };
    high << 32 | low
}

/// Runs `operation` between the two reads of a pair; returns the ticks, the pair's own included.
#[inline(always)]
pub fn timed<Answer>(operation: impl FnOnce() -> Answer) -> (u64, Answer) {
    let start = now();
    let answer = operation();
    (now() - start, answer)
}

/// The median ticks of many runs, without the pair's own cost.
///
/// `run` returns the ticks of one [`timed`] run, or `None` if this run was not the case to be measured
/// (it is then repeated, at most ten times as often as there are samples).
///
/// # Panics
/// If too few runs were the case to be measured.
pub fn median(effort: Effort, mut run: impl FnMut() -> Option<u64>) -> u64 {
    let pair = middle(sample(effort, &mut || Some(timed(|| ()).0)));
    middle(sample(effort, &mut run)) - pair
}

fn sample(effort: Effort, run: &mut impl FnMut() -> Option<u64>) -> Vec<u64> {
    for _ in 0..effort.warm_up {
        run();
    }
    let mut ticks = vec![u64::MAX; effort.samples]; // written once here, so that no page fault falls into a sample
    let mut filled = 0;
    for _ in 0..effort.samples * 10 {
        if let Some(sample) = run() {
            ticks[filled] = sample;
            filled += 1;
        }
        if filled == effort.samples {
            return ticks;
        }
    }
    panic!("only {filled} of {} runs were the case to be measured", effort.samples * 10);
}

/// The median of an odd number of values.
pub fn middle(mut ticks: Vec<u64>) -> u64 {
    ticks.sort_unstable();
    ticks[ticks.len() / 2]
}

/// How many ticks a microsecond has.
pub struct Scale {
    ticks_per_us: u64,
}

impl Scale {
    /// Compares the counter with the kernel's monotonic clock for a fifth of a second.
    pub fn measure() -> Scale {
        let begin = Instant::now();
        let (ticks, elapsed) = timed(|| {
            while begin.elapsed() < Duration::from_millis(200) {
                std::hint::spin_loop();
            }
            begin.elapsed()
        });
        Scale { ticks_per_us: ticks / elapsed.as_micros() as u64 }
    }

    /// Nanoseconds of so many ticks, rounded down.
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        ticks * 1000 / self.ticks_per_us
    }
}

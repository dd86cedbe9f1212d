//! The clock of the runtimes here: the time stamp counter and a multiplication, as a process on the machine has it.

use std::arch::x86_64::_rdtsc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the counter is compared with the host's clock.
const COMPARED: Duration = Duration::from_millis(20);

/// Nanoseconds since the counter began.
#[inline(always)]
pub fn nanoseconds() -> u64 {
    /// Nanoseconds per tick in units of 2^-32.
    static SCALE: OnceLock<u64> = OnceLock::new();
    ((u128::from(ticks()) * u128::from(*SCALE.get_or_init(scale))) >> 32) as u64
}

fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has rdtsc, and Linux lets programs use it.
    unsafe { _rdtsc() }
}

fn scale() -> u64 {
    let (began, first) = (Instant::now(), ticks());
    while began.elapsed() < COMPARED {
        std::hint::spin_loop();
    }
    let (last, elapsed) = (ticks(), began.elapsed());
    ((elapsed.as_nanos() << 32) / u128::from((last - first).max(1))) as u64
}

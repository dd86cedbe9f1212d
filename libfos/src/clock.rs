//! Time for programs: ticks of the time stamp counter, and deadlines in them. Every wait in fos ends at a deadline.

use core::time::Duration;

use crate::arch;
use crate::calls;

/// When a wait gives up, in ticks of the time stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub u64);

impl Deadline {
    /// When the machine ends: for a server that has nothing to do until somebody asks.
    pub const NEVER: Deadline = Deadline(u64::MAX);
    /// Long ago: look, but do not wait.
    pub const PASSED: Deadline = Deadline(0);

    /// Whether it has passed.
    #[inline]
    pub fn has_passed(self) -> bool {
        arch::ticks() >= self.0
    }
}

/// Turns durations into ticks and back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Ticks per second; never 0.
    tsc_hz: u64,
}

impl Clock {
    /// The clock of a machine with `tsc_hz` ticks per second (from the start block, or from root's boot facts).
    pub const fn new(tsc_hz: u64) -> Clock {
        Clock { tsc_hz: if tsc_hz == 0 { 1 } else { tsc_hz } }
    }

    /// The deadline `duration` from now.
    pub fn after(self, duration: Duration) -> Deadline {
        Deadline(arch::ticks().saturating_add(self.ticks(duration)))
    }

    /// A duration in ticks, rounded down.
    pub fn ticks(self, duration: Duration) -> u64 {
        let ticks = duration.as_nanos() * u128::from(self.tsc_hz) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Ticks as a duration, rounded down to nanoseconds.
    pub fn duration(self, ticks: u64) -> Duration {
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.tsc_hz);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// Lets the other threads of this core run until the deadline. The kernel wakes threads for mailboxes only, so a core with
/// nothing else to do stays busy: meant for short times; who has a mailbox waits for it instead.
pub fn sleep_until(deadline: Deadline) {
    while !deadline.has_passed() {
        calls::thread_yield();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_durations_agree() {
        let clock = Clock::new(2_500_000_000);
        assert_eq!(clock.ticks(Duration::from_micros(2)), 5_000);
        assert_eq!(clock.duration(5_000), Duration::from_micros(2));
        assert_eq!(clock.ticks(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_clock_without_a_rate_does_not_divide_by_zero() {
        assert_eq!(Clock::new(0).duration(1), Duration::from_secs(1));
    }

    #[test]
    fn deadlines_pass() {
        assert!(Deadline::PASSED.has_passed());
        assert!(!Deadline::NEVER.has_passed());
        assert!(!Clock::new(1_000_000_000).after(Duration::from_secs(3600)).has_passed());
    }
}

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
    /// Nanoseconds per tick in units of 2^-32, rounded up: a multiplication instead of a division where it is looked at often.
    scale: u64,
}

const NANOSECONDS: u64 = 1_000_000_000;

impl Clock {
    /// The clock of a machine with `tsc_hz` ticks per second (from the start block, or from root's boot facts).
    pub const fn new(tsc_hz: u64) -> Clock {
        let tsc_hz = if tsc_hz == 0 { 1 } else { tsc_hz };
        Clock { tsc_hz, scale: (NANOSECONDS << 32).div_ceil(tsc_hz) }
    }

    /// Ticks since the counter began as nanoseconds; alike in all processes of a machine.
    #[inline]
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        let scaled = u128::from(ticks) * u128::from(self.scale);
        if scaled >> 96 == 0 { (scaled >> 32) as u64 } else { too_late() }
    }

    /// The first tick at which [`nanoseconds`](Self::nanoseconds) says so much.
    pub fn deadline_at(self, nanoseconds: u64) -> Deadline {
        if nanoseconds == u64::MAX {
            return Deadline::NEVER;
        }
        let ticks = (u128::from(nanoseconds) << 32).div_ceil(u128::from(self.scale));
        Deadline(u64::try_from(ticks).unwrap_or(u64::MAX))
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

/// When a machine has run for 500 years, or one whose clock ticks by the second for longer. Its own function, since a comparison
/// that a branch follows is shorter than one that makes a value.
#[cold]
#[inline(never)]
fn too_late() -> u64 {
    u64::MAX
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
    fn a_deadline_in_nanoseconds_is_not_early_and_not_late() {
        for hz in [1, 1_000_000, 999_999_937, 1_000_000_000, 2_400_000_000, 5_000_000_001] {
            let clock = Clock::new(hz);
            for nanoseconds in [1, 999, 1_000_000_007, 86_400 * NANOSECONDS] {
                let deadline = clock.deadline_at(nanoseconds).0;
                assert!(clock.nanoseconds(deadline) >= nanoseconds, "{hz} {nanoseconds}");
                assert!(clock.nanoseconds(deadline - 1) < nanoseconds, "{hz} {nanoseconds}");
            }
        }
        assert_eq!(Clock::new(2_000_000_000).deadline_at(u64::MAX), Deadline::NEVER);
        assert_eq!(Clock::new(1).nanoseconds(u64::MAX), u64::MAX);
    }

    #[test]
    fn deadlines_pass() {
        assert!(Deadline::PASSED.has_passed());
        assert!(!Deadline::NEVER.has_passed());
        assert!(!Clock::new(1_000_000_000).after(Duration::from_secs(3600)).has_passed());
    }
}

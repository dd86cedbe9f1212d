//! How long a receiver looks at its own memory before it asks the kernel to sleep: about as long as waits have been of
//! late, and not at all when they are longer than sleeping and waking costs, or when looking takes time from others.

use core::time::Duration;

use crate::arch;
use crate::clock::Clock;

/// The longest look: what a sleep with its wake-up by an interrupt takes on hardware, several times over. The kernel's idle
/// loop has the same bound.
const POLL_MAX: Duration = Duration::from_micros(50);
/// One very long wait counts as that many of the longest looks, so that the next few short ones are noticed.
const LONGEST_COUNTED: u64 = 4;

/// A receiver's budget for polling, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    most: u64,
    /// A moving average of how long waits were.
    average: u64,
}

impl Budget {
    /// For this machine: nothing under an emulator, which takes turns between cores, so that who polls takes the time in
    /// which the sender would run.
    pub fn of_machine(clock: Clock) -> Budget {
        Budget::new(if arch::is_emulated() { 0 } else { clock.ticks(POLL_MAX) })
    }

    fn new(most: u64) -> Budget {
        Budget { most, average: most / 2 }
    }

    /// How long to look now: twice as long as waits are on average, if that is worth it.
    pub fn ticks(&self) -> u64 {
        let twice = self.average * 2;
        if twice <= self.most { twice } else { 0 }
    }

    /// A wait took so long, polling and sleep together.
    pub fn waited(&mut self, ticks: u64) {
        let counted = ticks.min(self.most.saturating_mul(LONGEST_COUNTED));
        self.average = (self.average * 7).saturating_add(counted) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_waits_are_polled_for_and_long_ones_are_not() {
        let mut budget = Budget::new(1000);
        assert_eq!(budget.ticks(), 1000);
        (0..50).for_each(|_| budget.waited(100));
        assert!((200..300).contains(&budget.ticks()), "{budget:?}");
        (0..3).for_each(|_| budget.waited(1_000_000));
        assert_eq!(budget.ticks(), 0);
        (0..50).for_each(|_| budget.waited(100));
        assert!(budget.ticks() > 0);
    }

    #[test]
    fn where_polling_steals_there_is_none() {
        let mut budget = Budget::new(0);
        budget.waited(0);
        budget.waited(u64::MAX);
        assert_eq!(budget.ticks(), 0);
    }
}

//! Points in time: nanoseconds since the system began, virtual in the simulator.

use core::time::Duration;

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Nanoseconds since the beginning.
    pub nanoseconds: u64,
}

impl Instant {
    /// Later than any other.
    pub const NEVER: Instant = Instant { nanoseconds: u64::MAX };

    /// That much later; [`Instant::NEVER`] if it would not fit.
    pub fn after(self, duration: Duration) -> Instant {
        self.after_nanoseconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    /// That many nanoseconds later; [`Instant::NEVER`] if it would not fit.
    #[inline]
    pub fn after_nanoseconds(self, more: u64) -> Instant {
        Instant { nanoseconds: self.nanoseconds.saturating_add(more) }
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

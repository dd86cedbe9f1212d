//! How loaded a member is: what it tells its fleet, and by what clients are sent elsewhere.

use core::cell::Cell;
use core::time::Duration;

/// Buckets of a histogram: bucket `n` counts durations of 2^n to 2^(n+1) - 1 nanoseconds; the last, everything longer.
pub const BUCKETS: usize = 40;

/// How long requests took, by powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// See [`BUCKETS`].
    pub counts: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [0; BUCKETS] }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = nanoseconds.max(1).ilog2() as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration that this share of a thousand did not exceed: the upper end of its bucket. Zero if none was counted.
    pub fn permille(&self, share: u64) -> Duration {
        let wanted = (self.count() * share).div_ceil(1000);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && wanted > 0 {
                return Duration::from_nanos((2 << bucket) - 1);
            }
        }
        Duration::ZERO
    }
}

/// What a member says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests under way.
    pub requests: u32,
    /// Requests answered since it began.
    pub answered: u64,
    /// A moving average of how long one takes, from its arrival to its answer.
    pub service_time: Duration,
}

impl Load {
    /// How long a new request would wait, as far as one can tell.
    pub fn wait(&self) -> Duration {
        self.service_time.saturating_mul(self.requests)
    }
}

/// Counts what [`Load`] says.
#[derive(Debug, Default)]
pub struct Counter {
    requests: Cell<u32>,
    answered: Cell<u64>,
    service_nanoseconds: Cell<u64>,
}

impl Counter {
    /// Requests under way.
    #[inline]
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// One more is under way.
    pub fn began(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// One is no longer under way.
    pub fn ended(&self) {
        self.requests.set(self.requests.get() - 1);
    }

    /// One more was answered, this long after it came. The average moves by 1/8 of the difference.
    #[inline]
    pub fn answered(&self, nanoseconds: u64) {
        let (answered, old) = (self.answered.get(), self.service_nanoseconds.get());
        let next = match answered {
            0 => nanoseconds,
            // The difference may be negative; shifting it keeps its sign.
            _ => old.wrapping_add(((nanoseconds.wrapping_sub(old) as i64) >> 3) as u64),
        };
        self.answered.set(answered + 1);
        self.service_nanoseconds.set(next);
    }

    /// What was counted.
    pub fn load(&self) -> Load {
        let service_time = Duration::from_nanos(self.service_nanoseconds.get());
        Load { requests: self.requests.get(), answered: self.answered.get(), service_time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_tells_the_share() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.permille(500), Duration::ZERO);
        (0..99).for_each(|_| histogram.record(Duration::from_nanos(100)));
        histogram.record(Duration::from_secs(1 << 20));
        assert_eq!(histogram.permille(990), Duration::from_nanos(127));
        assert_eq!(histogram.permille(1000), Duration::from_nanos((2 << (BUCKETS - 1)) - 1));
        assert_eq!(histogram.count(), 100);
    }

    #[test]
    fn the_average_follows() {
        let counter = Counter::default();
        (0..100).for_each(|_| counter.answered(80_000));
        (0..100).for_each(|_| counter.answered(8_000));
        let near =
            |load: Load| load.service_time.abs_diff(Duration::from_micros(8)) < Duration::from_nanos(100);
        assert!(near(counter.load()));
        (0..100).for_each(|_| counter.answered(0));
        (0..100).for_each(|_| counter.answered(8_000));
        assert!(near(counter.load()));
        (0..3).for_each(|_| counter.began());
        let load = counter.load();
        assert_eq!((load.answered, load.wait()), (400, load.service_time * 3));
    }
}

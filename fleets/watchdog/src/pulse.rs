//! When one process is taken for silent: later after its last beat than its beats come apart, by the mean and the deviation of
//! the intervals so far, and by the wait that it told of; never before a floor, and always after a ceiling.

use crate::thresholds::{DEVIATION_SHARE, DEVIATIONS, MEAN_SHARE};
use core::time::Duration;
use fos_messages::image::Policy;
use fos_runtime::Instant;

/// What is known of one process's beats.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    last: Instant,
    mean_nanoseconds: u64,
    deviation_nanoseconds: u64,
    wait_nanoseconds: u64,
}

impl Pulse {
    /// Of a process that lives now and is to say so as often as its policy wants.
    pub fn new(now: Instant, policy: &Policy) -> Pulse {
        let mean_nanoseconds = policy.beat().as_nanos() as u64;
        let deviation_nanoseconds = mean_nanoseconds / 2;
        Pulse { last: now, mean_nanoseconds, deviation_nanoseconds, wait_nanoseconds: 0 }
    }

    /// It has said that it lives, and how long a new request would wait there.
    pub fn beat(&mut self, now: Instant, wait_nanoseconds: u64) {
        let interval = u64::try_from(now.since(self.last).as_nanos()).unwrap_or(u64::MAX / 4);
        let towards =
            |old: u64, new: u64, share: u64| (old / share * (share - 1)).saturating_add(new / share);
        let difference = interval.abs_diff(self.mean_nanoseconds);
        self.deviation_nanoseconds = towards(self.deviation_nanoseconds, difference, DEVIATION_SHARE);
        self.mean_nanoseconds = towards(self.mean_nanoseconds, interval, MEAN_SHARE);
        self.answered(now);
        self.wait_nanoseconds = wait_nanoseconds;
    }

    /// It was asked, and answered. That says nothing of its beats.
    pub fn answered(&mut self, now: Instant) {
        self.last = self.last.max(now);
    }

    /// Whoever listens was away for so long.
    pub fn forgive(&mut self, away: Duration) {
        self.last = self.last.after(away);
    }

    /// From when on it is taken for silent.
    pub fn deadline(&self, policy: &Policy) -> Instant {
        let spread = self.deviation_nanoseconds.saturating_mul(DEVIATIONS);
        let bound = self.mean_nanoseconds.saturating_add(spread).saturating_add(self.wait_nanoseconds);
        let (least, most) = (policy.silent_after_ms_min, policy.silent_after_ms_max);
        let within = [least, most].map(|milliseconds| Duration::from_millis(milliseconds.into()));
        self.last.after(Duration::from_nanos(bound).clamp(within[0], within[1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tests::policy;
    use proptest::prelude::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::default().after(Duration::from_millis(milliseconds))
    }

    fn silent_after(intervals: impl IntoIterator<Item = u64>, wait: Duration) -> Duration {
        let (policy, mut pulse, mut now) = (policy("/a"), Pulse::new(at(0), &policy("/a")), 0);
        for interval in intervals {
            now += interval;
            pulse.beat(at(now), wait.as_nanos() as u64);
        }
        pulse.deadline(&policy).since(at(now))
    }

    #[test]
    fn regular_beats_are_expected_regularly_and_others_are_not() {
        assert_eq!(silent_after([100; 50], Duration::ZERO), Duration::from_millis(300), "the floor");
        let uneven = silent_after((0..50).map(|beat| if beat % 2 == 0 { 20 } else { 400 }), Duration::ZERO);
        assert!(uneven > Duration::from_millis(700), "{uneven:?}");
        let once_late = silent_after([[100; 20].as_slice(), &[1000]].concat(), Duration::ZERO);
        assert!(once_late > Duration::from_secs(1), "{once_late:?}: what came late once may do so again");
    }

    #[test]
    fn who_is_loaded_gets_more_time_and_nobody_gets_it_without_end() {
        let loaded = silent_after([100; 50], Duration::from_secs(1));
        assert!(loaded > Duration::from_secs(1) && loaded < Duration::from_millis(1300), "{loaded:?}");
        assert_eq!(silent_after([100; 50], Duration::from_secs(3600)), Duration::from_secs(3), "the ceiling");
    }

    #[test]
    fn what_the_watchdog_slept_through_is_forgiven() {
        let mut pulse = Pulse::new(at(0), &policy("/a"));
        let before = pulse.deadline(&policy("/a"));
        pulse.forgive(Duration::from_secs(7));
        assert_eq!(pulse.deadline(&policy("/a")).since(before), Duration::from_secs(7));
    }

    proptest! {
        #[test]
        fn the_bounds_hold_whatever_is_heard(beats in proptest::collection::vec((0u64..100_000, any::<u64>()), 0..50)) {
            let (policy, mut pulse, mut now) = (policy("/a"), Pulse::new(at(0), &policy("/a")), 0);
            for (interval, wait) in beats {
                now += interval;
                pulse.beat(at(now), wait);
                let after = pulse.deadline(&policy).since(at(now));
                prop_assert!(after >= Duration::from_millis(300) && after <= Duration::from_secs(3), "{after:?}");
            }
        }
    }
}

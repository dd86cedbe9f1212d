//! Whether one more member of a fleet may be started after so many have ended: at once after the first end, later and later
//! after each one more, and no more when as many as its policy says have ended within the policy's time.

use crate::thresholds::BACK_OFF;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::image::Policy;
use fos_messages::watchdog::NotYet;
use fos_runtime::Instant;

/// The ends of one fleet's members that still count, the first one first.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    ends: VecDeque<Instant>,
}

impl Restarts {
    /// A member has ended.
    pub fn ended(&mut self, at: Instant, policy: &Policy) {
        let place = self.ends.partition_point(|end| *end <= at);
        self.ends.insert(place, at);
        // More than the limit tell nothing more.
        if self.ends.len() > policy.restarts_max as usize {
            self.ends.pop_front();
        }
    }

    /// How long ago members ended that still count.
    pub fn ages(&self, now: Instant, policy: &Policy) -> Vec<Duration> {
        self.counting(now, policy).map(|end| now.since(end)).collect()
    }

    /// Whether the limit is reached.
    pub fn is_failing(&self, now: Instant, policy: &Policy) -> bool {
        self.counting(now, policy).count() >= policy.restarts_max as usize
    }

    /// Whether one may be started now.
    pub fn may(&self, now: Instant, policy: &Policy) -> Result<(), NotYet> {
        let counting: Vec<Instant> = self.counting(now, policy).collect();
        let (Some(first), Some(last)) = (counting.first(), counting.last()) else { return Ok(()) };
        let is_failing = counting.len() >= policy.restarts_max as usize;
        let free_at = match is_failing {
            true => first.after(policy.restarts_within()),
            false => last.after(back_off(counting.len())),
        };
        if now >= free_at {
            return Ok(());
        }
        let for_ms = u32::try_from(free_at.since(now).as_millis()).unwrap_or(u32::MAX);
        Err(NotYet { for_ms, is_failing })
    }

    fn counting(&self, now: Instant, policy: &Policy) -> impl Iterator<Item = Instant> {
        let within = policy.restarts_within();
        self.ends.iter().copied().filter(move |end| now.since(*end) < within)
    }
}

fn back_off(ends: usize) -> Duration {
    match ends {
        0 | 1 => Duration::ZERO,
        more => BACK_OFF.saturating_mul(1 << (more - 2).min(10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tests::policy;

    fn at(milliseconds: u64) -> Instant {
        Instant::default().after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn the_first_end_is_repaired_at_once_and_each_one_more_later() {
        let (policy, mut restarts) = (policy("/a"), Restarts::default());
        assert_eq!(restarts.may(at(0), &policy), Ok(()));
        restarts.ended(at(0), &policy);
        assert_eq!(restarts.may(at(0), &policy), Ok(()));
        restarts.ended(at(10), &policy);
        assert_eq!(restarts.may(at(20), &policy), Err(NotYet { for_ms: 90, is_failing: false }));
        assert_eq!(restarts.may(at(110), &policy), Ok(()));
        restarts.ended(at(110), &policy);
        assert_eq!(restarts.may(at(110), &policy), Err(NotYet { for_ms: 200, is_failing: false }));
    }

    #[test]
    fn a_loop_of_ends_is_bounded_and_starts_again_when_it_is_forgotten() {
        let (policy, mut restarts) = (policy("/a"), Restarts::default());
        let mut started = 0;
        for now in 0..30_000 {
            if restarts.may(at(now), &policy).is_ok() {
                started += 1;
                restarts.ended(at(now), &policy);
            }
        }
        assert!(restarts.is_failing(at(29_999), &policy));
        assert!(
            started <= 3 * policy.restarts_max,
            "{started} in 30 s, at most {} in 10 s",
            policy.restarts_max
        );
        assert!(started >= policy.restarts_max, "{started}: it gave up too early");
        assert_eq!(restarts.may(at(60_000), &policy), Ok(()));
        assert!(!restarts.is_failing(at(60_000), &policy));
    }
}

//! How long a receiver polls before it sleeps: as long as waits have been lately, and never longer than sleeping costs.
//!
//! Polling for what a sleep and its wake-up cost, and then sleeping, costs at most twice what the best choice would have
//! in hindsight. A wait that is going to be longer is better slept through from the start, so a receiver whose waits have
//! been longer does not poll at all; it still learns how long they are, and polls again once they are short.

/// A wait counts as at most so many limits: however long one was, a few short ones make up for it.
const LIMITS_MAX: u64 = 4;
/// A wait moves the expected one by this part of their difference.
const PART: u64 = 8;
/// The shortest poll, as a part of the limit.
const LEAST_PART: u64 = 8;

/// Decides for one receiver. Times are in ticks of whatever clock the receiver reads.
#[derive(Clone, Copy, Debug)]
pub struct Poller {
    limit_ticks: u64,
    expected_ticks: u64,
}

impl Poller {
    /// Never polls: for a core that others want too, and an emulated or overcommitted one, where polling takes time from
    /// the very sender that is waited for.
    pub const NEVER: Poller = Poller::new(0);

    /// Polls for at most `limit_ticks`, which should be what a sleep and its wake-up cost.
    pub const fn new(limit_ticks: u64) -> Poller {
        Poller { limit_ticks, expected_ticks: limit_ticks / 2 }
    }

    /// How long to poll now.
    pub fn budget_ticks(&self) -> u64 {
        if self.expected_ticks > self.limit_ticks {
            return 0;
        }
        self.expected_ticks.saturating_mul(2).clamp(self.limit_ticks / LEAST_PART, self.limit_ticks)
    }

    /// Learns how long a wait was, polled or slept through.
    pub fn waited(&mut self, ticks: u64) {
        let ticks = ticks.min(self.limit_ticks.saturating_mul(LIMITS_MAX));
        self.expected_ticks = self.expected_ticks - self.expected_ticks / PART + ticks / PART;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 8000;

    fn after(waits: impl IntoIterator<Item = u64>) -> u64 {
        let mut poller = Poller::new(LIMIT);
        waits.into_iter().for_each(|ticks| poller.waited(ticks));
        poller.budget_ticks()
    }

    #[test]
    fn the_first_wait_is_polled() {
        assert_eq!(after([]), LIMIT);
    }

    #[test]
    fn short_waits_are_polled_through_with_time_to_spare_and_no_more() {
        let budget = after([1500; 100]);
        assert!((2900..=3100).contains(&budget), "{budget}");
    }

    #[test]
    fn tiny_waits_leave_a_budget_for_a_longer_one() {
        assert_eq!(after([1; 100]), LIMIT / LEAST_PART);
    }

    #[test]
    fn long_waits_are_slept_through() {
        assert_eq!(after([LIMIT * 2; 20]), 0);
        assert_eq!(after([u64::MAX; 20]), 0);
    }

    #[test]
    fn one_long_wait_among_short_ones_changes_little() {
        assert!(after([500; 100].into_iter().chain([u64::MAX])) > 0);
    }

    #[test]
    fn a_few_short_waits_bring_polling_back() {
        let short_enough = (0..)
            .find(|count| after([u64::MAX; 100].into_iter().chain(core::iter::repeat_n(100, *count))) > 0);
        assert!(short_enough.is_some_and(|count| (2..=16).contains(&count)), "{short_enough:?}");
    }

    #[test]
    fn the_limit_holds_whatever_comes() {
        let mut poller = Poller::new(LIMIT);
        for wait in [0, 1, LIMIT, LIMIT + 1, u64::MAX].into_iter().cycle().take(1000) {
            poller.waited(wait);
            assert!(poller.budget_ticks() <= LIMIT);
        }
        let mut greedy = Poller::new(u64::MAX);
        greedy.waited(u64::MAX);
        assert!(greedy.budget_ticks() > 0);
    }

    #[test]
    fn without_a_limit_nothing_is_polled() {
        let mut poller = Poller::NEVER;
        assert_eq!(poller.budget_ticks(), 0);
        poller.waited(0);
        poller.waited(u64::MAX);
        assert_eq!(poller.budget_ticks(), 0);
    }
}

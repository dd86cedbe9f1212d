//! How long something would have taken had no other program run: what budgets are compared with, so that a busy host does not
//! fail a suite. Processors' time that others took in between is taken off the time by the clock, shared among the cores.
//!
//! It is an estimate, and too small for work that uses one core while others use the second.

use std::fs;
use std::time::{Duration, Instant};

/// A moment, and the processors' time that had been used by then.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock.
    pub at: Instant,
    /// By all programs of the host and by its hypervisor, in ticks of all cores together.
    everybody: u64,
    /// By this process and those that it has waited for.
    ours: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (everybody, ours) = (busy(&read("/proc/stat")), own(&read("/proc/self/stat")));
        Moment { at: Instant::now(), everybody, ours }
    }

    /// Time since then without what others took.
    pub fn quiet(self) -> Duration {
        let now = Moment::now();
        let others = (now.everybody - self.everybody).saturating_sub(now.ours - self.ours);
        without(now.at - self.at, others)
    }

    /// Processors' time of our own since then.
    pub fn processor_time(self) -> Duration {
        time_of(Moment::now().ours - self.ours)
    }
}

fn time_of(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

fn without(took: Duration, others_ticks: u64) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    took.saturating_sub(time_of(others_ticks) / cores)
}

/// Ticks in which the host's processors did something: all but idle and waiting for disks.
fn busy(stat: &str) -> u64 {
    let columns: Vec<u64> = numbers(stat.lines().next().unwrap_or_default());
    let [user, nice, system, _idle, _wait, interrupts, late, stolen, ..] = columns[..] else { return 0 };
    user + nice + system + interrupts + late + stolen
}

/// Ticks of a process and of its children that have ended. Its name is in parentheses and may hold anything.
fn own(stat: &str) -> u64 {
    const FIRST: usize = 10;
    let fields = numbers(stat.rsplit(')').next().unwrap_or_default());
    fields.get(FIRST..FIRST + 4).map_or(0, |ticks| ticks.iter().sum())
}

/// The words of a line as numbers; those that are none count as 0, but for the first.
fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().skip(1).map(|word| word.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_linux_are_read() {
        assert_eq!(busy("cpu  1 2 4 1000 1000 8 16 32 64 0\ncpu0 9 9 9 9 9 9 9 9 9 9"), 63);
        let stat = "7 (a) name) S 1 7 7 0 -1 4194304 100 200 0 0 10 20 40 80 20 0 1 0 5 6 7";
        assert_eq!(own(stat), 150);
        assert_eq!((busy(""), own("")), (0, 0));
    }

    #[test]
    fn what_others_took_is_taken_off() {
        let took = Duration::from_secs(100);
        assert_eq!(without(took, 0), took);
        assert!(without(took, 100) < took);
        assert_eq!(without(took, u64::MAX / 2000), Duration::ZERO);
    }

    #[test]
    fn own_work_is_seen_and_is_not_taken_for_that_of_others() {
        let began = Moment::now();
        let (mut now, end) = (began, began.at + Duration::from_secs(60));
        while now.ours < began.ours + 20 && now.at < end {
            now = Moment::now();
        }
        assert!(now.ours >= began.ours + 20, "{now:?} after {began:?}");
        // The two are counted by different clocks, one of them in ticks.
        assert!(now.everybody >= began.everybody + 10, "{now:?} after {began:?}");
        assert!(began.quiet() > Duration::ZERO);
    }
}

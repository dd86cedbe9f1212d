//! How a number is made of many runs: some to warm up, then an odd number of which the median counts. Under icount
//! all are alike, but for those that a timer's interrupt fell into; where they are not, a note says so.

use alloc::vec;
use alloc::vec::Vec;

use fos_abi::Error;
use libfos::measure;
use libfos::println;

/// How often an operation runs.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs before the first that counts: they fill TLB, caches of translated code, and key tables.
    pub warm_up: usize,
    /// Runs that count. Odd, so that the median is one of them.
    pub samples: usize,
}

/// For counts of instructions.
pub const COUNTING: Effort = Effort { warm_up: 100, samples: 1001 };

/// The ticks of many runs.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// What counts.
    pub median: u64,
    /// The fewest.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Sample {
    /// Of an odd number of values.
    pub fn of(mut ticks: Vec<u64>) -> Sample {
        ticks.sort_unstable();
        Sample { median: ticks[ticks.len() / 2], least: ticks[0], most: ticks[ticks.len() - 1] }
    }

    /// Without what each run had on top.
    pub fn less(self, on_top: u64) -> Sample {
        let less = |ticks: u64| ticks.saturating_sub(on_top);
        Sample { median: less(self.median), least: less(self.least), most: less(self.most) }
    }

    /// Shared among `parts` of each run, rounded up: a count is never told too small.
    pub fn per(self, parts: u64) -> Sample {
        let part = |ticks: u64| ticks.div_ceil(parts);
        Sample { median: part(self.median), least: part(self.least), most: part(self.most) }
    }
}

/// Runs an operation again and again; `run` answers its ticks, or an error that ends it all.
pub fn sample(effort: Effort, mut run: impl FnMut() -> Result<u64, Error>) -> Result<Sample, Error> {
    for _ in 0..effort.warm_up {
        run()?;
    }
    let mut ticks = vec![u64::MAX; effort.samples]; // written once here, so that no fault falls into a run
    for place in &mut ticks {
        *place = run()?;
    }
    Ok(Sample::of(ticks))
}

/// As [`sample`], for counting, of operations timed by [`measure::count`]; without the pair of readings.
pub fn counted(run: impl FnMut() -> Result<u64, Error>) -> Result<Sample, Error> {
    let pair = sample(COUNTING, || Ok(measure::count(|| ()).0))?;
    Ok(sample(COUNTING, run)?.less(pair.median))
}

/// As [`counted`], of the routines of [`measure`] that read the counter themselves.
pub fn counted_by_routine(run: impl Fn() -> u32) -> Result<Sample, Error> {
    let pair = sample(COUNTING, || Ok(u64::from(measure::empty_cost())))?;
    Ok(sample(COUNTING, || Ok(u64::from(run())))?.less(pair.median))
}

/// Prints a count, and how far the runs were apart if they were.
pub fn print_count(key: &str, sample: Sample, how: &str) {
    println!("bench {key} {} instructions {how}", sample.median);
    if sample.least != sample.median {
        println!("note {key}: {} to {} instructions, median {}", sample.least, sample.most, sample.median);
    }
}

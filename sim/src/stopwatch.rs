//! Measuring what a step really takes, for cost files. The simulator itself never looks at a clock: whoever calibrates
//! brings one, and what is measured changes nothing in the run.

use std::cell::Cell;
use std::collections::BTreeMap;

/// A real clock.
pub trait Clock {
    /// Nanoseconds since some beginning.
    fn nanoseconds(&self) -> u64;
}

/// How long each kind of step took.
pub type Measured = BTreeMap<String, Vec<u64>>;

/// Times steps without what happens in the simulated mailboxes, whose cost the file has apart.
pub struct Stopwatch {
    clock: Option<Box<dyn Clock>>,
    /// What reading the clock costs by itself.
    reading: u64,
    began: Cell<u64>,
    outside: Cell<u64>,
}

impl Stopwatch {
    /// A stopwatch over this clock; without one it does nothing.
    pub fn new(clock: Option<Box<dyn Clock>>) -> Stopwatch {
        let reading = clock.as_ref().map_or(0, |clock| reading(&**clock));
        Stopwatch { clock, reading, began: Cell::new(0), outside: Cell::new(0) }
    }

    /// A step begins.
    pub fn begin(&self) {
        if let Some(clock) = &self.clock {
            self.outside.set(0);
            self.began.set(clock.nanoseconds());
        }
    }

    /// What `work` does is not the server's.
    pub fn outside<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(clock) = &self.clock else { return work() };
        let before = clock.nanoseconds();
        let value = work();
        // Of the two readings, about one lies between the times that were read.
        self.outside.set(self.outside.get() + (clock.nanoseconds() - before) + self.reading);
        value
    }

    /// A step ends: how long it took.
    pub fn end(&self) -> Option<u64> {
        let took = self.clock.as_ref()?.nanoseconds() - self.began.get();
        Some(took.saturating_sub(self.outside.get() + self.reading))
    }
}

/// The median time between two readings with nothing between them.
fn reading(clock: &dyn Clock) -> u64 {
    let mut took: Vec<u64> = (0..1001)
        .map(|_| {
            let before = clock.nanoseconds();
            clock.nanoseconds() - before
        })
        .collect();
    took.sort_unstable();
    took[took.len() / 2]
}

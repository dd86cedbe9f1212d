//! What happens next. Ordered by time; what happens at the same time happens in an order drawn from the seed, so that no
//! server comes to rely on one.

use crate::Random;
use crate::mailbox::Letter;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that is to happen.
#[derive(Debug)]
pub enum Event {
    /// A core does the next step of one of its processes.
    Run { core: u32 },
    /// A message, or a notice, has come as far as the receiver's memory.
    Arrive { mailbox: u64, letter: Letter },
    /// A process asked to be woken.
    Wake { process: usize, at: u64 },
    /// A fault of the plan, by its number in it.
    Fault { number: usize },
    /// The processes of a core that has stopped are ended.
    Bury { core: u32 },
}

struct Entry {
    at: u64,
    /// From the seed.
    tie: u64,
    /// In the order of asking, in case even the seed says the same twice.
    number: u64,
    event: Event,
}

impl Entry {
    fn key(&self) -> (u64, u64, u64) {
        (self.at, self.tie, self.number)
    }
}

// The heap shows the greatest first, so the earliest is the greatest.
impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        other.key().cmp(&self.key())
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Entry {}

/// Everything that is to happen.
pub struct Events {
    heap: BinaryHeap<Entry>,
    ties: Random,
    next_number: u64,
}

impl Events {
    /// Nothing yet.
    pub fn new(ties: Random) -> Events {
        Events { heap: BinaryHeap::new(), ties, next_number: 0 }
    }

    /// Something more.
    pub fn push(&mut self, at: u64, event: Event) {
        let (tie, number) = (self.ties.next(), self.next_number);
        self.next_number += 1;
        self.heap.push(Entry { at, tie, number, event });
    }

    /// The next.
    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> Vec<u32> {
        let mut events = Events::new(Random::new(seed));
        (0..20).for_each(|core| events.push(u64::from(core / 10), Event::Run { core }));
        std::iter::from_fn(|| events.pop())
            .map(|(_, event)| match event {
                Event::Run { core } => core,
                _ => unreachable!(),
            })
            .collect()
    }

    #[test]
    fn time_orders_and_the_seed_breaks_ties() {
        assert!(order(1)[..10].iter().all(|core| *core < 10));
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}

//! The floor under every round trip between two cores: a number in a line there, the same in a line back, nothing else.
//!
//! How fast that is depends on how lines are written and polled, by a factor of two and differently on each machine:
//! the floor is the fastest of several ways. A pair of lines used again and again is what is meant by a raw round trip.
//! Going on to other lines each time, as a ring does, is another floor, lower on some machines.

use crate::lines::Page;
use crate::two_cores::{Cores, Stop};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

/// Round trips in a burst.
const BURST: u64 = 500;

/// Over the same two lines.
pub fn two_lines(cores: Cores) -> u64 {
    fastest(cores, 1)
}

/// Over as many lines each way as a channel in half a page has slots.
pub fn moving_lines(cores: Cores) -> u64 {
    fastest(cores, 30)
}

fn fastest(cores: Cores, lines: usize) -> u64 {
    let store = |word: &AtomicU64, number| word.store(number, Ordering::Release);
    let swap = |word: &AtomicU64, number| {
        word.swap(number, Ordering::SeqCst);
    };
    let pauses = || (0..4).for_each(|_| spin_loop());
    let ways = [
        with(cores, lines, store, || ()),
        with(cores, lines, store, spin_loop),
        with(cores, lines, store, pauses),
        with(cores, lines, swap, || ()),
        with(cores, lines, swap, spin_loop),
        with(cores, lines, swap, pauses),
    ];
    ways.into_iter().min().unwrap_or_default()
}

/// Each side writes a number to its own next line and waits for it in the other's.
fn with(
    cores: Cores,
    lines: usize,
    write: impl Fn(&AtomicU64, u64) + Copy + Send,
    wait: impl Fn() + Copy + Send,
) -> u64 {
    let page = &Page::new();
    let there = move |number: u64| page.line(number as usize % lines);
    let back = move |number: u64| page.line(32 + number as usize % lines);
    let partner = move |stop: &Stop| {
        let mut number = 1;
        while !stop.asked() {
            if there(number).load(Ordering::Acquire) == number {
                write(back(number), number);
                number += 1;
            } else {
                wait();
            }
        }
    };
    let mut number = 0;
    let operation = || {
        number += 1;
        write(there(number), number);
        while back(number).load(Ordering::Acquire) != number {
            wait();
        }
    };
    cores.sample(BURST, partner, operation, || ())
}

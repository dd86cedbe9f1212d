//! Figure 3 of "The multikernel: a new OS architecture for scalable multicore systems" (SOSP 2009), on two cores: what it
//! costs to update state of 1 to 8 cache lines that two cores share under a lock, and what it costs to ask the core that
//! owns it, by a message and its answer.
//!
//! The figure's threads have no lock. With two cores of today that measures little: one keeps a line for hundreds of
//! updates while the other waits for it, so an update took 2 to 120 ns, and most of the time one core did nearly all.

use crate::channels;
use crate::lines::Page;
use crate::stream::MESSAGE;
use crate::two_cores::{Cores, Stop};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of state that an update changes, as the figure has them.
pub const LINES: [usize; 4] = [1, 2, 4, 8];

/// Updates in a burst.
const BURST: u64 = 500;
/// The lock's lines: tickets given out, tickets served.
const TICKETS: usize = 0;
const SERVED: usize = 2;
/// The first line of the state, nobody's neighbour.
const STATE: usize = 4;

/// Picoseconds of an update by one core while the other updates the same lines, both under a ticket lock.
pub fn by_lock(cores: Cores, lines: usize) -> u64 {
    let page = &Page::new();
    let update_locked = move || {
        // A ticket lock: a core can't have it again while the other waits.
        let ticket = page.line(TICKETS).fetch_add(1, Ordering::Relaxed);
        while page.line(SERVED).load(Ordering::Acquire) != ticket {
            spin_loop();
        }
        update(page, lines);
        page.line(SERVED).store(ticket + 1, Ordering::Release);
    };
    let partner = move |stop: &Stop| {
        while !stop.asked() {
            update_locked();
        }
    };
    cores.sample(BURST, partner, update_locked, || ())
}

/// Picoseconds of an update by a message to the core that owns the lines, which answers when it is done.
pub fn by_message(cores: Cores, lines: usize) -> u64 {
    let page = Page::new();
    channels::answered(cores, move |message: &[u8; MESSAGE]| {
        update(&page, lines);
        *message
    })
}

fn update(page: &Page, lines: usize) {
    for line in STATE..STATE + lines {
        let word: &AtomicU64 = page.line(line);
        word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

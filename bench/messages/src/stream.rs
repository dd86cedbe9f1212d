//! Messages one way as fast as they go, the same for every ring: a burst ends when the partner has taken the last.

use crate::two_cores::{Cores, Stop};
use std::cell::Cell;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a message.
pub const MESSAGE: usize = 56;
/// Slots of the rings beside fos's: as many as a channel has in a page.
pub const SLOTS: usize = 62;
/// Messages in a burst; what is put together must divide it.
const BURST: u64 = 6400;

/// A line of its own for what the partner has taken.
#[repr(align(128))]
struct Taken(AtomicU64);

/// Picoseconds per message. `receive` copies a message out, if one is there; `send` comes back when the message is in
/// the ring, and gets its number in the burst, from 1.
pub fn sample(
    cores: Cores,
    mut receive: impl FnMut(&mut [u8; MESSAGE]) -> bool + Send,
    mut send: impl FnMut(u64, &[u8; MESSAGE]),
) -> u64 {
    let taken = &Taken(AtomicU64::new(0));
    let partner = move |stop: &Stop| {
        let (mut count, mut message) = (0, [0; MESSAGE]);
        while !stop.asked() {
            if !receive(black_box(&mut message)) {
                spin_loop();
                continue;
            }
            count += 1;
            if count % BURST == 0 {
                taken.0.store(count, Ordering::Release);
            }
        }
    };
    let message = [7; MESSAGE];
    let sent = Cell::new(0);
    let operation = || {
        for number in 1..=BURST {
            send(number, black_box(&message));
        }
        sent.set(sent.get() + BURST);
        while taken.0.load(Ordering::Acquire) != sent.get() {
            spin_loop();
        }
    };
    cores.sample(1, partner, operation, || ()) / BURST
}

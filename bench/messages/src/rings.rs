//! The best known rings between two threads, with as many slots as a channel in a page. They trust their peer and never
//! sleep.

use crate::stream::{self, MESSAGE, SLOTS};
use crate::two_cores::Cores;
use std::hint::spin_loop;

/// rtrb: a single producer, a single consumer, indices that each side caches.
pub fn rtrb(cores: Cores) -> u64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<[u8; MESSAGE]>::new(SLOTS);
    let receive = move |message: &mut [u8; MESSAGE]| consumer.pop().map(|popped| *message = popped).is_ok();
    let send = |_, message: &[u8; MESSAGE]| {
        while producer.push(*message).is_err() {
            spin_loop();
        }
    };
    stream::sample(cores, receive, send)
}

/// crossbeam's ArrayQueue: many producers, many consumers, a stamp in each slot.
pub fn crossbeam(cores: Cores) -> u64 {
    let queue = crossbeam_queue::ArrayQueue::<[u8; MESSAGE]>::new(SLOTS);
    let receive = |message: &mut [u8; MESSAGE]| queue.pop().map(|popped| *message = popped).is_some();
    let send = |_, message: &[u8; MESSAGE]| {
        while queue.push(*message).is_err() {
            spin_loop();
        }
    };
    stream::sample(cores, receive, send)
}

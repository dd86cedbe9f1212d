//! The channel and its sleeping under loom, which tries every interleaving of two threads (with at most
//! [`PREEMPTIONS`] switches where nobody waits) and every value that a load may see under the C++ memory model. A
//! receiver that nobody wakes is a deadlock, and loom says so.
//!
//! Loom has no loads that move behind a later store, so it can't show why the receiver's count of freed slots is a
//! release; x86 has none either. It takes `SeqCst` accesses for acquire and release: the words below have fences instead.

use super::{opened, received, words_for};
use crate::sync::{Ordering, Word};
use crate::{ChannelError, Receiver, Sender, Shared};
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use std::vec::Vec;

/// Enough for every planted bug in tests/mutants.md; more finds nothing new and takes minutes.
const PREEMPTIONS: usize = 3;

struct Checked(AtomicU64);

impl Word for Checked {
    fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering)
    }

    fn store(&self, value: u64, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.swap(value, ordering)
    }

    fn fence() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Runs one end in a thread of its own and the other here, under all interleavings. Each can wake the other.
fn model(
    slots: usize,
    send: fn(Sender<'_, Checked>, &thread::Thread),
    receive: fn(Receiver<'_, Checked>, &thread::Thread),
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(move || {
        let words: Vec<Checked> = (0..words_for(slots)).map(|_| Checked(AtomicU64::new(0))).collect();
        let words = Arc::new(words);
        opened(&words);
        let (theirs, receiving) = (words.clone(), thread::current());
        let sending = thread::spawn(move || send(Sender::new(Shared::new(&theirs).unwrap()), &receiving));
        receive(Receiver::new(Shared::new(&words).unwrap()), sending.thread());
        sending.join().unwrap();
    });
}

/// A message whose bytes all are its number.
fn numbered(number: u8, length: usize) -> Vec<u8> {
    std::vec![number; length]
}

fn send_when_free(sender: &mut Sender<'_, Checked>, message: &[u8]) -> bool {
    loop {
        match sender.send(message) {
            Ok(bell) => return bell,
            Err(ChannelError::Full) => thread::yield_now(),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Polls until a message comes.
fn polled(receiver: &mut Receiver<'_, Checked>) -> Vec<u8> {
    loop {
        match received(receiver).unwrap() {
            Some(message) => return message,
            None => thread::yield_now(),
        }
    }
}

/// Sleeps until a message comes.
fn slept(receiver: &mut Receiver<'_, Checked>) -> Vec<u8> {
    loop {
        if let Some(message) = received(receiver).unwrap() {
            return message;
        }
        if receiver.prepare_to_sleep() {
            thread::park();
            receiver.wake();
        }
    }
}

/// Each message waits for the slot of the one before: nothing is torn, lost, doubled or overtaken.
#[test]
fn one_slot_is_used_again_and_again() {
    let send = |mut sender: Sender<'_, Checked>, _: &thread::Thread| {
        (1..=3).for_each(|number| _ = send_when_free(&mut sender, &numbered(number, 16)));
    };
    model(1, send, |mut receiver, _| {
        (1..=3).for_each(|number| assert_eq!(polled(&mut receiver), numbered(number, 16)));
    });
}

/// A receiver that looks a few times and waits for nobody may see memory as old as the model allows (who yields to another
/// thread sees newer). In a ring of five, both ends have runs of several slots.
#[test]
fn what_is_seen_early_is_whole() {
    let send = |mut sender: Sender<'_, Checked>, _: &thread::Thread| {
        (1..=3).for_each(|number| _ = sender.send(&numbered(number, 16)).unwrap());
    };
    model(5, send, |mut receiver, _| {
        let mut next = 1;
        for _ in 0..5 {
            if let Some(message) = received(&mut receiver).unwrap() {
                assert_eq!(message, numbered(next, 16));
                next += 1;
            }
        }
    });
}

/// Messages of one slot and of two, around the end of a ring of three.
#[test]
fn long_messages_come_whole() {
    let send = |mut sender: Sender<'_, Checked>, _: &thread::Thread| {
        for (number, length) in [(1, 8), (2, 64), (3, 64)] {
            send_when_free(&mut sender, &numbered(number, length));
        }
    };
    model(3, send, |mut receiver, _| {
        for (number, length) in [(1, 8), (2, 64), (3, 64)] {
            assert_eq!(polled(&mut receiver), numbered(number, length));
        }
    });
}

/// Messages that are shown together come in order, and not before they are shown.
#[test]
fn messages_shown_together_come_in_order() {
    let send = |mut sender: Sender<'_, Checked>, _: &thread::Thread| {
        sender.put(&numbered(1, 8)).unwrap();
        sender.put(&numbered(2, 8)).unwrap();
        sender.flush();
        send_when_free(&mut sender, &numbered(3, 8));
    };
    model(2, send, |mut receiver, _| {
        (1..=3).for_each(|number| assert_eq!(polled(&mut receiver), numbered(number, 8)));
    });
}

#[test]
fn no_wake_up_by_send_is_lost() {
    let send = |mut sender: Sender<'_, Checked>, receiving: &thread::Thread| {
        for number in 1..=2 {
            if send_when_free(&mut sender, &numbered(number, 8)) {
                receiving.unpark();
            }
        }
    };
    model(2, send, |mut receiver, _| {
        (1..=2).for_each(|number| assert_eq!(slept(&mut receiver), numbered(number, 8)));
    });
}

#[test]
fn no_wake_up_by_flush_is_lost() {
    let send = |mut sender: Sender<'_, Checked>, receiving: &thread::Thread| {
        for round in 0..2 {
            sender.put(&numbered(2 * round + 1, 8)).unwrap();
            sender.put(&numbered(2 * round + 2, 8)).unwrap();
            if sender.flush() {
                receiving.unpark();
            }
        }
    };
    model(4, send, |mut receiver, _| {
        (1..=4).for_each(|number| assert_eq!(slept(&mut receiver), numbered(number, 8)));
    });
}

/// Sends, and sleeps while there is no room.
fn send_waiting(sender: &mut Sender<'_, Checked>, message: &[u8]) {
    while sender.send(message) == Err(ChannelError::Full) {
        if sender.prepare_to_wait(message.len()) {
            thread::park();
        }
    }
}

/// Polls until a message comes, and wakes a sender that waits for room.
fn polled_ringing(receiver: &mut Receiver<'_, Checked>, sending: &thread::Thread) -> Vec<u8> {
    loop {
        let message = received(receiver).unwrap();
        if receiver.must_ring() {
            sending.unpark();
        }
        match message {
            Some(message) => return message,
            None => thread::yield_now(),
        }
    }
}

#[test]
fn no_wake_up_for_room_is_lost() {
    let send = |mut sender: Sender<'_, Checked>, _: &thread::Thread| {
        (1..=3).for_each(|number| send_waiting(&mut sender, &numbered(number, 8)));
    };
    model(1, send, |mut receiver, sending| {
        (1..=3).for_each(|number| assert_eq!(polled_ringing(&mut receiver, sending), numbered(number, 8)));
    });
}

/// A message that needs the whole ring waits for both slots, though it may be woken for the first.
#[test]
fn no_wake_up_for_a_long_message_is_lost() {
    let send = |mut sender: Sender<'_, Checked>, _: &thread::Thread| {
        for (number, length) in [(1, 8), (2, 8), (3, 64)] {
            send_waiting(&mut sender, &numbered(number, length));
        }
    };
    model(2, send, |mut receiver, sending| {
        for (number, length) in [(1, 8), (2, 8), (3, 64)] {
            assert_eq!(polled_ringing(&mut receiver, sending), numbered(number, length));
        }
    });
}

/// Both sleep: the receiver while there is nothing, the sender while there is no room.
#[test]
fn two_that_sleep_wake_each_other() {
    let send = |mut sender: Sender<'_, Checked>, receiving: &thread::Thread| {
        for number in 1..=2 {
            loop {
                match sender.send(&numbered(number, 8)) {
                    Ok(true) => break receiving.unpark(),
                    Ok(false) => break,
                    Err(_) if sender.prepare_to_wait(8) => {
                        thread::park();
                    }
                    Err(_) => {}
                }
            }
        }
    };
    model(1, send, |mut receiver, sending| {
        for number in 1..=2 {
            loop {
                let message = received(&mut receiver).unwrap();
                let may_sleep = message.is_none() && receiver.prepare_to_sleep();
                if receiver.must_ring() {
                    sending.unpark();
                }
                if let Some(message) = message {
                    assert_eq!(message, numbered(number, 8));
                    break;
                }
                if may_sleep {
                    thread::park();
                    receiver.wake();
                }
            }
        }
    });
}

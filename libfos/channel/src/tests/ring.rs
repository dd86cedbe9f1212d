//! The ring over plain memory: every size, around the end, full and empty, closed, asleep; two real threads; a queue
//! beside it.

use super::{header_at, opened, received, words_for};
use crate::sync::Word;
use crate::{ChannelError, LINE_WORDS, MESSAGE_MAX, Receiver, SLOT_PAYLOAD, Sender, Shared};
use core::sync::atomic::{AtomicU64, Ordering};
use fos_abi::channel::{MESSAGE_SLOTS_MAX, slots_for};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

fn memory(slots: usize) -> Vec<AtomicU64> {
    (0..words_for(slots)).map(|_| AtomicU64::new(0)).collect()
}

#[test]
fn memory_that_is_no_channel_is_refused() {
    assert!(Shared::new(&memory(0)).is_none());
    assert!(Shared::new(&memory(2)[1..]).is_none());
    assert!(Shared::halves(&memory(3)).is_none());
    assert!(Shared::halves(&memory(62)).is_some());
}

#[test]
fn every_size_arrives_as_it_was_sent() {
    let words = memory(MESSAGE_SLOTS_MAX + 1);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    for length in 0..=MESSAGE_MAX {
        let message: Vec<u8> = (0..length).map(|index| (index + length) as u8 | 1).collect();
        assert_eq!(sender.send(&message), Ok(false));
        assert_eq!(received(&mut receiver), Ok(Some(message)));
        assert_eq!(received(&mut receiver), Ok(None));
    }
    assert_eq!(sender.send(&[0; MESSAGE_MAX + 1]), Err(ChannelError::TooLong));
}

#[test]
fn a_message_longer_than_a_small_ring_is_too_long() {
    let words = memory(2);
    let mut sender = Sender::new(opened(&words));
    assert_eq!(sender.send(&[0; 2 * SLOT_PAYLOAD + 1]), Err(ChannelError::TooLong));
    assert_eq!(sender.send(&[0; 2 * SLOT_PAYLOAD]), Ok(false));
}

#[test]
fn a_full_ring_refuses_whole_messages_and_takes_them_later() {
    let words = memory(3);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    assert_eq!(sender.send(&[1; 100]), Ok(false));
    assert_eq!(sender.send(&[2; 57]), Err(ChannelError::Full));
    assert_eq!(sender.send(&[3; 56]), Ok(false));
    assert_eq!(sender.send(&[]), Err(ChannelError::Full));
    assert_eq!(received(&mut receiver), Ok(Some([1; 100].to_vec())));
    assert_eq!(sender.send(&[4; 112]), Ok(false));
    assert_eq!(received(&mut receiver), Ok(Some([3; 56].to_vec())));
    assert_eq!(received(&mut receiver), Ok(Some([4; 112].to_vec())));
}

/// The receiver tells a quarter of the ring at a time, but all once it has found the ring empty.
#[test]
fn a_drained_ring_takes_the_longest_message() {
    let words = memory(MESSAGE_SLOTS_MAX);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    for _ in 0..3 {
        assert_eq!(sender.send(b"x"), Ok(false));
        assert_eq!(received(&mut receiver), Ok(Some(b"x".to_vec())));
        assert_eq!(sender.send(&[9; MESSAGE_MAX]), Err(ChannelError::Full));
        assert_eq!(received(&mut receiver), Ok(None));
        assert_eq!(sender.send(&[9; MESSAGE_MAX]), Ok(false));
        assert_eq!(received(&mut receiver), Ok(Some([9; MESSAGE_MAX].to_vec())));
    }
}

#[test]
fn a_long_message_may_begin_where_the_ring_ends_and_fill_it() {
    let words = memory(2);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    for message in [&[1; 1][..], &[2; 1], &[3; 112], &[4; 112], &[5; 1], &[6; 57]] {
        assert_eq!(sender.send(message), Ok(false));
        assert_eq!(received(&mut receiver), Ok(Some(message.to_vec())));
        assert_eq!(received(&mut receiver), Ok(None));
    }
}

#[test]
fn a_short_buffer_leaves_the_message() {
    let words = memory(3);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    for length in [80, 56, 5] {
        sender.send(&[5; 80][..length]).unwrap();
        let short = &mut [0; 80][..length - 1];
        assert_eq!(receiver.receive(short), Err(ChannelError::BufferTooSmall { length }));
        let mut fitting = std::vec![0; length];
        assert_eq!(receiver.receive(&mut fitting), Ok(Some(length)));
        assert_eq!(fitting, [5; 80][..length]);
    }
}

#[test]
fn a_sender_shows_nothing_of_its_memory_but_the_message() {
    let words = memory(2);
    let mut sender = Sender::new(opened(&words));
    sender.send(&[0xff; 3]).unwrap();
    assert_eq!(words[header_at(0) + 1].load(Ordering::Relaxed), 0xff_ffff);
    assert_eq!(words[header_at(0) + 2].load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_put_shows_when_it_is_flushed_in_order() {
    let words = memory(4);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    for way in 0..6_u8 {
        sender.put(&[way]).unwrap();
        sender.put(&[way; 60]).unwrap();
        assert_eq!(received(&mut receiver), Ok(None));
        if way % 2 == 0 {
            assert!(!sender.flush());
        } else {
            assert_eq!(sender.send(&[]), Ok(false));
        }
        assert_eq!(received(&mut receiver), Ok(Some([way].to_vec())));
        assert_eq!(received(&mut receiver), Ok(Some([way; 60].to_vec())));
        assert_eq!(received(&mut receiver), Ok((way % 2 == 1).then(Vec::new)));
        assert_eq!(received(&mut receiver), Ok(None));
    }
}

#[test]
fn a_zero_page_in_the_place_of_the_shared_one_reads_as_closed() {
    let words = memory(2);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    sender.send(&[1; 10]).unwrap();
    for word in &words {
        word.store(0, Ordering::Relaxed);
    }
    assert_eq!(sender.send(&[1]), Err(ChannelError::Closed));
    assert_eq!(received(&mut receiver), Err(ChannelError::Closed));
    assert!(!receiver.prepare_to_sleep());
}

#[test]
fn what_was_sent_before_a_close_is_still_received() {
    let words = memory(3);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    sender.send(b"last").unwrap();
    shared.close();
    assert_eq!(sender.send(b"later"), Err(ChannelError::Closed));
    assert_eq!(received(&mut receiver), Ok(Some(b"last".to_vec())));
    assert_eq!(received(&mut receiver), Err(ChannelError::Closed));
}

#[test]
fn a_sleeper_is_rung_once() {
    let words = memory(8);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    assert!(receiver.prepare_to_sleep());
    assert_eq!(sender.send(&[1]), Ok(true));
    assert_eq!(sender.send(&[2]), Ok(false));
    receiver.wake();
    assert!(!receiver.prepare_to_sleep());
    assert_eq!(sender.send(&[3]), Ok(false));
}

#[test]
fn a_sender_that_waits_is_rung_once_and_then_has_room() {
    let words = memory(2);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    (0..2).for_each(|_| assert_eq!(sender.send(&[1]), Ok(false)));
    assert_eq!(sender.send(&[1]), Err(ChannelError::Full));
    assert!(sender.prepare_to_wait(1));
    assert!(received(&mut receiver).unwrap().is_some());
    let rings = (0..3).filter(|_| received(&mut receiver).is_ok() && receiver.must_ring()).count();
    assert_eq!(rings, 1);
    (0..2).for_each(|_| assert_eq!(sender.send(&[1]), Ok(false)));
    assert!(sender.prepare_to_wait(1));
    assert!(sender.prepare_to_wait(57));
    assert!(received(&mut receiver).unwrap().is_some());
    assert!(received(&mut receiver).unwrap().is_some() && receiver.must_ring());
    assert!(!sender.prepare_to_wait(1), "there is room");
    shared.close();
    assert!(!sender.prepare_to_wait(1), "who sends hears that it is closed");
    assert_eq!(sender.send(&[1]), Err(ChannelError::Closed));
}

#[test]
fn several_messages_take_one_bell() {
    let words = memory(8);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    assert!(receiver.prepare_to_sleep());
    sender.put(&[1]).unwrap();
    sender.put(&[2]).unwrap();
    assert!(sender.flush());
    sender.put(&[3]).unwrap();
    assert!(!sender.flush());
    assert!(!sender.flush());
}

/// How long a thread of a test waits for the other.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Two threads, 200,000 messages of changing length, the ring full or empty at times. A torn message fails the comparison.
#[test]
fn two_threads_lose_nothing() {
    const COUNT: u64 = 200_000;
    let words = memory(14);
    let shared = opened(&words);
    let receiving = std::thread::current();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut sender = Sender::new(shared);
            (0..COUNT).for_each(|number| send(&mut sender, &numbered(number), &receiving));
        });
        let mut receiver = Receiver::new(shared);
        for number in 0..COUNT {
            assert_eq!(next(&mut receiver), numbered(number));
        }
    });
}

/// The sender sends only when the last message was taken, which is when the receiver goes to sleep: every round is a race
/// between a store and a sleep, and a wake-up that is lost is not made good by a later message.
#[test]
fn no_wake_up_is_lost() {
    const COUNT: u64 = 100_000;
    let words = memory(1);
    let shared = opened(&words);
    let taken = AtomicU64::new(0);
    let receiving = std::thread::current();
    std::thread::scope(|scope| {
        let taken = &taken;
        scope.spawn(move || {
            let mut sender = Sender::new(shared);
            for number in 0..COUNT {
                let since = std::time::Instant::now();
                while taken.load(Ordering::Acquire) < number {
                    assert!(since.elapsed() < PATIENCE, "message {number} was not taken");
                }
                send(&mut sender, b"x", &receiving);
            }
        });
        let mut receiver = Receiver::new(shared);
        for number in 0..COUNT {
            next(&mut receiver);
            taken.store(number + 1, Ordering::Release);
        }
    });
}

/// The machine's own [`Word::store_then_fence`], which no model runs: of two threads that each store and then look at the
/// other's word, one sees the other's store. Without the order, this processor breaks that within a few rounds.
#[test]
fn a_store_comes_before_what_is_loaded_after_it() {
    const ROUNDS: usize = 300;
    const PAIRS: usize = 2000;
    let words = || -> Vec<AtomicU64> { (0..PAIRS * LINE_WORDS).map(|_| AtomicU64::new(0)).collect() };
    for _ in 0..ROUNDS {
        let (left, right, ready) = (words(), words(), AtomicU64::new(0));
        let run = |ours: &[AtomicU64], theirs: &[AtomicU64]| -> Vec<u64> {
            ready.fetch_add(1, Ordering::SeqCst);
            while ready.load(Ordering::SeqCst) < 2 {
                std::hint::spin_loop();
            }
            let pairs = ours.iter().zip(theirs).step_by(LINE_WORDS);
            pairs
                .map(|(ours, theirs)| {
                    ours.store_then_fence(1);
                    Word::load(theirs, Ordering::SeqCst)
                })
                .collect()
        };
        let (seen_left, seen_right) = std::thread::scope(|scope| {
            let other = scope.spawn(|| run(&left, &right));
            let seen = run(&right, &left);
            (seen, other.join().unwrap())
        });
        assert!(seen_left.iter().zip(&seen_right).all(|(left, right)| left + right > 0));
    }
}

/// Sends a message, waits while the ring is full, and rings (unparks) a receiver that sleeps.
fn send(sender: &mut Sender<'_>, message: &[u8], receiving: &std::thread::Thread) {
    let since = std::time::Instant::now();
    loop {
        match sender.send(message) {
            Ok(false) => return,
            Ok(true) => return receiving.unpark(),
            Err(ChannelError::Full) if since.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A message of 8 to 207 bytes that all depend on its number.
fn numbered(number: u64) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    message.resize(8 + (number * 31 % 200) as usize, number as u8);
    message
}

/// Receives one message, asleep while there is none.
fn next(receiver: &mut Receiver<'_>) -> Vec<u8> {
    loop {
        if let Some(message) = received(receiver).unwrap() {
            return message;
        }
        if receiver.prepare_to_sleep() {
            let since = std::time::Instant::now();
            std::thread::park_timeout(PATIENCE);
            assert!(since.elapsed() < PATIENCE, "a wake-up was lost");
            receiver.wake();
        }
    }
}

/// One step of the property below.
#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Put(usize),
    Flush,
    Receive,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0usize..500).prop_map(Step::Send),
        (0usize..200).prop_map(Step::Put),
        Just(Step::Flush),
        Just(Step::Receive),
        Just(Step::Receive),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    /// A queue is the slow, obvious twin. It knows which slots are free at once, the channel's sender perhaps later:
    /// it may answer `Full` too often, but not after the receiver found the ring empty.
    #[test]
    fn agrees_with_a_queue(slots in 1usize..9, steps in steps()) {
        let words = memory(slots);
        let shared = opened(&words);
        let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
        let (mut shown, mut held) = (VecDeque::new(), VecDeque::new());
        let (mut used, mut all_told) = (0, true);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(length) | Step::Put(length) => {
                    let message = std::vec![number as u8; length];
                    let is_send = matches!(step, Step::Send(_));
                    let outcome = if is_send { sender.send(&message) } else { sender.put(&message).map(|()| false) };
                    match slots_for(length) {
                        count if count > slots => prop_assert_eq!(outcome, Err(ChannelError::TooLong)),
                        count if count + used > slots => prop_assert_eq!(outcome, Err(ChannelError::Full)),
                        _ if outcome == Err(ChannelError::Full) => prop_assert!(!all_told),
                        count => {
                            prop_assert_eq!(outcome, Ok(false));
                            used += count;
                            held.push_back(message);
                            if is_send { shown.append(&mut held); }
                        }
                    }
                }
                Step::Flush => { prop_assert!(!sender.flush()); shown.append(&mut held); }
                Step::Receive => {
                    let expected: Option<Vec<u8>> = shown.pop_front();
                    used -= expected.as_ref().map_or(0, |message| slots_for(message.len()));
                    all_told = expected.is_none();
                    prop_assert_eq!(received(&mut receiver), Ok(expected));
                }
            }
        }
    }
}

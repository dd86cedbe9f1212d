//! The ring over plain memory: every size, both ends around the end, two real threads, and a peer that writes garbage.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

fn memory(lines: usize) -> Vec<AtomicU64> {
    (0..lines * LINE_WORDS).map(|_| AtomicU64::new(0)).collect()
}

fn opened(words: &[AtomicU64]) -> Shared<'_> {
    let shared = Shared::new(words).unwrap();
    shared.open();
    shared
}

fn received(receiver: &mut Receiver<'_>) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    receiver.receive(&mut buffer).unwrap().map(|length| buffer[..length].to_vec())
}

#[test]
fn memory_that_is_no_channel_is_refused() {
    assert!(Shared::new(&memory(1)).is_none());
    assert!(Shared::new(&memory(3)[1..]).is_none());
    assert!(Shared::halves(&memory(3)).is_none());
    assert!(Shared::halves(&memory(64)).is_some());
}

#[test]
fn every_size_arrives_as_it_was_sent() {
    let words = memory(8);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    for length in 0..=7 * SLOT_PAYLOAD {
        let message: Vec<u8> = (0..length).map(|index| (index + length) as u8 | 1).collect();
        assert_eq!(sender.send(&message), Ok(false));
        assert_eq!(received(&mut receiver), Some(message));
        assert_eq!(received(&mut receiver), None);
    }
    assert_eq!(sender.send(&[0; 7 * SLOT_PAYLOAD + 1]), Err(ChannelError::TooLong));
}

#[test]
fn a_full_ring_refuses_whole_messages_and_takes_them_later() {
    let words = memory(4);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    assert_eq!(sender.send(&[1; 100]), Ok(false));
    assert_eq!(sender.send(&[2; 57]), Err(ChannelError::Full));
    assert_eq!(sender.send(&[3; 56]), Ok(false));
    assert_eq!(sender.send(&[]), Err(ChannelError::Full));
    assert_eq!(received(&mut receiver), Some([1; 100].to_vec()));
    assert_eq!(sender.send(&[4; 112]), Ok(false));
    assert_eq!(received(&mut receiver), Some([3; 56].to_vec()));
    assert_eq!(received(&mut receiver), Some([4; 112].to_vec()));
}

#[test]
fn a_short_buffer_leaves_the_message() {
    let words = memory(4);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    sender.send(&[5; 80]).unwrap();
    assert_eq!(receiver.receive(&mut [0; 79]), Err(ChannelError::BufferTooSmall { length: 80 }));
    assert_eq!(received(&mut receiver), Some([5; 80].to_vec()));
}

#[test]
fn a_zero_page_in_the_place_of_the_shared_one_reads_as_closed() {
    let words = memory(4);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    sender.send(&[1; 10]).unwrap();
    for word in &words {
        word.store(0, Ordering::Relaxed);
    }
    assert_eq!(sender.send(&[1]), Err(ChannelError::Closed));
    assert_eq!(receiver.receive(&mut [0; 64]), Err(ChannelError::Closed));
    assert!(!receiver.prepare_to_sleep());
}

#[test]
fn what_was_sent_before_a_close_is_still_received() {
    let words = memory(4);
    let shared = opened(&words);
    let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
    sender.send(b"last").unwrap();
    shared.close();
    assert_eq!(received(&mut receiver), Some(b"last".to_vec()));
    assert_eq!(receiver.receive(&mut [0; 64]), Err(ChannelError::Closed));
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

/// Headers that no sender writes.
#[test]
fn garbage_is_named() {
    let lengths_past_the_ring =
        [3 * SLOT_PAYLOAD as u64 + 1, u64::from(u32::MAX)].map(|length| TAKEN | FIRST | length);
    let wrong_bits = [1, TAKEN, FIRST | 5, u64::MAX, TAKEN | FIRST | 1 << 40];
    for header in lengths_past_the_ring.into_iter().chain(wrong_bits) {
        let words = memory(4);
        let mut receiver = Receiver::new(opened(&words));
        words[LINE_WORDS].store(header, Ordering::Relaxed);
        assert_eq!(receiver.receive(&mut [0; 4096]), Err(ChannelError::Garbage), "{header:#x}");
    }
}

#[test]
fn a_message_without_its_rest_is_garbage() {
    let words = memory(4);
    let mut receiver = Receiver::new(opened(&words));
    words[LINE_WORDS].store(TAKEN | FIRST | 60, Ordering::Relaxed);
    assert_eq!(receiver.receive(&mut [0; 4096]), Err(ChannelError::Garbage));
}

/// How long a thread of a test waits for the other.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Two threads, 200,000 messages of changing length, the ring full or empty at times. A torn message fails the comparison.
#[test]
fn two_threads_lose_nothing() {
    const COUNT: u64 = 200_000;
    let words = memory(16);
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
    let words = memory(2);
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
        if let Some(message) = received(receiver) {
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

proptest! {
    /// A queue is the slow, obvious twin.
    #[test]
    fn agrees_with_a_queue(lines in 2usize..9, steps in prop::collection::vec(prop::option::of(0usize..500), 1..300)) {
        let words = memory(lines);
        let shared = opened(&words);
        let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
        let (mut queue, mut used) = (VecDeque::new(), 0);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Some(length) => {
                    let message = std::vec![number as u8; length];
                    let expected = match slots_for(length) {
                        slots if slots > lines - 1 => Err(ChannelError::TooLong),
                        slots if slots + used > lines - 1 => Err(ChannelError::Full),
                        slots => { used += slots; queue.push_back(message.clone()); Ok(false) }
                    };
                    prop_assert_eq!(sender.send(&message), expected);
                }
                None => {
                    let expected: Option<Vec<u8>> = queue.pop_front();
                    used -= expected.as_ref().map_or(0, |message| slots_for(message.len()));
                    prop_assert_eq!(received(&mut receiver), expected);
                }
            }
        }
    }

    /// Whatever a peer writes anywhere in the shared words, both ends return.
    #[test]
    fn a_hostile_peer_harms_nobody(
        contents in prop::collection::vec(prop_oneof![any::<u64>(), Just(0), Just(TAKEN), (0u64..300).prop_map(|length| TAKEN | FIRST | length)], 4 * LINE_WORDS),
        lengths in prop::collection::vec(0usize..200, 1..20),
    ) {
        let words = memory(4);
        let shared = opened(&words);
        let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
        for (index, length) in lengths.into_iter().enumerate() {
            for (word, content) in words.iter().zip(&contents).skip(index % 3) {
                word.store(*content, Ordering::Relaxed);
            }
            shared.open();
            let _ = sender.send(&std::vec![7; length]);
            let mut buffer = [0; 128];
            if let Ok(Some(length)) = receiver.receive(&mut buffer) {
                prop_assert!(length <= buffer.len());
            }
        }
    }
}

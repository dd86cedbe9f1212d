//! Peers that lie: garbage in every word, and memory that says something else each time it is read.

use super::{header_at, opened, received, words_for};
use crate::sync::{Ordering, Word};
use crate::{ChannelError, LINE_WORDS, Receiver, SLOT_PAYLOAD, Sender};
use core::sync::atomic::AtomicU64;
use fos_abi::channel::{SLOTS_AT, first_header, rest_header};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::vec::Vec;

fn memory(slots: usize) -> Vec<AtomicU64> {
    (0..words_for(slots)).map(|_| AtomicU64::new(0)).collect()
}

/// The word in which a receiver says how many slots it freed.
const FREED: usize = LINE_WORDS;

/// Headers that no sender writes, to a receiver on its first lap.
#[test]
fn garbage_is_named() {
    let lengths_past_the_ring =
        [3 * SLOT_PAYLOAD as u64 + 1, (1 << 30) - 1].map(|length| first_header(1) | length);
    let other_laps = [first_header(2), first_header(u32::MAX) | 5, rest_header(2)];
    let wrong_bits = [rest_header(1), 1 << 32, 1 << 32 | 5, first_header(1) | 1 << 30, u64::MAX];
    for header in lengths_past_the_ring.into_iter().chain(other_laps).chain(wrong_bits) {
        let words = memory(3);
        let mut receiver = Receiver::new(opened(&words));
        words[header_at(0)].store(header, Ordering::Relaxed);
        assert!(receiver.has_news());
        assert_eq!(received(&mut receiver), Err(ChannelError::Garbage), "{header:#x}");
    }
}

#[test]
fn a_message_without_its_rest_is_garbage() {
    for rest in [0, first_header(1), rest_header(2)] {
        let words = memory(3);
        let mut receiver = Receiver::new(opened(&words));
        words[header_at(0)].store(first_header(1) | 60, Ordering::Relaxed);
        words[header_at(1)].store(rest, Ordering::Relaxed);
        assert_eq!(received(&mut receiver), Err(ChannelError::Garbage));
    }
}

#[test]
fn a_receiver_that_frees_what_was_not_sent_is_garbage() {
    for lie in [4, 1 << 40, u64::MAX] {
        let words = memory(3);
        let mut sender = Sender::new(opened(&words));
        (0..3).for_each(|_| assert_eq!(sender.send(b"x"), Ok(false)));
        words[FREED].store(lie, Ordering::Relaxed);
        assert_eq!(sender.send(b"x"), Err(ChannelError::Garbage), "{lie}");
        words[FREED].store(1, Ordering::Relaxed);
        assert_eq!(sender.send(b"x"), Ok(false));
        words[FREED].store(0, Ordering::Relaxed);
        assert_eq!(sender.send(b"x"), Err(ChannelError::Garbage), "one slot freed, then none");
    }
}

#[test]
fn a_receiver_that_frees_more_than_was_sent_is_garbage() {
    let words = memory(3);
    let mut sender = Sender::new(opened(&words));
    assert_eq!(sender.send(b"x"), Ok(false));
    words[FREED].store(2, Ordering::Relaxed);
    assert_eq!(sender.send(&[0; 3 * SLOT_PAYLOAD]), Err(ChannelError::Garbage));
}

std::thread_local! {
    /// What the next loads answer, around and around.
    static ANSWERS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// How many loads there were.
    static LOADS: Cell<usize> = const { Cell::new(0) };
}

/// A word that a peer changes whenever it is read, and that counts how often that is.
#[derive(Default)]
struct Fickle {
    loads: Cell<usize>,
}

impl Word for Fickle {
    fn load(&self, _: Ordering) -> u64 {
        self.loads.set(self.loads.get() + 1);
        let number = LOADS.replace(LOADS.get() + 1);
        ANSWERS.with_borrow(|answers| answers[number % answers.len()])
    }

    fn store(&self, _: u64, _: Ordering) {}

    fn swap(&self, _: u64, ordering: Ordering) -> u64 {
        self.load(ordering)
    }

    fn fence() {}
}

/// Slots of the channels below.
const SLOTS: usize = 3;

/// After one operation: nothing of a peer's, but for the flags of the control line, was read more than once.
fn read_once(words: &[Fickle]) -> Result<(), TestCaseError> {
    for (index, word) in words.iter().enumerate() {
        let loads = word.loads.take();
        prop_assert!(index < LINE_WORDS || loads <= 1, "word {} was read {} times", index, loads);
    }
    Ok(())
}

fn answers() -> impl Strategy<Value = Vec<u64>> {
    let lap = prop_oneof![0u32..4, Just(u32::MAX)];
    let answer = prop_oneof![
        any::<u64>(),
        Just(fos_abi::channel::OPEN),
        Just(fos_abi::channel::OPEN),
        0u64..8,
        (lap.clone(), 0u64..200).prop_map(|(lap, length)| first_header(lap) | length),
        lap.prop_map(rest_header),
    ];
    prop::collection::vec(answer, 1..40)
}

proptest! {
    /// Whatever words say, and though they say something else each time, both ends return, read each once, and
    /// answer no more than the buffer holds.
    #[test]
    fn memory_that_changes_while_it_is_read_harms_nobody(
        answers in answers(),
        operations in prop::collection::vec((0u8..5, 0usize..200), 1..40),
    ) {
        ANSWERS.set(answers);
        LOADS.set(0);
        let words: Vec<Fickle> = (0..words_for(SLOTS)).map(|_| Fickle::default()).collect();
        let shared = opened(&words);
        let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
        for (operation, length) in operations {
            match operation {
                0 => _ = sender.send(&[7; 200][..length]),
                1 => _ = sender.put(&[7; 200][..length]),
                2 => _ = sender.flush(),
                3 => _ = receiver.prepare_to_sleep(),
                _ => if let Ok(Some(answer)) = receiver.receive(&mut [0; 200][..length]) {
                    prop_assert!(answer <= length);
                },
            }
            read_once(&words)?;
        }
    }

    /// Whatever a peer writes anywhere in the shared words, both ends return.
    #[test]
    fn garbage_anywhere_harms_nobody(
        contents in answers(),
        lengths in prop::collection::vec(0usize..200, 1..20),
    ) {
        let words = memory(SLOTS);
        let shared = opened(&words);
        let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
        for (index, length) in lengths.into_iter().enumerate() {
            for (word, content) in words.iter().zip(contents.iter().cycle()).skip(index % 3) {
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

/// A thread that scribbles over headers and counts while both ends work, in full speed: no message is longer than its
/// buffer, nobody hangs, and what an end does not understand it names.
#[test]
fn a_scribbler_beside_both_ends_harms_nobody() {
    let words = memory(SLOTS);
    let shared = opened(&words);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = 1_u64;
            while done.load(Ordering::Relaxed) == 0 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let word = LINE_WORDS + (random >> 33) as usize % (words.len() - LINE_WORDS);
                words[word].store(first_header((random >> 40) as u32 % 8) | random >> 57, Ordering::Relaxed);
            }
        });
        let (mut sender, mut receiver) = (Sender::new(shared), Receiver::new(shared));
        let mut buffer = [0; (SLOTS - 1) * SLOT_PAYLOAD];
        for number in 0..200_000_usize {
            let _ = sender.send(&[7; SLOTS * SLOT_PAYLOAD][..number % (SLOTS * SLOT_PAYLOAD)]);
            match receiver.receive(&mut buffer) {
                Ok(Some(length)) => assert!(length <= buffer.len()),
                Ok(None) | Err(ChannelError::Garbage | ChannelError::BufferTooSmall { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        done.store(1, Ordering::Relaxed);
    });
    assert_eq!(words.len(), (SLOTS + SLOTS_AT) * LINE_WORDS);
}

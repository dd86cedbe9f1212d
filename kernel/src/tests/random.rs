//! The generator of keys: the cipher against the vectors of RFC 8439, and what it forgets.

use super::{Generator, block};
use core::cell::Cell;

/// RFC 8439, appendix A.1, those with a zero nonce: key, block number, key stream.
const VECTORS: [([u8; 32], u64, &str); 4] = [
    (
        [0; 32],
        0,
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
         da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        [0; 32],
        1,
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
         29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        with(31, 1),
        1,
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a\
         8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        with(1, 0xff),
        2,
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca\
         13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ),
];

const fn with(place: usize, byte: u8) -> [u8; 32] {
    let mut key = [0; 32];
    key[place] = byte;
    key
}

fn words(bytes: [u8; 32]) -> [u32; 8] {
    core::array::from_fn(|word| u32::from_le_bytes(bytes[4 * word..4 * word + 4].try_into().unwrap()))
}

#[test]
fn twenty_rounds_are_the_chacha20_of_rfc_8439() {
    for (key, number, expected) in VECTORS {
        let stream: String = block(&words(key), number, 20)
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(stream, expected, "block {number}");
    }
}

#[test]
fn the_upper_half_of_the_block_number_counts() {
    assert_ne!(block(&[0; 8], 1, 12), block(&[0; 8], 1 | 1 << 32, 12));
}

#[test]
fn fewer_rounds_are_another_cipher() {
    assert_ne!(block(&[0; 8], 0, 12), block(&[0; 8], 0, 20));
}

fn generator(key: [u32; 8]) -> Generator {
    Generator { key: Cell::new(key), block: Cell::new(0), unused: Cell::new([0; _]), left: Cell::new(0) }
}

#[test]
fn each_block_replaces_the_key_by_words_that_nobody_is_given() {
    let generator = generator([7; 8]);
    let whole = block(&[7; 8], 0, 12);
    let given: Vec<u64> = (0..4).map(|_| generator.next()).collect();
    assert_eq!(generator.key.get()[..], whole[..8], "the next key is the first half of the block");
    for word in given {
        let halves = [word as u32, (word >> 32) as u32];
        assert!(halves.iter().all(|half| whole[8..].contains(half)), "{word:x} is from the second half");
    }
    let next = block(&generator.key.get(), 1, 12);
    generator.next();
    assert_eq!(generator.key.get()[..], next[..8]);
}

#[test]
fn what_was_given_out_is_not_kept() {
    let generator = generator([9; 8]);
    for _ in 0..9 {
        let word = generator.next();
        assert!(!generator.unused.get().contains(&word), "{word:x} is still there");
    }
}

#[test]
fn no_word_comes_twice() {
    let generator = generator([1; 8]);
    let mut seen = std::collections::HashSet::new();
    assert!((0..100_000).all(|_| seen.insert(generator.next())));
}

//! What the two sides of a link say to each other by mailbox: the number of a link, and where an [`Envelope`] has its kind
//! one of these words, which is none of an envelope's.

use alloc::vec::Vec;

use fos_messages::rpc::{ADDRESS_SIZE, ENVELOPE_SIZE};

/// A word about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Word {
    Offer = 0x80,
    Accepted = 0x81,
    Refused = 0x82,
    Switch = 0x83,
    Released = 0x84,
    /// A message of as many bytes as the number says is in pages that come with this; it follows without its body.
    Lent = 0x85,
}

pub(super) const WORDS: [Word; 6] =
    [Word::Offer, Word::Accepted, Word::Refused, Word::Switch, Word::Released, Word::Lent];
/// Where an envelope has its kind.
const KIND_AT: usize = 12;
/// A link's number, a word, zeros.
pub(super) const WORD_SIZE: usize = ENVELOPE_SIZE;

pub(super) fn say(word: Word, number: u64) -> [u8; WORD_SIZE] {
    let mut bytes = [0; WORD_SIZE];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[KIND_AT] = word as u8;
    bytes
}

pub(super) fn hear(bytes: &[u8]) -> Option<(Word, u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<WORD_SIZE>()?;
    let word = WORDS.into_iter().find(|word| *word as u8 == head[KIND_AT])?;
    let (number, _) = head.split_first_chunk::<8>()?;
    Some((word, u64::from_le_bytes(*number), rest))
}

/// Says that a message is in pages that come with this. Its envelope, and the address for the answer that may stand at its
/// end, tell a receiver that has no memory for the rest whom it refuses.
pub fn say_lent(message: &[u8]) -> Vec<u8> {
    let (envelope, rest) = message.split_at(message.len().min(ENVELOPE_SIZE));
    let reply = &rest[rest.len().saturating_sub(ADDRESS_SIZE)..];
    [&say(Word::Lent, message.len() as u64), envelope, reply].concat()
}

/// The length of a message that is in pages, and the message without its body, if that is what was said.
pub fn lent(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (word, length, head) = hear(bytes)?;
    (word == Word::Lent).then_some((usize::try_from(length).ok()?, head))
}

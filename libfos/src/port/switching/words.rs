//! What the two sides of a link say to each other by mailbox: the number of a link, and where an [`Envelope`] has its kind
//! one of these words, which is none of an envelope's.

use fos_messages::rpc::ENVELOPE_SIZE;

/// A word about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Word {
    Offer = 0x80,
    Accepted = 0x81,
    Refused = 0x82,
    Switch = 0x83,
    Released = 0x84,
}

pub(super) const WORDS: [Word; 5] =
    [Word::Offer, Word::Accepted, Word::Refused, Word::Switch, Word::Released];
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

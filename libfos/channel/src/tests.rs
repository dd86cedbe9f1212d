//! The channel over plain memory, under a model checker, and beside peers that lie.

mod hostile;
mod model;
mod ring;

use crate::sync::Word;
use crate::{ChannelError, LINE_WORDS, Receiver, Shared};
use std::vec::Vec;

/// The first word of a slot.
fn header_at(slot: usize) -> usize {
    (fos_abi::channel::SLOTS_AT + slot) * LINE_WORDS
}

/// Words of a channel with so many slots.
fn words_for(slots: usize) -> usize {
    header_at(slots)
}

fn opened<W: Word>(words: &[W]) -> Shared<'_, W> {
    let shared = Shared::new(words).unwrap();
    shared.open();
    shared
}

fn received<W: Word>(receiver: &mut Receiver<'_, W>) -> Result<Option<Vec<u8>>, ChannelError> {
    let mut buffer = [0; crate::MESSAGE_MAX];
    Ok(receiver.receive(&mut buffer)?.map(|length| buffer[..length].to_vec()))
}

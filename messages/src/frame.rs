//! Frames on a byte stream that may lose or garble bytes: how a value becomes bytes on the control link's serial
//! port, and how the reader finds its place again after garbage.
//!
//! ```text
//! postcard(value) | CRC-32/ISO-HDLC of it, 4 bytes little endian      the body
//! COBS(body) | 0x00                                                   the frame
//! ```
//!
//! COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999) removes every zero from the body, so a zero
//! byte always ends a frame: whatever came before, the byte after a zero starts a new one. A frame that is too long
//! is dropped up to its zero; one that is damaged is reported and skipped; empty frames are idle filling, so a sender
//! may write a zero first to cut off what a boot loader printed.

use alloc::vec::Vec;
use core::marker::PhantomData;
use serde::{Serialize, de::DeserializeOwned};

/// The longest frame, in bytes on the wire, its final zero included. Bounds the memory of a reader.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Ends every frame and occurs nowhere inside one.
pub const FRAME_END: u8 = 0;

const CHECKSUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
const CHECKSUM_BYTES: usize = 4;

/// Why a frame was not delivered, or a value not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// More than [`FRAME_BYTES_MAX`] bytes on the wire.
    TooLong,
    /// The byte stuffing is broken, or fewer bytes than a checksum arrived.
    Malformed,
    /// The checksum does not match the body.
    Checksum,
    /// The body is intact but is no value of the expected type: the two sides differ in version.
    UnknownMessage,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            FrameError::TooLong => "a frame is longer than 64 KiB",
            FrameError::Malformed => "a frame is not validly stuffed",
            FrameError::Checksum => "a frame's checksum does not match",
            FrameError::UnknownMessage => "a frame holds no message of this protocol version",
        })
    }
}

impl core::error::Error for FrameError {}

/// The frame of `value`, ready to be written. [`FrameError::TooLong`] when it would exceed [`FRAME_BYTES_MAX`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut body = postcard::to_allocvec(value).map_err(|_| FrameError::UnknownMessage)?;
    body.extend_from_slice(&CHECKSUM.checksum(&body).to_le_bytes());
    let mut frame = cobs::encode_vec(&body);
    frame.push(FRAME_END);
    if frame.len() > FRAME_BYTES_MAX { Err(FrameError::TooLong) } else { Ok(frame) }
}

fn decode<T: DeserializeOwned>(stuffed: &mut [u8]) -> Result<T, FrameError> {
    let length = cobs::decode_in_place(stuffed).map_err(|_| FrameError::Malformed)?;
    let split = length.checked_sub(CHECKSUM_BYTES).ok_or(FrameError::Malformed)?;
    let (value, checksum) = stuffed[..length].split_at(split);
    if CHECKSUM.checksum(value).to_le_bytes() != *checksum {
        return Err(FrameError::Checksum);
    }
    match postcard::take_from_bytes(value) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::UnknownMessage),
    }
}

/// Takes a byte stream apart into values of `T`. Holds at most [`FRAME_BYTES_MAX`] bytes.
#[derive(Debug)]
pub struct Decoder<T> {
    pending: Vec<u8>,
    overflowed: bool,
    delivers: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Decoder<T> {
    /// A decoder at the start of a stream.
    pub const fn new() -> Self {
        Decoder { pending: Vec::new(), overflowed: false, delivers: PhantomData }
    }

    /// Takes the next byte of the stream. Answers a value, or the reason a frame was skipped, when the byte ends a
    /// frame; after either the decoder stands at the start of the next frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<T, FrameError>> {
        if byte != FRAME_END {
            self.hold(byte);
            return None;
        }
        let overflowed = core::mem::take(&mut self.overflowed);
        let outcome = match (overflowed, self.pending.is_empty()) {
            (true, _) => Some(Err(FrameError::TooLong)),
            (false, true) => None,
            (false, false) => Some(decode(&mut self.pending)),
        };
        self.pending.clear();
        outcome
    }

    /// Takes many bytes, and answers what each frame that they end held.
    pub fn push_all<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<T, FrameError>> + use<'a, T> {
        bytes.iter().filter_map(|byte| self.push(*byte))
    }

    fn hold(&mut self, byte: u8) {
        if self.overflowed {
            return;
        }
        if self.pending.len() == FRAME_BYTES_MAX - 1 {
            self.overflowed = true;
            return;
        }
        self.pending.push(byte);
    }
}

impl<T: DeserializeOwned> Default for Decoder<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;

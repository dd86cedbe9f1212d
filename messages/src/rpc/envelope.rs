//! The 16 bytes before each message between a client and a server, or between members of a fleet.
//!
//! ```text
//!  0        4          6          8      12    13      14     16
//!  request  interface  operation  epoch  kind  status  flags  [40 bytes: where the answer goes]  body
//! ```
//!
//! Every field little endian. Small enough that two scalars and the envelope fit one slot of a channel (56 bytes).

use super::address::{ADDRESS_SIZE, Address};

/// Bytes of an envelope.
pub const ENVELOPE_SIZE: usize = 16;
/// In `flags`: 40 bytes follow that say where the answer goes. Without it the answer goes back over the channel.
pub const REPLY_FOLLOWS: u16 = 1;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Asks, and wants an answer.
    Request = 1,
    /// Answers the request of the same number.
    Answer = 2,
    /// Tells, and wants none.
    Post = 3,
}

/// How a request ended, in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It was done; the body is the value. Also every request's and post's status.
    Done = 0,
    /// The server refused it; the body is its own error.
    Refused = 1,
    /// The server has no such interface or operation.
    Unknown = 2,
    /// The body is no message of this operation.
    Malformed = 3,
    /// The server speaks another version of the interface; the body is its version, 4 bytes.
    OtherVersion = 4,
    /// Ask there instead; the body is an address.
    Redirected = 5,
    /// The server has as many requests under way as it takes. Nothing was done.
    Overloaded = 6,
    /// The member was in the middle of it when it ended, and so was one before it: it is not tried a third time.
    Poisonous = 7,
    /// The member is not the one for this now (it joins, leaves, or the epoch is another). Nothing was done.
    NotNow = 8,
}

const STATUSES: [Status; 9] = [
    Status::Done,
    Status::Refused,
    Status::Unknown,
    Status::Malformed,
    Status::OtherVersion,
    Status::Redirected,
    Status::Overloaded,
    Status::Poisonous,
    Status::NotNow,
];

/// An envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Chosen by the asker; its answer carries the same. Of no meaning in a post.
    pub request: u32,
    /// [`super::Interface::ID`].
    pub interface: u16,
    /// Number of the operation in its interface.
    pub operation: u16,
    /// Between members of a fleet: the membership it was sent under. Otherwise 0.
    pub epoch: u32,
    /// What it is for.
    pub kind: Kind,
    /// How it ended.
    pub status: Status,
    /// Where the answer goes, unless back over the channel.
    pub reply: Option<Address>,
}

impl Envelope {
    /// Writes it, and the reply address if there is one, at the end of `bytes`.
    pub fn write(&self, bytes: &mut alloc::vec::Vec<u8>) {
        let mut head = [0; ENVELOPE_SIZE];
        head[0..4].copy_from_slice(&self.request.to_le_bytes());
        head[4..6].copy_from_slice(&self.interface.to_le_bytes());
        head[6..8].copy_from_slice(&self.operation.to_le_bytes());
        head[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        head[12] = self.kind as u8;
        head[13] = self.status as u8;
        let flags = if self.reply.is_some() { REPLY_FOLLOWS } else { 0 };
        head[14..16].copy_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&head);
        if let Some(reply) = &self.reply {
            bytes.extend_from_slice(&reply.to_bytes());
        }
    }

    /// Reads it: the envelope and the body. `None` for anything that [`Envelope::write`] does not write.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<(Envelope, &[u8])> {
        let (head, mut body) = bytes.split_first_chunk::<ENVELOPE_SIZE>()?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let kind = match head[12] {
            1 => Kind::Request,
            2 => Kind::Answer,
            3 => Kind::Post,
            _ => return None,
        };
        let reply = match half(14) {
            0 => None,
            REPLY_FOLLOWS => {
                let (address, rest) = body.split_first_chunk::<ADDRESS_SIZE>()?;
                body = rest;
                Some(Address::from_bytes(address))
            }
            _ => return None,
        };
        let envelope = Envelope {
            request: word(0),
            interface: half(4),
            operation: half(6),
            epoch: word(8),
            kind,
            status: *STATUSES.get(usize::from(head[13]))?,
            reply,
        };
        Some((envelope, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn statuses_are_numbered_by_their_place() {
        for (number, status) in STATUSES.iter().enumerate() {
            assert_eq!(*status as usize, number);
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(request: u32, interface: u16, operation: u16, epoch: u32, kind in 0..3, status in 0..9usize,
            reply in proptest::option::of(any::<[u8; 32]>()), body: Vec<u8>) {
            let kind = [Kind::Request, Kind::Answer, Kind::Post][kind as usize];
            let reply = reply.map(|bytes| {
                let mut whole = [7; ADDRESS_SIZE];
                whole[..32].copy_from_slice(&bytes);
                Address::from_bytes(&whole)
            });
            let envelope = Envelope { request, interface, operation, epoch, kind, status: STATUSES[status], reply };
            let mut bytes = Vec::new();
            envelope.write(&mut bytes);
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Envelope::read(&bytes), Some((envelope, &body[..])));
        }

        #[test]
        fn any_bytes_are_read_or_refused_and_nothing_is_lost(bytes: Vec<u8>) {
            if let Some((envelope, body)) = Envelope::read(&bytes) {
                let mut again = Vec::new();
                envelope.write(&mut again);
                again.extend_from_slice(body);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}

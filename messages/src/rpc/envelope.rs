//! The 16 bytes before each message between a client and a server, or between members of a fleet.
//!
//! ```text
//!  0        4          6          8      12    13      14     15       16
//!  request  interface  operation  epoch  kind  status  flags  version  [40 bytes: where the answer goes]  body
//! ```
//!
//! Every field little endian. Small enough that two scalars and the envelope fit one slot of a channel (56 bytes).
//!
//! The interface's version is in every message instead of being agreed on before the first: that costs a byte and a
//! comparison, and there is nothing to remember per peer, nothing to ask again after a redirection or a successor at
//! the same name, and posts are checked too.

use super::address::{ADDRESS_SIZE, Address};
use alloc::vec::Vec;

/// Bytes of an envelope.
pub const ENVELOPE_SIZE: usize = 16;
/// In `flags`: 40 bytes follow that say where the answer goes. Without it the answer goes back over the channel.
pub const REPLY_FOLLOWS: u8 = 1;

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
    /// It was done; the body is the value. Also a request's and a post's status, unless it is [`Status::Poisonous`].
    Done = 0,
    /// The server refused it; the body is its own error.
    Refused = 1,
    /// The server has no such interface or operation.
    Unknown = 2,
    /// The body is no message of this operation.
    Malformed = 3,
    /// The server speaks another version of the interface, which is in the answer's envelope. Nothing was done.
    OtherVersion = 4,
    /// Ask there instead; the body is an address.
    Redirected = 5,
    /// The server has as many requests under way as it takes. Nothing was done.
    Overloaded = 6,
    /// Two members in a row ended while it was under way: it is not tried a third time. In a request or a post: so says
    /// who asks, and the body may be missing; whoever takes it does not do it, and reports it.
    Poisonous = 7,
    /// The member is not the one for this now (it joins, leaves, or the epoch is another). Nothing was done.
    NotNow = 8,
    /// It was done or refused, but the server could not send the answer: it is longer than the interface promises.
    Unsendable = 9,
}

impl Status {
    /// Every status, by its number.
    pub const ALL: [Status; 10] = [
        Status::Done,
        Status::Refused,
        Status::Unknown,
        Status::Malformed,
        Status::OtherVersion,
        Status::Redirected,
        Status::Overloaded,
        Status::Poisonous,
        Status::NotNow,
        Status::Unsendable,
    ];
}

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
    /// [`super::Interface::VERSION`] of the sender.
    pub version: u8,
    /// Where the answer goes, unless back over the channel.
    pub reply: Option<Address>,
}

impl Envelope {
    /// Its own bytes, without the reply address.
    #[inline]
    fn head(&self) -> [u8; ENVELOPE_SIZE] {
        let mut head = [0; ENVELOPE_SIZE];
        head[0..4].copy_from_slice(&self.request.to_le_bytes());
        head[4..6].copy_from_slice(&self.interface.to_le_bytes());
        head[6..8].copy_from_slice(&self.operation.to_le_bytes());
        head[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        head[12] = self.kind as u8;
        head[13] = self.status as u8;
        head[14] = if self.reply.is_some() { REPLY_FOLLOWS } else { 0 };
        head[15] = self.version;
        head
    }

    /// Writes it, and the reply address if there is one, at the end of `bytes`.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.head());
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
        let reply = match head[14] {
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
            status: *Status::ALL.get(usize::from(head[13]))?,
            version: head[15],
            reply,
        };
        Some((envelope, body))
    }
}

/// An answer before it is sent: its body, behind room for the envelope, so that neither is copied to join the other.
/// The default is an empty body without a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing(Vec<u8>);

impl Outgoing {
    /// An empty body. `capacity` bytes fit without another allocation.
    #[inline]
    pub fn with_capacity(capacity: usize) -> Outgoing {
        Outgoing(Vec::with_capacity(ENVELOPE_SIZE + capacity))
    }

    /// What the body is written to, at the end. Nothing may be taken away.
    #[inline]
    pub fn end(&mut self) -> &mut Vec<u8> {
        if self.0.is_empty() {
            self.0.extend_from_slice(&[0; ENVELOPE_SIZE]);
        }
        &mut self.0
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> usize {
        self.0.len().saturating_sub(ENVELOPE_SIZE)
    }

    /// The whole message, with this envelope, which has no reply address.
    #[inline]
    pub fn sealed(&mut self, envelope: &Envelope) -> &[u8] {
        debug_assert!(envelope.reply.is_none(), "an answer is not answered");
        match self.0.first_chunk_mut() {
            Some(room) => *room = envelope.head(),
            None => self.0.extend_from_slice(&envelope.head()),
        }
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statuses_are_numbered_by_their_place() {
        for (number, status) in Status::ALL.iter().enumerate() {
            assert_eq!(*status as usize, number);
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(request: u32, interface: u16, operation: u16, epoch: u32, kind in 0..3, status in 0..10usize,
            version: u8, reply in proptest::option::of(any::<[u8; 32]>()), body: Vec<u8>) {
            let kind = [Kind::Request, Kind::Answer, Kind::Post][kind as usize];
            let reply = reply.map(|bytes| {
                let mut whole = [7; ADDRESS_SIZE];
                whole[..32].copy_from_slice(&bytes);
                Address::from_bytes(&whole)
            });
            let envelope = Envelope { request, interface, operation, epoch, kind, status: Status::ALL[status], version, reply };
            let mut bytes = Vec::new();
            envelope.write(&mut bytes);
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Envelope::read(&bytes), Some((envelope, &body[..])));
            let (answer, mut outgoing) = (Envelope { reply: None, ..envelope }, Outgoing::with_capacity(0));
            outgoing.end().extend_from_slice(&body);
            prop_assert_eq!(outgoing.body_len(), body.len());
            prop_assert_eq!(Envelope::read(outgoing.sealed(&answer)), Some((answer, &body[..])));
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

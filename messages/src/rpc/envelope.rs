//! The 16 bytes before each message between a client and a server, or between members of a fleet.
//!
//! ```text
//!  0        4          6          8      12    13      14     15       16
//!  request  interface  operation  epoch  kind  status  flags  version  body  [40 bytes: where the answer goes]
//! ```
//!
//! Every field little endian. Small enough that two scalars and the envelope fit one slot of a channel (56 bytes). Where the
//! answer goes stands last, so that it can be added to a request that turns out to go by mailbox.
//!
//! The interface's version is in every message instead of being agreed on before the first: that costs a byte and a
//! comparison, and there is nothing to remember per peer, nothing to ask again after a redirection or a successor at
//! the same name, and posts are checked too.

use super::address::{ADDRESS_SIZE, Address};
use super::caller::Operation;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Bytes of an envelope.
pub const ENVELOPE_SIZE: usize = 16;
/// In `flags`: the last 40 bytes say where the answer goes. Without it the answer goes back over the channel.
pub const REPLY_FOLLOWS: u8 = 1;
/// Where `kind` and `flags` are.
const KIND_AT: usize = 12;
const FLAGS_AT: usize = 14;

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
}

/// A message as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What is before the body.
    pub envelope: Envelope,
    /// What the operation or its answer says.
    pub body: &'a [u8],
    /// Where the answer goes, unless back over the channel.
    pub reply: Option<&'a [u8; ADDRESS_SIZE]>,
}

impl Envelope {
    /// Of a request or a post, without what makes it this one.
    #[inline]
    pub fn to_ask(operation: &Operation, kind: Kind) -> Envelope {
        let Operation { interface, version, number: operation, .. } = *operation;
        Envelope { request: 0, interface, operation, epoch: 0, kind, status: Status::Done, version }
    }

    /// Its bytes.
    #[inline]
    pub fn to_bytes(&self) -> [u8; ENVELOPE_SIZE] {
        let mut bytes = [0; ENVELOPE_SIZE];
        bytes[0..4].copy_from_slice(&self.request.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.interface.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.operation.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[KIND_AT] = self.kind as u8;
        bytes[13] = self.status as u8;
        bytes[15] = self.version;
        bytes
    }

    /// The bytes of the envelope of an answer, to the request that begins with `head`.
    #[inline]
    pub fn answer_to(head: &[u8; ENVELOPE_SIZE], status: Status, version: u8) -> [u8; ENVELOPE_SIZE] {
        let mut bytes = *head;
        bytes[KIND_AT..].copy_from_slice(&[Kind::Answer as u8, status as u8, 0, version]);
        bytes
    }

    /// Adds where the answer goes to a message that begins with an envelope and has none.
    pub fn add_reply(message: &mut Vec<u8>, reply: &Address) {
        if let Some(flags) = message.get_mut(FLAGS_AT) {
            *flags |= REPLY_FOLLOWS;
            message.extend_from_slice(&reply.to_bytes());
        }
    }

    /// Whether a message is a request that does not say where its answer goes.
    #[inline]
    pub fn wants_way_back(message: &[u8]) -> bool {
        message
            .first_chunk::<ENVELOPE_SIZE>()
            .is_some_and(|head| head[KIND_AT] == Kind::Request as u8 && head[FLAGS_AT] & REPLY_FOLLOWS == 0)
    }

    /// Reads a message. `None` for anything that is none.
    #[inline(always)]
    pub fn read(bytes: &[u8]) -> Option<Received<'_>> {
        let (head, mut body) = bytes.split_first_chunk::<ENVELOPE_SIZE>()?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let kind = match head[KIND_AT] {
            1 => Kind::Request,
            2 => Kind::Answer,
            3 => Kind::Post,
            _ => return None,
        };
        let reply = match head[FLAGS_AT] {
            0 => None,
            REPLY_FOLLOWS => {
                let (rest, address) = body.split_last_chunk::<ADDRESS_SIZE>()?;
                body = rest;
                Some(address)
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
        };
        Some(Received { envelope, body, reply })
    }
}

/// An answer before it is sent: its body, behind room for the envelope, so that neither is copied to join the other.
/// The default is an empty body without a buffer.
///
/// It is handed on by value several times between a server and the port: as a box it is one word.
#[allow(clippy::box_collection, reason = "moving it is what costs, and it is allocated once")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing(Option<Box<Vec<u8>>>);

impl Outgoing {
    /// An empty body. `capacity` bytes fit without another allocation.
    #[inline]
    pub fn with_capacity(capacity: usize) -> Outgoing {
        Outgoing(Some(Self::allocate(capacity)))
    }

    /// What the body is written to, at the end. Nothing may be taken away.
    #[inline(always)]
    pub fn end(&mut self) -> &mut Vec<u8> {
        let bytes = self.bytes();
        if bytes.is_empty() {
            bytes.extend_from_slice(&[0; ENVELOPE_SIZE]);
        }
        bytes
    }

    #[inline(always)]
    fn bytes(&mut self) -> &mut Vec<u8> {
        self.0.get_or_insert_with(|| Self::allocate(0))
    }

    #[cold]
    #[inline(never)]
    #[allow(clippy::box_collection, reason = "as above")]
    fn allocate(capacity: usize) -> Box<Vec<u8>> {
        Box::new(Vec::with_capacity(ENVELOPE_SIZE + capacity))
    }

    /// Bytes of the body.
    #[inline]
    pub fn body_len(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.len().saturating_sub(ENVELOPE_SIZE))
    }

    /// The whole message, with an envelope of these bytes.
    #[inline(always)]
    pub fn sealed(&mut self, envelope: [u8; ENVELOPE_SIZE]) -> &[u8] {
        let bytes = self.bytes();
        match bytes.first_chunk_mut() {
            Some(room) => *room = envelope,
            None => bytes.extend_from_slice(&envelope),
        }
        bytes
    }

    /// As if nothing had been written; the buffer stays for the next body.
    #[inline]
    pub fn clear(&mut self) {
        if let Some(bytes) = &mut self.0 {
            bytes.clear();
        }
    }

    /// Bytes that fit without another allocation, envelope included.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.capacity())
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
            let envelope = Envelope { request, interface, operation, epoch, kind, status: Status::ALL[status], version };
            let mut bytes = envelope.to_bytes().to_vec();
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Envelope::wants_way_back(&bytes), kind == Kind::Request);
            if let Some(reply) = &reply {
                Envelope::add_reply(&mut bytes, reply);
                prop_assert!(!Envelope::wants_way_back(&bytes));
            }
            let reply = reply.map(|reply| reply.to_bytes());
            prop_assert_eq!(Envelope::read(&bytes), Some(Received { envelope, body: &body, reply: reply.as_ref() }));
            let mut outgoing = Outgoing::with_capacity(0);
            outgoing.end().extend_from_slice(&body);
            prop_assert_eq!(outgoing.body_len(), body.len());
            let head = bytes.first_chunk().unwrap();
            let (kind, answer) = (Kind::Answer, Envelope::answer_to(head, Status::NotNow, 77));
            let said = Envelope { kind, status: Status::NotNow, version: 77, ..envelope };
            prop_assert_eq!(answer, said.to_bytes(), "whatever the request's flags were");
            prop_assert_eq!(Envelope::read(outgoing.sealed(envelope.to_bytes())), Some(Received { envelope, body: &body, reply: None }));
        }

        #[test]
        fn any_bytes_are_read_or_refused_and_nothing_is_lost(bytes: Vec<u8>) {
            if let Some(Received { envelope, body, reply }) = Envelope::read(&bytes) {
                let mut again = envelope.to_bytes().to_vec();
                again.extend_from_slice(body);
                if let Some(reply) = reply {
                    Envelope::add_reply(&mut again, &Address::from_bytes(reply));
                }
                prop_assert_eq!(again, bytes);
            }
        }
    }
}

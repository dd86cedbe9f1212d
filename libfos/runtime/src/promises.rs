//! What messages promise, whatever carries them (docs/messaging.md), as checks that any way can be put through: mailboxes
//! of the kernel, links, channels, the simulator. Each check takes a fresh [`Way`] and answers what was broken, if anything
//! was. Their own tests break each promise on purpose, to see that it is found out.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_messages::rpc::{ENVELOPE_SIZE, Envelope, Kind, SendError, Status};

/// An end of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sends most, and has watched the other since the beginning.
    First,
    /// Receives most, and may end.
    Second,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Side {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }
}

/// What came to a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// A message, and who is said to have sent it.
    Message(Identity, Vec<u8>),
    /// The other side has ended.
    Ended,
}

/// Two processes, and whatever carries messages between them.
pub trait Way {
    /// Sends a message from a side to the other.
    fn send(&mut self, from: Side, message: &[u8]) -> Result<(), SendError>;
    /// As [`send`](Self::send) from the first side, with a key that nobody made; `None` for a way without keys.
    fn send_guessing(&mut self, message: &[u8]) -> Option<Result<(), SendError>>;
    /// Takes the next thing that came to a side.
    fn take(&mut self, at: Side) -> Option<Came>;
    /// Lets one more thing that is under way arrive. `false`: nothing is.
    fn progress(&mut self) -> bool;
    /// What messages of a side are stamped with.
    fn identity(&self, side: Side) -> Identity;
    /// Bytes of the longest message.
    fn longest(&self) -> usize;
    /// The second side ends.
    fn end_second(&mut self);
}

/// A promise's name, and what checks it.
pub type Promise = (&'static str, fn(&mut dyn Way) -> Result<(), String>);

/// All of them, in the order of docs/messaging.md.
pub const PROMISES: [Promise; 5] = [
    ("whole, in order, each once, with its sender", in_order),
    ("accepted or refused at once, and what is refused leaves nothing behind", refused_when_full),
    ("what is too long is refused", refused_when_too_long),
    ("who has no key is refused", refused_without_a_key),
    ("an end is told once, after all that came before it", told_of_the_end),
];

/// Messages of [`in_order`], and their lengths in turn.
const MESSAGES: u32 = 600;
const LENGTHS: [usize; 7] = [16, 56, 57, 168, 96, 900, 40];
/// More messages than any way has room for.
const FLOOD: u32 = 4096;
/// More than this the second side leaves lying, now and then.
const LEFT_LYING: u32 = 5;

/// A message that is unlike every other.
fn message(number: u32, length: usize) -> Vec<u8> {
    let (interface, operation, epoch, version) = (0x7fff, 0, 0, 1);
    let (kind, status) = (Kind::Post, Status::Done);
    let envelope = Envelope { request: number, interface, operation, epoch, kind, status, version };
    let mut bytes = envelope.to_bytes().to_vec();
    bytes.extend(
        (ENVELOPE_SIZE..length).map(|place| (place as u32).wrapping_mul(31).wrapping_add(number) as u8),
    );
    bytes
}

/// What came to both sides.
#[derive(Default)]
struct Arrived {
    first: Vec<Came>,
    second: Vec<Came>,
}

impl Arrived {
    /// Takes everything that is there or under way.
    fn gather(&mut self, way: &mut dyn Way) {
        loop {
            let mut took = false;
            for (side, place) in [(Side::First, &mut self.first), (Side::Second, &mut self.second)] {
                while let Some(came) = way.take(side) {
                    place.push(came);
                    took = true;
                }
            }
            if !way.progress() && !took {
                return;
            }
        }
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Whether these messages came, and nothing else.
fn compare(came: &[Came], from: Identity, sent: &[Vec<u8>]) -> Result<(), String> {
    for (place, bytes) in sent.iter().enumerate() {
        match came.get(place) {
            Some(Came::Message(sender, found)) if found == bytes && *sender == from => {}
            Some(Came::Message(sender, _)) if *sender != from => {
                return Err(format!("message {place} is said to be of {sender:?}, not {from:?}"));
            }
            found => {
                let found = found.map(|_| "another").unwrap_or("none");
                return Err(format!("message {place} of {} should have come, and {found} did", sent.len()));
            }
        }
    }
    require(came.len() == sent.len(), || format!("{} came, {} were sent", came.len(), sent.len()))
}

/// Sends; when there is no room, takes what came and tries again.
fn send_patiently(way: &mut dyn Way, from: Side, bytes: &[u8], arrived: &mut Arrived) -> Result<(), String> {
    for _ in 0..3 {
        match way.send(from, bytes) {
            Ok(()) => return Ok(()),
            Err(SendError::Full) => arrived.gather(way),
            Err(error) => return Err(format!("a message of {} bytes is refused: {error:?}", bytes.len())),
        }
    }
    Err("there is no room although all was taken".into())
}

fn in_order(way: &mut dyn Way) -> Result<(), String> {
    let mut arrived = Arrived::default();
    let (mut there, mut back) = (vec![], vec![]);
    for number in 0..MESSAGES {
        let length = LENGTHS[number as usize % LENGTHS.len()];
        let bytes = message(number, length);
        send_patiently(way, Side::First, &bytes, &mut arrived)?;
        there.push(bytes);
        if number % 3 == 0 {
            let bytes = message(!number, LENGTHS[number as usize / 3 % LENGTHS.len()]);
            send_patiently(way, Side::Second, &bytes, &mut arrived)?;
            back.push(bytes);
        }
        if number % LEFT_LYING == 0 {
            arrived.gather(way);
        }
    }
    let bytes = message(MESSAGES, way.longest());
    send_patiently(way, Side::First, &bytes, &mut arrived)?;
    there.push(bytes);
    arrived.gather(way);
    compare(&arrived.second, way.identity(Side::First), &there)?;
    compare(&arrived.first, way.identity(Side::Second), &back)
}

fn refused_when_full(way: &mut dyn Way) -> Result<(), String> {
    for round in 0..3 {
        let (mut sent, mut arrived) = (vec![], Arrived::default());
        let refused = (0..FLOOD).find_map(|number| {
            let bytes = message(round * FLOOD + number, LENGTHS[number as usize % LENGTHS.len()]);
            match way.send(Side::First, &bytes) {
                Ok(()) => {
                    sent.push(bytes);
                    None
                }
                Err(error) => Some(error),
            }
        });
        require(refused == Some(SendError::Full), || {
            format!("after {} messages that nobody took came {refused:?}", sent.len())
        })?;
        require(!sent.is_empty(), || "there is no room for a single message".into())?;
        arrived.gather(way);
        compare(&arrived.second, way.identity(Side::First), &sent)?;
    }
    Ok(())
}

fn refused_when_too_long(way: &mut dyn Way) -> Result<(), String> {
    let mut arrived = Arrived::default();
    for more in [1, 2, 1 << 10, 1 << 16] {
        let sent = way.send(Side::First, &message(0, way.longest() + more));
        require(sent == Err(SendError::TooLong), || format!("{more} bytes too many: {sent:?}"))?;
    }
    arrived.gather(way);
    require(arrived.second.is_empty(), || "part of what was too long came".into())?;
    let bytes = message(1, 40);
    send_patiently(way, Side::First, &bytes, &mut arrived)?;
    arrived.gather(way);
    compare(&arrived.second, way.identity(Side::First), &[bytes])
}

fn refused_without_a_key(way: &mut dyn Way) -> Result<(), String> {
    let (before, mut arrived) = (message(1, 40), Arrived::default());
    send_patiently(way, Side::First, &before, &mut arrived)?;
    if let Some(sent) = way.send_guessing(&message(2, 40)) {
        require(sent == Err(SendError::Closed), || format!("a guessed key was answered with {sent:?}"))?;
    }
    let after = message(3, 40);
    send_patiently(way, Side::First, &after, &mut arrived)?;
    arrived.gather(way);
    compare(&arrived.second, way.identity(Side::First), &[before, after])
}

fn told_of_the_end(way: &mut dyn Way) -> Result<(), String> {
    let (mut sent, mut arrived) = (vec![], Arrived::default());
    for number in 0..LEFT_LYING {
        let bytes = message(number, LENGTHS[number as usize]);
        send_patiently(way, Side::Second, &bytes, &mut arrived)?;
        sent.push(bytes);
    }
    let from = way.identity(Side::Second);
    way.end_second();
    arrived.gather(way);
    let last = arrived.first.pop();
    require(last == Some(Came::Ended), || format!("the last that came is not the end but {last:?}"))?;
    compare(&arrived.first, from, &sent)?;
    let refused = way.send(Side::First, &message(9, 40));
    require(refused == Err(SendError::Closed), || format!("sending to one that has ended: {refused:?}"))?;
    let mut after = Arrived::default();
    after.gather(way);
    require(after.first.is_empty(), || format!("after the end came {:?}", after.first))
}

#[cfg(test)]
mod tests;

//! Bodies of requests, found by trying. Nobody writes samples of every operation: bytes that are read are kept, changed a
//! little, and what is read again is kept too; so whatever an interface takes is reached sooner or later, and a new interface
//! is met without a line here.

use crate::Random;
use alloc::vec;
use alloc::vec::Vec;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_messages::rpc::{ADDRESS_SIZE, Description, ENVELOPE_SIZE, Part};

/// Bytes of the longest body of a request that fits a mailbox.
pub const BODY_MAX: usize = MESSAGE_MAX - ENVELOPE_SIZE - ADDRESS_SIZE;
/// Bodies that are kept of one operation.
const KEPT_MAX: usize = 64;
/// Zeros up to this length are tried first: what takes anything takes some of them, perhaps with a name before so many.
const ZEROS_MAX: usize = 160;
/// `/`, as postcard writes it: the shortest name there is.
const NAME: [u8; 2] = [1, b'/'];
/// The last place where a name is tried.
const NAME_AT_MAX: usize = 16;

/// The bodies of one operation, of requests, values or refusals.
#[derive(Debug)]
pub struct Bodies {
    interface: Description,
    part: Part,
    operation: u16,
    kept: Vec<Vec<u8>>,
}

impl Bodies {
    /// Of an operation of this interface.
    pub fn new(interface: Description, part: Part, operation: u16) -> Bodies {
        let zeros = (0..ZEROS_MAX).map(|length| vec![0; length]);
        let named = zeros.clone().flat_map(|zeros| {
            (0..=NAME_AT_MAX.min(zeros.len())).map(move |at| [&zeros[..at], &NAME, &zeros[at..]].concat())
        });
        let is_read = |body: &Vec<u8>| (interface.reads)(part, operation, body);
        let kept = zeros.chain(named).filter(is_read).take(KEPT_MAX / 2).collect();
        Bodies { interface, part, operation, kept }
    }

    /// How many different ones that are read are known.
    pub fn known(&self) -> usize {
        self.kept.len()
    }

    /// A body: like one that is read, or one with a few changes, which may be read or not.
    pub fn next(&mut self, random: &Random) -> Vec<u8> {
        let mut body = random.one_of(&self.kept).cloned().unwrap_or_default();
        for _ in 0..random.below(4) {
            change(&mut body, random);
        }
        body.truncate(BODY_MAX);
        if (self.interface.reads)(self.part, self.operation, &body) {
            self.keep(body.clone(), random);
        }
        body
    }

    fn keep(&mut self, body: Vec<u8>, random: &Random) {
        if self.kept.contains(&body) {
            return;
        }
        if self.kept.len() < KEPT_MAX {
            return self.kept.push(body);
        }
        // The first ones stay, so that what everything began with is never lost.
        let place = KEPT_MAX / 2 + random.below(KEPT_MAX / 2);
        self.kept[place] = body;
    }
}

/// One change: a byte, a bit, a piece more, a piece less, a count that promises what does not follow.
pub fn change(body: &mut Vec<u8>, random: &Random) {
    let at = random.below(body.len() + 1);
    match random.below(8) {
        0 => body.truncate(at),
        1 => body.extend((0..random.below(9)).map(|_| random.byte())),
        2 => body.insert(at, random.byte()),
        3 if at < body.len() => drop(body.remove(at)),
        4 if at < body.len() => body[at] ^= 1 << random.below(8),
        // Text of names, which random bytes would hardly be.
        5 => drop(body.splice(at..at, b"/a".iter().copied())),
        6 => drop(body.splice(at..at, count(random))),
        _ if at < body.len() => body[at] = random.byte(),
        _ => body.push(random.byte()),
    }
}

/// A number as postcard writes counts, seven bits in a byte: any power of two, or one less.
pub fn count(random: &Random) -> Vec<u8> {
    let mut number = (1u64 << random.below(64)) - (random.next() & 1);
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::till::TillInterface;
    use fos_messages::interfaces;

    /// Every operation of every interface is met by bodies that it reads, and by some that it does not.
    #[test]
    fn every_operation_is_reached() {
        let till = Description::of::<TillInterface>();
        for interface in interfaces::ALL.iter().chain([&till]) {
            for operation in interface.operations {
                let random = Random::new(7);
                let mut bodies = Bodies::new(*interface, Part::Request, operation.number);
                let read = (0..20_000).filter(|_| {
                    let body = bodies.next(&random);
                    (interface.reads)(Part::Request, operation.number, &body)
                });
                let read = read.count();
                assert!((1..20_000).contains(&read), "{}.{}: {read}", interface.name, operation.name);
                assert!(bodies.known() > 0);
            }
        }
    }
}

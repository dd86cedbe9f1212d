//! What is known of starts under tickets: which process each became, how it ended, who waits for that. The same in root and
//! in the simulator. Nothing of it grows with what was started and forgotten, and no ticket is started twice.
//!
//! A ticket that was forgotten must not be started again by a request that was late. Requests of two members come in the order in which
//! they were sent, and the second begins only when the first has promised to do no more; so what comes late comes soon, and the
//! last [`FORGOTTEN_MAX`] are enough to be sure.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;
use fos_messages::processes::{Ended, ORDER_BYTES_MAX, ProcessError};
use fos_messages::tickets::{PART_MAX, PREPARED_MAX, SURVEYED_MAX, SURVEYED_NAME_MAX, Survey, Surveyed};

/// Tickets of which is remembered that they are over.
pub const FORGOTTEN_MAX: usize = 1024;
/// Bytes of an order as it is sent: its texts, and a few for each of them.
const ORDER_WIRE_MAX: usize = 2 * ORDER_BYTES_MAX;

/// One start.
#[derive(Debug)]
struct Entry<A> {
    identity: u64,
    ended: Option<Ended>,
    waiter: Option<A>,
}

/// What became of a ticket so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it may be started.
    Nothing,
    /// It is, or was, the process of this identity.
    Started(u64),
    /// It is over, and forgotten.
    Forgotten,
}

/// What becomes of who waits for an end.
#[derive(Debug, PartialEq, Eq)]
pub enum Outlived<A> {
    /// It has ended: the asker, and how.
    Ended(A, Ended),
    /// The asker waits from now on, in the place of this one.
    Waits(Option<A>),
    /// There is no such start.
    Unknown(A),
}

/// All starts that are not forgotten. `A` is who waits for an end.
#[derive(Debug)]
pub struct Book<A> {
    entries: BTreeMap<u64, Entry<A>>,
    forgotten: VecDeque<u64>,
    prepared: VecDeque<(u64, Vec<u8>)>,
    last: u64,
}

impl<A> Default for Book<A> {
    fn default() -> Book<A> {
        let (entries, forgotten, prepared, last) = Default::default();
        Book { entries, forgotten, prepared, last }
    }
}

impl<A> Book<A> {
    /// Keeps a part of an order. What does not follow what is there, or is too long, is left out: then the order is not whole.
    pub fn prepare(&mut self, ticket: u64, at: u32, part: &[u8]) {
        if part.len() > PART_MAX {
            return;
        }
        if at == 0 {
            self.drop_parts(ticket);
            if self.prepared.len() >= PREPARED_MAX {
                self.prepared.pop_front();
            }
            self.prepared.push_back((ticket, part.to_vec()));
        } else if let Some((_, bytes)) = self.prepared.iter_mut().find(|(of, _)| *of == ticket)
            && bytes.len() == at as usize
            && bytes.len() + part.len() <= ORDER_WIRE_MAX
        {
            bytes.extend_from_slice(part);
        }
    }

    /// The whole order, of which this is what comes from `at` on. None: parts are missing.
    pub fn whole(&mut self, ticket: u64, at: u32, rest: Vec<u8>) -> Option<Vec<u8>> {
        let place = self.prepared.iter().position(|(of, _)| *of == ticket);
        let before = place.and_then(|place| self.prepared.remove(place)).map(|(_, bytes)| bytes);
        if at == 0 {
            return Some(rest);
        }
        let mut bytes = before.filter(|bytes| bytes.len() == at as usize)?;
        bytes.extend(rest);
        Some(bytes)
    }

    fn drop_parts(&mut self, ticket: u64) {
        self.prepared.retain(|(of, _)| *of != ticket);
    }

    /// What became of a ticket.
    pub fn known(&self, ticket: u64) -> Known {
        match self.entries.get(&ticket) {
            Some(entry) => Known::Started(entry.identity),
            None if self.forgotten.contains(&ticket) => Known::Forgotten,
            None => Known::Nothing,
        }
    }

    /// It was started.
    pub fn started(&mut self, ticket: u64, identity: u64) {
        self.last = self.last.max(ticket);
        self.entries.insert(ticket, Entry { identity, ended: None, waiter: None });
    }

    /// It has ended: who waits for that. The first end counts.
    pub fn ended(&mut self, ticket: u64, ended: Ended) -> Option<A> {
        let entry = self.entries.get_mut(&ticket)?;
        entry.ended.get_or_insert(ended);
        entry.waiter.take()
    }

    /// Whether it runs.
    pub fn runs(&self, ticket: u64) -> bool {
        self.entries.get(&ticket).is_some_and(|entry| entry.ended.is_none())
    }

    /// Somebody asks for its end.
    pub fn outlive(&mut self, ticket: u64, asker: A) -> Outlived<A> {
        match self.entries.get_mut(&ticket) {
            Some(Entry { ended: Some(ended), .. }) => Outlived::Ended(asker, *ended),
            Some(entry) => Outlived::Waits(entry.waiter.replace(asker)),
            None => Outlived::Unknown(asker),
        }
    }

    /// Forgets it, whether it was started or not; not one that runs.
    pub fn forget(&mut self, ticket: u64) {
        self.drop_parts(ticket);
        if self.runs(ticket) || self.known(ticket) == Known::Forgotten {
            return;
        }
        self.last = self.last.max(ticket);
        self.entries.remove(&ticket);
        if self.forgotten.len() >= FORGOTTEN_MAX {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(ticket);
    }

    /// Starts that are remembered, and orders of which there are parts.
    pub fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.prepared.len())
    }

    /// What a fleet that has lost its table is told: of tickets above this one, and of those that run what `program` says of them.
    pub fn survey(&self, above: u64, program: impl Fn(u64) -> Option<(u16, String)>) -> Survey {
        let row = |(&ticket, entry): (&u64, &Entry<A>)| {
            let (core, mut program) = program(ticket).unwrap_or_default();
            let end = (0..=SURVEYED_NAME_MAX).rev().find(|end| program.is_char_boundary(*end));
            program.truncate(end.unwrap_or_default());
            Surveyed { ticket, identity: entry.identity, core, program }
        };
        let above = self.entries.range((Bound::Excluded(above), Bound::Unbounded));
        Survey { last: self.last, rows: above.take(SURVEYED_MAX).map(row).collect() }
    }

    /// Starts that are remembered, with their identities, and whether they run.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, bool)> {
        self.entries.iter().map(|(ticket, entry)| (*ticket, entry.identity, entry.ended.is_none()))
    }
}

/// What is answered to who wants to start a ticket that is known; none: it may be started.
pub fn already(known: Known) -> Option<Result<u64, ProcessError>> {
    match known {
        Known::Nothing => None,
        Known::Started(identity) => Some(Ok(identity)),
        Known::Forgotten => Some(Err(ProcessError::NotStarted)),
    }
}

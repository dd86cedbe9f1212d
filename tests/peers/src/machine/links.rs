//! Deeds that take the machine: links to the server in pages that this process writes as it likes, whenever it likes, from
//! another core than the one that reads them. What is said about links is written here byte by byte, as
//! `libfos/src/port/switching/words.rs` has it: a bad peer uses no library.

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use fos_abi::capability::{Handle, Rights};
use fos_abi::channel::{first_header, rest_header};
use fos_abi::key::KeyRights;
use fos_abi::{Error, Key};
use fos_messages::rpc::{Address, ENVELOPE_SIZE, Envelope, Interface, Kind, Status};
use fos_peers::Random;
use fos_peers::till::TillInterface;
use libfos::channel::{Sender, Shared};
use libfos::clock::Clock;
use libfos::frames::Block;
use libfos::mailbox::Mailbox;
use libfos::memory::{Mapping, Memory, MemoryError};
use libfos::{Start, calls};

use crate::{Outcome, line};

/// A deed: its name, and what does it.
type Deed = (&'static str, fn(&mut Links) -> Outcome);

/// Every deed over shared pages.
pub const DEEDS: &[Deed] = &[
    ("pages-written-while-they-are-read", Links::scribble),
    ("slots-that-are-never-freed", Links::never_free),
    ("half-of-a-message", Links::halves),
    ("pages-taken-back-while-they-are-read", Links::take_back),
    ("offers-of-anything-but-a-link", Links::odd_offers),
    ("an-end-in-the-middle", Links::end_in_the_middle),
];

/// Words about links, where an envelope has its kind.
const OFFER: u8 = 0x80;
const ACCEPTED: u8 = 0x81;
const REFUSED: u8 = 0x82;
const SWITCH: u8 = 0x83;
const KIND_AT: usize = 12;
/// Pages of a link.
const PAGES: usize = 4;
/// Frames for mailbox, pages and tables.
const FRAMES: u64 = 128;
const SLOTS: usize = 64;
const KEYS: usize = 64;
/// How long the server has to say what becomes of an offer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Writes to the pages of one link, and links that are written to.
const WRITES: usize = 20_000;
const LINKS: usize = 6;
/// Requests over a link whose answers nobody takes: more than a half has slots.
const REQUESTS: u32 = 300;

/// What a bad peer needs for links of its own making.
pub struct Links {
    memory: Memory,
    reply: Mailbox,
    key: Key,
    till: Address,
    random: Random,
    clock: Clock,
    /// A link that was left open in the middle of a message: for good, unless this process goes on to another.
    left: Option<Link>,
}

/// A link that the server accepted, or was offered.
struct Link {
    block: Block,
    mapping: Mapping,
}

impl Links {
    /// To this server.
    pub fn new(
        start: &Start,
        memory: &mut Memory,
        till: Address,
        random: Random,
    ) -> Result<Links, MemoryError> {
        let mut memory = memory.split(FRAMES)?;
        let reply = Mailbox::create(&mut memory, SLOTS, KEYS)?;
        let key = reply.key(KeyRights::SEND.with(KeyRights::RING), 0)?;
        let clock = Clock::new(start.tsc_hz);
        Ok(Links { memory, reply, key, till, random, clock, left: None })
    }

    fn pages(&mut self) -> Result<Link, String> {
        let (block, mapping) = self.memory.allocate(PAGES).map_err(line)?;
        if let Some((first, second)) = Shared::halves(mapping.words()) {
            first.open();
            second.open();
        }
        Ok(Link { block, mapping })
    }

    fn word(&self, word: u8, number: u64) -> Vec<u8> {
        let mut message = [0; ENVELOPE_SIZE];
        message[..8].copy_from_slice(&number.to_le_bytes());
        message[KIND_AT] = word;
        message.to_vec()
    }

    fn offer_word(&self, number: u64) -> Vec<u8> {
        let mut message = self.word(OFFER, number);
        message.extend_from_slice(&Address { key: self.key, identity: self.till.identity }.to_bytes());
        message
    }

    /// Sends to the server, again while it has no room for this process.
    fn send(&self, message: &[u8], attached: Option<Handle>) -> Result<(), Error> {
        let deadline = self.clock.after(ANSWER_WITHIN);
        loop {
            let sent = match attached {
                Some(handle) => calls::send_with(&self.till.key, message, handle),
                None => calls::send(&self.till.key, message),
            };
            match sent {
                Err(Error::Full) if !deadline.has_passed() => calls::thread_yield(),
                sent => return sent.map(|_| ()),
            }
        }
    }

    /// A link that the server has accepted. It may refuse while it has others, but not for long.
    fn link(&mut self) -> Result<Link, String> {
        let deadline = self.clock.after(ANSWER_WITHIN);
        loop {
            match self.offer()? {
                Some(link) => return Ok(link),
                None if deadline.has_passed() => return Err("the server accepts no link".into()),
                None => calls::thread_yield(),
            }
        }
    }

    /// Offers a link, and begins to use it when the server has accepted. None: it has refused, as it may.
    fn offer(&mut self) -> Result<Option<Link>, String> {
        if let Some(left) = self.left.take() {
            self.end(left);
        }
        let (link, number) = (self.pages()?, self.random.next());
        let rights = Rights::READ.with(Rights::WRITE).with(Rights::MOVE);
        let share = calls::cap_derive(link.block.handle, rights, 0, PAGES as u64).map_err(line)?;
        self.send(&self.offer_word(number), Some(share)).map_err(line)?;
        if !self.is_accepted(number)? {
            self.end(link);
            return Ok(None);
        }
        self.send(&self.word(SWITCH, number), None).map_err(line)?;
        Ok(Some(link))
    }

    /// What the server says to an offer.
    fn is_accepted(&mut self, number: u64) -> Result<bool, String> {
        let deadline = self.clock.after(ANSWER_WITHIN);
        loop {
            let message = self.reply.receive(deadline).map_err(|_| "the server says nothing to an offer")?;
            let bytes = message.bytes();
            if bytes.get(..8) != Some(&number.to_le_bytes()[..]) {
                continue;
            }
            match bytes.get(KIND_AT) {
                Some(&ACCEPTED) => return Ok(true),
                Some(&REFUSED) => return Ok(false),
                _ => {}
            }
        }
    }

    /// Takes the pages back, wherever they are.
    fn end(&mut self, link: Link) {
        let Link { block, mapping } = link;
        let _ = calls::cap_revoke(block.handle);
        let _ = self.memory.unmap(mapping);
        let _ = self.memory.frames.give_back(block);
        while self.reply.take().is_some() {}
    }

    /// Wakes the server if it sleeps: it looks at its links then.
    fn ring(&self) {
        let _ = calls::ring(&self.till.key, 1);
    }

    /// A request over a link, whose answer goes back the same way.
    fn request(&self, number: u32) -> Vec<u8> {
        let (interface, version) = (TillInterface::ID, TillInterface::VERSION);
        let (kind, status) = (Kind::Request, Status::Done);
        let envelope = Envelope { request: number, interface, operation: 0, epoch: 0, kind, status, version };
        [&envelope.to_bytes()[..], &7u64.to_le_bytes()].concat()
    }

    /// Anything anywhere in the pages, in full speed, with requests that are good in between; the server's core reads.
    fn scribble(&mut self) -> Outcome {
        for _ in 0..LINKS {
            let link = self.link()?;
            let words = link.mapping.words();
            let Some((out, _)) = Shared::halves(words) else { return Ok(()) };
            let mut sender = Sender::new(out);
            for number in 0..WRITES {
                // The first half is the one that the server reads; in it are both its headers and its payload.
                let place = self.random.below(words.len());
                let lap = self.random.below(4) as u32;
                let word = match self.random.below(4) {
                    0 => self.random.next(),
                    1 => first_header(lap) | self.random.below(300) as u64,
                    2 => rest_header(lap),
                    _ => fos_abi::channel::OPEN,
                };
                words[place].store(word, Ordering::Relaxed);
                if number % 64 == 0 {
                    let _ = sender.send(&self.request(number as u32));
                    self.ring();
                }
            }
            self.end(link);
        }
        Ok(())
    }

    /// Requests whose answers nobody takes, until the server's half is full, and on.
    fn never_free(&mut self) -> Outcome {
        let link = self.link()?;
        let Some((out, _)) = Shared::halves(link.mapping.words()) else { return Ok(()) };
        let (mut sender, deadline) = (Sender::new(out), self.clock.after(ANSWER_WITHIN));
        let mut number = 0;
        while number < REQUESTS && !deadline.has_passed() {
            match sender.send(&self.request(number)) {
                Ok(_) => number += 1,
                // The server takes no more over this link.
                Err(libfos::channel::ChannelError::Closed) => break,
                Err(_) => calls::thread_yield(),
            }
            self.ring();
        }
        self.end(link);
        match number {
            0 => Err("no request went over a link that was accepted".into()),
            _ => Ok(()),
        }
    }

    /// A first slot that promises more, with others behind it, with none, and the other way around.
    fn halves(&mut self) -> Outcome {
        for kind in 0..LINKS {
            let link = self.link()?;
            write_half(&link, kind);
            self.ring();
            self.end(link);
        }
        Ok(())
    }

    /// The pages go while requests lie in them.
    fn take_back(&mut self) -> Outcome {
        for _ in 0..LINKS {
            let link = self.link()?;
            if let Some((out, _)) = Shared::halves(link.mapping.words()) {
                let mut sender = Sender::new(out);
                for number in 0..32 {
                    let _ = sender.send(&self.request(number));
                }
            }
            self.ring();
            self.end(link);
        }
        Ok(())
    }

    /// Offers without pages, with too few, with pages that can't be written, with something else; more than one may have;
    /// words about links that nobody offered.
    fn odd_offers(&mut self) -> Outcome {
        let link = self.pages()?;
        let rights = Rights::READ.with(Rights::MOVE);
        for (rights, count) in [(rights.with(Rights::WRITE), 1), (rights, PAGES as u64)] {
            let share = calls::cap_derive(link.block.handle, rights, 0, count).map_err(line)?;
            self.send(&self.offer_word(self.random.next()), Some(share)).map_err(line)?;
        }
        self.send(&self.offer_word(self.random.next()), None).map_err(line)?;
        for word in 0x80..=0xff {
            self.send(&self.word(word, self.random.next()), None).map_err(line)?;
            let mut cut = self.offer_word(self.random.next());
            cut.truncate(self.random.below(cut.len()));
            self.send(&cut, None).map_err(line)?;
        }
        self.end(link);
        let links: Result<Vec<_>, String> = (0..LINKS).map(|_| self.offer()).collect();
        let links = links?;
        let accepted = links.iter().flatten().count();
        links.into_iter().flatten().for_each(|link| self.end(link));
        // A process may have four.
        if (1..=4).contains(&accepted) {
            Ok(())
        } else {
            Err(alloc::format!("{accepted} links were accepted"))
        }
    }

    /// Half of a message, and the process ends with the link open.
    fn end_in_the_middle(&mut self) -> Outcome {
        let link = self.link()?;
        write_half(&link, 0);
        self.left = Some(link);
        self.ring();
        Ok(())
    }
}

/// A message of three slots, some of them missing.
fn write_half(link: &Link, kind: usize) {
    /// Words of a line; the first slot is behind the two lines that both ends share.
    const LINE: usize = 8;
    let slot = |number: usize| &link.mapping.words()[(2 + number) * LINE];
    let first = first_header(1) | 150;
    if kind.is_multiple_of(2) {
        slot(0).store(first, Ordering::Release);
    }
    match kind % 3 {
        0 => {}
        1 => slot(1).store(rest_header(1), Ordering::Release),
        _ => slot(2).store(rest_header(2), Ordering::Release),
    }
}

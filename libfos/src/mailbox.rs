//! Mailboxes: receiving in one's own memory without a trap, and sending with a key.
//!
//! A [`Mailbox`] belongs to the thread that made it. The kernel puts messages into its ring; [`Mailbox::take`]
//! shows the next one in place, and dropping the [`Message`] frees its slots. The kernel is trusted not to change a
//! message that has not been freed; what the *sender* wrote is not trusted. A sender may hold 1/8 of the slots, so a
//! receiver that keeps a message keeps its sender waiting and nobody else.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use fos_abi::calls::WaitList;
use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::limits::{PAGE_SIZE, WAIT_MAX};
use fos_abi::mailbox::{Control, EndReason, HEADER_SIZE, Header, MessageKind, Notice, SLOT_SIZE};
use fos_abi::mailbox::{frames_for, pages_for};
use fos_abi::thread::FaultReport;
use fos_abi::{Error, Identity, Key};

use crate::calls;
use crate::clock::{self, Clock, Deadline};
use crate::frames::Block;
use crate::memory::{Memory, MemoryError};

pub use fos_abi::mailbox::MESSAGE_MAX;

/// How long a sender sleeps before it tries a full mailbox again.
const RETRY_AFTER: core::time::Duration = core::time::Duration::from_micros(100);

/// The receiving end of a mailbox.
#[derive(Debug)]
pub struct Mailbox {
    control: NonNull<Control>,
    ring: NonNull<u8>,
    /// Ticket of the next message to take.
    head: u32,
    /// Slots, less one: tickets in the ring.
    mask: u32,
    /// The frames it is built in; the handle is the mailbox's.
    block: Block,
}

impl Mailbox {
    /// Builds a mailbox of `slots` and room for `keys` (both powers of two within the limits of `fos_abi::mailbox`), and
    /// maps it.
    pub fn create(memory: &mut Memory, slots: usize, keys: usize) -> Result<Mailbox, MemoryError> {
        let (frames, _) = frames_for(slots, keys).ok_or(Error::BadArgument)?;
        let mut block = memory.frames.take(frames as u64)?;
        match calls::mailbox_create(block.handle, slots, keys) {
            Ok(handle) => block.handle = handle,
            Err(error) => {
                memory.frames.give_back(block)?;
                return Err(error.into());
            }
        }
        match map(memory, &block, slots) {
            // SAFETY: `map` put control page and ring there, where they stay until `destroy` takes the value.
            Ok(address) => Ok(unsafe { Mailbox::mapped_at(address, slots, block) }),
            Err(error) => {
                calls::destroy(block.handle)?;
                memory.frames.give_back(block)?;
                Err(error)
            }
        }
    }

    /// The receiving end of a mailbox that has not received yet.
    ///
    /// # Safety
    /// `block` must hold a mailbox of `slots` slots that is mapped at `address` and stays so, and no other value may
    /// receive from it.
    unsafe fn mapped_at(address: u64, slots: usize, block: Block) -> Mailbox {
        let control = address as *mut Control;
        let ring = (address as usize + PAGE_SIZE) as *mut u8;
        // SAFETY: mapped addresses are not null.
        let (control, ring) = unsafe { (NonNull::new_unchecked(control), NonNull::new_unchecked(ring)) };
        Mailbox { control, ring, head: 0, mask: slots as u32 - 1, block }
    }

    /// Its capability.
    pub fn handle(&self) -> Handle {
        self.block.handle
    }

    /// Makes a key to it; `badge` comes with every message sent with that key.
    pub fn key(&self, rights: KeyRights, badge: u64) -> Result<Key, Error> {
        calls::key_create(self.handle(), rights, badge)
    }

    /// Takes the next message, if there is one. Void messages (their sender faulted while it sent) are skipped.
    #[inline]
    pub fn take(&mut self) -> Option<Message<'_>> {
        loop {
            let header = self.next()?;
            if header.kind != MessageKind::Void as u8 {
                let header = NonNull::from(header);
                return Some(Message { mailbox: self, header });
            }
            let slots = header.slots;
            self.free(slots);
        }
    }

    /// Who sent the next message, if there is one; it stays where it is.
    pub fn next_from(&mut self) -> Option<Waiting> {
        if !self.has_message() {
            return None;
        }
        let ticket = self.head;
        self.next().map(|header| Waiting {
            ticket,
            sender: Identity(header.sender),
            badge: header.badge,
            length: usize::from(header.length),
        })
    }

    /// Takes the next message, and sleeps until there is one or the deadline passes (`TimedOut`). Bells that ring
    /// meanwhile are forgotten: who uses bells uses [`wait`](Self::wait).
    pub fn receive(&mut self, deadline: Deadline) -> Result<Message<'_>, Error> {
        self.wait_for_message(deadline)?;
        self.take().ok_or(Error::TimedOut)
    }

    /// As [`receive`](Self::receive), but leaves the message where it is.
    pub fn wait_for_message(&mut self, deadline: Deadline) -> Result<(), Error> {
        while !self.has_message() {
            match self.wait(deadline) {
                Err(Error::Interrupted) => {}
                waited => waited?,
            }
            self.take_bells();
        }
        Ok(())
    }

    /// Whether there is a message to take; void ones on the way are freed.
    #[inline]
    pub fn has_message(&mut self) -> bool {
        while let Some(header) = self.next() {
            if header.kind != MessageKind::Void as u8 {
                return true;
            }
            let slots = header.slots;
            self.free(slots);
        }
        false
    }

    /// Sleeps until there is a message or a bell; void messages count.
    #[inline]
    pub fn wait(&self, deadline: Deadline) -> Result<(), Error> {
        calls::wait(&WaitList { deadline: deadline.0, mailboxes: [self.handle().0] }).map(|_| ())
    }

    /// Takes the bells that rang since the last time: a bit each, of 63.
    #[inline]
    pub fn take_bells(&self) -> u64 {
        self.control().bells.swap(0, Ordering::AcqRel)
    }

    /// Ends the mailbox: its keys, and what was sent and not taken. Its frames and addresses are free again.
    pub fn destroy(self, memory: &mut Memory) -> Result<(), Error> {
        calls::destroy(self.block.handle)?;
        memory.frames.give_back(self.block)?;
        memory.free_addresses(self.control.as_ptr() as u64, pages_for(self.mask as usize + 1));
        Ok(())
    }

    #[inline(always)]
    fn control(&self) -> &Control {
        // SAFETY: mapped while the value lives; all fields are atomics, so the kernel may write them too.
        unsafe { self.control.as_ref() }
    }

    /// The header at the head, if a whole message is there.
    #[inline(always)]
    fn next(&self) -> Option<&Header> {
        let at = (self.head & self.mask) as usize * SLOT_SIZE;
        let stamp = self.control().stamp(self.head, self.mask).load(Ordering::Acquire);
        // SAFETY: inside the ring, aligned to a slot. The kernel writes a slot's header only while it is free, and
        // the stamp last.
        (stamp == self.head.wrapping_add(1)).then(|| unsafe { self.ring.add(at).cast::<Header>().as_ref() })
    }

    /// Frees the slots of the message at the head.
    #[inline(always)]
    fn free(&mut self, slots: u32) {
        self.head = self.head.wrapping_add(slots);
        self.control().head.store(self.head, Ordering::Release);
    }
}

/// Maps a new mailbox at free addresses.
fn map(memory: &mut Memory, block: &Block, slots: usize) -> Result<u64, MemoryError> {
    let address = memory.reserve(pages_for(slots))?;
    loop {
        let error = match calls::mailbox_map(block.handle, address) {
            Ok(()) => return Ok(address),
            Err(Error::NoTables) => match memory.donate(Handle::SELF) {
                Ok(()) => continue,
                Err(error) => error,
            },
            Err(error) => error.into(),
        };
        memory.free_addresses(address, pages_for(slots));
        return Err(error);
    }
}

/// Sleeps until one of up to 32 mailboxes has a message or a bell; answers with a mask, bit `n` for `mailboxes[n]`.
pub fn select(mailboxes: &[&Mailbox], deadline: Deadline) -> Result<u32, Error> {
    if mailboxes.len() > WAIT_MAX {
        return Err(Error::BadArgument);
    }
    let mut list = WaitList { deadline: deadline.0, mailboxes: [Handle::NONE.0; WAIT_MAX] };
    for (entry, mailbox) in list.mailboxes.iter_mut().zip(mailboxes) {
        *entry = mailbox.handle().0;
    }
    calls::wait_first(&list, mailboxes.len())
}

/// What is known of a message that was not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its ticket.
    pub ticket: u32,
    /// Who sent it, as the kernel stamped it.
    pub sender: Identity,
    /// The badge of the key it was sent with; the cookie of a notice.
    pub badge: u64,
    /// Bytes of its payload.
    pub length: usize,
}

/// A message in place; its slots are free once this is dropped.
#[derive(Debug)]
pub struct Message<'a> {
    mailbox: &'a mut Mailbox,
    /// In the ring, for as long as `head` has not passed it.
    header: NonNull<Header>,
}

impl Message<'_> {
    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: the ring is mapped while the mailbox is borrowed, and the message is freed only when this is dropped.
        unsafe { self.header.as_ref() }
    }

    /// The payload, as its sender wrote it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let length = usize::from(self.header().length);
        // SAFETY: a message is in one piece, since the ring is mapped twice in a row, and nobody writes to it until it
        // is freed, which takes this value.
        unsafe { core::slice::from_raw_parts(self.header.as_ptr().cast::<u8>().add(HEADER_SIZE), length) }
    }

    /// Who sent it, as the kernel stamped it.
    #[inline]
    pub fn sender(&self) -> Identity {
        Identity(self.header().sender)
    }

    /// The badge of the key it was sent with; the cookie of a notice.
    #[inline]
    pub fn badge(&self) -> u64 {
        self.header().badge
    }

    /// Its ticket.
    #[inline]
    pub fn ticket(&self) -> u32 {
        self.mailbox.head
    }

    /// Whether a capability came with it, which [`accept`](Self::accept) takes.
    pub fn has_capability(&self) -> bool {
        self.header().attached != 0
    }

    /// Takes the capability that came with it into the own table. One that is not taken ends with the message.
    pub fn accept(&self) -> Result<Handle, Error> {
        calls::accept(self.mailbox.handle(), self.ticket())
    }

    /// What the message says, by its kind.
    pub fn event(&self) -> Event<'_> {
        let bytes = self.bytes();
        match self.header().kind {
            kind if kind == MessageKind::Ended as u8 => notice(bytes).map_or(Event::Unknown, |notice| {
                Event::Ended { reason: end_reason(notice.what), status: notice.detail }
            }),
            kind if kind == MessageKind::Interrupt as u8 => notice(bytes).map_or(Event::Unknown, |notice| {
                Event::Interrupt { line: notice.what, count: notice.detail }
            }),
            kind if kind == MessageKind::Fault as u8 => fault(bytes).map_or(Event::Unknown, Event::Fault),
            kind if kind == MessageKind::Data as u8 => Event::Data(bytes),
            _ => Event::Unknown,
        }
    }
}

impl Drop for Message<'_> {
    #[inline]
    fn drop(&mut self) {
        let slots = self.header().slots;
        self.mailbox.free(slots);
    }
}

/// A message by its kind. All but `Data` come from the kernel, with the cookie as [`Message::badge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes from a process.
    Data(&'a [u8]),
    /// A watched thing ended.
    Ended {
        /// Why; `None` for a reason that this library does not know.
        reason: Option<EndReason>,
        /// A thread's exit status.
        status: u64,
    },
    /// An interrupt came.
    Interrupt {
        /// The line.
        line: u64,
        /// How often.
        count: u64,
    },
    /// A thread faulted and is stopped.
    Fault(FaultReport),
    /// A kind or payload that this library does not know.
    Unknown,
}

/// The little endian words of a notice's payload.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (chunks, []) = bytes.as_chunks::<8>() else { return None };
    let words: &[[u8; 8]; N] = chunks.try_into().ok()?;
    Some(words.map(u64::from_le_bytes))
}

fn notice(bytes: &[u8]) -> Option<Notice> {
    words(bytes).map(|[what, detail]| Notice { what, detail })
}

fn fault(bytes: &[u8]) -> Option<FaultReport> {
    words(bytes).map(|[vector, code, address, rip, rsp, rbp, identity, cookie]| FaultReport {
        vector,
        code,
        address,
        rip,
        rsp,
        rbp,
        identity,
        cookie,
    })
}

fn end_reason(number: u64) -> Option<EndReason> {
    [EndReason::Exited, EndReason::Destroyed, EndReason::CoreFailed]
        .into_iter()
        .find(|reason| *reason as u64 == number)
}

/// The sending end: whoever holds a key may make any number of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What it sends with.
    pub key: Key,
}

impl Sender {
    /// Sends with a key.
    pub const fn new(key: Key) -> Sender {
        Sender { key }
    }

    /// Sends at most [`MESSAGE_MAX`] bytes; answers with the message's ticket. `Full` at once if there is no room.
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> Result<u32, Error> {
        calls::send(&self.key, bytes)
    }

    /// Sends bytes and moves a capability with them: on success it is no longer the caller's.
    pub fn send_with(&self, bytes: &[u8], capability: Handle) -> Result<u32, Error> {
        calls::send_with(&self.key, bytes, capability)
    }

    /// Sends, then sleeps until the caller's mailbox has something: a question and its answer in one entry.
    #[inline]
    pub fn send_wait(&self, bytes: &[u8], mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error> {
        let list = WaitList { deadline: deadline.0, mailboxes: [mailbox.handle().0] };
        calls::send_wait(&self.key, bytes, &list).map(|_| ())
    }

    /// Sends, and while the mailbox is full tries again, until the deadline passes (then `Full`).
    pub fn send_until(&self, bytes: &[u8], clock: Clock, deadline: Deadline) -> Result<u32, Error> {
        loop {
            match self.send(bytes) {
                Err(Error::Full) if !deadline.has_passed() => {
                    clock::sleep_until(clock.after(RETRY_AFTER).min(deadline));
                }
                sent => return sent,
            }
        }
    }

    /// Rings bells of the mailbox (`bits` below bit 63): wakes its receiver, takes no slot.
    #[inline]
    pub fn ring(&self, bits: u64) -> Result<(), Error> {
        calls::ring(&self.key, bits)
    }
}

#[cfg(test)]
mod tests;

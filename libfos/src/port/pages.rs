//! libfos's own links: a channel in each half of a few shared pages, over the kernel.
//!
//! The offerer owns the pages and sends the right to map them along with the offer. The accepter maps them with a frame of its
//! own to take their place, so that it finds zeros, which is a closed channel, when the offerer ends or takes them back.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicU64, Ordering, fence};

use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::key::KeyRights;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_abi::space::MapFlags;
use fos_abi::{Error, Key};
use fos_messages::rpc::SendError;
use fos_runtime::Instant;

use super::lending::{self, Lender};
use super::refusal;
use super::switching::{Ground, say_lent};
use super::transport::{LinkError, Transport};
use crate::channel::{ChannelError, Receiver, Sender, Shared};
use crate::clock::Clock;
use crate::frames::{self, Block};
use crate::memory::{Mapping, Memory, MemoryError};
use crate::{arch, calls};

/// Pages of a link: 126 slots each way, so 64 calls of two scalars at once, as many as a mailbox takes, find room.
const PAGES: usize = 4;
/// The bell that is rung for a sleeper.
const BELL: u64 = 1;
/// Frames for [`Thresholds::MACHINE`](super::thresholds::Thresholds::MACHINE): pages of links that are offered, frames that
/// take the place of others', page tables.
pub const FRAMES: u64 = 48;

/// An end of a link.
pub struct PageLink {
    /// The half that it sends in, to be closed.
    out: Shared<'static>,
    sender: Sender<'static>,
    receiver: Receiver<'static>,
    mapping: Mapping,
    /// Own pages, or the frame that takes the place of the peer's.
    block: Block,
    /// The right to the peer's pages.
    theirs: Option<Handle>,
}

impl Transport for PageLink {
    #[inline(always)]
    fn send(&mut self, message: &[u8]) -> Result<bool, LinkError> {
        self.sender.send(message).map_err(meaning)
    }

    #[inline(always)]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, LinkError> {
        match self.receiver.receive(buffer) {
            Ok(received) => Ok(received),
            Err(error) => self.receive_despite(error, buffer),
        }
    }

    #[inline]
    fn has_news(&self) -> bool {
        self.receiver.has_news()
    }

    fn prepare_to_sleep(&mut self) -> bool {
        self.receiver.prepare_to_sleep()
    }

    fn wake(&mut self) {
        self.receiver.wake();
    }

    fn close(&mut self) {
        self.out.close();
    }
}

impl PageLink {
    /// The sender may have sent its last message and closed just between the two looks of a `receive` that found it closed.
    #[cold]
    fn receive_despite(
        &mut self,
        error: ChannelError,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, LinkError> {
        if error != ChannelError::Closed {
            return Err(meaning(error));
        }
        fence(Ordering::Acquire);
        self.receiver.receive(buffer).map_err(meaning)
    }
}

fn meaning(error: ChannelError) -> LinkError {
    match error {
        ChannelError::Full => LinkError::Full,
        ChannelError::TooLong => LinkError::TooLong,
        ChannelError::Closed | ChannelError::Garbage | ChannelError::BufferTooSmall { .. } => {
            LinkError::Closed
        }
    }
}

/// The kernel under a port's ways.
pub struct Kernel {
    /// For links; none, if the process had no frames left for them.
    memory: RefCell<Option<Memory>>,
    lender: RefCell<Lender>,
    clock: Clock,
    /// The response mailbox, for random numbers.
    mailbox: Handle,
    random: Cell<u64>,
}

impl Kernel {
    /// For a port with this response mailbox.
    pub fn new(memory: Option<Memory>, clock: Clock, mailbox: Handle) -> Kernel {
        let (memory, lender, random) = (RefCell::new(memory), RefCell::default(), Cell::new(0));
        Kernel { memory, lender, clock, mailbox, random }
    }

    /// Takes the right to a peer's pages, which came with an offer, and maps them. An error leaves nothing behind.
    pub fn accept(&self, theirs: Handle) -> Option<PageLink> {
        let mut memory = self.memory.borrow_mut();
        let link = memory.as_mut().and_then(|memory| accept(memory, theirs).ok());
        if link.is_none() {
            // Refused only if it is gone already.
            let _ = calls::cap_delete(theirs);
        }
        link
    }

    #[cold]
    fn lend(&self, to: &Key, message: &[u8]) -> Result<(), SendError> {
        let mut memory = self.memory.borrow_mut();
        let memory = memory.as_mut().ok_or(SendError::Full)?;
        self.lender.borrow_mut().send(memory, to, &say_lent(message), message)
    }

    /// Copies a message out of pages that were lent with a right, which is given up; `None` without memory for it, or if the
    /// pages are not what was said.
    pub fn borrow(&self, right: Handle, length: usize) -> Option<Vec<u8>> {
        let mut memory = self.memory.borrow_mut();
        let copied = memory.as_mut().map(|memory| lending::borrow(memory, right, length));
        if copied.is_none() {
            // Refused only if it is gone already.
            let _ = calls::cap_delete(right);
        }
        copied?.ok()
    }

    /// Buffers that are lent.
    pub fn lent(&self) -> usize {
        self.lender.borrow().lent()
    }

    /// 64 fresh bits of the kernel's generator. The kernel has no call for them, but the secret of a key is 128 such bits: a
    /// key that nobody else ever saw is made for them, and ended.
    fn fresh_bits(&self) -> Option<u64> {
        let key = calls::key_create(self.mailbox, KeyRights::SEND, 0).ok()?;
        calls::key_revoke(self.mailbox, &key).ok()?;
        Some(key.secret[0])
    }
}

impl Ground for Kernel {
    type Link = PageLink;

    #[inline]
    fn now(&self) -> Instant {
        Instant { nanoseconds: self.clock.nanoseconds(arch::ticks()) }
    }

    fn random(&self) -> u64 {
        // With every key slot taken, which a server does to itself, what is left is a walk through all numbers.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let number = self.random.get().wrapping_add(STEP) ^ self.fresh_bits().unwrap_or_default();
        self.random.set(number);
        number
    }

    fn send(&self, to: &Key, message: &[u8]) -> Result<(), SendError> {
        if message.len() > MESSAGE_MAX {
            return self.lend(to, message);
        }
        calls::send(to, message).map(|_| ()).map_err(refusal)
    }

    fn ring(&self, to: &Key) {
        let _ = calls::ring(to, BELL);
    }

    fn offer(&self, to: &Key, message: &[u8]) -> Result<PageLink, SendError> {
        let mut memory = self.memory.borrow_mut();
        let memory = memory.as_mut().ok_or(SendError::Full)?;
        let (block, mapping) = memory.allocate(PAGES).map_err(|_| SendError::Full)?;
        let rights = Rights::READ.with(Rights::WRITE).with(Rights::MOVE);
        let offered = calls::cap_derive(block.handle, rights, 0, PAGES as u64).and_then(|share| {
            if let Some((first, second)) = Shared::halves(mapping.words()) {
                first.open();
                second.open();
            }
            calls::send_with(to, message, share)
        });
        match offered {
            Ok(_) => link(mapping, block, None).ok_or(SendError::Closed),
            Err(error) => {
                end(memory, mapping, block, None);
                Err(refusal(error))
            }
        }
    }

    fn end(&self, link: PageLink) {
        // What refers to the pages ends here, before they do.
        let PageLink { mapping, block, theirs, .. } = link;
        if let Some(memory) = self.memory.borrow_mut().as_mut() {
            end(memory, mapping, block, theirs);
        }
    }
}

fn accept(memory: &mut Memory, theirs: Handle) -> Result<PageLink, MemoryError> {
    let info = calls::cap_read(theirs)?;
    if info.kind != Kind::Frames as u32 || info.length != PAGES as u64 {
        return Err(Error::WrongKind.into());
    }
    let spare = memory.frames.take(1)?;
    let mapped = calls::frames_fallback(theirs, spare.handle)
        .map_err(MemoryError::from)
        .and_then(|()| memory.map(theirs, 0, PAGES, MapFlags::WRITE));
    match mapped {
        Ok(mapping) => link(mapping, spare, Some(theirs)).ok_or(Error::BadArgument.into()),
        Err(error) => {
            memory.frames.give_back(spare)?;
            Err(error)
        }
    }
}

/// An end over mapped pages. Who owns them sends in the first half.
fn link(mapping: Mapping, block: Block, theirs: Option<Handle>) -> Option<PageLink> {
    let words = mapping.words();
    // SAFETY: the pages stay mapped, be it to zeros, until `end` unmaps them, before which the two that refer to them are
    // dropped; nobody else gets at them, since both are in the same value.
    let words = unsafe { core::slice::from_raw_parts::<'static, AtomicU64>(words.as_ptr(), words.len()) };
    let (first, second) = Shared::halves(words)?;
    let (to_peer, from_peer) = if theirs.is_none() { (first, second) } else { (second, first) };
    let (out, sender, receiver) = (to_peer, Sender::new(to_peer), Receiver::new(from_peer));
    Some(PageLink { out, sender, receiver, mapping, block, theirs })
}

/// Unmaps, and gives back what was taken. What the kernel refuses stays taken, and is as much as one link has.
fn end(memory: &mut Memory, mapping: Mapping, block: Block, theirs: Option<Handle>) {
    let _ = memory.unmap(mapping);
    if let Some(theirs) = theirs {
        let _ = frames::give_up(theirs);
    }
    let _ = memory.frames.give_back(block);
}

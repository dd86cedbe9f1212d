//! What travels beside a message: one capability per slot, moved in by its sender and out by who accepts it.

use crate::capabilities::{self, Capability};
use core::sync::atomic::{AtomicU64, Ordering};
use fos_abi::Error;

/// A capability on its way, in the kernel's memory. Whoever moves one in or out has it to himself
/// meanwhile: a receiver that lies about its head can bring two senders, or a sender and itself, to the
/// same slot at once, and must not get the object of one capability with the rights of another.
#[repr(C)]
pub struct Attachment {
    pub(super) state: AtomicU64,
    words: [AtomicU64; 5],
}
const _: () = assert!(size_of::<Attachment>() == 48);

/// What an attachment's state says.
pub(super) mod attachment_state {
    pub const EMPTY: u64 = 0;
    pub const FULL: u64 = 1;
    pub const BUSY: u64 = 2;
    /// Full, with the capability of the message with this ticket.
    pub const fn full(ticket: u32) -> u64 {
        FULL | (ticket as u64) << 32
    }
}

impl Attachment {
    /// Puts a message's capability in, and gives back one that nobody took. `Full`: another is at it.
    pub fn put(&self, ticket: u32, capability: &Capability) -> Result<Option<Capability>, Error> {
        let before = self.state.swap(attachment_state::BUSY, Ordering::Acquire);
        if before == attachment_state::BUSY {
            return Err(Error::Full);
        }
        let old = if before & attachment_state::FULL != 0 { self.read() } else { None };
        let words = [
            capability.kind as u64 | u64::from(capability.rights.0) << 8,
            capability.object,
            capability.length,
            capability.parent,
            capability.stamp,
        ];
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.state.store(attachment_state::full(ticket), Ordering::Release);
        Ok(old)
    }
    /// Puts a capability back that could not be kept. One that finds no place is gone.
    pub fn give_back(&self, ticket: u32, capability: &Capability) {
        if let Some(lost) = self.put(ticket, capability).unwrap_or(Some(*capability)) {
            capabilities::leave_parent(&lost);
        }
    }
    /// Takes the capability of the message with this ticket out.
    pub fn take(&self, ticket: u32) -> Option<Capability> {
        let (full, busy) = (attachment_state::full(ticket), attachment_state::BUSY);
        self.state.compare_exchange(full, busy, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let capability = self.read();
        self.state.store(attachment_state::EMPTY, Ordering::Release);
        capability
    }
    /// The receiver has freed the message without taking what was attached.
    #[inline(always)]
    pub fn drop_unaccepted(&self, ticket: u32) {
        if self.state.load(Ordering::Relaxed) == attachment_state::full(ticket)
            && let Some(lost) = self.take(ticket)
        {
            capabilities::leave_parent(&lost);
        }
    }
    /// Takes whatever is there out, when the mailbox ends.
    pub fn take_any(&self) -> Option<Capability> {
        self.take((self.state.load(Ordering::Acquire) >> 32) as u32)
    }
    /// What is there, for whoever has made it busy.
    fn read(&self) -> Option<Capability> {
        let word = |index: usize| self.words[index].load(Ordering::Relaxed);
        Some(Capability {
            kind: *fos_abi::capability::KINDS.get((word(0) & 0xff) as usize)?,
            rights: fos_abi::capability::Rights((word(0) >> 8) as u8),
            object: word(1),
            length: word(2),
            parent: word(3),
            stamp: word(4),
        })
    }
}

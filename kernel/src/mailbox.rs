//! Mailboxes: many senders on any core, one receiver, whole messages, FIFO per sender. Sending is
//! lock-free: it takes slots with one compare-and-swap, copies, and publishes with one store.
//!
//! ```text
//!   reclaimed ≤ head ≤ tail      tickets, counted in slots
//!      │          │      └─ next to give out              senders, atomic
//!      │          └─ next the receiver will take          receiver, in its control page
//!      └─ freed slots whose sender has got its share back senders, atomic
//! ```
//!
//! The receiver's `head` is believed only within these bounds: a receiver that lies garbles its own ring
//! and nothing else. Who holds how many slots is counted in a small table of (process, slots) pairs; each
//! send gives back what the receiver has freed meanwhile, at most as many slots as it takes plus one, and
//! all of them before it answers `Full`.

use crate::arch::machine::paging::frame_pointer;
use crate::arch::machine::user_memory::UserRange;
use crate::capabilities::{self, Capability};
use crate::cores::{self, Core};
use crate::jobs::Job;
use crate::keys::{KeyEntry, KeyTable};
use crate::objects::{Object, Reference};
use crate::space::Space;
use crate::thread::Thread;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::mailbox::{Control, HEADER_SIZE, Header, MessageKind, OBJECT_SIZE, SHARE, SLOT_SIZE, slots_for};

/// A mailbox.
#[repr(C)]
pub struct Mailbox {
    /// Slots minus one.
    mask: u32,
    /// Slots that one sender may hold.
    share: u32,
    ring: *mut u8,
    control: *const Control,
    keys: *const KeyEntry,
    key_count: usize,
    /// (process number << 16 | slots held) pairs; twice as many as slots.
    holders: *const AtomicU64,
    /// Per slot: which pair pays for it, plus one.
    payers: *const AtomicU32,
    /// Per slot: the attached capability.
    attachments: *const Attachment,
    tail: AtomicU32,
    reclaimed: AtomicU32,
    /// Slots that notices of the kernel may still need.
    reserved: AtomicU32,
    /// The thread that sleeps for this mailbox.
    waiter: AtomicPtr<Thread>,
    /// Its core.
    pub home: AtomicU16,
    /// 0 alive, 1 ending.
    pub ending: AtomicU32,
    /// Whether keys are being revoked. Home core only.
    pub revoking: Cell<bool>,
    /// The space of its receiver, which lives at least as long.
    pub space: &'static Space,
    /// The page at which it is mapped there; 0: nowhere.
    pub mapped_at: Cell<u64>,
    /// Frames it is built in.
    pub frames: usize,
    /// Of these, the kernel's own.
    pub private_frames: usize,
    /// Who watches it.
    pub watchers: AtomicU64,
    /// Why it ends.
    pub end_reason: Cell<u64>,
    /// Its own end.
    pub teardown: Job,
}
const _: () = assert!(size_of::<Mailbox>() <= OBJECT_SIZE);

impl Object for Mailbox {
    const KIND: u8 = crate::frames::frame_kind::MAILBOX;
}

// SAFETY: cells are touched by the home core only; pointers are fixed; the rest is atomic.
unsafe impl Sync for Mailbox {}

/// A capability on its way, in the kernel's memory. Whoever moves one in or out has it to himself
/// meanwhile: a receiver that lies about its head can bring two senders, or a sender and itself, to the
/// same slot at once, and must not get the object of one capability with the rights of another.
#[repr(C)]
pub struct Attachment {
    state: AtomicU64,
    words: [AtomicU64; 5],
}
const _: () = assert!(size_of::<Attachment>() == 48);

/// What an attachment's state says.
mod attachment_state {
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
    fn put(&self, ticket: u32, capability: &Capability) -> Result<Option<Capability>, Error> {
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
    fn drop_unaccepted(&self, ticket: u32) {
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

/// Pairs looked at for one sender.
const HOLDER_WINDOW: usize = 64;
/// Tries at taking slots against other senders before the mailbox counts as full.
const TRIES: usize = 64;

/// What a core notes before it takes slots: the first ticket, how many, and which pair pays, plus one.
#[inline(always)]
pub fn taking(ticket: u32, slots: u32, payer: u32) -> u64 {
    u64::from(ticket) | u64::from(slots) << 32 | u64::from(payer) << 40
}

/// What a message carries beside its bytes.
#[derive(Clone, Copy)]
pub struct Envelope {
    /// Who sends.
    pub sender: u64,
    /// The key's badge.
    pub badge: u64,
    /// What it is.
    pub kind: MessageKind,
}

impl Mailbox {
    /// Makes a mailbox in claimed frames: private ones, control page, ring.
    ///
    /// # Safety
    /// The frames from `first` on must be claimed and zeroed, as many as `frames_for` says.
    pub unsafe fn create(
        first: u64,
        (frames, private): (usize, usize),
        slots: usize,
        key_count: usize,
        space: &'static Space,
        home: u16,
    ) {
        let base = frame_pointer(first);
        let at = base.cast::<Mailbox>();
        let keys = OBJECT_SIZE;
        let holders = keys + key_count * size_of::<KeyEntry>();
        let attachments = holders + 2 * slots * 8;
        let payers = attachments + slots * size_of::<Attachment>();
        // SAFETY: the caller hands over zeroed frames; the offsets add up to `private` frames
        // (`frames_for` counts the same), and zero is valid for every field not set here.
        unsafe {
            (*at).mask = slots as u32 - 1;
            (*at).share = (slots / SHARE) as u32;
            (*at).ring = frame_pointer(first + private as u64 + 1);
            (*at).control = frame_pointer(first + private as u64).cast();
            (*at).keys = base.add(keys).cast();
            (*at).key_count = key_count;
            (*at).holders = base.add(holders).cast();
            (*at).payers = base.add(payers).cast();
            (*at).attachments = base.add(attachments).cast();
            (*at).home = AtomicU16::new(home);
            (&raw mut (*at).space).write(space);
            (*at).frames = frames;
            (*at).private_frames = private;
        }
    }

    /// Its keys.
    #[inline(always)]
    pub fn keys(&self) -> KeyTable<'_> {
        // SAFETY: the table was laid out by `create` and stays as long as the mailbox.
        KeyTable(unsafe { core::slice::from_raw_parts(self.keys, self.key_count) })
    }
    #[inline(always)]
    fn control(&self) -> &Control {
        // SAFETY: the control page is the mailbox's own frame; all its fields are atomic.
        unsafe { &*self.control }
    }
    /// Slots.
    pub fn slots(&self) -> u32 {
        self.mask + 1
    }
    #[inline(always)]
    fn slot(&self, ticket: u32) -> *mut u8 {
        // SAFETY: the ring has mask + 1 slots.
        unsafe { self.ring.add((ticket & self.mask) as usize * SLOT_SIZE) }
    }
    #[inline(always)]
    fn header(&self, ticket: u32) -> *mut Header {
        self.slot(ticket).cast()
    }
    /// The attachment of a slot.
    pub fn attachment(&self, ticket: u32) -> &Attachment {
        // SAFETY: one per slot, laid out by `create`.
        unsafe { &*self.attachments.add((ticket & self.mask) as usize) }
    }
    #[inline(always)]
    fn payer(&self, ticket: u32) -> &AtomicU32 {
        // SAFETY: one per slot, laid out by `create`.
        unsafe { &*self.payers.add((ticket & self.mask) as usize) }
    }
    #[inline(always)]
    fn holder(&self, index: usize) -> &AtomicU64 {
        // SAFETY: two per slot, laid out by `create`; the index is reduced to that.
        unsafe { &*self.holders.add(index & (2 * self.mask as usize + 1)) }
    }

    /// Whether the next message is there, or a bell rang.
    #[inline(always)]
    pub fn has_something(&self) -> bool {
        let head = self.control().head.load(Ordering::Relaxed);
        let stamp = self.control().stamp(head, self.mask);
        stamp.load(Ordering::SeqCst) == head.wrapping_add(1)
            || self.control().bells.load(Ordering::SeqCst) != 0
    }

    /// Whether a ticket was given out, and its slot has not come back.
    pub fn holds_message(&self, ticket: u32) -> bool {
        let reclaimed = self.reclaimed.load(Ordering::Acquire);
        ticket.wrapping_sub(reclaimed) < self.tail.load(Ordering::Acquire).wrapping_sub(reclaimed)
    }

    /// The thread that will sleep for this mailbox. Fails if another does already.
    pub fn start_waiting(&self, thread: &'static Thread) -> bool {
        let thread = (thread as *const Thread).cast_mut();
        let none = core::ptr::null_mut();
        match self.waiter.compare_exchange(none, thread, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => true,
            Err(other) => other == thread,
        }
    }
    /// It does not sleep any more.
    #[inline(always)]
    pub fn stop_waiting(&self, thread: &'static Thread) {
        let thread = (thread as *const Thread).cast_mut();
        if self.waiter.load(Ordering::Relaxed) == thread {
            self.waiter.store(core::ptr::null_mut(), Ordering::SeqCst);
        }
    }
    /// Wakes the receiver if it sleeps. What it looks for must have been stored before, `SeqCst`.
    #[inline(always)]
    pub fn wake_receiver(&self) {
        if self.waiter.load(Ordering::SeqCst).is_null() {
            return;
        }
        let waiter = self.waiter.swap(core::ptr::null_mut(), Ordering::SeqCst);
        // SAFETY: a waiter takes itself out before it ends, and ends only after a grace period.
        if let Some(thread) = unsafe { waiter.as_ref() } {
            thread.wake();
        }
    }

    /// Rings bells.
    pub fn ring(&self, bits: u64) {
        self.control().bells.fetch_or(bits, Ordering::SeqCst);
        self.wake_receiver();
    }

    /// Gives back what the receiver has freed, a few slots at a time.
    #[inline(always)]
    fn reclaim(&self, most: u32) {
        let mut reclaimed = self.reclaimed.load(Ordering::Relaxed);
        for _ in 0..most {
            let head = self.control().head.load(Ordering::Acquire);
            let freed = head.wrapping_sub(reclaimed);
            if freed == 0 || freed > self.tail.load(Ordering::Relaxed).wrapping_sub(reclaimed) {
                return;
            }
            let next = reclaimed.wrapping_add(1);
            let payer = self.payer(reclaimed).load(Ordering::Relaxed);
            self.attachment(reclaimed).drop_unaccepted(reclaimed);
            match self.reclaimed.compare_exchange(reclaimed, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if payer != 0 {
                        self.holder(payer as usize - 1).fetch_sub(1, Ordering::AcqRel);
                    }
                    reclaimed = next;
                }
                Err(now) => reclaimed = now,
            }
        }
    }

    /// Charges slots to a sender: which pair pays, plus one.
    #[inline(always)]
    fn charge(&self, sender: u64, slots: u32) -> Result<u32, Error> {
        let tag = sender << 16;
        let start = (sender as usize).wrapping_mul(0x9e37_79b1) >> 7;
        let first = self.holder(start);
        let value = first.load(Ordering::Acquire);
        let next = value + u64::from(slots);
        if value & !0xffff == tag
            && next & 0xffff <= u64::from(self.share)
            && first.compare_exchange(value, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            return Ok((start & (2 * self.mask as usize + 1)) as u32 + 1);
        }
        self.charge_slowly(tag, start, slots)
    }

    /// As `charge`, with a pair that is not at its first place, or not there yet.
    #[inline(never)]
    fn charge_slowly(&self, tag: u64, start: usize, slots: u32) -> Result<u32, Error> {
        for _ in 0..TRIES {
            let mut free = None;
            let mut own = None;
            for step in 0..HOLDER_WINDOW {
                let value = self.holder(start + step).load(Ordering::Acquire);
                if value & !0xffff == tag {
                    own = Some((start + step, value));
                    break;
                }
                if value & 0xffff == 0 && free.is_none() {
                    free = Some((start + step, value));
                }
            }
            let (index, value, held) = match (own, free) {
                (Some((index, value)), _) => (index, value, value & 0xffff),
                (None, Some((index, value))) => (index, value, 0),
                (None, None) => return Err(Error::Full),
            };
            if held + u64::from(slots) > u64::from(self.share) {
                return Err(Error::Full);
            }
            let next = tag | (held + u64::from(slots));
            let holder = self.holder(index);
            if holder.compare_exchange(value, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                if own.is_none() && self.has_other_pair(tag, start, index) {
                    // Another core made a pair for the same process at the same time: that one counts, and
                    // this place must not keep the process's name.
                    if holder.compare_exchange(next, value, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                        holder.fetch_sub(u64::from(slots), Ordering::AcqRel);
                    }
                    continue;
                }
                return Ok((index & (2 * self.mask as usize + 1)) as u32 + 1);
            }
        }
        Err(Error::Full)
    }

    /// Whether a process has a second pair in its window.
    fn has_other_pair(&self, tag: u64, start: usize, own: usize) -> bool {
        (start..start + HOLDER_WINDOW).any(|index| {
            let value = self.holder(index).load(Ordering::Acquire);
            index != own && value & !0xffff == tag && value & 0xffff != 0
        })
    }

    /// Takes slots: their first ticket. The core notes first what it is about to take, so that slots that
    /// it takes and never fills can be found.
    #[inline(always)]
    fn take_slots(&self, here: &Core, slots: u32, reserved: u32, payer: u32) -> Result<u32, Error> {
        for _ in 0..TRIES {
            let tail = self.tail.load(Ordering::Relaxed);
            let used = tail.wrapping_sub(self.reclaimed.load(Ordering::Acquire));
            if used + slots + reserved > self.slots() {
                break;
            }
            here.sending.store(taking(tail, slots, payer), Ordering::Relaxed);
            here.sending_mailbox.store(self as *const Mailbox as u64, Ordering::Release);
            let next = tail.wrapping_add(slots);
            if self.tail.compare_exchange(tail, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Ok(tail);
            }
        }
        here.sending_mailbox.store(0, Ordering::Release);
        Err(Error::Full)
    }

    /// Charges the sender and takes slots: who pays, and the first ticket.
    #[inline(always)]
    pub fn place(&self, here: &Core, sender: u64, slots: u32) -> Result<(u32, u32), Error> {
        let payer = self.charge(sender, slots)?;
        let ticket = self.take_slots(here, slots, self.reserved.load(Ordering::Relaxed), payer);
        if ticket.is_err() {
            self.holder(payer as usize - 1).fetch_sub(u64::from(slots), Ordering::AcqRel);
        }
        Ok((payer, ticket?))
    }

    /// Sends a process's message: its ticket. Nothing is half-written: when the sender's memory can't be
    /// read, the slots it took become a void message.
    #[inline(never)]
    pub fn send(
        &self,
        here: &Core,
        from: UserRange,
        length: usize,
        envelope: Envelope,
        attached: Option<&Capability>,
    ) -> Result<u32, Error> {
        let slots = slots_for(length) as u32;
        self.reclaim(slots + 1);
        let (payer, ticket) = match self.place(here, envelope.sender, slots) {
            // What the receiver has freed may not all have been given back yet.
            Err(Error::Full) => {
                self.reclaim(self.slots());
                self.place(here, envelope.sender, slots)?
            }
            placed => placed?,
        };
        for step in 0..slots {
            self.payer(ticket.wrapping_add(step)).store(payer, Ordering::Relaxed);
        }
        let stored = self.copy_in(ticket, from, length).and_then(|()| self.attach(ticket, attached));
        let kind = if stored.is_ok() { envelope.kind } else { MessageKind::Void };
        let length = if stored.is_ok() { length } else { 0 };
        let attached_flag = u8::from(attached.is_some() && stored.is_ok());
        self.publish(ticket, slots, length, Envelope { kind, ..envelope }, attached_flag);
        here.sending_mailbox.store(0, Ordering::Release);
        self.wake_receiver();
        stored.map(|()| ticket)
    }

    /// Puts what is attached to a message beside it. What the receiver never took from there is gone.
    #[inline(always)]
    fn attach(&self, ticket: u32, attached: Option<&Capability>) -> Result<(), Error> {
        let Some(capability) = attached else { return Ok(()) };
        if let Some(lost) = self.attachment(ticket).put(ticket, capability)? {
            capabilities::leave_parent(&lost);
        }
        Ok(())
    }

    #[inline(always)]
    fn copy_in(&self, ticket: u32, from: UserRange, length: usize) -> Result<(), Error> {
        if length == 0 {
            return Ok(());
        }
        let start = (ticket & self.mask) as usize * SLOT_SIZE + HEADER_SIZE;
        let room = self.slots() as usize * SLOT_SIZE - start;
        if length <= room {
            // SAFETY: `length` bytes from `start` lie in the ring, in slots that this sender took.
            return unsafe { from.read(self.ring.add(start)) };
        }
        let (front, back) = from.split(room);
        // SAFETY: the first part ends with the ring, the rest begins with it; the slots are this sender's.
        unsafe {
            front.read(self.ring.add(start))?;
            back.read(self.ring)
        }
    }

    #[inline(always)]
    fn publish(&self, ticket: u32, slots: u32, length: usize, envelope: Envelope, attached: u8) {
        let header = self.header(ticket);
        // SAFETY: the slot was taken with this ticket; only its sender writes it until it is published.
        unsafe {
            (&raw mut (*header).length).write(length as u16);
            (&raw mut (*header).kind).write(envelope.kind as u8);
            (&raw mut (*header).attached).write(attached);
            (&raw mut (*header).sender).write(envelope.sender);
            (&raw mut (*header).badge).write(envelope.badge);
            (&raw mut (*header).slots).write(slots);
            (&raw mut (*header).ticket).write(ticket);
        }
        // A stamp that no ticket of this slot matches, for the slots in which no message begins.
        for step in 1..slots {
            let inner = ticket.wrapping_add(step);
            self.control().stamp(inner, self.mask).store(inner, Ordering::Relaxed);
        }
        // Swap, not store: the receiver's "sleeping" is read after it, in one total order.
        self.control().stamp(ticket, self.mask).swap(ticket.wrapping_add(1), Ordering::SeqCst);
    }

    /// Whether the receiver may map it, and nobody has.
    pub fn is_mapped(&self) -> bool {
        self.mapped_at.get() != 0
    }

    /// Sets a slot aside for one notice.
    pub fn reserve_notice(&self) -> Result<(), Error> {
        let before = self.reserved.fetch_add(1, Ordering::AcqRel);
        if before >= self.slots() / 2 {
            self.reserved.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::NoSlot);
        }
        Ok(())
    }
    /// It is not needed any more.
    pub fn release_notice(&self) {
        self.reserved.fetch_sub(1, Ordering::AcqRel);
    }

    /// Sends a notice of the kernel, of at most one slot. A slot was set aside; should the receiver hold
    /// even that one (it frees nothing), bell 63 rings instead, and whoever asked can ask again.
    pub fn notify(&self, kind: MessageKind, badge: u64, payload: &[u64]) {
        self.reclaim(self.slots());
        let here = cores::this();
        let Ok(ticket) = self.take_slots(here, 1, 0, 0) else {
            self.ring(1 << 63);
            return;
        };
        self.payer(ticket).store(0, Ordering::Relaxed);
        let bytes = size_of_val(payload).min(SLOT_SIZE - HEADER_SIZE);
        // SAFETY: the slot is this notice's; the payload fits behind the header.
        unsafe {
            let to = self.slot(ticket).add(HEADER_SIZE);
            core::ptr::copy_nonoverlapping(payload.as_ptr().cast::<u8>(), to, bytes);
        }
        self.publish(ticket, 1, bytes, Envelope { sender: 0, badge, kind }, 0);
        here.sending_mailbox.store(0, Ordering::Release);
        self.wake_receiver();
    }

    /// A core failed while sending: what it had [taken](taking) becomes void.
    pub fn void(&self, taken: u64) {
        let (ticket, slots, payer) = (taken as u32, (taken >> 32) as u32 & 0xff, (taken >> 40) as u32);
        let stamp = self.control().stamp(ticket, self.mask);
        if self.holds_message(ticket) && stamp.load(Ordering::SeqCst) != ticket.wrapping_add(1) {
            for step in 0..slots {
                self.payer(ticket.wrapping_add(step)).store(payer, Ordering::Relaxed);
            }
            let envelope = Envelope { sender: 0, badge: 0, kind: MessageKind::Void };
            self.publish(ticket, slots, 0, envelope, 0);
            self.wake_receiver();
        }
    }

    /// Ends the sleep of whoever waits for it: there will be nothing.
    pub fn drop_waiter(&self) {
        let waiter = self.waiter.swap(core::ptr::null_mut(), Ordering::SeqCst);
        // SAFETY: as in `wake_receiver`.
        if let Some(thread) = unsafe { waiter.as_ref() } {
            thread.waiting.iter().for_each(|place| {
                if core::ptr::eq(place.get(), self) {
                    place.set(core::ptr::null());
                }
            });
            thread.end_wait(cores::this(), Error::BadCapability as u64);
        }
    }
}

/// The mailbox behind a number that a sender alleges.
#[inline(always)]
pub fn find(mailbox: u64) -> Result<&'static Mailbox, Error> {
    crate::objects::resolve::<Mailbox>(Reference(mailbox)).ok_or(Error::Closed)
}

#[cfg(test)]
#[path = "tests/mailbox.rs"]
mod tests;

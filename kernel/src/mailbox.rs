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
//! and nothing else. Who holds how many slots is counted in a small table of (process, slots) pairs. What the
//! receiver has freed is given back when a send finds its share or the ring used up: all of it, before it
//! answers `Full`. So most sends do not look, and the one that does pays for several at once.

mod attachment;
mod shares;

pub use attachment::Attachment;

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
use fos_abi::mailbox::{
    Control, HEADER_SIZE, Header, MESSAGE_SLOTS_MAX, MessageKind, OBJECT_SIZE, SHARE, SLOT_SIZE, slots_for,
};

/// A mailbox.
#[repr(C)]
pub struct Mailbox {
    /// Slots minus one.
    mask: u32,
    /// Pairs of holders minus one.
    holder_mask: usize,
    /// Slots that one sender may hold.
    share: u64,
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

/// Tries at taking slots against other senders before the mailbox counts as full.
const TRIES: usize = 64;

/// What a core notes before it takes slots: the first ticket, how many, and which pair pays, plus one.
#[inline(always)]
pub fn taking(ticket: u32, slots: u32, payer: u32) -> u64 {
    u64::from(ticket) | u64::from(payer * MESSAGE_SLOTS_MAX as u32 + slots - 1) << 32
}

/// With a process's number: whoever pays for the reports of its threads' faults. No count of processes comes so far.
const REPORTS: u64 = 1 << 39;

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
            (*at).holder_mask = 2 * slots - 1;
            (*at).share = (slots / SHARE) as u64;
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
        // SAFETY: the table was laid out by `create`, which stored its address, and stays as long as the mailbox.
        unsafe {
            core::hint::assert_unchecked(!self.keys.is_null());
            KeyTable(core::slice::from_raw_parts(self.keys, self.key_count))
        }
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
    /// The attachment of a slot.
    pub fn attachment(&self, ticket: u32) -> &Attachment {
        // SAFETY: one per slot, laid out by `create`.
        unsafe { &*self.attachments.add((ticket & self.mask) as usize) }
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

    /// The thread that will sleep for this mailbox. Fails if another does already. Home core only, where nobody else
    /// puts a thread there.
    #[inline(always)]
    pub fn start_waiting(&self, thread: &'static Thread) -> bool {
        let thread = (thread as *const Thread).cast_mut();
        let before = self.waiter.load(Ordering::Relaxed);
        if before.is_null() {
            self.waiter.store(thread, Ordering::SeqCst);
        }
        before.is_null() || before == thread
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
        if !self.waiter.load(Ordering::SeqCst).is_null() {
            self.wake_sleeper();
        }
    }

    #[inline(never)]
    fn wake_sleeper(&self) {
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

    /// Takes slots: their first ticket. `Full` also when other senders were faster `tries` times. The core notes
    /// first what it is about to take, so that slots that it takes and never fills can be found.
    #[inline(always)]
    fn take_slots(
        &self,
        here: &Core,
        slots: u32,
        reserved: u32,
        payer: u32,
        tries: usize,
    ) -> Result<u32, Error> {
        for _ in 0..tries {
            let tail = self.tail.load(Ordering::Relaxed);
            let used = tail.wrapping_sub(self.reclaimed.load(Ordering::Acquire));
            if used + slots + reserved - 1 > self.mask {
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
        let charged = self.charge(sender, slots);
        if let Some(payer) = charged
            && let Ok(ticket) = self.take_slots(here, slots, self.reserved.load(Ordering::Relaxed), payer, 1)
        {
            return Ok((payer, ticket));
        }
        self.place_slowly(here, sender, slots, charged)
    }

    /// The same for a sender that found no place at once: gives back everything that the receiver has freed, and
    /// looks for the sender's pair everywhere. A charge is kept meanwhile: taking it back would let the process's
    /// other threads find their share used up that is not.
    #[cold]
    #[inline(never)]
    fn place_slowly(
        &self,
        here: &Core,
        sender: u64,
        slots: u32,
        charged: Option<u32>,
    ) -> Result<(u32, u32), Error> {
        self.reclaim();
        let payer = charged.map_or_else(|| self.charge_slowly(sender, slots), Ok)?;
        let ticket = self.take_slots(here, slots, self.reserved.load(Ordering::Relaxed), payer, TRIES);
        if ticket.is_err() {
            self.holder(payer as usize - 1).fetch_sub(u64::from(slots), Ordering::AcqRel);
        }
        ticket.map(|ticket| (payer, ticket))
    }

    /// Sends a process's message: its ticket. Nothing is half-written: when the sender's memory can't be
    /// read, the slots it took become a void message.
    #[inline(always)]
    pub fn send(
        &self,
        here: &Core,
        from: UserRange,
        length: usize,
        envelope: Envelope,
        attached: Option<&Capability>,
    ) -> Result<u32, Error> {
        let slots = slots_for(length) as u32;
        let (payer, ticket) = self.place(here, envelope.sender, slots)?;
        let slot = self.write_header(ticket, slots, length, envelope, u8::from(attached.is_some()));
        self.payer(ticket).store(payer, Ordering::Relaxed);
        let copied = if slots == 1 {
            // SAFETY: the slot is this sender's; header and message take one, so the message ends in it.
            unsafe { from.read(slot.add(HEADER_SIZE)) }
        } else {
            self.copy_in_pieces(ticket, slots, payer, from)
        };
        if let Err(error) = copied.and_then(|()| self.attach(ticket, attached)) {
            return self.take_back(here, ticket, slots, envelope, error);
        }
        self.publish(ticket);
        here.sending_mailbox.store(0, Ordering::Release);
        self.wake_receiver();
        Ok(ticket)
    }

    /// A message whose bytes could not be had: its slots are skipped.
    #[cold]
    #[inline(never)]
    fn take_back(
        &self,
        here: &Core,
        ticket: u32,
        slots: u32,
        envelope: Envelope,
        error: Error,
    ) -> Result<u32, Error> {
        self.publish_void(ticket, slots, envelope);
        here.sending_mailbox.store(0, Ordering::Release);
        self.wake_receiver();
        Err(error)
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

    /// Copies a message of several slots, which may go around the end of the ring. The sender pays for all.
    #[inline(never)]
    fn copy_in_pieces(&self, ticket: u32, slots: u32, payer: u32, from: UserRange) -> Result<(), Error> {
        self.pay_for(ticket, slots, payer);
        self.hide_inner_slots(ticket, slots);
        let start = (ticket & self.mask) as usize * SLOT_SIZE + HEADER_SIZE;
        let (front, back) = from.split_at_most(self.slots() as usize * SLOT_SIZE - start);
        // SAFETY: the first part ends with the ring at the latest, the rest begins with it; the slots are this
        // sender's.
        unsafe {
            front.read(self.ring.add(start))?;
            back.read(self.ring)
        }
    }

    /// Notes who pays for slots.
    fn pay_for(&self, ticket: u32, slots: u32, payer: u32) {
        for step in 0..slots {
            self.payer(ticket.wrapping_add(step)).store(payer, Ordering::Relaxed);
        }
    }

    /// A stamp that no ticket of this slot matches, for the slots in which no message begins.
    fn hide_inner_slots(&self, ticket: u32, slots: u32) {
        for step in 1..slots {
            let inner = ticket.wrapping_add(step);
            self.control().stamp(inner, self.mask).store(inner, Ordering::Relaxed);
        }
    }

    /// Writes the header of a message that is not published yet: where its first slot is.
    #[inline(always)]
    fn write_header(
        &self,
        ticket: u32,
        slots: u32,
        length: usize,
        envelope: Envelope,
        attached: u8,
    ) -> *mut u8 {
        let slot = self.slot(ticket);
        let Envelope { sender, badge, kind } = envelope;
        let (length, kind) = (length as u16, kind as u8);
        let header = Header { ticket, length, kind, attached, sender, badge, slots, reserved: 0 };
        // SAFETY: the slot was taken with this ticket; only its sender writes it until it is published.
        unsafe { slot.cast::<Header>().write(header) };
        slot
    }

    /// The message is whole.
    #[inline(always)]
    fn publish(&self, ticket: u32) {
        // Swap, not store: the receiver's "sleeping" is read after it, in one total order.
        self.control().stamp(ticket, self.mask).swap(ticket.wrapping_add(1), Ordering::SeqCst);
    }

    /// Publishes a message that there is not: the slots are skipped.
    fn publish_void(&self, ticket: u32, slots: u32, envelope: Envelope) {
        self.hide_inner_slots(ticket, slots);
        self.write_header(ticket, slots, 0, Envelope { kind: MessageKind::Void, ..envelope }, 0);
        self.publish(ticket);
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
        self.reclaim();
        let here = cores::this();
        let ticket = self.take_slots(here, 1, 0, 0, TRIES);
        self.tell(here, ticket.map(|ticket| (0, ticket)), kind, badge, payload);
    }

    /// Sends a notice that a process has caused, and pays for: its threads' faults have a share like its messages',
    /// beside it, so that it can neither fill the mailbox with them nor hide them behind what it sent.
    pub fn report(&self, process: u64, kind: MessageKind, badge: u64, payload: &[u64]) {
        let here = cores::this();
        self.tell(here, self.place(here, process | REPORTS, 1), kind, badge, payload);
    }

    /// Fills the slot of a notice, which somebody pays for; without one, the last bell rings.
    fn tell(
        &self,
        here: &Core,
        placed: Result<(u32, u32), Error>,
        kind: MessageKind,
        badge: u64,
        payload: &[u64],
    ) {
        let Ok((payer, ticket)) = placed else {
            self.ring(1 << 63);
            return;
        };
        self.payer(ticket).store(payer, Ordering::Relaxed);
        let bytes = size_of_val(payload).min(SLOT_SIZE - HEADER_SIZE);
        let slot = self.write_header(ticket, 1, bytes, Envelope { sender: 0, badge, kind }, 0);
        // SAFETY: the slot is this notice's; the payload fits behind the header.
        unsafe {
            core::ptr::copy_nonoverlapping(payload.as_ptr().cast::<u8>(), slot.add(HEADER_SIZE), bytes);
        }
        self.publish(ticket);
        here.sending_mailbox.store(0, Ordering::Release);
        self.wake_receiver();
    }

    /// A core failed while sending: what it had [taken](taking) becomes void.
    pub fn void(&self, taken: u64) {
        let (ticket, rest, most) = (taken as u32, (taken >> 32) as u32, MESSAGE_SLOTS_MAX as u32);
        let (slots, payer) = (rest % most + 1, rest / most);
        let stamp = self.control().stamp(ticket, self.mask);
        if self.holds_message(ticket) && stamp.load(Ordering::SeqCst) != ticket.wrapping_add(1) {
            self.pay_for(ticket, slots, payer);
            self.publish_void(ticket, slots, Envelope { sender: 0, badge: 0, kind: MessageKind::Void });
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

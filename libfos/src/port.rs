//! What a runtime stands on in a process: three mailboxes of the kernel, the machine's clock, watches.
//!
//! A port belongs to the thread that made it, and so does its runtime; another thread of the process makes its own. Nothing
//! here is process-wide.
//!
//! ```text
//!  response   512 slots   answers; notices of watches, which set half of them aside     key: SEND
//!  internal   256 slots   requests of the own fleet                                     key: SEND, WATCH
//!  external   512 slots   requests of clients, 64 of one client at most                 key: SEND, WATCH
//! ```

mod polling;

use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};

use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::mailbox::SHARE;
use fos_abi::{Error, Identity, Key};
use fos_messages::rpc::{Address, SendError};
use fos_messages::start::Start;
use fos_runtime::Instant;
use fos_runtime::port::{AnswerRoom, Class, Event, Incoming, Port, Route};

use crate::arch;
use crate::calls;
use crate::clock::{Clock, Deadline};
use crate::mailbox::{self, Mailbox, Message};
use crate::memory::{Memory, MemoryError};
use polling::Budget;

/// Slots of each mailbox, by class.
const SLOTS: [usize; 3] = [512, 256, 512];
/// Keys of each mailbox: the port's own, and those that its server makes for clients with badges of their own.
const KEYS: usize = 64;
/// Slots of the response mailbox that watches may set aside: as many as the kernel lets them.
const NOTICES: usize = SLOTS[Class::Response as usize] / 2;
const ANSWER_ROOM: AnswerRoom = AnswerRoom {
    slots: (SLOTS[Class::Response as usize] - NOTICES) as u32,
    slots_per_sender: (SLOTS[Class::Response as usize] / SHARE) as u32,
};
const _: () = assert!(fos_runtime::PEERS_MAX <= NOTICES);

/// One of the three mailboxes.
struct Inbox {
    mailbox: RefCell<Mailbox>,
    /// The mailbox's capability, for calls while a message of it is shown.
    handle: Handle,
    address: Address,
}

/// The kernel as a runtime sees it.
pub struct KernelPort {
    inboxes: [Inbox; 3],
    identity: Identity,
    clock: Clock,
    /// Capabilities of the watches, by cookie.
    watches: RefCell<BTreeMap<u64, Handle>>,
    budget: Cell<Budget>,
    random: Cell<u64>,
}

impl KernelPort {
    /// Makes the mailboxes, in the calling thread, which is the only one that may use the port.
    pub fn create(memory: &mut Memory, start: &Start) -> Result<KernelPort, MemoryError> {
        let (identity, clock) = (Identity(start.identity), Clock::new(start.tsc_hz));
        let mut inbox = |class: Class, rights| create_inbox(memory, SLOTS[class as usize], rights, identity);
        let watched = KeyRights::SEND.with(KeyRights::WATCH);
        let inboxes = [
            inbox(Class::Response, KeyRights::SEND)?,
            inbox(Class::Internal, watched)?,
            inbox(Class::External, watched)?,
        ];
        Ok(KernelPort {
            inboxes,
            identity,
            clock,
            watches: RefCell::default(),
            budget: Cell::new(Budget::of_machine(clock)),
            random: Cell::new(0),
        })
    }

    fn inbox(&self, class: Class) -> &Inbox {
        &self.inboxes[class as usize]
    }

    /// A further key to one of the mailboxes, for a client that its badge is to tell from others.
    pub fn key(&self, class: Class, rights: KeyRights, badge: u64) -> Result<Key, Error> {
        calls::key_create(self.inbox(class).handle, rights, badge)
    }

    /// Ends a key, and all derived from it.
    pub fn revoke(&self, class: Class, key: &Key) -> Result<(), Error> {
        calls::key_revoke(self.inbox(class).handle, key)
    }

    /// Waits until a message is there or the time has come, whichever is first; returns early now and then.
    pub fn sleep(&self, until: Option<Instant>) {
        let deadline = until.map_or(Deadline::NEVER, |at| self.clock.deadline_at(at.nanoseconds));
        let mut budget = self.budget.get();
        let began = arch::ticks();
        if !self.poll(deadline.0.min(began.saturating_add(budget.ticks()))) {
            self.wait(deadline);
        }
        budget.waited(arch::ticks() - began);
        self.budget.set(budget);
    }

    /// Looks for messages up to a time. Whether there is one.
    fn poll(&self, end: u64) -> bool {
        while arch::ticks() < end {
            if self.inboxes.iter().any(|inbox| inbox.mailbox.borrow_mut().has_message()) {
                return true;
            }
            core::hint::spin_loop();
        }
        false
    }

    /// Sleeps in the kernel.
    fn wait(&self, deadline: Deadline) {
        let mailboxes = self.inboxes.each_ref().map(|inbox| inbox.mailbox.borrow());
        match mailbox::select(&mailboxes.each_ref().map(|mailbox| &**mailbox), deadline) {
            Ok(_) | Err(Error::TimedOut | Error::Interrupted) => {}
            Err(error) => panic!("waiting for one's own mailboxes was refused: {error:?}"),
        }
        // Nobody has a key to ring them; one that rang all the same must not wake this thread again and again.
        mailboxes.iter().for_each(|mailbox| _ = mailbox.take_bells());
    }

    /// A watch has told, or is not wanted any more.
    fn end_watch(&self, cookie: u64) {
        if let Some(handle) = self.watches.borrow_mut().remove(&cookie) {
            // Refused only if it is gone already, which is what is wanted.
            let _ = calls::cap_delete(handle);
        }
    }

    /// 64 fresh bits of the kernel's generator. The kernel has no call for them, but the secret of a key is 128 such bits: a
    /// key that nobody else ever saw is made for them, and ended.
    fn fresh_bits(&self) -> Option<u64> {
        let mailbox = self.inbox(Class::Response).handle;
        let key = calls::key_create(mailbox, KeyRights::SEND, 0).ok()?;
        calls::key_revoke(mailbox, &key).ok()?;
        Some(key.secret[0])
    }
}

fn create_inbox(
    memory: &mut Memory,
    slots: usize,
    rights: KeyRights,
    identity: Identity,
) -> Result<Inbox, MemoryError> {
    let mailbox = Mailbox::create(memory, slots, KEYS)?;
    let address = Address { key: mailbox.key(rights, 0)?, identity };
    Ok(Inbox { handle: mailbox.handle(), address, mailbox: RefCell::new(mailbox) })
}

impl Port for KernelPort {
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

    fn identity(&self) -> Identity {
        self.identity
    }

    fn address(&self, class: Class) -> Address {
        self.inbox(class).address
    }

    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        calls::send(&to.key, message).map(|_| ()).map_err(refusal)
    }

    fn send_back(&self, _: Route, _: &[u8]) -> Result<(), SendError> {
        Err(SendError::Closed)
    }

    fn has_way_back(&self, _: &Address) -> bool {
        false
    }

    fn take(&self, class: Class, show: &mut dyn FnMut(Incoming<'_>)) -> bool {
        let mut mailbox = self.inbox(class).mailbox.borrow_mut();
        let Some(message) = mailbox.take() else { return false };
        let incoming = read(&message);
        if let Event::Ended { cookie } = incoming.event {
            self.end_watch(cookie);
        }
        show(incoming);
        true
    }

    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError> {
        let response = self.inbox(Class::Response).handle;
        let handle = calls::watch_mailbox(&peer.key, response, cookie).map_err(refusal)?;
        self.watches.borrow_mut().insert(cookie, handle);
        Ok(())
    }

    fn unwatch(&self, cookie: u64) {
        self.end_watch(cookie);
    }

    fn answer_room(&self) -> AnswerRoom {
        ANSWER_ROOM
    }
}

/// A message as the runtime takes it. What is neither a message nor the end of something (a stranger's fault report, say)
/// is empty, and dropped like all else that is none.
fn read<'a>(message: &'a Message<'_>) -> Incoming<'a> {
    let (sender, badge) = (message.sender(), message.badge());
    let event = match message.event() {
        mailbox::Event::Data(bytes) => Event::Message(bytes),
        mailbox::Event::Ended { .. } => Event::Ended { cookie: badge },
        mailbox::Event::Interrupt { .. } | mailbox::Event::Fault(_) | mailbox::Event::Unknown => {
            Event::Message(&[])
        }
    };
    Incoming { sender, badge, route: Route::MAILBOX, event }
}

/// What a refused send or watch means to the runtime: no room for it now, too long, or nobody there.
fn refusal(error: Error) -> SendError {
    match error {
        Error::Full | Error::NoSlot => SendError::Full,
        Error::TooLong => SendError::TooLong,
        _ => SendError::Closed,
    }
}

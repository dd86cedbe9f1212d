//! What a runtime stands on in a process: three mailboxes of the kernel, links to those who are sent to often, the machine's
//! clock, watches.
//!
//! A port belongs to the thread that made it, and so does its runtime; another thread of the process makes its own. Nothing
//! here is process-wide.
//!
//! ```text
//!  response   512 slots   answers; notices of watches, which set half of them aside     key: SEND, RING, ATTACH
//!  internal   256 slots   requests of the own fleet                                     key: and WATCH
//!  external   512 slots   requests of clients, 64 of one client at most                 key: and WATCH
//! ```

pub mod lending;
mod pages;
mod switching;
pub mod thresholds;
pub mod transport;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::mailbox::SHARE;
use fos_abi::{Error, Identity, Key};
use fos_messages::rpc::{ADDRESS_SIZE, Address, Envelope, Kind, Received, SendError, Status};
use fos_messages::start::Start;
use fos_runtime::Instant;
use fos_runtime::port::{AnswerRoom, Class, Event, Incoming, LENT_MAX, Poison, Port, Route, Show};

use crate::arch;
use crate::calls;
use crate::channel::{self, Poller};
use crate::clock::{Clock, Deadline};
use crate::mailbox::{self, Mailbox, Message};
use crate::memory::{Memory, MemoryError};
use pages::Kernel;
use switching::{Ground, Switch, Taken};
use thresholds::Thresholds;

/// Slots of each mailbox, by class.
const SLOTS: [usize; 3] = [512, 256, 512];
/// Keys of each mailbox: the port's own, and those that its server makes for clients with badges of their own.
const KEYS: usize = 64;
/// Slots of the response mailbox that watches may set aside: as many as the kernel lets them.
const NOTICES: usize = SLOTS[Class::Response as usize] / 2;
/// For each link that was offered a slot is kept for what the peer says about it.
const LINK_ROOM: usize = Thresholds::MACHINE.offered_max;
const ANSWER_ROOM: AnswerRoom = AnswerRoom {
    slots: (SLOTS[Class::Response as usize] - NOTICES - LINK_ROOM) as u32,
    slots_per_sender: (SLOTS[Class::Response as usize] / SHARE - LINK_ROOM) as u32,
};
const _: () = assert!(fos_runtime::PEERS_MAX <= NOTICES);
/// The longest poll: what a sleep with its wake-up by an interrupt takes on hardware, several times over. The kernel's idle
/// loop has the same bound.
const POLL_MAX: Duration = Duration::from_micros(50);

/// One of the three mailboxes.
struct Inbox {
    mailbox: RefCell<Mailbox>,
    /// The mailbox's capability, for calls while a message of it is shown.
    handle: Handle,
    address: Address,
}

/// A watch on a peer's mailbox.
struct Watch {
    handle: Handle,
    mailbox: u64,
    /// Nobody wants it any more but a link that is still to be ended.
    is_kept: bool,
}

/// The kernel as a runtime sees it.
pub struct KernelPort {
    inboxes: [Inbox; 3],
    switch: RefCell<Switch<Kernel>>,
    /// Where a message from a link is while it is shown.
    buffer: RefCell<Box<[u8; channel::MESSAGE_MAX]>>,
    /// Whether links are looked at before a mailbox that has a message, in turns.
    links_first: Cell<bool>,
    identity: Identity,
    clock: Clock,
    /// By cookie.
    watches: RefCell<BTreeMap<u64, Watch>>,
    /// Badges of keys that were made for clients.
    badges: RefCell<Vec<(Class, Key, u64)>>,
    poller: Cell<Poller>,
    /// Poisonous requests that were refused.
    poisonous: Cell<u64>,
}

impl KernelPort {
    /// Makes the mailboxes, in the calling thread, which is the only one that may use the port.
    pub fn with_thresholds(
        memory: &mut Memory,
        start: &Start,
        thresholds: Thresholds,
    ) -> Result<KernelPort, MemoryError> {
        let (identity, clock) = (Identity(start.identity), Clock::new(start.tsc_hz));
        let mut inbox = |class: Class, rights| create_inbox(memory, SLOTS[class as usize], rights, identity);
        let answers = KeyRights::SEND.with(KeyRights::RING).with(KeyRights::ATTACH);
        let requests = answers.with(KeyRights::WATCH);
        let inboxes = [
            inbox(Class::Response, answers)?,
            inbox(Class::Internal, requests)?,
            inbox(Class::External, requests)?,
        ];
        let response = &inboxes[Class::Response as usize];
        let kernel = Kernel::new(memory.split(pages::FRAMES + lending::FRAMES).ok(), clock, response.handle);
        // Under an emulator, which takes turns between cores, who polls takes the time in which the sender would run.
        let poller = if arch::is_emulated() { Poller::NEVER } else { Poller::new(clock.ticks(POLL_MAX)) };
        Ok(KernelPort {
            switch: RefCell::new(Switch::new(kernel, thresholds, response.address)),
            inboxes,
            buffer: RefCell::new(Box::new([0; channel::MESSAGE_MAX])),
            links_first: Cell::new(false),
            identity,
            clock,
            watches: RefCell::default(),
            badges: RefCell::default(),
            poller: Cell::new(poller),
            poisonous: Cell::new(0),
        })
    }

    fn inbox(&self, class: Class) -> &Inbox {
        &self.inboxes[class as usize]
    }

    /// A further key to one of the mailboxes, for a client that its badge is to tell from others.
    pub fn key(&self, class: Class, rights: KeyRights, badge: u64) -> Result<Key, Error> {
        let key = calls::key_create(self.inbox(class).handle, rights, badge)?;
        self.badges.borrow_mut().push((class, key, badge));
        Ok(key)
    }

    /// Ends a key and all derived from it, and the links of those who have the same badge.
    pub fn revoke(&self, class: Class, key: &Key) -> Result<(), Error> {
        calls::key_revoke(self.inbox(class).handle, key)?;
        let mut badges = self.badges.borrow_mut();
        let found = badges.iter().position(|(known_class, known, _)| *known_class == class && known == key);
        if let Some(place) = found {
            let (_, _, badge) = badges.swap_remove(place);
            self.switch.borrow_mut().revoke(class, badge);
        }
        Ok(())
    }

    /// Ends the port and its mailboxes: whoever watches them is told. What links took of the memory does not come back.
    pub fn end(self, memory: &mut Memory) -> Result<(), Error> {
        self.inboxes.into_iter().try_for_each(|inbox| inbox.mailbox.into_inner().destroy(memory))
    }

    /// Sends by mailbox again to all, as if all links had been idle.
    pub fn close_links(&self) {
        self.switch.borrow_mut().close_all();
    }

    /// Waits until a message is there or the time has come, whichever is first; returns early now and then.
    pub fn sleep(&self, until: Option<Instant>) {
        let look = self.switch.borrow_mut().close_idle();
        let until = [until, look].into_iter().flatten().min();
        let deadline = until.map_or(Deadline::NEVER, |at| self.clock.deadline_at(at.nanoseconds));
        let mut poller = self.poller.get();
        let began = arch::ticks();
        if !self.poll(deadline.0.min(began.saturating_add(poller.budget_ticks()))) {
            self.wait(deadline);
        }
        poller.waited(arch::ticks() - began);
        self.poller.set(poller);
        self.end_kept_watches();
    }

    /// Looks for messages up to a time. Whether there is one.
    fn poll(&self, end: u64) -> bool {
        while arch::ticks() < end {
            if self.switch.borrow_mut().has_news()
                || self.inboxes.iter().any(|inbox| inbox.mailbox.borrow_mut().has_message())
            {
                return true;
            }
            core::hint::spin_loop();
        }
        false
    }

    /// Sleeps in the kernel.
    fn wait(&self, deadline: Deadline) {
        if !self.switch.borrow_mut().prepare_to_sleep() {
            return;
        }
        let mailboxes = self.inboxes.each_ref().map(|inbox| inbox.mailbox.borrow());
        match mailbox::select(&mailboxes.each_ref().map(|mailbox| &**mailbox), deadline) {
            Ok(_) | Err(Error::TimedOut | Error::Interrupted) => {}
            Err(error) => panic!("waiting for one's own mailboxes was refused: {error:?}"),
        }
        mailboxes.iter().for_each(|mailbox| _ = mailbox.take_bells());
        self.switch.borrow_mut().wake();
    }

    /// Whether messages to there go over a link now.
    pub fn has_way_back(&self, to: &Address) -> bool {
        self.switch.borrow().has_way_back(to)
    }

    fn is_watched(&self, to: &Address) -> bool {
        let mailbox = to.key.mailbox.0;
        self.watches.borrow().values().any(|watch| watch.mailbox == mailbox && !watch.is_kept)
    }

    #[inline(always)]
    fn has_message(&self, class: Class) -> bool {
        self.inbox(class).mailbox.borrow_mut().has_message()
    }

    /// Shows the next message of the own fleet.
    #[inline(never)]
    fn take_internal(&self, show: &mut dyn Show) -> bool {
        if self.has_message(Class::Internal) {
            return self.take_in_turn(Class::Internal, show);
        }
        self.take_from_link(Class::Internal, None, show)
    }

    /// Shows the next message of a class whose mailbox has one. It and links that have one too take turns.
    #[inline(never)]
    fn take_in_turn(&self, class: Class, show: &mut dyn Show) -> bool {
        let links_first = self.links_first.replace(!self.links_first.get());
        (links_first && self.take_from_link(class, None, show)) || self.take_from_mailbox(class, show)
    }

    /// Shows the next message from a link, or what has to be shown before the mailbox's next message.
    fn take_from_link(&self, class: Class, before: Option<(u32, Identity)>, show: &mut dyn Show) -> bool {
        let mut buffer = self.buffer.borrow_mut();
        let mut switch = self.switch.borrow_mut();
        let taken = match before {
            Some(next) => switch.take_before(class, next, &mut **buffer),
            None => switch.take(class, None, &mut **buffer),
        };
        drop(switch);
        let Some(taken) = taken else { return false };
        show.show(class, taken.incoming(&**buffer));
        true
    }

    fn take_from_mailbox(&self, class: Class, show: &mut dyn Show) -> bool {
        let mut mailbox = self.inbox(class).mailbox.borrow_mut();
        let Some(next) = mailbox.next_from() else { return false };
        let sender = match next.sender {
            Identity::KERNEL => self.watched(next.badge).unwrap_or_default(),
            sender => sender,
        };
        if self.take_from_link(class, Some((next.ticket, sender)), show) {
            return true;
        }
        let Some(message) = mailbox.take() else { return false };
        let incoming = read(&message);
        match incoming.event {
            Event::Ended { cookie } => self.peer_ended(cookie),
            Event::Message(bytes) if self.heard(class, &message, bytes) => {
                if let Some((length, head)) = switching::lent(bytes) {
                    self.take_lent(class, &message, length, head, show);
                }
                return true;
            }
            Event::Message(_) => {}
        }
        show.show(class, incoming);
        true
    }

    /// Shows a message that is in lent pages. Whoever asks for more than there is memory for is told so; an answer that there is
    /// no memory for ends its call.
    #[cold]
    fn take_lent(
        &self,
        class: Class,
        message: &Message<'_>,
        length: usize,
        head: &[u8],
        show: &mut dyn Show,
    ) {
        let (sender, badge, route) = (message.sender(), message.badge(), Route::MAILBOX);
        let right = message.accept().ok();
        let copied = right.and_then(|right| self.switch.borrow().ground.borrow(right, length));
        if let Some(bytes) = copied {
            return show.show(class, Incoming { sender, badge, route, event: Event::Message(&bytes) });
        }
        let Some(Received { envelope, reply, .. }) = Envelope::read(head) else { return };
        let refused = |status| Envelope { kind: Kind::Answer, status, ..envelope }.to_bytes();
        match (envelope.kind, reply) {
            (Kind::Answer, _) if class == Class::Response => {
                let bytes = refused(Status::Unsendable);
                show.show(class, Incoming { sender, badge, route, event: Event::Message(&bytes) });
            }
            (Kind::Request, Some(reply)) => {
                let reply = Address { identity: sender, ..Address::from_bytes(reply) };
                // A client without room for an answer does without.
                let _ = self.switch.borrow_mut().send(&reply, &refused(Status::Overloaded), || false);
            }
            _ => {}
        }
    }

    /// Messages in pages that their receivers have not given back yet.
    pub fn lent(&self) -> usize {
        self.switch.borrow().ground.lent()
    }

    /// Whether a message is about links or lent pages, and what is about links is dealt with.
    fn heard(&self, class: Class, message: &Message<'_>, bytes: &[u8]) -> bool {
        let from = (message.sender(), message.badge());
        let accept = |kernel: &Kernel| kernel.accept(message.accept().ok()?);
        self.switch.borrow_mut().hear(class, from, bytes, accept)
    }

    /// The process that a watch with this cookie is on, if there is a link to it.
    fn watched(&self, cookie: u64) -> Option<Identity> {
        let mailbox = self.watches.borrow().get(&cookie)?.mailbox;
        self.switch.borrow().receiver(mailbox)
    }

    fn peer_ended(&self, cookie: u64) {
        if let Some(mailbox) = self.end_watch(cookie) {
            self.switch.borrow_mut().peer_ended(mailbox);
        }
    }

    /// A watch has told, or is not wanted any more: which mailbox it was on.
    fn end_watch(&self, cookie: u64) -> Option<u64> {
        let watch = self.watches.borrow_mut().remove(&cookie)?;
        // Refused only if it is gone already, which is what is wanted.
        let _ = calls::cap_delete(watch.handle);
        Some(watch.mailbox)
    }

    /// Ends watches that were kept for links that are over.
    fn end_kept_watches(&self) {
        let switch = self.switch.borrow();
        let is_over = |watch: &Watch| watch.is_kept && !switch.has_link(watch.mailbox);
        let over = self.watches.borrow().iter().find(|(_, watch)| is_over(watch)).map(|(cookie, _)| *cookie);
        if let Some(cookie) = over {
            self.end_watch(cookie);
        }
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
        self.switch.borrow().ground.random()
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn address(&self, class: Class) -> Address {
        self.inbox(class).address
    }

    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError> {
        if request.len() > LENT_MAX - ADDRESS_SIZE {
            return Err(SendError::TooLong);
        }
        self.switch.borrow_mut().ask(to, request, || self.is_watched(to))
    }

    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        if message.len() > LENT_MAX {
            return Err(SendError::TooLong);
        }
        self.switch.borrow_mut().send(to, message, || self.is_watched(to))
    }

    #[inline(always)]
    fn send_back(&self, route: Route, message: &[u8]) -> Result<(), SendError> {
        self.switch.borrow_mut().send_back(route, message)
    }

    #[inline(always)]
    fn take(&self, last: Class, show: &mut dyn Show) -> bool {
        let mut switch = self.switch.borrow_mut();
        switch.pay_debts();
        // A class after the other, not in a loop: what is known of each is then known to the compiler.
        if self.has_message(Class::Response) {
            drop(switch);
            return self.take_in_turn(Class::Response, show);
        }
        if switch.listens(Class::Response) {
            let mut buffer = self.buffer.borrow_mut();
            if let Some(taken) = switch.take(Class::Response, None, &mut **buffer) {
                drop(switch);
                show.show(Class::Response, taken.incoming(&**buffer));
                return true;
            }
        }
        if last == Class::Response {
            return false;
        }
        if self.has_message(Class::Internal) || switch.listens(Class::Internal) {
            drop(switch);
            if self.take_internal(show) {
                return true;
            }
            switch = self.switch.borrow_mut();
        }
        if last == Class::Internal {
            return false;
        }
        if self.has_message(Class::External) {
            drop(switch);
            return self.take_in_turn(Class::External, show);
        }
        if switch.listens(Class::External) {
            let mut buffer = self.buffer.borrow_mut();
            if let Some(taken) = switch.take(Class::External, None, &mut **buffer) {
                drop(switch);
                show.show(Class::External, taken.incoming(&**buffer));
                return true;
            }
        }
        false
    }

    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError> {
        let response = self.inbox(Class::Response).handle;
        let handle = calls::watch_mailbox(&peer.key, response, cookie).map_err(refusal)?;
        let watch = Watch { handle, mailbox: peer.key.mailbox.0, is_kept: false };
        self.watches.borrow_mut().insert(cookie, watch);
        Ok(())
    }

    fn unwatch(&self, cookie: u64) {
        let mut watches = self.watches.borrow_mut();
        if let Some(watch) = watches.get_mut(&cookie) {
            let mut switch = self.switch.borrow_mut();
            if switch.has_link(watch.mailbox) {
                watch.is_kept = true;
                return switch.close(watch.mailbox);
            }
        }
        drop(watches);
        self.end_watch(cookie);
    }

    fn answer_room(&self) -> AnswerRoom {
        ANSWER_ROOM
    }

    /// Says it on the console, until there is a watchdog to be told: each time twice as many have come, lest somebody who
    /// lies fills the console.
    fn poisoned(&self, report: &Poison) {
        let count = self.poisonous.get() + 1;
        self.poisonous.set(count);
        if count.is_power_of_two() {
            let Poison { sender, interface, operation } = report;
            crate::println!(
                "poison: operation {operation} of interface {interface:#x}, asked for by process {:#x}, was under way when \
                 two members ended, and is refused ({count} such reports here)",
                sender.0
            );
        }
    }
}

impl Taken {
    /// As the runtime takes it, out of the buffer that it was copied to.
    #[inline]
    fn incoming<'a>(&self, buffer: &'a [u8]) -> Incoming<'a> {
        let Taken { sender, badge, route, length } = *self;
        Incoming { sender, badge, route, event: Event::Message(&buffer[..length]) }
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
pub(crate) fn refusal(error: Error) -> SendError {
    match error {
        Error::Full | Error::NoSlot => SendError::Full,
        Error::TooLong => SendError::TooLong,
        _ => SendError::Closed,
    }
}

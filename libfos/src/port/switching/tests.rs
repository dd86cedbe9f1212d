//! Two ports in a world of queues: whatever ways the messages of one thread go, and whenever the way is changed, they are
//! taken in order, each once.

use super::words::{WORD_SIZE, WORDS};
use super::*;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use fos_abi::key::MailboxId;
use fos_messages::rpc::{Envelope, Kind, Received, Status};
use proptest::prelude::*;

/// Messages that a link holds each way: few, so that it is full now and then.
const LINK_ROOM: usize = 4;
/// Messages that one mailbox takes.
const MAILBOX_ROOM: usize = 8;

#[derive(Default)]
struct Way {
    messages: VecDeque<Vec<u8>>,
    is_closed: bool,
}

struct Queues {
    out: Rc<RefCell<Way>>,
    back: Rc<RefCell<Way>>,
}

impl Transport for Queues {
    fn send(&mut self, message: &[u8]) -> Result<bool, LinkError> {
        let mut out = self.out.borrow_mut();
        assert!(!out.is_closed, "a half is closed by its sender alone, and then not used");
        if out.messages.len() == LINK_ROOM {
            return Err(LinkError::Full);
        }
        out.messages.push_back(message.to_vec());
        Ok(true)
    }
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, LinkError> {
        let mut back = self.back.borrow_mut();
        let Some(message) = back.messages.pop_front() else {
            return if back.is_closed { Err(LinkError::Closed) } else { Ok(None) };
        };
        buffer[..message.len()].copy_from_slice(&message);
        Ok(Some(message.len()))
    }
    fn has_news(&self) -> bool {
        let back = self.back.borrow();
        back.is_closed || !back.messages.is_empty()
    }
    fn prepare_to_sleep(&mut self) -> bool {
        !self.has_news()
    }
    fn wake(&mut self) {}
    fn close(&mut self) {
        self.out.borrow_mut().is_closed = true;
    }
}

struct Held {
    sender: Identity,
    bytes: Vec<u8>,
    link: Option<Queues>,
}

#[derive(Default)]
struct World {
    /// The mailboxes of client and server, and of a second server.
    mailboxes: [RefCell<VecDeque<Held>>; 3],
    /// Ends of links that are there.
    ends: Cell<i32>,
    numbers: Cell<u64>,
    offers: Cell<u32>,
    /// Nobody takes what comes for the client: it has ended.
    client_is_gone: Cell<bool>,
}

#[derive(Clone)]
struct Fake {
    world: Rc<World>,
    own: Identity,
}

impl Fake {
    fn push(&self, to: &Key, bytes: &[u8], link: Option<Queues>) -> Result<(), SendError> {
        if to.mailbox.0 == 0 && self.world.client_is_gone.get() {
            return Err(SendError::Closed);
        }
        let mailbox = self.world.mailboxes.get(to.mailbox.0 as usize).ok_or(SendError::Closed)?;
        let mut mailbox = mailbox.borrow_mut();
        if mailbox.len() >= MAILBOX_ROOM {
            return Err(SendError::Full);
        }
        mailbox.push_back(Held { sender: self.own, bytes: bytes.to_vec(), link });
        Ok(())
    }
}

impl Ground for Fake {
    type Link = Queues;
    fn now(&self) -> Instant {
        Instant { nanoseconds: self.random() }
    }
    fn random(&self) -> u64 {
        self.world.numbers.set(self.world.numbers.get() + 1);
        self.world.numbers.get()
    }
    fn send(&self, to: &Key, message: &[u8]) -> Result<(), SendError> {
        self.push(to, message, None)
    }
    fn ring(&self, _: &Key) {}
    fn offer(&self, to: &Key, message: &[u8]) -> Result<Queues, SendError> {
        let (one, other) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
        self.push(to, message, Some(Queues { out: other.clone(), back: one.clone() }))?;
        self.world.ends.set(self.world.ends.get() + 2);
        self.world.offers.set(self.world.offers.get() + 1);
        Ok(Queues { out: one, back: other })
    }
    fn end(&self, link: Queues) {
        self.world.ends.set(self.world.ends.get() - 1);
        // As the kernel does: the peer finds zeros.
        let mut out = link.out.borrow_mut();
        out.is_closed = true;
    }
}

const CLIENT: Identity = Identity(1);
const SERVER: Identity = Identity(2);

const EAGER: Thresholds =
    Thresholds { sends: 1, window: core::time::Duration::MAX, patience: 1, ..Thresholds::MACHINE };

/// A port's sending and taking, without a kernel.
struct Process {
    switch: Switch<Fake>,
    mailbox: usize,
    class: Class,
    ticket: u32,
    links_first: bool,
    /// Numbers that were sent, and those that came.
    sent: Vec<u64>,
    taken: Vec<u64>,
}

fn address(mailbox: u64, identity: Identity) -> Address {
    Address { key: Key { mailbox: MailboxId(mailbox), secret: [mailbox, 7], ..Key::default() }, identity }
}

fn client_address() -> Address {
    address(0, CLIENT)
}

fn server_address() -> Address {
    address(1, SERVER)
}

struct Pair {
    world: Rc<World>,
    client: Process,
    server: Process,
    /// Requests that the server has not answered: the way back, the address, the number.
    asked: VecDeque<(Route, Option<Address>, u64)>,
}

fn pair(thresholds: Thresholds) -> Pair {
    let world = Rc::<World>::default();
    let client = Process::new(&world, CLIENT, Class::Response, 0, client_address(), thresholds);
    let server = Process::new(&world, SERVER, Class::External, 1, server_address(), thresholds);
    Pair { client, server, asked: VecDeque::new(), world: world.clone() }
}

fn message(kind: Kind, number: u64) -> Vec<u8> {
    let (interface, operation, epoch, status) = (1, 1, 0, Status::Done);
    let envelope = Envelope { request: 0, interface, operation, version: 1, epoch, kind, status };
    let mut bytes = envelope.to_bytes().to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes
}

impl Process {
    fn new(
        world: &Rc<World>,
        own: Identity,
        class: Class,
        mailbox: usize,
        reply: Address,
        thresholds: Thresholds,
    ) -> Process {
        let switch = Switch::new(Fake { world: world.clone(), own }, thresholds, reply);
        let (ticket, links_first) = (0, false);
        Process { switch, mailbox, class, ticket, links_first, sent: Vec::new(), taken: Vec::new() }
    }

    /// Takes a message, and remembers its number.
    fn take_number(&mut self, world: &World) -> Option<u64> {
        let (_, _, bytes) = self.take(world)?;
        let body = Envelope::read(&bytes).unwrap().body;
        self.taken.push(u64::from_le_bytes(body.try_into().unwrap()));
        self.taken.last().copied()
    }

    /// As a port takes: the message, its sender and its way back.
    fn take(&mut self, world: &World) -> Option<(Identity, Route, Vec<u8>)> {
        self.switch.pay_debts();
        let mut buffer = [0; 128];
        self.links_first = !self.links_first;
        let first = if self.links_first { self.switch.take(self.class, None, &mut buffer) } else { None };
        let mailbox = &world.mailboxes[self.mailbox];
        let next = mailbox.borrow().front().map(|held| (self.ticket, held.sender));
        let taken = first
            .or_else(|| self.switch.take_before(self.class, next?, &mut buffer))
            .or_else(|| if next.is_none() { self.switch.take(self.class, None, &mut buffer) } else { None });
        if let Some(Taken { sender, route, length, .. }) = taken {
            return Some((sender, route, buffer[..length].to_vec()));
        }
        let held = mailbox.borrow_mut().pop_front()?;
        self.ticket += 1;
        let mut link = held.link;
        let heard = self.switch.hear(self.class, (held.sender, 0), &held.bytes, |_| link.take());
        if link.is_some() {
            // An end that was not taken goes with its message.
            world.ends.set(world.ends.get() - 1);
        }
        if heard { self.take(world) } else { Some((held.sender, Route::MAILBOX, held.bytes)) }
    }
}

impl Pair {
    fn post(&mut self) -> bool {
        let number = self.client.sent.len() as u64;
        let bytes = message(Kind::Post, number);
        let sent = self.client.switch.send(&server_address(), &bytes, || true);
        self.sent(number, sent)
    }

    fn ask(&mut self) -> bool {
        let number = self.client.sent.len() as u64;
        let mut bytes = message(Kind::Request, number);
        let sent = self.client.switch.ask(&server_address(), &mut bytes, || true);
        self.sent(number, sent)
    }

    fn sent(&mut self, number: u64, sent: Result<(), SendError>) -> bool {
        if sent.is_ok() {
            self.client.sent.push(number);
        }
        sent.is_ok()
    }

    fn server_takes(&mut self) -> bool {
        let Some((sender, route, bytes)) = self.server.take(&self.world) else { return false };
        assert_eq!(sender, CLIENT);
        let Received { envelope, body, reply } = Envelope::read(&bytes).unwrap();
        let number = u64::from_le_bytes(body.try_into().unwrap());
        self.server.taken.push(number);
        if envelope.kind == Kind::Request {
            assert!(reply.is_some() || route != Route::MAILBOX, "an answer needs a way back");
            self.asked.push_back((route, reply.map(Address::from_bytes), number));
        }
        true
    }

    /// Answers the oldest request, or the newest.
    fn server_answers(&mut self, oldest: bool) -> bool {
        let next = if oldest { self.asked.pop_front() } else { self.asked.pop_back() };
        let Some((route, reply, number)) = next else { return false };
        let bytes = message(Kind::Answer, number);
        let sent = match reply {
            Some(reply) => self.server.switch.send(&reply, &bytes, || false),
            None => self.server.switch.send_back(route, &bytes),
        };
        if sent.is_ok() {
            self.server.sent.push(number);
        }
        true
    }

    fn client_takes(&mut self) -> bool {
        let Some((sender, _, bytes)) = self.client.take(&self.world) else { return false };
        assert_eq!(sender, SERVER);
        let received = Envelope::read(&bytes).unwrap();
        self.client.taken.push(u64::from_le_bytes(received.body.try_into().unwrap()));
        true
    }

    /// Until nothing is on its way, whatever the order; then each got what the other sent, in order.
    fn settle(&mut self) {
        while self.server_takes() | self.server_answers(true) | self.client_takes() {}
        assert_eq!(self.server.taken, self.client.sent);
        assert_eq!(self.client.taken, self.server.sent);
    }
}

#[test]
fn a_link_is_used_after_enough_sends_and_not_before() {
    let mut pair = pair(Thresholds { sends: 10, ..EAGER });
    for number in 0..30 {
        assert!(pair.ask());
        assert_eq!(pair.world.offers.get(), u32::from(number >= 9), "after {}", number + 1);
        pair.settle();
    }
    assert!(pair.client.switch.has_way_back(&server_address()));
    pair.world.mailboxes.iter().for_each(|mailbox| assert!(mailbox.borrow().is_empty()));
    pair.ask();
    assert!(pair.world.mailboxes[1].borrow().is_empty(), "a request went by mailbox although a link is open");
    pair.settle();
}

#[test]
fn order_holds_although_the_way_is_changed_at_every_message() {
    let mut pair = pair(EAGER);
    for _ in 0..200 {
        for _ in 0..2 {
            pair.ask();
            pair.client.switch.close_all();
            pair.post();
            pair.client.switch.close_all();
        }
        for _ in 0..4 {
            pair.server_takes();
            pair.server_answers(false);
            pair.client_takes();
            pair.client.switch.close_all();
        }
    }
    pair.settle();
    assert!(pair.world.offers.get() > 20, "the way was changed {} times only", pair.world.offers.get());
}

#[test]
fn an_idle_link_is_closed_and_its_pages_come_back() {
    let mut pair = pair(EAGER);
    (0..10).for_each(|_| {
        pair.ask();
        pair.settle();
    });
    assert_eq!(pair.world.ends.get(), 2);
    pair.world.numbers.set(u64::MAX / 4);
    assert!(pair.client.switch.close_idle().is_some());
    pair.world.numbers.set(u64::MAX / 2);
    pair.client.switch.close_idle();
    pair.settle();
    assert_eq!(pair.world.ends.get(), 0);
    pair.ask();
    pair.settle();
}

#[test]
fn a_long_request_finds_its_way_back_after_its_link_has_ended() {
    let mut pair = pair(EAGER);
    for _ in 0..10 {
        pair.ask();
        pair.settle();
    }
    pair.ask();
    assert!(pair.server_takes());
    pair.client.switch.close_all();
    for _ in 0..5 {
        pair.post();
        pair.server_takes();
        pair.client_takes();
    }
    let (route, _, number) = pair.asked.pop_front().unwrap();
    assert_ne!(route, Route::MAILBOX);
    pair.server.switch.send_back(route, &message(Kind::Answer, number)).unwrap();
    pair.server.sent.push(number);
    pair.settle();
}

#[test]
fn who_is_refused_goes_on_by_mailbox() {
    let mut pair = pair(EAGER);
    pair.server.switch.thresholds.accepted_max = 0;
    for _ in 0..20 {
        pair.ask();
        pair.settle();
    }
    assert!(!pair.client.switch.has_way_back(&server_address()));
    assert!(pair.world.offers.get() > 0);
    assert_eq!(pair.world.ends.get(), 0);
}

#[test]
fn an_offer_with_anothers_address_gets_nobody_elses_answers() {
    let mut pair = pair(EAGER);
    let liar = Identity(3);
    let mut offer = say(Word::Offer, 99).to_vec();
    offer.extend_from_slice(&client_address().to_bytes());
    let (mine, theirs) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
    let end = Queues { out: theirs.clone(), back: mine };
    pair.world.ends.set(1);
    assert!(pair.server.switch.hear(Class::External, (liar, 0), &offer, |_| Some(end)));
    pair.server.switch.send(&client_address(), &message(Kind::Answer, 1), || false).unwrap();
    assert!(theirs.borrow().messages.is_empty());
}

#[test]
fn a_client_that_ends_between_the_offer_and_its_use_keeps_no_place() {
    let mut pair = pair(EAGER);
    pair.server.switch.thresholds.accepted_max = 1;
    pair.ask();
    pair.ask();
    while pair.server_takes() {}
    assert_eq!(pair.server.switch.ins.iter().filter(|link| link.end.is_some()).count(), 1);
    pair.world.client_is_gone.set(true);
    let mut offer = say(Word::Offer, 99).to_vec();
    offer.extend_from_slice(&address(1, Identity(3)).to_bytes());
    let end = Queues { out: Rc::default(), back: Rc::default() };
    pair.asked.clear();
    pair.server.switch.ins.iter_mut().for_each(|link| link.unanswered = 0);
    pair.server.switch.hear(Class::External, (Identity(3), 0), &offer, |_| Some(end));
    let peers: Vec<Identity> =
        pair.server.switch.ins.iter().filter(|link| link.end.is_some()).map(|link| link.peer).collect();
    assert_eq!(peers, [Identity(3)]);
}

#[test]
fn whatever_is_said_about_links_nothing_but_links_suffers() {
    let mut pair = pair(EAGER);
    for word in WORDS {
        for number in 0..20 {
            for class in [Class::Response, Class::Internal, Class::External] {
                let mut bytes = say(word, number).to_vec();
                bytes.resize(WORD_SIZE + number as usize * 4, 0xff);
                assert!(pair.server.switch.hear(class, (Identity(9), 0), &bytes, |_| None));
            }
        }
    }
    pair.world.mailboxes.iter().for_each(|mailbox| mailbox.borrow_mut().clear());
    pair.ask();
    pair.settle();
}

#[test]
fn a_link_that_is_not_used_makes_room_for_one_that_would_be() {
    let mut pair = pair(Thresholds { offered_max: 1, ..EAGER });
    for _ in 0..5 {
        pair.ask();
        pair.settle();
    }
    assert!(pair.client.switch.has_way_back(&server_address()));
    let (second, own) = (address(2, Identity(3)), Identity(3));
    let mut other = Process::new(&pair.world, own, Class::External, 2, second, EAGER);
    let mut posts: Vec<u64> = Vec::new();
    while !pair.client.switch.has_way_back(&second) {
        assert!(posts.len() < 20, "the first link keeps its place though nobody uses it");
        posts.push(posts.len() as u64);
        let post = message(Kind::Post, posts.len() as u64 - 1);
        pair.client.switch.send(&second, &post, || true).unwrap();
        while other.take_number(&pair.world).is_some() | pair.server_takes() | pair.client_takes() {}
    }
    assert_eq!(other.taken, posts);
    assert!(!pair.client.switch.has_way_back(&server_address()));
    assert_eq!(pair.world.ends.get(), 2, "two ends of one link");
}

#[test]
fn a_revoked_key_ends_its_link_and_no_other() {
    let mut pair = pair(EAGER);
    for _ in 0..5 {
        pair.ask();
        pair.settle();
    }
    assert!(pair.client.switch.has_way_back(&server_address()));
    pair.server.switch.revoke(Class::External, 7);
    assert_eq!(pair.world.ends.get(), 2, "another badge is another key");
    pair.server.switch.revoke(Class::External, 0);
    assert_eq!(pair.world.ends.get(), 1, "the server holds nothing of it any more");
    while pair.client_takes() {}
    assert_eq!(pair.world.ends.get(), 0, "nor does the client, once it has heard");
    assert!(!pair.client.switch.has_way_back(&server_address()));
    pair.ask();
    pair.settle();
}

#[test]
fn a_peer_that_ends_with_its_link_full_leaves_nothing_behind() {
    let mut pair = pair(EAGER);
    for _ in 0..5 {
        pair.ask();
        pair.settle();
    }
    // The server does not look: its link fills, then its mailbox.
    while pair.post() {}
    assert!(pair.world.mailboxes[1].borrow().len() == MAILBOX_ROOM);
    pair.client.switch.peer_ended(1);
    assert!(!pair.client.switch.has_link(1));
    // The other way round: answers fill the link, then the client ends, and the server finds its half closed.
    let mut pair = self::pair(EAGER);
    for _ in 0..5 {
        pair.ask();
        pair.settle();
    }
    for _ in 0..2 * LINK_ROOM {
        pair.ask();
        while pair.server_takes() {}
        pair.server_answers(true);
    }
    pair.world.client_is_gone.set(true);
    pair.client.switch.close_all();
    while pair.server_takes() {}
    pair.asked.clear();
    assert_eq!(pair.world.ends.get(), 1, "only the client's own end is left, which ends with it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whenever_the_way_is_changed_each_message_comes_once_and_in_order(steps in prop::collection::vec(0u8..16, 1..200)) {
        let mut pair = pair(EAGER);
        for step in steps {
            match step {
                0..=2 => { pair.post(); }
                3..=5 => { pair.ask(); }
                6..=8 => { pair.server_takes(); }
                9..=10 => { pair.client_takes(); }
                11..=12 => { pair.server_answers(true); }
                13 => { pair.server_answers(false); }
                14 => pair.client.switch.close_all(),
                _ => { pair.client.switch.close_idle(); }
            }
        }
        pair.settle();
    }
}

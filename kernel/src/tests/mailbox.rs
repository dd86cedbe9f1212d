//! The mailbox ring, beside a slow model of it and a receiver as programs have it: shares, `Full`, order,
//! wrap-around, receivers that lie, senders whose memory faults, notices, attachments, many senders.

use super::{Attachment, Envelope, Mailbox};
use crate::arch::machine::paging::frame_pointer;
use crate::arch::machine::user_memory::UserRange;
use crate::capabilities::{Capability, NO_PARENT};
use crate::objects::reference_to;
use crate::tests::machine;
use fos_abi::Error;
use fos_abi::capability::{Kind, Rights};
use fos_abi::limits::USER_START;
use fos_abi::mailbox::{Control, HEADER_SIZE, Header, MESSAGE_MAX, MessageKind, SHARE, SLOT_SIZE, slots_for};
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Keys of the mailboxes here: as few as may be.
const KEYS: usize = 16;

fn mailbox(slots: usize) -> &'static Mailbox {
    machine::mailbox(machine::space(0), slots, KEYS)
}

/// A message as its receiver sees it.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    sender: u64,
    badge: u64,
    kind: u8,
    attached: bool,
    bytes: Vec<u8>,
}

/// The receiving end, as a program has it: control page and ring in its memory, its head.
struct Receiver {
    control: &'static Control,
    ring: *const u8,
    slots: u32,
    head: u32,
}

impl Receiver {
    fn new(mailbox: &'static Mailbox) -> Receiver {
        let first = reference_to(mailbox).frame() + mailbox.private_frames as u64;
        // SAFETY: the control page is a frame of the mailbox, which stays for the whole test.
        let control = unsafe { &*frame_pointer(first).cast::<Control>() };
        let head = control.head.load(Ordering::Relaxed);
        Receiver { control, ring: frame_pointer(first + 1), slots: mailbox.slots(), head }
    }

    fn byte(&self, offset: usize) -> u8 {
        // SAFETY: reduced to the ring, whose length is `slots` slots.
        unsafe { self.ring.add(offset % (self.slots as usize * SLOT_SIZE)).read() }
    }

    /// The message at the head, without freeing it, and how many slots it takes.
    fn look(&self) -> Option<(Received, u32)> {
        let start = (self.head % self.slots) as usize * SLOT_SIZE;
        let stamp = self.control.stamp(self.head, self.slots - 1).load(Ordering::Acquire);
        if stamp != self.head.wrapping_add(1) {
            return None;
        }
        // SAFETY: the slot is in the ring, and its stamp says that a header is there.
        let header = unsafe { &*self.ring.add(start).cast::<Header>() };
        let bytes = (0..usize::from(header.length)).map(|at| self.byte(start + HEADER_SIZE + at)).collect();
        let received = Received {
            sender: header.sender,
            badge: header.badge,
            kind: header.kind,
            attached: header.attached == 1,
            bytes,
        };
        Some((received, header.slots))
    }

    fn free(&mut self, slots: u32) {
        self.head = self.head.wrapping_add(slots);
        self.control.head.store(self.head, Ordering::Release);
    }

    fn take(&mut self) -> Option<Received> {
        let (received, slots) = self.look()?;
        self.free(slots);
        Some(received)
    }
}

fn send(mailbox: &Mailbox, sender: u64, bytes: &[u8]) -> Result<u32, Error> {
    send_with(mailbox, sender, bytes, None)
}

fn send_with(
    mailbox: &Mailbox,
    sender: u64,
    bytes: &[u8],
    attached: Option<&Capability>,
) -> Result<u32, Error> {
    let from = UserRange::or_empty(bytes.as_ptr() as u64, bytes.len()).unwrap();
    let envelope = Envelope { sender, badge: sender * 10, kind: MessageKind::Data };
    mailbox.send(machine::here(), from, bytes.len(), envelope, attached)
}

/// Has a mailbox go on at a ticket, as after a lap of short messages.
fn begin_at(mailbox: &Mailbox, ticket: u32) {
    for back in 1..=mailbox.slots() {
        let old = ticket.wrapping_sub(back);
        mailbox.control().stamp(old, mailbox.mask).store(old.wrapping_add(1), Ordering::Relaxed);
    }
    mailbox.tail.store(ticket, Ordering::Relaxed);
    mailbox.reclaimed.store(ticket, Ordering::Relaxed);
    mailbox.control().head.store(ticket, Ordering::Relaxed);
}

#[test]
fn a_sender_holds_exactly_an_eighth() {
    for slots in [64, 128, 256] {
        let mailbox = mailbox(slots);
        for sender in 1..=SHARE as u64 {
            for _ in 0..slots / SHARE {
                assert!(send(mailbox, sender, b"x").is_ok());
            }
            assert_eq!(send(mailbox, sender, b"x"), Err(Error::Full), "sender {sender} of {slots} slots");
        }
        assert_eq!(send(mailbox, 99, b"x"), Err(Error::Full), "nothing is left");
    }
}

#[test]
fn a_freed_slot_goes_back_to_who_paid_for_it() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    (0..8).for_each(|_| assert!(send(mailbox, 1, b"x").is_ok()));
    assert!(send(mailbox, 2, b"y").is_ok());
    receiver.take();
    assert!(send(mailbox, 1, b"x").is_ok());
    assert_eq!(send(mailbox, 1, b"x"), Err(Error::Full));
}

#[test]
fn a_send_that_finds_no_slot_is_not_charged() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    for sender in 1..=8 {
        (0..8).for_each(|_| assert!(send(mailbox, sender, b"x").is_ok()));
    }
    (0..20).for_each(|_| assert_eq!(send(mailbox, 9, &[0; 300]), Err(Error::Full)));
    while receiver.take().is_some() {}
    let sent = std::iter::repeat_with(|| send(mailbox, 9, b"x")).take_while(Result::is_ok).count();
    assert_eq!(sent, 64 / SHARE);
}

#[test]
fn the_longest_message_fits_the_share_of_the_smallest_mailbox() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    let bytes: Vec<u8> = (0..MESSAGE_MAX).map(|at| (at * 7) as u8).collect();
    // More often than the ring is long, so that it lies over the ring's end too: from every start.
    for shift in 0..130 {
        assert!(send(mailbox, 1, &bytes).is_ok(), "message {shift}");
        assert_eq!(receiver.take().unwrap().bytes, bytes, "message {shift}");
        assert!(send(mailbox, 1, b"").is_ok());
        assert_eq!(receiver.take().unwrap().bytes, b"");
    }
}

#[test]
fn a_sender_whose_memory_faults_leaves_a_void_message() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    let nowhere = UserRange::new(USER_START, 300).unwrap();
    let envelope = Envelope { sender: 1, badge: 0, kind: MessageKind::Data };
    assert_eq!(mailbox.send(machine::here(), nowhere, 300, envelope, None), Err(Error::BadAddress));
    assert!(send(mailbox, 1, b"after").is_ok());
    let (void, slots) = receiver.look().unwrap();
    assert_eq!((void.kind, void.bytes.len(), slots), (MessageKind::Void as u8, 0, slots_for(300) as u32));
    receiver.take();
    assert_eq!(receiver.take().unwrap().bytes, b"after");
}

#[test]
fn a_fault_does_not_take_what_was_attached() {
    let mailbox = mailbox(64);
    let receiver = Receiver::new(mailbox);
    let nowhere = UserRange::new(USER_START, 8).unwrap();
    let envelope = Envelope { sender: 1, badge: 0, kind: MessageKind::Data };
    let sent = mailbox.send(machine::here(), nowhere, 8, envelope, Some(&capability(5)));
    assert_eq!(sent, Err(Error::BadAddress));
    assert!(!receiver.look().unwrap().0.attached);
    assert_eq!(mailbox.attachment(0).take(0), None);
}

#[test]
fn slots_set_aside_are_there_for_notices_whatever_processes_send() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    for _ in 0..5 {
        mailbox.reserve_notice().unwrap();
    }
    let sent: usize =
        (1..=64).map(|sender| (0..8).filter(|_| send(mailbox, sender, b"x").is_ok()).count()).sum();
    assert_eq!(sent, 64 - 5);
    for cookie in 0..5 {
        mailbox.notify(MessageKind::Ended, cookie, &[1, cookie]);
        mailbox.release_notice();
    }
    assert_eq!(receiver.control.bells.load(Ordering::Relaxed), 0, "every notice had its slot");
    let notices: Vec<Received> = std::iter::from_fn(|| receiver.take()).skip(sent).collect();
    for (cookie, notice) in notices.iter().enumerate() {
        let cookie = cookie as u64;
        let payload = [1u64.to_le_bytes(), cookie.to_le_bytes()].concat();
        assert_eq!((notice.sender, notice.badge, &notice.bytes), (0, cookie, &payload));
        assert_eq!(notice.kind, MessageKind::Ended as u8);
    }
    assert_eq!(notices.len(), 5);
}

#[test]
fn reports_of_faults_are_paid_for_by_who_faults() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    let report = |process, number| mailbox.report(process, MessageKind::Fault, 5, &[number]);
    (0..8).for_each(|_| assert!(send(mailbox, 1, b"x").is_ok()));
    assert!(send(mailbox, 1, b"x").is_err());
    (0..8).for_each(|number| report(1, number));
    assert_eq!(receiver.control.bells.load(Ordering::Relaxed), 0, "messages do not hide reports");
    report(1, 8);
    assert_eq!(receiver.control.bells.load(Ordering::Relaxed), 1 << 63, "an eighth, and no more");
    assert!(send(mailbox, 2, b"x").is_ok());
    let taken: Vec<Received> = std::iter::from_fn(|| receiver.take()).collect();
    assert_eq!(taken.len(), 17);
    assert!(taken[8..16].iter().all(|report| (report.sender, report.badge) == (0, 5)));
    report(1, 9);
    assert_eq!(receiver.take().unwrap().bytes, 9u64.to_le_bytes(), "what was freed is given back");
}

#[test]
fn reports_of_faults_leave_what_is_set_aside() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    (0..4).for_each(|_| mailbox.reserve_notice().unwrap());
    (1..=8).for_each(|process| (0..8).for_each(|_| mailbox.report(process, MessageKind::Fault, 0, &[])));
    assert_eq!(std::iter::from_fn(|| receiver.take()).count(), 60);
}

#[test]
fn half_the_slots_may_be_set_aside() {
    let mailbox = mailbox(64);
    (0..32).for_each(|_| mailbox.reserve_notice().unwrap());
    assert_eq!(mailbox.reserve_notice(), Err(Error::NoSlot));
    assert_eq!(mailbox.reserve_notice(), Err(Error::NoSlot), "a refusal takes nothing");
    mailbox.release_notice();
    assert_eq!(mailbox.reserve_notice(), Ok(()));
}

#[test]
fn a_notice_that_finds_no_slot_rings_the_last_bell() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    (0..64).for_each(|number| mailbox.notify(MessageKind::Interrupt, number, &[]));
    assert_eq!(receiver.control.bells.load(Ordering::Relaxed), 0);
    mailbox.notify(MessageKind::Interrupt, 64, &[]);
    assert_eq!(receiver.control.bells.load(Ordering::Relaxed), 1 << 63);
    assert_eq!(std::iter::from_fn(|| receiver.take()).count(), 64, "the others are untouched");
}

#[test]
fn something_is_there_for_a_message_or_a_bell() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    assert!(!mailbox.has_something());
    send(mailbox, 1, b"x").unwrap();
    assert!(mailbox.has_something());
    receiver.take();
    assert!(!mailbox.has_something());
    mailbox.ring(2);
    assert!(mailbox.has_something());
    receiver.control.bells.swap(0, Ordering::Relaxed);
    assert!(!mailbox.has_something());
}

#[test]
fn what_a_failed_core_was_sending_becomes_void_once() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    send(mailbox, 1, b"before").unwrap();
    let (payer, ticket) = mailbox.place(machine::here(), 7, 3).unwrap();
    let taken = machine::here().sending.load(Ordering::Relaxed);
    assert_eq!(taken, super::taking(ticket, 3, payer), "noted when it was taken");
    send(mailbox, 2, b"after").unwrap();
    mailbox.void(taken);
    mailbox.void(super::taking(0, 1, 0));
    assert_eq!(receiver.take().unwrap().bytes, b"before", "a message that is whole stays");
    let (void, slots) = receiver.look().unwrap();
    assert_eq!((void.kind, slots), (MessageKind::Void as u8, 3));
    receiver.take();
    assert_eq!(receiver.take().unwrap().bytes, b"after");
    mailbox.reclaim();
    assert_eq!(mailbox.holder(payer as usize - 1).load(Ordering::Relaxed) & 0xffff, 0, "its sender's again");
}

#[test]
fn a_ticket_holds_a_message_while_its_slot_is_out() {
    let mailbox = mailbox(64);
    begin_at(mailbox, u32::MAX - 1);
    (0..4).for_each(|number| assert!(send(mailbox, number + 1, b"x").is_ok()));
    for (ticket, held) in [(u32::MAX - 1, true), (u32::MAX, true), (1, true), (2, false), (1000, false)] {
        assert_eq!(mailbox.holds_message(ticket), held, "ticket {ticket}");
    }
    assert!(!mailbox.holds_message(2u32.wrapping_sub(65)), "a lap ago");
}

/// A header that a sender puts into its payload where the next lap's messages may begin.
fn forged_header(ticket: u32) -> Vec<u8> {
    let mut bytes = ticket.wrapping_add(1).to_le_bytes().to_vec();
    bytes.resize(HEADER_SIZE, 0);
    bytes[6] = MessageKind::Ended as u8;
    bytes
}

#[test]
fn a_payload_is_never_taken_for_a_message() {
    for begin in [0, 0u32.wrapping_sub(64)] {
        let mailbox = mailbox(64);
        begin_at(mailbox, begin);
        let mut receiver = Receiver::new(mailbox);
        let mut bytes = vec![0; SLOT_SIZE - HEADER_SIZE];
        for inner in 1..8 {
            bytes.extend(forged_header(begin.wrapping_add(64 + inner)));
            bytes.resize((SLOT_SIZE - HEADER_SIZE) + inner as usize * SLOT_SIZE, 0);
        }
        assert_eq!(send(mailbox, 1, &bytes), Ok(begin));
        receiver.take().unwrap();
        for _ in 0..64 {
            assert!(receiver.look().is_none(), "at ticket {} nobody has sent", receiver.head);
            assert!(!mailbox.has_something());
            send(mailbox, 2, b"x").unwrap();
            assert_eq!(receiver.take().unwrap().sender, 2);
        }
    }
}

#[test]
fn an_old_stamp_of_a_slot_that_became_an_inner_one_is_gone() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    (0..65).for_each(|_| {
        send(mailbox, 1, b"x").unwrap();
        receiver.take().unwrap();
    });
    let long = send(mailbox, 1, &[0; MESSAGE_MAX]).unwrap();
    for inner in 1..8 {
        let ticket = long + inner;
        let stamp = receiver.control.stamp(ticket, 63).load(Ordering::Relaxed);
        assert_ne!(
            stamp.wrapping_sub(1) % 64,
            ticket % 64,
            "some lap's message would begin in an inner slot"
        );
    }
}

/// A process's messages, a slow model of who holds what, and what is to be received.
struct Model {
    slots: u32,
    held: HashMap<u64, u32>,
    /// Messages in the ring: sender, slots, bytes; the bytes of a void one are none.
    ring: VecDeque<(u64, u32, Option<Vec<u8>>)>,
}

impl Model {
    fn used(&self) -> u32 {
        self.ring.iter().map(|(_, slots, _)| slots).sum()
    }
    fn send(&mut self, sender: u64, length: usize, bytes: Option<Vec<u8>>) -> bool {
        let slots = slots_for(length) as u32;
        let held = self.held.entry(sender).or_default();
        if *held + slots > self.slots / SHARE as u32 {
            return false;
        }
        if self.ring.iter().map(|(_, slots, _)| slots).sum::<u32>() + slots > self.slots {
            return false;
        }
        *held += slots;
        self.ring.push_back((sender, slots, bytes));
        true
    }
    fn take(&mut self) -> Option<(u64, Option<Vec<u8>>)> {
        let (sender, slots, bytes) = self.ring.pop_front()?;
        *self.held.entry(sender).or_default() -= slots;
        Some((sender, bytes))
    }
}

proptest! {
    #![proptest_config(machine::cases(96))]

    /// Sends of any length, some from memory that faults, and receipts, in any order, also where tickets
    /// wrap: the mailbox accepts, refuses and delivers exactly what the model does.
    #[test]
    fn the_ring_does_what_the_model_does(
        slots in prop::sample::select(vec![64usize, 128]),
        begin in prop::sample::select(vec![0u32, 5, u32::MAX - 100, u32::MAX - 3]),
        steps in prop::collection::vec((0u8..10, 1u64..10, 0..=MESSAGE_MAX), 1..300),
    ) {
        let mailbox = mailbox(slots);
        begin_at(mailbox, begin);
        let mut receiver = Receiver::new(mailbox);
        let mut model = Model { slots: slots as u32, held: HashMap::new(), ring: VecDeque::new() };
        for (number, (what, sender, length)) in steps.into_iter().enumerate() {
            let length = if number % 3 == 0 { length } else { length % 200 };
            match what {
                0..=5 => {
                    let bytes: Vec<u8> = (0..length).map(|at| (at + number) as u8).collect();
                    let expected = model.send(sender, length, Some(bytes.clone()));
                    let sent = send(mailbox, sender, &bytes);
                    prop_assert_eq!(sent.is_ok(), expected, "send {} of {} bytes: {:?}", number, length, sent);
                    prop_assert!(expected || sent == Err(Error::Full));
                }
                6 => {
                    let nowhere = UserRange::new(USER_START, length.max(1)).unwrap();
                    let envelope = Envelope { sender, badge: 0, kind: MessageKind::Data };
                    let expected = model.send(sender, length.max(1), None);
                    let sent = mailbox.send(machine::here(), nowhere, length.max(1), envelope, None);
                    prop_assert_eq!(sent, Err(if expected { Error::BadAddress } else { Error::Full }));
                }
                _ => match (receiver.take(), model.take()) {
                    (None, None) => {}
                    (Some(got), Some((sender, Some(bytes)))) => {
                        prop_assert_eq!((got.sender, got.badge, got.bytes), (sender, sender * 10, bytes));
                    }
                    (Some(got), Some((_, None))) => prop_assert_eq!(got.kind, MessageKind::Void as u8),
                    (got, expected) => prop_assert!(false, "received {:?}, expected {:?}", got, expected),
                },
            }
            prop_assert_eq!(mailbox.has_something(), model.used() > 0);
        }
    }

    /// Whatever a receiver claims as its head, senders get an answer, and what the ring holds beside it
    /// stays as it was.
    #[test]
    fn a_lying_receiver_garbles_only_its_own_ring(
        heads in prop::collection::vec(prop_oneof![any::<u32>(), 0u32..400], 1..60),
        begin in prop::sample::select(vec![0u32, u32::MAX - 20]),
    ) {
        let mailbox = mailbox(64);
        let neighbour = mailbox_after(mailbox);
        begin_at(mailbox, begin);
        let control = Receiver::new(mailbox).control;
        for (number, head) in heads.into_iter().enumerate() {
            control.head.store(begin.wrapping_add(head), Ordering::Release);
            for sender in 1..6 {
                let sent = send(mailbox, sender, &[number as u8; 200]);
                prop_assert!(matches!(sent, Ok(_) | Err(Error::Full)), "{:?}", sent);
            }
            mailbox.notify(MessageKind::Interrupt, 0, &[0; 2]);
            let _ = (mailbox.has_something(), mailbox.holds_message(head));
        }
        let used = mailbox.tail.load(Ordering::Relaxed).wrapping_sub(mailbox.reclaimed.load(Ordering::Relaxed));
        prop_assert!(used <= 64, "{} slots of 64 are out", used);
        prop_assert!(neighbour.iter().all(|byte| *byte == 0), "the frame behind the ring was written");
    }
}

/// The frame that follows a mailbox's last, taken at once so that nobody else has it.
fn mailbox_after(mailbox: &Mailbox) -> &'static [u8] {
    let first = machine::frames(1);
    let behind = reference_to(mailbox).frame() + mailbox.frames as u64;
    let frame = if first == behind { first } else { machine::frames(1) };
    // SAFETY: a frame that was just taken; a test that wrote past its ring is what this looks for.
    unsafe { std::slice::from_raw_parts(frame_pointer(frame), 4096) }
}

/// A capability whose every word tells which one it is.
fn capability(number: u64) -> Capability {
    let rights = Rights(number as u8);
    Capability {
        kind: Kind::Frames,
        rights,
        object: number,
        length: number,
        parent: NO_PARENT,
        stamp: number,
    }
}

#[path = "mailbox_races.rs"]
mod races;

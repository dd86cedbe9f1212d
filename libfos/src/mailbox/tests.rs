//! Receiving from a ring that a test fills as the kernel does: in order, void messages skipped, slots freed.

use super::*;
use fos_abi::mailbox::{MESSAGE_SLOTS_MAX, slots_for};
use std::boxed::Box;
use std::vec::Vec;

const SLOTS: usize = 64;

/// Control page, ring, and the ring once more; a plain copy stands for the second mapping.
#[repr(C, align(4096))]
struct Memory([u8; PAGE_SIZE + 2 * SLOTS * SLOT_SIZE]);

/// The kernel's side.
struct Kernel {
    memory: *mut u8,
    tail: u32,
}

impl Kernel {
    /// An empty mailbox whose next ticket is `tail`, and the side that fills it.
    fn with_mailbox(tail: u32) -> (Kernel, Mailbox) {
        let memory: *mut u8 = Box::leak(Box::new(Memory([0; _]))).0.as_mut_ptr();
        // SAFETY: leaked for good and laid out like a mailbox; this value alone receives from it.
        let mut mailbox = unsafe { Mailbox::mapped_at(memory as u64, SLOTS, Block::nowhere()) };
        mailbox.head = tail;
        (Kernel { memory, tail }, mailbox)
    }

    /// Writes a message as the kernel does, its stamp last.
    fn send(&mut self, kind: MessageKind, badge: u64, bytes: &[u8]) {
        let slots = slots_for(bytes.len()) as u32;
        let ticket = self.tail;
        self.tail = ticket.wrapping_add(slots);
        let index = ticket as usize % SLOTS;
        let header = Header {
            ticket,
            length: bytes.len() as u16,
            kind: kind as u8,
            sender: 7,
            badge,
            slots,
            ..Header::default()
        };
        // SAFETY: at most 8 slots from an index below 64: inside the ring and its copy.
        unsafe {
            let slot = self.memory.add(PAGE_SIZE + index * SLOT_SIZE);
            slot.cast::<Header>().write(header);
            slot.add(HEADER_SIZE).copy_from(bytes.as_ptr(), bytes.len());
            let control = &*self.memory.cast::<Control>();
            control.stamp(ticket, SLOTS as u32 - 1).store(ticket.wrapping_add(1), Ordering::Release);
        }
    }

    /// What the receiver stored as its position.
    fn head(&self) -> u32 {
        // SAFETY: the control page is at the start of the memory.
        unsafe { &*self.memory.cast::<Control>() }.head.load(Ordering::Relaxed)
    }
}

#[test]
fn messages_come_in_order_and_free_their_slots() {
    let (mut kernel, mut mailbox) = Kernel::with_mailbox(0);
    assert!(mailbox.take().is_none());
    for length in [0, 1, 96, 97, MESSAGE_MAX] {
        kernel.send(MessageKind::Data, length as u64, &std::vec![length as u8; length]);
    }
    for length in [0, 1, 96, 97, MESSAGE_MAX] {
        let message = mailbox.take().unwrap();
        assert_eq!(message.event(), Event::Data(&std::vec![length as u8; length]));
        assert_eq!((message.badge(), message.sender()), (length as u64, Identity(7)));
        assert!(!message.has_capability());
    }
    assert!(mailbox.take().is_none());
    assert_eq!(kernel.head(), kernel.tail);
    assert_eq!(kernel.tail as usize, 3 + 2 + MESSAGE_SLOTS_MAX);
}

#[test]
fn void_messages_are_skipped_and_freed() {
    let (mut kernel, mut mailbox) = Kernel::with_mailbox(0);
    kernel.send(MessageKind::Void, 1, &[0; 500]);
    kernel.send(MessageKind::Void, 2, &[]);
    assert!(!mailbox.has_message());
    assert_eq!(kernel.head(), kernel.tail);
    kernel.send(MessageKind::Void, 3, &[]);
    kernel.send(MessageKind::Data, 4, b"x");
    assert_eq!(mailbox.take().unwrap().badge(), 4);
}

#[test]
fn a_message_is_not_freed_while_it_is_held() {
    let (mut kernel, mut mailbox) = Kernel::with_mailbox(0);
    kernel.send(MessageKind::Data, 1, &[1; 200]);
    let message = mailbox.take().unwrap();
    assert_eq!((message.ticket(), kernel.head()), (0, 0));
    drop(message);
    assert_eq!(kernel.head(), 2);
}

/// Three times around the ring, over the end of the 32 bits of a ticket, with messages that wrap into the ring's copy.
#[test]
fn tickets_and_slots_wrap() {
    let (mut kernel, mut mailbox) = Kernel::with_mailbox(u32::MAX - 70);
    for number in 0..60u64 {
        let bytes: Vec<u8> = (0..number as usize * 16).map(|index| index as u8).collect();
        kernel.send(MessageKind::Data, number, &bytes);
        let message = mailbox.take().unwrap();
        assert_eq!((message.badge(), message.bytes()), (number, &bytes[..]));
    }
    assert!(mailbox.take().is_none());
    assert!(kernel.tail < 1000, "the tickets went over the end");
}

#[test]
fn what_the_kernel_tells_is_read_by_kind() {
    let (mut kernel, mut mailbox) = Kernel::with_mailbox(0);
    let bytes = |words: &[u64]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    kernel.send(MessageKind::Ended, 5, &bytes(&[EndReason::Exited as u64, 3]));
    kernel.send(MessageKind::Interrupt, 6, &bytes(&[4, 2]));
    kernel.send(MessageKind::Fault, 7, &bytes(&[14, 6, 0x10, 0x20, 0x30, 0x40, 9, 11]));
    kernel.send(MessageKind::Ended, 8, &bytes(&[77]));
    assert_eq!(mailbox.take().unwrap().event(), Event::Ended { reason: Some(EndReason::Exited), status: 3 });
    assert_eq!(mailbox.take().unwrap().event(), Event::Interrupt { line: 4, count: 2 });
    let fault = FaultReport {
        vector: 14,
        code: 6,
        address: 0x10,
        rip: 0x20,
        rsp: 0x30,
        rbp: 0x40,
        identity: 9,
        cookie: 11,
    };
    assert_eq!(mailbox.take().unwrap().event(), Event::Fault(fault));
    assert_eq!(mailbox.take().unwrap().event(), Event::Unknown);
}

#[test]
fn bells_are_taken_once() {
    let (kernel, mailbox) = Kernel::with_mailbox(0);
    // SAFETY: as in `Kernel::head`.
    unsafe { &*kernel.memory.cast::<Control>() }.bells.store(5, Ordering::Relaxed);
    assert_eq!(mailbox.take_bells(), 5);
    assert_eq!(mailbox.take_bells(), 0);
}

#[test]
fn notices_are_read_whole_or_not_at_all() {
    let bytes: Vec<u8> = [3u64, 9].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(notice(&bytes), Some(Notice { what: 3, detail: 9 }));
    assert_eq!(notice(&bytes[..15]), None);
    assert_eq!(notice(&[&bytes[..], &[0]].concat()), None);
    assert_eq!(fault(&bytes), None);
}

#[test]
fn end_reasons_are_known_by_number() {
    assert_eq!(end_reason(2), Some(EndReason::Destroyed));
    assert_eq!(end_reason(0), None);
    assert_eq!(end_reason(4), None);
}

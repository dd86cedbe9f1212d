//! The mailbox ring under several hands at once: senders on many cores, one process on two, and attachments that a lying
//! receiver brings two parties to.

use super::*;

/// A message of a thread: who, the how-manieth, then filling that depends on both.
fn filled(sender: u64, number: u64) -> Vec<u8> {
    let length = 16 + ((sender * 31 + number * 17) % 900) as usize;
    let mut bytes = [sender.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.resize(length, (sender ^ number) as u8);
    bytes
}

#[test]
fn many_senders_messages_arrive_whole_and_in_each_ones_order() {
    const SENDERS: u64 = 6;
    const MESSAGES: u64 = 3000;
    let mailbox = mailbox(64);
    begin_at(mailbox, u32::MAX - 5000);
    let mut receiver = Receiver::new(mailbox);
    let (full, patience) = (AtomicU64::new(0), machine::Patience::new());
    std::thread::scope(|scope| {
        for sender in 1..=SENDERS {
            let full = &full;
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    while let Err(error) = send(mailbox, sender, &filled(sender, number)) {
                        assert_eq!(error, Error::Full);
                        full.fetch_add(1, Ordering::Relaxed);
                        patience.check();
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut next = [0; SENDERS as usize + 1];
        let mut left = SENDERS * MESSAGES;
        while left > 0 {
            let Some(received) = receiver.take() else {
                patience.check();
                std::thread::yield_now();
                continue;
            };
            let sender = received.sender;
            let number = &mut next[sender as usize];
            assert_eq!(received.bytes, filled(sender, *number), "message {number} of sender {sender}");
            *number += 1;
            left -= 1;
        }
    });
    assert_eq!(receiver.take(), None);
    assert!(full.load(Ordering::Relaxed) > 0, "the mailbox was never full: this tested too little");
}

/// Processes whose pairs are looked for in the same places.
fn alike() -> impl Iterator<Item = u64> {
    (1u64..).filter(|sender| (sender.wrapping_mul(0x9e37_79b1) >> 7).is_multiple_of(128))
}

/// Two cores send for one process that has no pair yet, while the place before its own becomes free: it
/// still holds no more than its share.
#[test]
fn a_process_on_two_cores_has_one_share() {
    const ROUNDS: usize = 8_000;
    let pause = |steps: usize| (0..steps).for_each(|_| std::hint::spin_loop());
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    let names: Vec<u64> = alike().take(2 * ROUNDS).collect();
    let (round, answers, patience) = (AtomicU64::new(0), AtomicU64::new(0), machine::Patience::new());
    let send_all = |sender: u64| while send(mailbox, sender, b"x").is_ok() {};
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _shaken = machine::Shaken::begin();
            for number in 1..=ROUNDS {
                while round.load(Ordering::Acquire) != number as u64 {
                    patience.check();
                }
                pause(number / 48 % 48);
                send_all(names[2 * number - 1]);
                answers.store(number as u64, Ordering::Release);
            }
        });
        let _shaken = machine::Shaken::begin();
        for number in 1..=ROUNDS {
            send(mailbox, names[2 * number - 2], b"first").unwrap();
            round.store(number as u64, Ordering::Release);
            pause(number % 48);
            receiver.free(1);
            send_all(names[2 * number - 1]);
            while answers.load(Ordering::Acquire) != number as u64 {
                patience.check();
            }
            let held = std::iter::from_fn(|| receiver.take()).count();
            assert_eq!(held, 64 / SHARE, "round {number}");
        }
    });
}

#[test]
fn an_attached_capability_is_taken_once() {
    let mailbox = mailbox(64);
    let mut receiver = Receiver::new(mailbox);
    let ticket = send_with(mailbox, 1, b"", Some(&capability(3))).unwrap();
    assert!(receiver.take().unwrap().attached);
    assert_eq!(mailbox.attachment(ticket).take(ticket), Some(capability(3)));
    assert_eq!(mailbox.attachment(ticket).take(ticket), None);
    mailbox.attachment(ticket).give_back(ticket, &capability(4));
    assert_eq!(mailbox.attachment(ticket).take(ticket), Some(capability(4)));
}

/// Two senders and a receiver at one slot, as a receiver that lies about its head can have it.
#[test]
fn no_attachment_is_a_mixture_of_two() {
    const ROUNDS: u64 = 400_000;
    // SAFETY: zero is an empty attachment.
    let place: &'static Attachment = unsafe { &*machine::zeroed() };
    let (done, patience) = (AtomicBool::new(false), machine::Patience::new());
    let whole = |taken: Capability| assert_eq!(taken, capability(taken.object), "a mixture of two");
    std::thread::scope(|scope| {
        for sender in 1..=2 {
            let done = &done;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if let Ok(Some(old)) = place.put(0, &capability(sender + 2 * (round % 100))) {
                        whole(old);
                    }
                }
                done.store(true, Ordering::Release);
            });
        }
        let mut taken = 0;
        while !done.load(Ordering::Acquire) || taken == 0 {
            patience.check();
            if let Some(capability) = place.take(0) {
                whole(capability);
                taken += 1;
            }
        }
    });
}

#[test]
fn a_sender_that_finds_the_attachment_busy_keeps_its_capability() {
    let mailbox = mailbox(64);
    let receiver = Receiver::new(mailbox);
    mailbox.attachment(0).state.store(crate::mailbox::attachment::attachment_state::BUSY, Ordering::Relaxed);
    assert_eq!(send_with(mailbox, 1, b"x", Some(&capability(1))), Err(Error::Full));
    let (void, _) = receiver.look().unwrap();
    assert_eq!((void.kind, void.attached), (MessageKind::Void as u8, false));
}

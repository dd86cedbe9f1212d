//! What a mailbox promises: whole messages, each sender's in order, an exact share for each, refusal at once when there
//! is no room, a void slot where a sender's memory could not be read, and an end that every sender sees.

use core::sync::atomic::Ordering;

use alloc::format;
use alloc::vec::Vec;

use fos_abi::capability::{Handle, Rights};
use fos_abi::key::KeyRights;
use fos_abi::mailbox::{MESSAGE_MAX, MessageKind, SHARE};
use fos_abi::{Error, Key};
use libfos::calls;
use libfos::spawn::{Frames, Process, own_block};

use super::Case;
use crate::ensure;
use crate::fixture::SLOTS;
use crate::ground::{PAGE, Plot};
use crate::random::Random;
use crate::stage::{Inbox, Stage, load_key, store_key, wait_for};
use crate::verdict::{Failure, Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "mailbox-share-is-an-eighth", run: share },
    Case { name: "mailbox-many-senders-whole-and-in-order", run: many_senders },
    Case { name: "mailbox-void-slot-after-a-faulting-copy", run: void_slot },
    Case { name: "mailbox-ended-during-sends", run: ended_during_sends },
    Case { name: "mailbox-capability-attached-and-accepted", run: attached },
    Case { name: "mailbox-capability-not-accepted", run: not_accepted },
    Case { name: "send-WrongCore-attached-elsewhere", run: attached_elsewhere },
    Case { name: "mailbox-head-that-lies", run: lying_head },
    Case { name: "mailbox-frames-given-away-while-mapped", run: given_while_mapped },
    Case { name: "mailbox-sender-identity-is-stamped", run: identity },
    Case { name: "mailbox-payload-is-never-a-message", run: forged_message },
    Case { name: "mailbox-ended-by-revoking-its-frames", run: revoked },
];

/// Words of a child's block.
mod place {
    /// The key to send with: four words.
    pub const KEY: usize = 16;
    /// How many messages to send; which child this is.
    pub const COUNT: usize = 20;
    pub const NUMBER: usize = 21;
    /// Goes up to tell the child to begin.
    pub const GO: usize = 22;
    /// What the child found: successes, an error's number, 1 when it is done.
    pub const SENT: usize = 23;
    pub const ERROR: usize = 24;
    pub const DONE: usize = 25;
}

/// Messages that each of many senders sends.
const MESSAGES_EACH: u64 = 2_000;

/// Sends until refused, then says how often and why.
extern "C" fn send_until_refused(block: u64) -> u64 {
    let block = own_block(block);
    let key = load_key(&block[place::KEY..]);
    let mut sent = 0;
    let error = loop {
        match calls::send(&key, b"filling my share") {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    block[place::SENT].store(sent, Ordering::Relaxed);
    block[place::ERROR].store(error as u64, Ordering::Relaxed);
    block[place::DONE].store(1, Ordering::Release);
    0
}

/// The payload of a sender's n-th message: length and every byte follow from both.
fn fill(sender: u64, number: u64, bytes: &mut [u8; MESSAGE_MAX]) -> usize {
    let mut random = Random::new(sender, number);
    let length = 16 + random.below((MESSAGE_MAX - 15) as u64) as usize;
    let length = if random.one_in(4) { length } else { 16 + length % 80 };
    bytes[..8].copy_from_slice(&sender.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    for byte in &mut bytes[16..length] {
        *byte = random.next() as u8;
    }
    length
}

/// Sends numbered messages, again after `Full`.
extern "C" fn send_numbered(block: u64) -> u64 {
    let block = own_block(block);
    let key = load_key(&block[place::KEY..]);
    let number = block[place::NUMBER].load(Ordering::Relaxed);
    let mut bytes = [0; MESSAGE_MAX];
    for message in 0..block[place::COUNT].load(Ordering::Relaxed) {
        let length = fill(number, message, &mut bytes);
        loop {
            match calls::send(&key, &bytes[..length]) {
                Ok(_) => break,
                Err(Error::Full) => calls::thread_yield(),
                Err(error) => {
                    block[place::ERROR].store(error as u64, Ordering::Relaxed);
                    block[place::DONE].store(1, Ordering::Release);
                    return 1;
                }
            }
        }
    }
    block[place::DONE].store(1, Ordering::Release);
    0
}

/// Children on all cores in turn, each with a key of its own and not yet running.
fn senders(
    stage: &mut Stage,
    mailbox: Handle,
    count: u64,
    entry: extern "C" fn(u64) -> u64,
) -> Result<Vec<(Plot, Process)>, Failure> {
    let mut senders = Vec::new();
    for number in 0..count {
        let core = (stage.ground.grant.core + 1 + number) % stage.ground.grant.core_count;
        let (plot, child) = stage.child(entry, core)?;
        let key = calls::key_create(mailbox, KeyRights::SEND, number)?;
        store_key(&child.block()[place::KEY..], &key);
        child.block()[place::NUMBER].store(number, Ordering::Relaxed);
        child.block()[place::COUNT].store(MESSAGES_EACH, Ordering::Relaxed);
        senders.push((plot, child));
    }
    Ok(senders)
}

fn clear_all(stage: &mut Stage, senders: Vec<(Plot, Process)>) -> Verdict {
    senders.into_iter().try_for_each(|(plot, _)| stage.clear(plot))
}

fn share(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let eighth = (SLOTS / SHARE) as u64;
    let senders = senders(stage, inbox.mailbox, SHARE as u64, send_until_refused)?;
    let deadline = stage.patience();
    for (number, (_, child)) in senders.iter().enumerate() {
        calls::thread_resume(child.thread)?;
        ensure!(wait_for(&child.block()[place::DONE], 1, deadline), "sender {number} never finished");
        same(
            format!("messages of sender {number}"),
            child.block()[place::SENT].load(Ordering::Relaxed),
            eighth,
        )?;
        same("its refusal", child.block()[place::ERROR].load(Ordering::Relaxed), Error::Full as u64)?;
    }
    // All slots are taken now: this program, which holds none, is refused as well, and served when one is free.
    let key = calls::key_create(inbox.mailbox, KeyRights::SEND, 99)?;
    refused("a send into a full mailbox", calls::send(&key, b"").map(u64::from), Error::Full)?;
    ensure!(inbox.take().is_some(), "a full mailbox is empty");
    ensure!(calls::send(&key, b"").is_ok(), "a slot was freed, but the next sender was refused");
    refused("a second send", calls::send(&key, b"").map(u64::from), Error::Full)?;
    same("messages after the first", inbox.drain(), SLOTS as u64)?;
    // One long message takes a whole share.
    let long = [7; MESSAGE_MAX];
    ensure!(calls::send(&key, &long).is_ok(), "the longest message was refused by an empty mailbox");
    refused("a message beside a whole share", calls::send(&key, b"").map(u64::from), Error::Full)?;
    clear_all(stage, senders)?;
    stage.clear(plot)
}

fn many_senders(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let count = 2 * stage.ground.grant.core_count.min(4);
    let senders = senders(stage, inbox.mailbox, count, send_numbered)?;
    for (_, child) in &senders {
        calls::thread_resume(child.thread)?;
    }
    let deadline = stage.ground.after(60_000);
    let mut next = alloc::vec![0u64; count as usize];
    let mut expected = [0; MESSAGE_MAX];
    for _ in 0..count * MESSAGES_EACH {
        let letter = inbox.receive(deadline)?;
        let sender = letter.badge as usize;
        ensure!(sender < next.len(), "a message with badge {sender} that no key has");
        let length = fill(letter.badge, next[sender], &mut expected);
        ensure!(
            letter.payload() == &expected[..length],
            "message {} of sender {sender} is not what was sent: number {} of sender {}, {} bytes",
            next[sender],
            letter.word(1),
            letter.word(0),
            letter.length
        );
        next[sender] += 1;
    }
    ensure!(inbox.take().is_none(), "more messages came than were sent");
    for (_, child) in &senders {
        same("errors of a sender", child.block()[place::ERROR].load(Ordering::Relaxed), 0)?;
    }
    clear_all(stage, senders)?;
    stage.clear(plot)
}

fn void_slot(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let page = plot.take(1)?;
    let readable = window + 0x10_0000;
    stage.map(page, 1, readable, fos_abi::space::MapFlags::WRITE)?;
    calls::send(&key, b"before")?;
    let [low, high] = key.secret;
    let length = 512 | u64::from(key.entry) << 16;
    let arguments =
        [key.mailbox.0, low, high, readable + PAGE - 256, length, crate::kernel::word(Handle::NONE)];
    let answer = crate::kernel::call(fos_abi::calls::Call::send, arguments);
    refused("a send whose second half is not mapped", answer, Error::BadAddress)?;
    calls::send(&key, b"after")?;
    let letters: Vec<_> = core::iter::from_fn(|| inbox.take()).collect();
    let data: Vec<&[u8]> = letters
        .iter()
        .filter(|letter| letter.kind == MessageKind::Data as u8)
        .map(|letter| letter.payload())
        .collect();
    ensure!(data == [&b"before"[..], &b"after"[..]], "{} messages around a void one", data.len());
    let voids = letters.iter().filter(|letter| letter.kind == MessageKind::Void as u8);
    ensure!(voids.clone().count() <= 1, "more than one void message");
    ensure!(voids.clone().all(|letter| letter.length == 0), "a void message has a payload");
    // The void's slots are free again: the whole share can be sent.
    for number in 0..SLOTS / SHARE {
        ensure!(calls::send(&key, b"").is_ok(), "send {number} after a void message was refused");
    }
    stage.clear(plot)
}

/// Sends until the mailbox is gone.
extern "C" fn send_until_closed(block: u64) -> u64 {
    let block = own_block(block);
    let key = load_key(&block[place::KEY..]);
    block[place::GO].store(1, Ordering::Release);
    let mut sent = 0;
    let error = loop {
        match calls::send(&key, &[3; 200]) {
            Ok(_) => sent += 1,
            Err(Error::Full) => {}
            Err(error) => break error,
        }
    };
    block[place::SENT].store(sent, Ordering::Relaxed);
    block[place::ERROR].store(error as u64, Ordering::Relaxed);
    block[place::DONE].store(1, Ordering::Release);
    0
}

fn ended_during_sends(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    for round in 0..8 {
        let mut plot = stage.ground.plot(16)?;
        let mut inbox = Inbox::create(&mut plot, window)?;
        let count = stage.ground.grant.core_count.min(4);
        let senders = senders(stage, inbox.mailbox, count, send_until_closed)?;
        let deadline = stage.patience();
        for (_, child) in &senders {
            calls::thread_resume(child.thread)?;
            ensure!(wait_for(&child.block()[place::GO], 1, deadline), "a sender never began");
        }
        for _ in 0..round * 50 {
            inbox.drain();
        }
        calls::destroy(inbox.mailbox)?;
        for (_, child) in &senders {
            ensure!(wait_for(&child.block()[place::DONE], 1, deadline), "a sender never saw the mailbox end");
            let error = child.block()[place::ERROR].load(Ordering::Relaxed);
            let expected = [Error::Closed as u64, Error::BadKey as u64];
            ensure!(expected.contains(&error), "a send during the mailbox's end: error {error}");
        }
        clear_all(stage, senders)?;
        stage.clear(plot)?;
    }
    Ok(())
}

fn attached(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let gift = plot.take(2)?;
    let before = calls::cap_read(gift)?;
    let ticket = calls::send_with(&key, b"gift", gift)?;
    refused("the giver's old handle", calls::cap_read(gift).map(|_| 0), Error::BadCapability)?;
    ensure!(
        inbox.peek().is_some_and(|letter| letter.attached),
        "the message does not say that it carries something"
    );
    let taken = calls::accept(inbox.mailbox, ticket)?;
    same("the capability that arrived", calls::cap_read(taken)?, before)?;
    refused("accepting twice", calls::accept(inbox.mailbox, ticket).map(|_| 0), Error::BadArgument)?;
    inbox.drain();
    // What was moved is still derived from the giver's giver: revoking there reaches it.
    stage.clear(plot)?;
    refused("a revoked gift", calls::cap_read(taken).map(|_| 0), Error::BadCapability)
}

/// A capability leaves its table only on the table's home core; the giver keeps it otherwise.
fn attached_elsewhere(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let gift = plot.take(1)?;
    let [low, high] = key.secret;
    let length = u64::from(key.entry) << 16;
    let arguments = [key.mailbox.0, low, high, 0, length, crate::kernel::word(gift)];
    if let Some(helper) = stage.helper()? {
        let answer = helper.call(fos_abi::calls::Call::send as u32, arguments);
        refused("attaching from another core than the table's", answer, Error::WrongCore)?;
        same("messages sent by it", inbox.drain(), 0)?;
        ensure!(calls::cap_read(gift).is_ok(), "the capability was lost with the refused message");
    }
    stage.clear(plot)
}

/// A receiver that frees a message without taking what it carries loses it; nobody else does.
fn not_accepted(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let both = plot.take(2)?;
    let gift = calls::cap_derive(both, Rights::ALL, 0, 1)?;
    let ticket = calls::send_with(&key, b"gift", gift)?;
    inbox.drain();
    // Until somebody sends into that slot again it may still be there.
    match calls::accept(inbox.mailbox, ticket) {
        Ok(late) => calls::cap_delete(late)?,
        Err(error) => same("accepting after freeing", error, Error::BadArgument)?,
    }
    let gift = calls::cap_derive(both, Rights::ALL, 0, 1)?;
    calls::send_with(&key, b"gift", gift)?;
    inbox.drain();
    for _ in 0..2 * SLOTS {
        calls::send(&key, b"next lap")?;
        inbox.drain();
    }
    same("children of the giver's capability", calls::cap_read(both)?.children, 0)?;
    stage.clear(plot)
}

/// A receiver that stores nonsense as its head harms itself alone.
fn lying_head(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let liar = Inbox::create(&mut plot, window)?;
    let mut honest = Inbox::create(&mut plot, window + 0x10_0000)?;
    let liar_key = calls::key_create(liar.mailbox, KeyRights::ALL, 1)?;
    let honest_key = calls::key_create(honest.mailbox, KeyRights::ALL, 2)?;
    let mut random = Random::new(3, 3);
    for round in 0..2_000u32 {
        liar.control().head.store(random.next() as u32, Ordering::Release);
        liar.control().bells.store(random.next(), Ordering::Release);
        match calls::send(&liar_key, &[1; 300]) {
            Ok(_) | Err(Error::Full) => {}
            Err(error) => return Err(Failure(format!("a send to a mailbox whose receiver lies: {error:?}"))),
        }
        calls::send(&honest_key, &round.to_le_bytes())?;
        let letter =
            honest.take().ok_or_else(|| Failure(format!("the honest mailbox lost message {round}")))?;
        same("an honest message", letter.payload(), &round.to_le_bytes())?;
    }
    stage.clear(plot)
}

fn given_while_mapped(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let gift = plot.take(2)?;
    let at = window + 0x10_0000;
    stage.map(gift, 2, at, fos_abi::space::MapFlags::WRITE)?;
    crate::stage::memory_word(at).store(0x600d, Ordering::Relaxed);
    for _ in 0..4 {
        refused(
            "giving mapped frames",
            calls::send_with(&key, b"", gift).map(u64::from),
            Error::StillMapped,
        )?;
    }
    same("messages that arrived", inbox.drain(), 0)?;
    same("the page's contents", crate::stage::memory_word(at).load(Ordering::Relaxed), 0x600d)?;
    same("the frame's mappings", calls::frame_read(gift, 0)?, 1)?;
    calls::frames_unmap(gift)?;
    same("the frame's mappings after unmapping", calls::frame_read(gift, 0)?, 0)?;
    ensure!(calls::send_with(&key, b"", gift).is_ok(), "frames that are mapped nowhere could not be given");
    stage.clear(plot)
}

/// Sends one message and exits.
extern "C" fn send_once(block: u64) -> u64 {
    let block = own_block(block);
    let key: Key = load_key(&block[place::KEY..]);
    let sent = calls::send(&key, b"who am I?").is_ok();
    block[place::DONE].store(1, Ordering::Release);
    u64::from(!sent)
}

fn identity(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let children = senders(stage, inbox.mailbox, 1, send_once)?;
        let identity = calls::cap_read(children[0].1.space)?.identity;
        calls::thread_resume(children[0].1.thread)?;
        let letter = inbox.receive(stage.patience())?;
        same("the sender's identity", letter.sender, identity)?;
        ensure!(identity != 0 && !seen.contains(&identity), "identity {identity:#x} is not new");
        seen.push(identity);
        clear_all(stage, children)?;
    }
    stage.clear(plot)
}

/// A long message whose payload looks like the header of a message in each of its slots, for every later lap: when the
/// ring comes round again, the receiver must see only what was sent.
fn forged_message(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 7)?;
    let identity = {
        calls::send(&key, b"")?;
        inbox.take().map_or(0, |letter| letter.sender)
    };
    for lap in 1..=2u32 {
        let mut forged = [0u8; MESSAGE_MAX];
        for slot in 1..SLOTS / SHARE {
            // Where slot `slot`'s header would be, with the stamp that its ticket has `lap` laps later.
            let at = slot * 128 - 32;
            let head = inbox.control().head.load(Ordering::Relaxed);
            let stamp = head.wrapping_add(slot as u32 + lap * SLOTS as u32).wrapping_add(1);
            forged[at..at + 4].copy_from_slice(&stamp.to_le_bytes());
            forged[at + 4..at + 6].copy_from_slice(&16u16.to_le_bytes());
            forged[at + 6] = MessageKind::Ended as u8;
            forged[at + 16..at + 24].copy_from_slice(&0x0bad_u64.to_le_bytes());
            forged[at + 24..at + 28].copy_from_slice(&1u32.to_le_bytes());
        }
        calls::send(&key, &forged)?;
        same("the long message", inbox.take().map(|letter| letter.length), Some(MESSAGE_MAX))?;
        for number in 0..lap as usize * SLOTS {
            ensure!(inbox.peek().is_none(), "message {number} of lap {lap} was there before it was sent");
            calls::send(&key, b"one")?;
            let letter = inbox.take().ok_or_else(|| Failure(format!("message {number} was lost")))?;
            same("badge, sender and length", (letter.badge, letter.sender, letter.length), (7, identity, 3))?;
        }
    }
    stage.clear(plot)
}

fn revoked(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let outer = plot.take(crate::fixture::MAILBOX_FRAMES)?;
    let inner = calls::cap_derive(outer, Rights::ALL, 0, crate::fixture::MAILBOX_FRAMES)?;
    let mailbox = calls::mailbox_create(inner, SLOTS, crate::fixture::KEYS)?;
    let key = crate::stage::full_key(mailbox, 1)?;
    let watch = calls::watch(mailbox, inbox.mailbox, 2)?;
    calls::send(&key, b"before")?;
    calls::cap_revoke(outer)?;
    refused(
        "a send to a mailbox whose frames were revoked",
        calls::send(&key, b"").map(u64::from),
        Error::Closed,
    )?;
    refused("its owner's handle", calls::cap_read(mailbox).map(|_| 0), Error::BadCapability)?;
    same("the notice's badge", inbox.receive(stage.patience())?.badge, 2)?;
    calls::cap_delete(watch)?;
    let again = calls::mailbox_create(outer, SLOTS, crate::fixture::KEYS)?;
    calls::destroy(again)?;
    stage.clear(plot)
}

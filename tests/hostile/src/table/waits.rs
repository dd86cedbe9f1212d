//! Waits end: by a message, by a bell, at their deadline, and never much later.

use fos_abi::Error;
use fos_abi::calls::{Call, WaitList};
use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use libfos::calls;

use super::Case;
use crate::ensure;
use crate::kernel::{call, word};
use crate::stage::{Inbox, Stage};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "wait-deadlines", run: deadlines },
    Case { name: "wait-finds-what-is-there", run: finds },
    Case { name: "wait-woken-from-another-core", run: woken },
    Case { name: "wait-send-and-wait-sends-nothing-when-refused", run: refused_whole },
    Case { name: "wait-two-threads-for-one-mailbox", run: two_waiters },
];

fn wait_on(mailbox: Handle, deadline: u64) -> Result<u64, Error> {
    calls::wait(&WaitList { deadline, mailboxes: [mailbox.0] }).map(u64::from)
}

fn deadlines(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(8)?;
    let mailbox = crate::fixture::mailbox(&mut plot)?;
    let hz = stage.ground.grant.tsc_hz;
    refused("a deadline that has passed", wait_on(mailbox, 0), Error::TimedOut)?;
    for milliseconds in [1, 2, 5, 20, 100] {
        let before = libfos::arch::ticks();
        let deadline = before + hz / 1000 * milliseconds;
        refused("waiting for nothing", wait_on(mailbox, deadline), Error::TimedOut)?;
        let after = libfos::arch::ticks();
        ensure!(after >= deadline, "a wait of {milliseconds} ms ended {} ticks early", deadline - after);
        let late = (after - deadline) * 1000 / hz;
        // The host may take the core away for long; a lost timer would take for ever.
        ensure!(late < 2_000, "a wait of {milliseconds} ms ended {late} ms late");
    }
    stage.clear(plot)
}

fn finds(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let mut first = Inbox::create(&mut plot, window)?;
    let second = Inbox::create(&mut plot, window + 0x10_0000)?;
    let keys = [
        calls::key_create(first.mailbox, KeyRights::ALL, 1)?,
        calls::key_create(second.mailbox, KeyRights::ALL, 2)?,
    ];
    let list = WaitList { deadline: u64::MAX, mailboxes: [first.mailbox.0, second.mailbox.0] };
    calls::send(&keys[0], b"message")?;
    same("the mask with a message in the first", calls::wait(&list)?, 1)?;
    calls::ring(&keys[1], 4)?;
    same("the mask with a bell in the second as well", calls::wait(&list)?, 3)?;
    first.drain();
    same("the mask with the bell alone", calls::wait(&list)?, 2)?;
    let bells = second.control().bells.swap(0, core::sync::atomic::Ordering::AcqRel);
    same("the bells", bells, 4)?;
    let over = WaitList { deadline: 0, mailboxes: list.mailboxes };
    refused("waiting after all was taken", calls::wait(&over).map(u64::from), Error::TimedOut)?;
    stage.clear(plot)
}

fn woken(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let patience = stage.patience();
    let Some(helper) = stage.helper()? else { return stage.clear(plot) };
    let [low, high] = key.secret;
    let bytes = [0u8; 8];
    let length = 8 | u64::from(key.entry) << 16;
    let send = [key.mailbox.0, low, high, bytes.as_ptr() as u64, length, word(Handle::NONE)];
    let ring = [key.mailbox.0, low, high, 1, u64::from(key.entry), 0];
    for round in 0..400 {
        let (number, arguments) = if round % 2 == 0 { (Call::send, send) } else { (Call::ring, ring) };
        helper.arm(number as u32, arguments, round * 17 % 3000);
        helper.release();
        same("the mask after being woken", wait_on(inbox.mailbox, patience.0)?, 1)?;
        let answer = helper.answer();
        ensure!(answer.is_ok(), "the helper's {number:?} was refused: {answer:?}");
        inbox.drain();
        inbox.control().bells.store(0, core::sync::atomic::Ordering::Release);
    }
    stage.clear(plot)
}

/// "Nothing else changed when a call answers with an error": a bad wait list must stop the send as well.
fn refused_whole(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let [low, high] = key.secret;
    let bytes = [0u8; 8];
    let bad = WaitList { deadline: u64::MAX, mailboxes: [Handle::NONE.0] };
    let lists = [(8u64, Error::BadAddress), (core::ptr::from_ref(&bad) as u64, Error::BadCapability)];
    for (list, error) in lists {
        let length = 8 | u64::from(key.entry) << 16 | 1 << 32;
        let answer = call(Call::send_wait, [key.mailbox.0, low, high, bytes.as_ptr() as u64, length, list]);
        refused("a send-and-wait with a bad list", answer, error)?;
        same("messages sent by it", inbox.drain(), 0)?;
    }
    stage.clear(plot)
}

fn two_waiters(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(8)?;
    let mailbox = crate::fixture::mailbox(&mut plot)?;
    let soon = stage.ground.after(20);
    let Some(helper) = stage.helper()? else { return stage.clear(plot) };
    let list = WaitList { deadline: soon.0, mailboxes: [mailbox.0] };
    let arguments = [core::ptr::from_ref(&list) as u64, 1, 0, 0, 0, 0];
    let answer = helper.call(Call::wait as u32, arguments);
    refused("waiting for a mailbox of another core", answer, Error::WrongCore)?;
    stage.clear(plot)
}

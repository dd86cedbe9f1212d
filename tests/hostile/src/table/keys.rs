//! Keys that are forged, revoked, weaker than needed, or of a mailbox that has ended.

use fos_abi::key::KeyRights;
use fos_abi::{Error, Key};
use libfos::calls;

use super::Case;
use crate::ensure;
use crate::stage::{Inbox, Stage};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "keys-every-flipped-bit", run: flipped },
    Case { name: "keys-weaker", run: weaker },
    Case { name: "keys-revoked-with-all-derived", run: revoked },
    Case { name: "keys-no-stronger-than-parent", run: no_stronger },
    Case { name: "keys-unguessable", run: unguessable },
    Case { name: "keys-of-an-ended-mailbox", run: ended },
];

/// A send, a ring, a derivation and a watch with a key.
fn every_use(key: &Key, mailbox: fos_abi::capability::Handle) -> [Result<u64, Error>; 4] {
    [
        calls::send(key, b"use").map(u64::from),
        calls::ring(key, 1).map(|()| 0),
        calls::key_derive(key, KeyRights(0), 0).map(|_| 0),
        calls::watch_mailbox(key, mailbox, 0).map(|handle| u64::from(handle.0)),
    ]
}

fn flipped(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 7)?;
    for bit in 0..128 {
        let mut forged = key;
        forged.secret[bit / 64] ^= 1 << (bit % 64);
        for answer in every_use(&forged, inbox.mailbox) {
            refused("a key with one bit of its secret flipped", answer, Error::BadKey)?;
        }
    }
    for bit in 0..16 {
        let forged = Key { entry: key.entry ^ 1 << bit, ..key };
        for answer in every_use(&forged, inbox.mailbox) {
            refused("a key with another entry", answer, Error::BadKey)?;
        }
    }
    for bit in 0..64 {
        let forged = Key { mailbox: fos_abi::MailboxId(key.mailbox.0 ^ 1 << bit), ..key };
        for answer in every_use(&forged, inbox.mailbox) {
            ensure!(
                matches!(answer, Err(Error::BadKey | Error::Closed)),
                "a key with bit {bit} of its mailbox flipped: {answer:?}"
            );
        }
    }
    same("messages that got through", inbox.drain(), 0)?;
    ensure!(calls::send(&key, b"true").is_ok(), "the true key stopped working");
    stage.clear(plot)
}

fn weaker(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let inbox = Inbox::create(&mut plot, window)?;
    let gift = libfos::spawn::Frames::take(&mut plot, 1)?;
    let uses = [KeyRights::SEND, KeyRights::RING, KeyRights::DERIVE, KeyRights::WATCH];
    for (without, right) in uses.iter().enumerate() {
        let rights = KeyRights(KeyRights::ALL.0 & !right.0);
        let key = calls::key_create(inbox.mailbox, rights, 1)?;
        for (index, answer) in every_use(&key, inbox.mailbox).into_iter().enumerate() {
            if index == without {
                refused("a use without the right", answer, Error::NoRights)?;
            } else {
                ensure!(answer.is_ok(), "use {index} with the right to it: {answer:?}");
            }
            if index == 3
                && let Ok(handle) = answer
            {
                calls::cap_delete(fos_abi::capability::Handle(handle as u32))?;
            }
        }
        calls::key_revoke(inbox.mailbox, &key)?;
        Inbox::over(inbox.mailbox, window).drain();
    }
    let no_attach = calls::key_create(inbox.mailbox, KeyRights::SEND, 1)?;
    let answer = calls::send_with(&no_attach, b"gift", gift).map(u64::from);
    refused("attaching without the right", answer, Error::NoRights)?;
    ensure!(calls::cap_read(gift).is_ok(), "the capability was lost with the refused message");
    stage.clear(plot)
}

fn revoked(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let inbox = Inbox::create(&mut plot, window)?;
    let first = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
    let second = calls::key_derive(&first, KeyRights::ALL, 2)?;
    let third = calls::key_derive(&second, KeyRights::SEND, 3)?;
    let beside = calls::key_create(inbox.mailbox, KeyRights::ALL, 4)?;
    // A holder ends what it derived, and keeps its own.
    calls::key_revoke(fos_abi::capability::Handle::NONE, &second)?;
    refused(
        "a key derived from one whose holder revoked",
        calls::send(&third, b"").map(u64::from),
        Error::BadKey,
    )?;
    calls::send(&second, b"")?;
    // The owner ends a key with everything below it.
    let third = calls::key_derive(&second, KeyRights::SEND, 3)?;
    calls::key_revoke(inbox.mailbox, &first)?;
    for key in [&first, &second, &third] {
        refused("a revoked key", calls::send(key, b"").map(u64::from), Error::BadKey)?;
    }
    ensure!(calls::send(&beside, b"").is_ok(), "an unrelated key ended with the revoked ones");
    stage.clear(plot)
}

fn no_stronger(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let inbox = Inbox::create(&mut plot, window)?;
    let rights = KeyRights::SEND.with(KeyRights::DERIVE);
    let key = calls::key_create(inbox.mailbox, rights, 1)?;
    for bit in 0..5 {
        let more = rights.with(KeyRights(1 << bit));
        let answer = calls::key_derive(&key, more, 2).map(|_| 0);
        if rights.contains(KeyRights(1 << bit)) {
            ensure!(answer.is_ok(), "deriving the same rights: {answer:?}");
        } else {
            refused("deriving a right that the parent lacks", answer, Error::NoRights)?;
        }
    }
    stage.clear(plot)
}

/// No two secrets are alike, and none has a pattern a counter would leave.
fn unguessable(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let inbox = Inbox::create(&mut plot, window)?;
    let mut ones = 0u32;
    let mut last = [0u64; 2];
    const KEYS_MADE: u32 = 512;
    for _ in 0..KEYS_MADE {
        let key = calls::key_create(inbox.mailbox, KeyRights::ALL, 1)?;
        let changed = [key.secret[0] ^ last[0], key.secret[1] ^ last[1]];
        ones += changed[0].count_ones() + changed[1].count_ones();
        ensure!(changed[0] != 0 && changed[1] != 0, "two keys in a row share half of their secret");
        last = key.secret;
        calls::key_revoke(inbox.mailbox, &key)?;
    }
    let average = ones / KEYS_MADE;
    ensure!((56..=72).contains(&average), "{average} of 128 bits change from key to key; chance changes 64");
    stage.clear(plot)
}

fn ended(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let inbox = Inbox::create(&mut plot, window)?;
    let other = crate::fixture::mailbox(&mut plot)?;
    let key = calls::key_create(other, KeyRights::ALL, 1)?;
    calls::destroy(other)?;
    for answer in every_use(&key, inbox.mailbox) {
        refused("a key of an ended mailbox", answer, Error::Closed)?;
    }
    // A new mailbox in the same frames is another one.
    let again = calls::mailbox_create(other, crate::fixture::SLOTS, crate::fixture::KEYS)?;
    for answer in every_use(&key, inbox.mailbox) {
        ensure!(
            matches!(answer, Err(Error::Closed | Error::BadKey)),
            "an old key with a new mailbox in the same frames: {answer:?}"
        );
    }
    calls::destroy(again)?;
    stage.clear(plot)
}

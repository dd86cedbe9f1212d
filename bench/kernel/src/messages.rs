//! Sending to a mailbox whose receiver is awake, by key and by name, and taking a message.

use core::hint::black_box;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::mailbox::SHARE;
use libfos::calls;
use libfos::mailbox::Mailbox;
use libfos::measure;

use crate::ground::{Broken, During, Ground};
use crate::sample::{counted, print_count};

/// Bytes of each message.
pub const MESSAGE: usize = 64;
/// Slots of each mailbox.
pub const SLOTS: usize = 64;
/// Keys of each mailbox.
pub const KEYS: usize = 16;
/// Some name.
const NAME: u32 = 77;

/// Counts them.
pub fn measure(ground: &mut Ground) -> Result<(), Broken> {
    let mut mailbox = Mailbox::create(&mut ground.memory, SLOTS, KEYS).during("making a mailbox")?;
    let key = mailbox.key(KeyRights::SEND, 5).during("making a key")?;
    let message = [7u8; MESSAGE];
    let send = counted(|| {
        let (key, message) = (black_box(&key), black_box(&message));
        let (ticks, sent) = measure::count(|| calls::send(key, message));
        sent?;
        take(&mut mailbox)?;
        Ok(ticks)
    });
    print_count(
        "mailbox_send_64",
        send.during("sending")?,
        "64 bytes to a mailbox whose receiver is awake, the call and loading its registers included",
    );
    let take = counted(|| {
        calls::send(&key, &message)?;
        let (ticks, taken) = measure::count(|| take(&mut mailbox));
        taken.map(|_| ticks)
    });
    print_count(
        "mailbox_take_64",
        take.during("taking a message")?,
        "poll and find a message of 64 bytes, read its length, sender and first word in place, free its slots",
    );
    send_by_name(&mut mailbox)?;
    mailbox.destroy(&mut ground.memory).during("ending a mailbox")?;
    send_giving_back(ground)
}

/// The send that finds the sender's share used up: once in as many sends as the share has slots.
fn send_giving_back(ground: &mut Ground) -> Result<(), Broken> {
    let mut mailbox = Mailbox::create(&mut ground.memory, SLOTS, KEYS).during("making a mailbox")?;
    let key = mailbox.key(KeyRights::SEND, 5).during("making a key")?;
    let message = [7u8; MESSAGE];
    let first_of_share = counted(|| {
        let (key, message) = (black_box(&key), black_box(&message));
        let (ticks, sent) = measure::count(|| calls::send(key, message));
        sent?;
        take(&mut mailbox)?;
        for _ in 1..SLOTS / SHARE {
            calls::send(key, message)?;
            take(&mut mailbox)?;
        }
        Ok(ticks)
    });
    print_count(
        "send_giving_back",
        first_of_share.during("sending shares")?,
        "as mailbox_send_64, every eighth one: the share is used up, and the 8 slots that were freed are given back first",
    );
    mailbox.destroy(&mut ground.memory).during("ending a mailbox")
}

/// As sending by key, with the key in the space's name cache.
fn send_by_name(mailbox: &mut Mailbox) -> Result<(), Broken> {
    let key = mailbox.key(KeyRights::SEND, 6).during("making a key")?;
    calls::name_set(Handle::SELF, NAME, &key).during("naming a key")?;
    let message = [7u8; MESSAGE];
    let send = counted(|| {
        let (name, message) = (black_box(NAME), black_box(&message));
        let (ticks, sent) = measure::count(|| calls::send_name(name, message));
        sent?;
        take(mailbox)?;
        Ok(ticks)
    });
    print_count(
        "send_name",
        send.during("sending by name")?,
        "as mailbox_send_64, the key found in the space's name cache",
    );
    Ok(())
}

/// Takes a message and looks at it as a receiver would: the sum of its sender and first word.
#[inline(always)]
pub fn take(mailbox: &mut Mailbox) -> Result<u64, Error> {
    let message = mailbox.take().ok_or(Error::TimedOut)?;
    let bytes = message.bytes();
    let Some(first) = bytes.first_chunk::<8>() else { return Err(Error::BadArgument) };
    Ok(black_box(u64::from_le_bytes(*first).wrapping_add(message.sender().0)))
}

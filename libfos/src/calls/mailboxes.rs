//! Calls on mailboxes, keys and the name cache.

use fos_abi::calls::{Call, WaitList};
use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::{Error, Key};

use super::{answer, done, handle, selector};
use crate::arch::call::{call2, call3, call4, call5, call6};

/// Where a reference points, as a call's argument.
#[inline(always)]
fn address<T>(value: &T) -> u64 {
    core::ptr::from_ref(value) as u64
}

/// Length, the key's entry, and the number of mailboxes to wait for, as `send` and `send_wait` take them.
#[inline(always)]
fn length_word(key: &Key, bytes: &[u8], count: usize) -> u64 {
    // A length past 16 bits must not spill into the entry: it is cut to one that the kernel refuses as well.
    let length = bytes.len().min(0xffff) as u64;
    length | u64::from(key.entry & 0xffff) << 16 | (count as u64) << 32
}

/// Sends bytes to a mailbox; answers with the message's ticket.
#[inline(always)]
pub fn send(key: &Key, bytes: &[u8]) -> Result<u32, Error> {
    send_with(key, bytes, Handle::NONE)
}

/// Sends bytes and moves a capability with them (`Handle::NONE`: none).
#[inline(always)]
pub fn send_with(key: &Key, bytes: &[u8], attach: Handle) -> Result<u32, Error> {
    let [low, high] = key.secret;
    // SAFETY: the kernel only reads, and only the slice.
    let answers = unsafe {
        call6(
            selector(Call::send),
            key.mailbox.0,
            low,
            high,
            bytes.as_ptr() as u64,
            length_word(key, bytes, 0),
            u64::from(attach.0),
        )
    };
    answer(answers).map(|ticket| ticket as u32)
}

/// Sends bytes, then waits as [`wait`] does; answers with the mask of mailboxes that have something.
#[inline(always)]
pub fn send_wait<const N: usize>(key: &Key, bytes: &[u8], list: &WaitList<N>) -> Result<u32, Error> {
    let [low, high] = key.secret;
    // SAFETY: the kernel only reads, and only the slice and the list's `N` entries.
    let answers = unsafe {
        call6(
            selector(Call::send_wait),
            key.mailbox.0,
            low,
            high,
            bytes.as_ptr() as u64,
            length_word(key, bytes, N),
            address(list),
        )
    };
    answer(answers).map(|mask| mask as u32)
}

/// Sleeps until one of the mailboxes has a message or a bell; answers with their mask.
#[inline(always)]
pub fn wait<const N: usize>(list: &WaitList<N>) -> Result<u32, Error> {
    wait_first(list, N)
}

/// As [`wait`], for the first `count` mailboxes of the list.
#[inline(always)]
pub fn wait_first<const N: usize>(list: &WaitList<N>, count: usize) -> Result<u32, Error> {
    // SAFETY: the kernel only reads, at most the list's `N` entries.
    let answers = unsafe { call2(selector(Call::wait), address(list), count.min(N) as u64) };
    answer(answers).map(|mask| mask as u32)
}

/// Rings bells of a mailbox: sets `bits`, wakes its receiver, takes no slot.
#[inline(always)]
pub fn ring(key: &Key, bits: u64) -> Result<(), Error> {
    let [low, high] = key.secret;
    // SAFETY: no pointers.
    done(unsafe { call5(selector(Call::ring), key.mailbox.0, low, high, bits, u64::from(key.entry)) })
}

/// Sends to what the space's name cache holds for `name`; answers with the message's ticket.
#[inline(always)]
pub fn send_name(name: u32, bytes: &[u8]) -> Result<u32, Error> {
    // SAFETY: the kernel only reads, and only the slice.
    let answers = unsafe {
        call3(selector(Call::send_name), u64::from(name), bytes.as_ptr() as u64, bytes.len() as u64)
    };
    answer(answers).map(|ticket| ticket as u32)
}

/// Puts `name` with its key into a space's name cache; the key of zeros removes it.
pub fn name_set(space: Handle, name: u32, key: &Key) -> Result<(), Error> {
    // SAFETY: the kernel only reads the key.
    done(unsafe { call3(selector(Call::name_set), u64::from(space.0), u64::from(name), address(key)) })
}

/// Makes a mailbox out of frames; its home is the caller's core.
pub fn mailbox_create(frames: Handle, slots: usize, keys: usize) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    let answers =
        unsafe { call3(selector(Call::mailbox_create), u64::from(frames.0), slots as u64, keys as u64) };
    handle(answers)
}

/// Maps a mailbox's control page and its ring twice in the caller's space.
pub fn mailbox_map(mailbox: Handle, address: u64) -> Result<(), Error> {
    // SAFETY: the kernel refuses an address where something is mapped.
    done(unsafe { call2(selector(Call::mailbox_map), u64::from(mailbox.0), address) })
}

/// Makes a key to one's own mailbox; `badge` comes with every message sent with it.
pub fn key_create(mailbox: Handle, rights: KeyRights, badge: u64) -> Result<Key, Error> {
    let mut key = Key::default();
    let out = core::ptr::from_mut(&mut key) as u64;
    // SAFETY: the kernel writes one key to `out`, which is borrowed for the call.
    let answers =
        unsafe { call4(selector(Call::key_create), u64::from(mailbox.0), u64::from(rights.0), badge, out) };
    done(answers).map(|()| key)
}

/// Makes a weaker key from a key.
pub fn key_derive(from: &Key, rights: KeyRights, badge: u64) -> Result<Key, Error> {
    let mut key = Key::default();
    let out = core::ptr::from_mut(&mut key) as u64;
    // SAFETY: the kernel reads one key and writes another to `out`, which is borrowed for the call.
    let answers =
        unsafe { call4(selector(Call::key_derive), address(from), u64::from(rights.0), badge, out) };
    done(answers).map(|()| key)
}

/// Ends a key and all derived from it (`mailbox`: one's own), or all derived from it (`Handle::NONE`).
pub fn key_revoke(mailbox: Handle, key: &Key) -> Result<(), Error> {
    // SAFETY: the kernel only reads the key.
    done(unsafe { call2(selector(Call::key_revoke), u64::from(mailbox.0), address(key)) })
}

/// Takes the capability attached to the message with this ticket, before the message is freed.
pub fn accept(mailbox: Handle, ticket: u32) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    handle(unsafe { call2(selector(Call::accept), u64::from(mailbox.0), u64::from(ticket)) })
}

//! A space's name cache: the delivery half of naming. User space decides what a name means and puts the
//! key here, perhaps for a program that is never shown the key; the kernel delivers to it, and refuses and
//! removes an entry whose mailbox has ended.

use crate::space::Space;
use core::sync::atomic::{AtomicU64, Ordering};
use fos_abi::Key;
use fos_abi::key::MailboxId;
use fos_abi::limits::NAMES_MAX;

/// One name. The home core writes; `changes` is odd meanwhile, and `name` may become zero at any time.
#[repr(C)]
pub struct NameEntry {
    name: AtomicU64,
    mailbox: AtomicU64,
    secret: [AtomicU64; 2],
    entry: AtomicU64,
    changes: AtomicU64,
    reserved: [u64; 2],
}
const _: () = assert!(size_of::<NameEntry>() * NAMES_MAX == 4096);

fn place(space: &Space, name: u64) -> &'static NameEntry {
    // SAFETY: a space's second frame holds NAMES_MAX entries and stays as long as the space.
    unsafe { &*space.names.add(name as usize % NAMES_MAX) }
}

/// What the cache holds for a name.
#[inline(always)]
pub fn find(space: &Space, name: u64) -> Option<Key> {
    let place = place(space, name);
    let changes = place.changes.load(Ordering::Acquire);
    if name == 0 || place.name.load(Ordering::Relaxed) != name {
        return None;
    }
    let key = Key {
        mailbox: MailboxId(place.mailbox.load(Ordering::Relaxed)),
        entry: place.entry.load(Ordering::Relaxed) as u32,
        machine: 0,
        secret: [place.secret[0].load(Ordering::Relaxed), place.secret[1].load(Ordering::Relaxed)],
    };
    core::sync::atomic::fence(Ordering::Acquire);
    (changes.is_multiple_of(2) && place.changes.load(Ordering::Relaxed) == changes).then_some(key)
}

/// Puts a name in, over whatever had its place. Home core only.
pub fn set(space: &Space, name: u64, key: &Key) {
    let place = place(space, name);
    let changes = place.changes.load(Ordering::Relaxed);
    place.changes.store(changes.wrapping_add(1), Ordering::Relaxed);
    core::sync::atomic::fence(Ordering::Release);
    let name = if *key == Key::default() { 0 } else { name };
    place.mailbox.store(key.mailbox.0, Ordering::Relaxed);
    place.entry.store(u64::from(key.entry), Ordering::Relaxed);
    place.secret[0].store(key.secret[0], Ordering::Relaxed);
    place.secret[1].store(key.secret[1], Ordering::Relaxed);
    place.name.store(name, Ordering::Relaxed);
    place.changes.store(changes.wrapping_add(2), Ordering::Release);
}

/// Removes a name that turned out stale; any core may, since it only ever becomes zero.
pub fn remove(space: &Space, name: u64) {
    let _ = place(space, name).name.compare_exchange(name, 0, Ordering::AcqRel, Ordering::Relaxed);
}

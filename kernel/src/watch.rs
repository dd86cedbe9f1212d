//! `watch`: one message when a thread, space, mailbox or core ends. Everything that waits for a peer
//! builds on it, so it must not be lost: a slot for the notice is set aside when the watch begins.
//!
//! The watchers of a thing are a list through their slots: pushed from any core without locks, taken as a
//! whole when the thing ends, and searched only on the thing's home core. `ENDED` as head means that
//! nobody can be added any more.

use crate::capabilities::Slot;
use crate::mailbox::Mailbox;
use crate::objects::{Reference, resolve};
use core::sync::atomic::{AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::mailbox::MessageKind;

const ENDED: u64 = u64::MAX;

/// Adds a watcher.
pub fn add(watchers: &AtomicU64, slot: &Slot) -> Result<(), Error> {
    let mut first = watchers.load(Ordering::Acquire);
    loop {
        if first == ENDED {
            return Err(Error::Closed);
        }
        slot.set_next_watcher(first);
        let node = slot as *const Slot as u64;
        match watchers.compare_exchange_weak(first, node, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(()),
            Err(now) => first = now,
        }
    }
}

/// Whether the watched thing has begun to tell its watchers.
pub fn has_ended(watchers: &AtomicU64) -> bool {
    watchers.load(Ordering::Acquire) == ENDED
}

/// Takes a watcher out again. On the home core of what is watched.
pub fn remove(watchers: &AtomicU64, slot: &Slot) {
    if watchers.load(Ordering::Acquire) == ENDED {
        return;
    }
    let node = slot as *const Slot as u64;
    let mut next = watchers.swap(0, Ordering::AcqRel);
    while next != 0 && next != ENDED {
        // SAFETY: watchers leave the list before their slot is freed.
        let watcher = unsafe { &*(next as *const Slot) };
        let following = watcher.next_watcher();
        if next != node {
            // Nobody can end what is watched meanwhile: that happens on this core.
            let _ = add(watchers, watcher);
        }
        next = following;
    }
}

/// The watched thing has ended: tells a few watchers. Says whether all have been told.
pub fn tell(watchers: &AtomicU64, pending: &core::cell::Cell<u64>, reason: u64, detail: u64) -> bool {
    let mut first = watchers.load(Ordering::Acquire);
    while first != ENDED {
        // Before the list is taken: whoever goes on for a core that failed here finds it in either place.
        pending.set(first);
        let taken = watchers.compare_exchange(first, ENDED, Ordering::AcqRel, Ordering::Acquire);
        first = taken.map_or_else(|now| now, |_| ENDED);
    }
    for _ in 0..fos_abi::limits::CHUNK_STEPS {
        let next = pending.get();
        if next == 0 {
            return true;
        }
        // SAFETY: a watch's slot is freed only by a job that comes to this core first (`drop_watch`).
        let slot = unsafe { &*(next as *const Slot) };
        // A core that fails here leaves a watcher that is told twice, and never one that is not told.
        notify(slot, reason, detail);
        pending.set(slot.next_watcher());
        slot.mark_told();
    }
    pending.get() == 0
}

/// Sends one watcher's notice.
fn notify(slot: &Slot, reason: u64, detail: u64) {
    let Some(watch) = slot.read() else { return };
    if let Some(mailbox) = resolve::<Mailbox>(Reference(watch.length)) {
        mailbox.notify(MessageKind::Ended, watch.stamp, &[reason, detail]);
        mailbox.release_notice();
    }
}

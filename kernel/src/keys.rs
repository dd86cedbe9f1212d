//! A mailbox's key table. The mailbox's home core writes it; senders on any core compare, in constant
//! time, without locks. An entry is dead before it changes and gets a new generation with each key, so a
//! reader that has seen parts of two keys notices and refuses both.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use fos_abi::Error;
use fos_abi::key::KeyRights;
use fos_abi::limits::CHUNK_STEPS;

/// One key.
#[repr(C)]
pub struct KeyEntry {
    secret: [AtomicU64; 2],
    badge: AtomicU64,
    /// Rights in the low byte, bit 8: alive, bit 9: about to end, high half: generation.
    rights: AtomicU32,
    /// The entry it was derived from, plus one; 0: made by the owner.
    parent: AtomicU32,
}
const _: () = assert!(size_of::<KeyEntry>() == fos_abi::mailbox::KEY_ENTRY_SIZE);

const ALIVE: u32 = 1 << 8;
const DOOMED: u32 = 1 << 9;
const GENERATION: u32 = 1 << 16;
const GENERATIONS: u32 = 0xffff << 16;

/// A mailbox's keys.
#[derive(Clone, Copy)]
pub struct KeyTable<'a>(pub &'a [KeyEntry]);

impl KeyTable<'_> {
    /// Checks a key: its rights and badge.
    #[inline(always)]
    pub fn check(self, entry: u64, secret: [u64; 2]) -> Result<(KeyRights, u64), Error> {
        let key = self.0.get(entry as usize).ok_or(Error::BadKey)?;
        let rights = key.rights.load(Ordering::Acquire);
        let difference = (key.secret[0].load(Ordering::Relaxed) ^ secret[0])
            | (key.secret[1].load(Ordering::Relaxed) ^ secret[1])
            | u64::from(!rights & ALIVE);
        let badge = key.badge.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let changed = (key.rights.load(Ordering::Relaxed) ^ rights) & !DOOMED;
        if difference | u64::from(changed) != 0 {
            return Err(Error::BadKey);
        }
        Ok((KeyRights(rights & 0xff), badge))
    }

    /// Makes a key in the first free entry of a chunk of the table that begins at `from`: which one.
    pub fn create(
        self,
        from: usize,
        parent: Option<u32>,
        rights: KeyRights,
        badge: u64,
        secret: [u64; 2],
    ) -> Option<u32> {
        let is_free = |index: &usize| self.0[*index].rights.load(Ordering::Relaxed) & ALIVE == 0;
        let index = self.chunk(from).find(is_free)?;
        let key = &self.0[index];
        let generation = (key.rights.load(Ordering::Relaxed) & GENERATIONS).wrapping_add(GENERATION);
        key.secret[0].store(secret[0], Ordering::Relaxed);
        key.secret[1].store(secret[1], Ordering::Relaxed);
        key.badge.store(badge, Ordering::Relaxed);
        key.parent.store(parent.map_or(0, |entry| entry + 1), Ordering::Relaxed);
        key.rights.store(rights.0 | ALIVE | generation, Ordering::Release);
        Some(index as u32)
    }

    /// Ends a key.
    fn end(self, index: usize) {
        let key = &self.0[index];
        key.rights.fetch_and(GENERATIONS, Ordering::Relaxed);
        fence(Ordering::Release);
        key.secret[0].store(0, Ordering::Relaxed);
        key.secret[1].store(0, Ordering::Relaxed);
    }

    fn chunk(self, from: usize) -> core::ops::Range<usize> {
        from.min(self.0.len())..(from + CHUNK_STEPS).min(self.0.len())
    }

    /// Marks a key as about to end.
    pub fn doom(self, entry: u32) {
        if let Some(key) = self.0.get(entry as usize) {
            key.rights.fetch_or(DOOMED, Ordering::Relaxed);
        }
    }

    /// Whether a key is about to end.
    pub fn is_doomed(self, entry: u32) -> bool {
        self.0.get(entry as usize).is_some_and(|key| key.rights.load(Ordering::Relaxed) & DOOMED != 0)
    }

    /// Marks, in one chunk, every key whose parent is marked: whether there was one. Repeated over the
    /// table until a pass finds none, this marks everything derived from the first.
    pub fn doom_children(self, from: usize) -> bool {
        let mut found = false;
        for key in &self.0[self.chunk(from)] {
            let rights = key.rights.load(Ordering::Relaxed);
            let parent = key.parent.load(Ordering::Relaxed) as usize;
            if rights & (ALIVE | DOOMED) != ALIVE || parent == 0 {
                continue;
            }
            if self.0[parent - 1].rights.load(Ordering::Relaxed) & DOOMED != 0 {
                key.rights.fetch_or(DOOMED, Ordering::Relaxed);
                found = true;
            }
        }
        found
    }

    /// Ends, in one chunk, every marked key but `spared`.
    pub fn end_doomed(self, from: usize, spared: Option<u32>) {
        for index in self.chunk(from) {
            if self.0[index].rights.load(Ordering::Relaxed) & DOOMED == 0 {
                continue;
            }
            if spared == Some(index as u32) {
                self.0[index].rights.fetch_and(!DOOMED, Ordering::Relaxed);
            } else {
                self.end(index);
            }
        }
    }
}

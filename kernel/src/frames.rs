//! The frame table: for every frame of RAM, what it is and how often it is mapped. It is what keeps a
//! program from ever mapping a frame that holds a kernel object, whatever capabilities it has.
//!
//! A mapping first counts itself, then looks whether the frame is ordinary memory; a claim first marks the
//! frame, then looks whether it is mapped. Both in one total order (`SeqCst`), so one of them sees the
//! other. Counts are atomic, not owned by a home core: see `docs/decisions/001-frame-counts.md`.

use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::limits::HUGE_PAGES;

/// What a frame is.
pub mod frame_kind {
    /// Not RAM, or the kernel's own for ever.
    pub const RESERVED: u8 = 0;
    /// Ordinary memory: may be mapped, or claimed for an object.
    pub const ORDINARY: u8 = 1;
    /// Part of an object, but not its first frame.
    pub const PART: u8 = 2;
    /// The first frame of a space.
    pub const SPACE: u8 = 3;
    /// The first frame of a thread.
    pub const THREAD: u8 = 4;
    /// The first frame of a mailbox.
    pub const MAILBOX: u8 = 5;
}

/// One frame's entry.
#[repr(C)]
pub struct Entry {
    /// Mappings of this frame as a small page.
    mappings: AtomicU32,
    /// Mappings of the 2 MiB that begin here, as a huge page.
    huge_mappings: AtomicU32,
    /// Incarnation of the object that begins here.
    generation: AtomicU32,
    kind: AtomicU8,
    reserved: [u8; 3],
}
const _: () = assert!(size_of::<Entry>() == 16);

static TABLE: AtomicPtr<Entry> = AtomicPtr::new(core::ptr::null_mut());
static LENGTH: AtomicU64 = AtomicU64::new(0);

/// Puts the table in place.
///
/// # Safety
/// `table` must be `length` zeroed entries, kept for ever.
pub unsafe fn install(table: *mut Entry, length: u64) {
    TABLE.store(table, Ordering::Release);
    LENGTH.store(length, Ordering::Release);
}

/// The entry of a frame, if the machine has that frame.
#[inline(always)]
pub fn entry(frame: u64) -> Option<&'static Entry> {
    if frame >= LENGTH.load(Ordering::Relaxed) {
        return None;
    }
    let table = TABLE.load(Ordering::Relaxed);
    // SAFETY: the table has `length` entries and is never freed; before it is there, its length is 0.
    unsafe {
        core::hint::assert_unchecked(!table.is_null());
        Some(&*table.add(frame as usize))
    }
}

impl Entry {
    /// What it is.
    #[inline(always)]
    pub fn kind(&self) -> u8 {
        self.kind.load(Ordering::Acquire)
    }
    /// The incarnation of the object that begins here.
    #[inline(always)]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }
    /// Makes it ordinary memory (boot) or marks an object's first frame (after a claim).
    pub fn set_kind(&self, kind: u8) {
        self.kind.store(kind, Ordering::Release);
    }
    /// Ends the incarnation: every reference made before is stale from here on.
    pub fn end_generation(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// Counts one mapping of a frame. Fails if the frame is not ordinary memory.
#[inline(always)]
pub fn map(frame: u64) -> Result<(), Error> {
    let entry = entry(frame).ok_or(Error::InUse)?;
    entry.mappings.fetch_add(1, Ordering::SeqCst);
    if entry.kind.load(Ordering::SeqCst) != frame_kind::ORDINARY {
        entry.mappings.fetch_sub(1, Ordering::SeqCst);
        return Err(Error::InUse);
    }
    Ok(())
}

/// Takes one mapping off.
#[inline(always)]
pub fn unmap(frame: u64) {
    if let Some(entry) = entry(frame) {
        let before = entry.mappings.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0);
    }
}

/// Counts one mapping of 2 MiB that begin at `frame`. Fails if one of its frames is not ordinary memory.
pub fn map_huge(frame: u64) -> Result<(), Error> {
    let head = entry(frame).ok_or(Error::InUse)?;
    head.huge_mappings.fetch_add(1, Ordering::SeqCst);
    let ordinary = (frame..frame + HUGE_PAGES as u64).all(|frame| {
        entry(frame).is_some_and(|entry| entry.kind.load(Ordering::SeqCst) == frame_kind::ORDINARY)
    });
    if !ordinary {
        head.huge_mappings.fetch_sub(1, Ordering::SeqCst);
        return Err(Error::InUse);
    }
    Ok(())
}

/// Takes one huge mapping off.
pub fn unmap_huge(frame: u64) {
    if let Some(entry) = entry(frame) {
        entry.huge_mappings.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How often a frame is mapped, small and huge together.
pub fn mappings(frame: u64) -> u32 {
    let huge =
        entry(frame & !(HUGE_PAGES as u64 - 1)).map_or(0, |head| head.huge_mappings.load(Ordering::SeqCst));
    huge + entry(frame).map_or(0, |entry| entry.mappings.load(Ordering::SeqCst))
}

/// Claims frames for a kernel object: all of them, or none and why. At most a chunk of steps long.
pub fn claim(first: u64, count: usize) -> Result<(), Error> {
    for done in 0..count {
        if let Err(error) = claim_one(first + done as u64) {
            release(first, done);
            return Err(error);
        }
    }
    Ok(())
}

fn claim_one(frame: u64) -> Result<(), Error> {
    let entry = entry(frame).ok_or(Error::InUse)?;
    let swap = entry.kind.compare_exchange(
        frame_kind::ORDINARY,
        frame_kind::PART,
        Ordering::SeqCst,
        Ordering::SeqCst,
    );
    if swap.is_err() {
        return Err(Error::InUse);
    }
    if mappings(frame) != 0 {
        entry.kind.store(frame_kind::ORDINARY, Ordering::SeqCst);
        return Err(Error::StillMapped);
    }
    Ok(())
}

/// Makes claimed frames ordinary memory again.
pub fn release(first: u64, count: usize) {
    for frame in first..first + count as u64 {
        if let Some(entry) = entry(frame) {
            entry.kind.store(frame_kind::ORDINARY, Ordering::SeqCst);
        }
    }
}

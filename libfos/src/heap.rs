//! A program's heap: one arena of a size fixed at build time, in `.bss`, so that it costs nothing in the ELF and
//! needs no call. [`entry!`](crate::entry) makes one per program; a program that is out of heap panics and so ends.
//!
//! A heap grows by its *reserve*: mapped memory that somebody set aside ([`set_aside`]) before it was needed, because the heap
//! itself can ask nobody. It takes all of it at once when the rest is used up, keeps it for good, and then wants another
//! ([`wants_reserve`]); [`crate::pages::Growing::keep_heap`] brings that.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fos_abi::limits::PAGE_SIZE;
use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use crate::calls;
use crate::frames::Block;
use crate::memory::Mapping;

/// Bytes of heap that a program gets unless it says otherwise.
pub const DEFAULT_SIZE: usize = 1024 * 1024;

/// The allocator of a program.
pub type Heap = TalcLock<YieldLock, ArenaThenReserve>;

/// The memory that a heap hands out.
#[repr(C, align(4096))]
pub struct Arena<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: nothing reads or writes the arena but the one heap over it, which has a lock.
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

impl<const SIZE: usize> Arena<SIZE> {
    /// Zeroed memory.
    pub const fn new() -> Self {
        Arena(UnsafeCell::new([0; SIZE]))
    }

    /// A heap that takes this arena at its first allocation.
    ///
    /// # Safety
    /// At most one heap may be made over an arena.
    pub const unsafe fn heap(&'static self) -> Heap {
        TalcLock::new(ArenaThenReserve(UnclaimedArena { start: self.0.get().cast(), bytes: SIZE }))
    }
}

/// Where the heap's memory comes from: its arena, then whatever is set aside.
#[derive(Debug)]
pub struct ArenaThenReserve(UnclaimedArena);

/// An arena that its heap has not taken yet, if it has any bytes.
#[derive(Debug)]
struct UnclaimedArena {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the pointer is to a static arena, which by the promise to `Arena::heap` this heap alone uses, whoever holds its lock.
unsafe impl Send for UnclaimedArena {}

// SAFETY: nothing here allocates, and `Ok` is answered only when memory was claimed.
unsafe impl Source for ArenaThenReserve {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, _: Layout) -> Result<(), ()> {
        let arena = core::mem::replace(&mut talc.source.0.bytes, 0);
        let (start, bytes) =
            if arena > 0 { (talc.source.0.start, arena) } else { take_reserve().ok_or(())? };
        // SAFETY: the arena is static and this heap's alone; the reserve was mapped memory that `set_aside` gave away for good.
        unsafe { talc.claim(start, bytes) }.map(drop).ok_or(())
    }
}

/// What is set aside for the process's heap: its first page and its pages in one word, so that whoever takes it has both. Zero:
/// nothing. A process has one heap, so it has one reserve.
static RESERVE: AtomicU64 = AtomicU64::new(0);
/// Bits of the number of pages; the page of a user address has 35.
const PAGES_BITS: u32 = 28;

fn take_reserve() -> Option<(*mut u8, usize)> {
    let word = RESERVE.swap(0, Ordering::Acquire);
    let (first, pages) = (word >> PAGES_BITS, word & ((1 << PAGES_BITS) - 1));
    (word > 0).then_some(((first as usize * PAGE_SIZE) as *mut u8, pages as usize * PAGE_SIZE))
}

/// Whether nothing is set aside.
pub fn wants_reserve() -> bool {
    RESERVE.load(Ordering::Relaxed) == 0
}

/// Sets memory aside for the heap, for good. It comes back if something is set aside already, or if it can't be written.
pub fn set_aside((frames, memory): (Block, Mapping)) -> Option<(Block, Mapping)> {
    let pages = (memory.length() / PAGE_SIZE) as u64;
    let word = ((memory.address() / PAGE_SIZE as u64) << PAGES_BITS) | pages;
    let fits = memory.is_writable() && pages < 1 << PAGES_BITS;
    let is_set = fits && RESERVE.compare_exchange(0, word, Ordering::Release, Ordering::Relaxed).is_ok();
    (!is_set).then_some((frames, memory))
}

impl<const SIZE: usize> Default for Arena<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

/// The heap's lock: who finds it taken lets the other threads of the core run.
pub struct YieldLock(AtomicBool);

// SAFETY: `try_lock` gives the lock to one caller until `unlock`, with acquire and release order.
unsafe impl lock_api::RawMutex for YieldLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait's way to make a lock")]
    const INIT: YieldLock = YieldLock(AtomicBool::new(false));
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            calls::thread_yield();
        }
    }

    fn try_lock(&self) -> bool {
        self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

//! Changing one's own address space: map, touch, protect and unmap 4 KiB pages.
//!
//! Every page is mapped at a chosen place inside a [`Region`] whose page tables are there already, so that no
//! operation builds or frees a table and no neighbour is merged or split: Linux's cheapest case.
//! What Linux does within these numbers and fos's kernel does not: it finds and clears frames itself (at least
//! 512 instructions a page: `rep stosq` counts once per eight bytes) and keeps a tree of areas.

use crate::clock::{COUNTING, Effort, median, timed};
use crate::process::check;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use syscalls::{Sysno, raw_syscall};

/// Bytes of a page.
const PAGE: usize = 4096;

/// Bytes that one lowest page table covers; also a huge page.
const TABLE: usize = 512 * PAGE;

/// Pages of a batch.
const BATCH: usize = 512;

const READ_ONLY: i32 = libc::PROT_READ;
const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;
const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// Two tables' worth of addresses, free but for one touched page at either end that keeps the tables.
struct Region {
    base: usize,
    anchors: [Mapping; 2],
}

impl Region {
    /// Finds free addresses aligned to a table and maps the two pages that keep their tables.
    fn new() -> Region {
        let found = map(0, 3 * TABLE, libc::PROT_NONE, PRIVATE, -1);
        found.unmap();
        let base = found.address.next_multiple_of(TABLE);
        let anchors =
            [base, base + 2 * TABLE - PAGE].map(|anchor| map(anchor, PAGE, READ_WRITE, PRIVATE, -1));
        anchors.iter().for_each(|anchor| anchor.touch());
        Region { base, anchors }
    }

    /// A free page, no neighbour of anything.
    fn page(&self) -> usize {
        self.base + 64 * PAGE
    }

    /// [`BATCH`] free pages over half of each table: no aligned 2 MiB, so Linux can't use one huge page.
    fn batch(&self) -> usize {
        self.base + TABLE / 2
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.anchors.iter().for_each(|anchor| anchor.unmap());
    }
}

/// Addresses that [`map`] mapped and that nothing else uses.
#[derive(Clone, Copy)]
struct Mapping {
    address: usize,
    length: usize,
}

/// mmap of `length` bytes at `address` (0: anywhere), where nothing may be mapped yet.
#[inline(always)]
fn map(address: usize, length: usize, protection: i32, flags: i32, file: i32) -> Mapping {
    let flags = if address == 0 { flags } else { flags | libc::MAP_FIXED_NOREPLACE };
    // SAFETY: the address is the kernel's choice or free, so no memory of this program changes.
    let answer = unsafe { raw_syscall!(Sysno::mmap, address, length, protection, flags, file as isize, 0) };
    Mapping { address: check(Sysno::mmap, answer), length }
}

impl Mapping {
    /// munmap of the whole.
    #[inline(always)]
    fn unmap(self) {
        // SAFETY: `map` made these pages and no reference into them was ever made, so none dangles.
        let answer = unsafe { raw_syscall!(Sysno::munmap, self.address, self.length) };
        check(Sysno::munmap, answer);
    }

    /// mprotect of the whole.
    #[inline(always)]
    fn protect(self, protection: i32) {
        // SAFETY: nothing but `touch` accesses these pages, and no reference into them exists.
        let answer = unsafe { raw_syscall!(Sysno::mprotect, self.address, self.length, protection) };
        check(Sysno::mprotect, answer);
    }

    /// Writes to the first page.
    #[inline(always)]
    fn touch(self) {
        // SAFETY: the mapping is writable here and nobody else's.
        unsafe { touch(self.address) };
    }
}

/// Writes to a page.
///
/// # Safety
/// `page` is the address of a mapped, writable page to which no reference exists.
pub unsafe fn touch(page: usize) {
    // SAFETY: the caller's promise; volatile, so the access happens although nobody reads it.
    unsafe { (page as *mut u8).write_volatile(1) };
}

/// Maps a page inside `region` and touches it.
#[inline(always)]
fn mapped_and_touched(region: &Region) -> Mapping {
    let page = map(region.page(), PAGE, READ_WRITE, PRIVATE, -1);
    page.touch();
    page
}

/// mprotect of one touched page to read-only (the direction that must flush the TLB), and back.
pub fn mprotect_page() -> (u64, u64) {
    let region = Region::new();
    let page = mapped_and_touched(&region);
    let restrict = median(COUNTING, || {
        let (ticks, ()) = timed(|| page.protect(READ_ONLY));
        page.protect(READ_WRITE);
        page.touch();
        Some(ticks)
    });
    let relax = median(COUNTING, || {
        page.protect(READ_ONLY);
        let (ticks, ()) = timed(|| page.protect(READ_WRITE));
        page.touch();
        Some(ticks)
    });
    page.unmap();
    (restrict, relax)
}

/// munmap of one touched page; `before` runs between touching and unmapping, with the page's address.
pub fn munmap_page_after(effort: Effort, mut before: impl FnMut(usize)) -> u64 {
    let region = Region::new();
    median(effort, || {
        let page = mapped_and_touched(&region);
        before(page.address);
        Some(timed(|| page.unmap()).0)
    })
}

/// mmap of one page and its first write.
pub fn mmap_touch_page() -> u64 {
    let region = Region::new();
    median(COUNTING, || {
        let (ticks, page) = timed(|| mapped_and_touched(&region));
        page.unmap();
        Some(ticks)
    })
}

/// Per page, mmap of 512 new pages that the kernel fills in the same call.
pub fn mmap_batched() -> u64 {
    let region = Region::new();
    median_of_mapping(region.batch(), BATCH * PAGE, PRIVATE | libc::MAP_POPULATE, -1) / BATCH as u64
}

/// mmap of one page, and per page of 512, whose frames exist already: no frame is found or cleared.
pub fn mmap_existing() -> (u64, u64) {
    let region = Region::new();
    let file = file_in_memory(BATCH * PAGE);
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    let one = median_of_mapping(region.page(), PAGE, flags, file.as_raw_fd());
    let batch = median_of_mapping(region.batch(), BATCH * PAGE, flags, file.as_raw_fd());
    (one, batch / BATCH as u64)
}

fn median_of_mapping(address: usize, length: usize, flags: i32, file: i32) -> u64 {
    median(COUNTING, || {
        let (ticks, mapped) = timed(|| map(address, length, READ_WRITE, flags, file));
        mapped.unmap();
        Some(ticks)
    })
}

/// A file of `length` bytes that lives in memory, every page of it present.
fn file_in_memory(length: usize) -> File {
    // SAFETY: the name is a literal that ends in NUL.
    let descriptor = unsafe { libc::memfd_create(c"pages".as_ptr(), 0) };
    assert!(descriptor >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is new and nobody else's.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    std::io::Write::write_all(&mut file, &vec![1; length]).expect("filling a file in memory");
    file
}

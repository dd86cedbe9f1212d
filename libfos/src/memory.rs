//! The program's own address space: which addresses are free, mapping frames there, and page tables for it.
//!
//! A [`Mapping`] is memory that others may share, so nothing here hands out a plain slice of it: bytes are copied in and
//! out, and words are read and written as atomics. Who unmaps gives the `Mapping` up, so the compiler sees that nothing
//! borrowed from it is left.

use core::ops::Range;
use core::sync::atomic::AtomicU64;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::limits::{MAP_MAX, PAGE_SIZE};
use fos_abi::space::MapFlags;
use fos_messages::start::{Start, handle_name};

use crate::calls;
use crate::frames::{Block, Pool};
use crate::ranges::Ranges;

/// First address that [`Memory`] gives out; below are the program, its stack and its start block.
pub const FIRST_ADDRESS: u64 = 0x2000_0000_0000;
/// Where the addresses that [`Memory`] gives out end.
pub const END_ADDRESS: u64 = 0x6000_0000_0000;
/// Frames donated at once when the kernel lacks page tables: a new address needs at most three.
const TABLES_AT_ONCE: u64 = 4;

/// The part of the free addresses that [`Memory::split`] gives away: 1 TiB at first.
const SPLIT_PART: u64 = 64;

/// Why memory can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// The program's frames are used up: give it more in the image.
    OutOfFrames,
    /// No range of free addresses is that long.
    OutOfAddresses,
    /// The kernel refused.
    Refused(Error),
}

impl From<Error> for MemoryError {
    fn from(error: Error) -> MemoryError {
        MemoryError::Refused(error)
    }
}

impl core::fmt::Display for MemoryError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            MemoryError::OutOfFrames => write!(formatter, "the program's frames are used up"),
            MemoryError::OutOfAddresses => write!(formatter, "no range of free addresses is that long"),
            MemoryError::Refused(error) => write!(formatter, "the kernel refused: {error:?}"),
        }
    }
}

impl core::error::Error for MemoryError {}

/// An access beyond a mapping, or a write to one that is read only. Nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

/// The addresses and frames of a program. One per space, from which other threads get theirs by [`Memory::split`]: two made
/// anew would give out the same addresses, and the kernel would refuse the second mapping (`AlreadyMapped`).
#[derive(Debug)]
pub struct Memory {
    addresses: Ranges,
    /// Frames for mailboxes, mappings and page tables.
    pub frames: Pool,
}

impl Memory {
    /// Manages what root gave the program as `self-frames`.
    pub fn of_program(start: &Start) -> Result<Memory, Error> {
        let handle = start.handle(handle_name::SELF_FRAMES).ok_or(Error::BadCapability)?;
        Ok(Memory::new(Pool::new(handle)?))
    }

    /// Manages the addresses from [`FIRST_ADDRESS`] to [`END_ADDRESS`] with frames of a pool.
    pub fn new(frames: Pool) -> Memory {
        let page = PAGE_SIZE as u64;
        Memory { addresses: Ranges::new(FIRST_ADDRESS / page, END_ADDRESS / page), frames }
    }

    /// Parts with frames and addresses, for another thread of the process to manage by itself. They never come back.
    pub fn split(&mut self, frames: u64) -> Result<Memory, MemoryError> {
        let pages = self.addresses.free_count() / SPLIT_PART;
        let first = self.addresses.take(pages, 1).ok_or(MemoryError::OutOfAddresses)?;
        let block = self.frames.take(frames)?;
        Ok(Memory { addresses: Ranges::new(first, first + pages), frames: Pool::new(block.handle)? })
    }

    /// Takes frames, maps them and clears them.
    pub fn allocate(&mut self, pages: usize) -> Result<(Block, Mapping), MemoryError> {
        let block = self.frames.take(pages as u64)?;
        match self.map(block.handle, 0, pages, MapFlags::WRITE) {
            Ok(mapping) => {
                mapping.zero();
                Ok((block, mapping))
            }
            Err(error) => {
                self.frames.give_back(block)?;
                Err(error)
            }
        }
    }

    /// Maps `pages` frames from `first` (within the capability) at free addresses.
    pub fn map(
        &mut self,
        frames: Handle,
        first: u32,
        pages: usize,
        flags: MapFlags,
    ) -> Result<Mapping, MemoryError> {
        let address = self.reserve(pages)?;
        match self.map_at(Handle::SELF, frames, first, pages, address, flags) {
            Ok(()) => Ok(Mapping { address, pages, writable: flags.contains(MapFlags::WRITE) }),
            Err((done, error)) => {
                self.release(address, pages, done);
                Err(error)
            }
        }
    }

    /// Maps at a given address of a space, with page tables from this pool. On an error tells how many pages are mapped.
    pub fn map_at(
        &mut self,
        space: Handle,
        frames: Handle,
        first: u32,
        pages: usize,
        address: u64,
        flags: MapFlags,
    ) -> Result<(), (usize, MemoryError)> {
        let mut done = 0;
        while done < pages {
            let count = (pages - done).min(MAP_MAX);
            let at = address + (done * PAGE_SIZE) as u64;
            match calls::space_map(space, frames, first + done as u32, count as u32, at, flags) {
                Ok(mapped) => done += mapped as usize,
                Err(Error::NoTables) => self.donate(space).map_err(|error| (done, error))?,
                Err(error) => return Err((done, error.into())),
            }
        }
        Ok(())
    }

    /// Unmaps; the addresses are free again.
    pub fn unmap(&mut self, mapping: Mapping) -> Result<(), Error> {
        unmap_pages(mapping.address, mapping.pages)?;
        self.free_addresses(mapping.address, mapping.pages);
        Ok(())
    }

    /// Takes `pages` of free addresses, for calls that map by themselves.
    pub fn reserve(&mut self, pages: usize) -> Result<u64, MemoryError> {
        let first = self.addresses.take(pages as u64, 1).ok_or(MemoryError::OutOfAddresses)?;
        Ok(first * PAGE_SIZE as u64)
    }

    /// Gives back addresses from [`reserve`](Self::reserve), where nothing is mapped.
    pub fn free_addresses(&mut self, address: u64, pages: usize) {
        let returned = self.addresses.give_back(address / PAGE_SIZE as u64, pages as u64);
        debug_assert!(returned, "addresses come from one reserve, and are given back once");
    }

    /// Gives a space a few frames for page tables.
    pub fn donate(&mut self, space: Handle) -> Result<(), MemoryError> {
        let block = self.frames.take(TABLES_AT_ONCE)?;
        match calls::space_donate(space, block.handle) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.frames.give_back(block)?;
                Err(error.into())
            }
        }
    }

    /// Undoes a mapping that got `done` pages far. Addresses that can't be unmapped stay taken.
    fn release(&mut self, address: u64, pages: usize, done: usize) {
        if unmap_pages(address, done).is_ok() {
            self.free_addresses(address, pages);
        }
    }
}

/// Unmaps pages of the own space, in as many calls as it takes.
fn unmap_pages(address: u64, pages: usize) -> Result<(), Error> {
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(MAP_MAX);
        done += calls::space_unmap(Handle::SELF, address + (done * PAGE_SIZE) as u64, count as u64)? as usize;
    }
    Ok(())
}

/// Mapped memory, perhaps shared with other processes.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapping {
    address: u64,
    pages: usize,
    writable: bool,
}

impl Mapping {
    /// Memory that something else mapped (by a call of its own, or before the program began).
    ///
    /// # Safety
    /// The pages must stay mapped as said until the value is given to [`Memory::unmap`], and nothing in them may be
    /// reached in any other way than through it.
    pub unsafe fn from_raw(address: u64, pages: usize, writable: bool) -> Mapping {
        Mapping { address, pages, writable }
    }

    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size in bytes.
    pub fn length(&self) -> usize {
        self.pages * PAGE_SIZE
    }

    /// Whether it was mapped to be written.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Copies bytes in at an offset.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let to = self.check(offset, bytes.len(), true)?;
        // SAFETY: `check` found the range mapped writable; it is no Rust object, and the slice is none of it.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    /// Copies bytes out from an offset. What others write meanwhile may be in them, in part.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.check(offset, bytes.len(), false)?;
        // SAFETY: `check` found the range mapped; it is no Rust object, and the slice is none of it.
        unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Clears all of it; does nothing to one that is read only.
    pub fn zero(&self) {
        let _ = self.clear(0..self.length());
    }

    /// Clears these bytes.
    pub fn clear(&self, bytes: Range<usize>) -> Result<(), OutOfBounds> {
        let length = bytes.end.checked_sub(bytes.start).ok_or(OutOfBounds)?;
        let start = self.check(bytes.start, length, true)?;
        // SAFETY: `check` found them mapped writable, and they are no Rust object.
        unsafe { core::ptr::write_bytes(start, 0, length) };
        Ok(())
    }

    /// All of it as words that others may change. Writing to one that is read only faults.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped for as long as the borrow (unmapping takes the value), aligned to pages, and atomics allow
        // for other writers.
        unsafe { core::slice::from_raw_parts(self.address as *const AtomicU64, self.length() / 8) }
    }

    /// The pointer at `offset`, if `length` bytes from there are inside and writable if asked.
    fn check(&self, offset: usize, length: usize, write: bool) -> Result<*mut u8, OutOfBounds> {
        let end = offset.checked_add(length).ok_or(OutOfBounds)?;
        if end > self.length() || (write && !self.writable) {
            return Err(OutOfBounds);
        }
        Ok((self.address as usize + offset) as *mut u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Page([u8; 2 * PAGE_SIZE]);

    fn mapping(page: &mut Page, writable: bool) -> Mapping {
        // SAFETY: the page outlives the mapping in each test, which reaches it through the mapping alone.
        unsafe { Mapping::from_raw(page.0.as_mut_ptr() as u64, 2, writable) }
    }

    #[test]
    fn copies_stay_inside() {
        let mut page = Page([7; 2 * PAGE_SIZE]);
        let mapping = mapping(&mut page, true);
        assert_eq!(mapping.write(PAGE_SIZE - 1, &[1, 2, 3]), Ok(()));
        let mut bytes = [0; 5];
        assert_eq!(mapping.read(PAGE_SIZE - 2, &mut bytes), Ok(()));
        assert_eq!(bytes, [7, 1, 2, 3, 7]);
        assert_eq!(mapping.write(2 * PAGE_SIZE - 2, &[1, 2, 3]), Err(OutOfBounds));
        assert_eq!(mapping.read(usize::MAX, &mut bytes), Err(OutOfBounds));
        assert_eq!(mapping.clear(PAGE_SIZE + 1..PAGE_SIZE + 4), Ok(()));
        assert_eq!(mapping.read(PAGE_SIZE, &mut bytes), Ok(()));
        assert_eq!(bytes, [2, 0, 0, 0, 7]);
        assert_eq!(mapping.clear(0..2 * PAGE_SIZE + 1), Err(OutOfBounds));
        assert_eq!(mapping.clear(Range { start: 2, end: 1 }), Err(OutOfBounds));
        mapping.zero();
        assert_eq!(mapping.read(PAGE_SIZE, &mut bytes), Ok(()));
        assert_eq!(bytes, [0; 5]);
    }

    #[test]
    fn a_read_only_mapping_is_not_written() {
        let mut page = Page([7; 2 * PAGE_SIZE]);
        let mapping = mapping(&mut page, false);
        assert_eq!(mapping.write(0, &[1]), Err(OutOfBounds));
        mapping.zero();
        assert_eq!(mapping.words()[0].load(core::sync::atomic::Ordering::Relaxed), 0x0707_0707_0707_0707);
    }
}

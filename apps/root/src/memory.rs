//! All free frames of the machine, and root's own address space. A program gets one piece; the piece that comes
//! back is cleared before anybody else sees it.

use alloc::vec::Vec;

use fos_abi::Error;
use fos_abi::boot::root_slot;
use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::PAGE_SIZE;
use fos_abi::space::MapFlags;
use fos_messages::custody;
use libfos::BootFacts;
use libfos::calls;
use libfos::frames::{Block, Pool};
use libfos::memory::{Mapping, Memory, MemoryError};

/// Frames that root keeps for its own mailboxes and page tables: 4 MiB.
const OWN_FRAMES: u64 = 1024;
/// Pages that are mapped at once to be cleared.
const WINDOW_PAGES: u64 = 2048;

/// A range of the machine's frames.
#[derive(Debug)]
struct Range {
    pool: Pool,
    frames: u64,
    /// Frames below this number, of the machine, have been handed out at least once.
    used_below: u64,
}

/// The machine's frames.
#[derive(Debug)]
pub struct Frames {
    ranges: Vec<Range>,
}

/// A piece of the machine's frames, for one program.
#[derive(Debug)]
pub struct Piece {
    range: usize,
    block: Block,
    /// How many of its frames, from the first, may hold what another program left.
    used: u64,
}

impl Piece {
    /// The capability of all of it.
    pub fn handle(&self) -> Handle {
        self.block.handle
    }

    /// How many frames.
    pub fn frames(&self) -> u64 {
        self.block.count()
    }

    /// A capability of a part, with these rights.
    pub fn part(&self, rights: Rights, part: &core::ops::Range<u64>) -> Result<Handle, Error> {
        calls::cap_derive(self.handle(), rights, part.start, part.end - part.start)
    }
}

impl Frames {
    /// The ranges that the kernel gave root at boot.
    pub fn at_boot(facts: &BootFacts) -> Result<Frames, Error> {
        let mut ranges = Vec::new();
        for index in 0..facts.memory_ranges as usize {
            let handle = Handle::new(root_slot::FRAMES + index, 0);
            let info = calls::cap_read(handle)?;
            ranges.push(Range { pool: Pool::new(handle)?, frames: info.length, used_below: info.base });
        }
        Ok(Frames { ranges })
    }

    /// Root's own memory, out of the largest range.
    pub fn own_memory(&mut self) -> Result<Memory, MemoryError> {
        let largest =
            self.ranges.iter_mut().max_by_key(|range| range.frames).ok_or(MemoryError::OutOfFrames)?;
        let block = largest.pool.take(OWN_FRAMES)?;
        let info = calls::cap_read(block.handle)?;
        largest.used_below = largest.used_below.max(info.base + info.length);
        Ok(Memory::new(Pool::new(block.handle)?))
    }

    /// Puts everything aside but so many frames: each range with the capability of all of it. From the smallest range on, so that
    /// what stays is in a row.
    pub fn put_aside(&mut self, stays: u64) -> Result<Vec<(custody::Range, Handle)>, MemoryError> {
        let mut left = self.count().1.saturating_sub(stays);
        let mut by_size: Vec<&mut Range> = self.ranges.iter_mut().collect();
        by_size.sort_by_key(|range| range.frames);
        let mut aside = Vec::new();
        for range in by_size {
            let count = range.pool.free_frames().min(left);
            if count > 0 {
                let block = range.pool.take(count)?;
                let info = calls::cap_read(block.handle)?;
                aside.push((custody::Range { first: info.base, count: info.length }, block.handle));
                range.frames -= count;
                left -= count;
            }
        }
        Ok(aside)
    }

    /// Takes a piece of so many frames in a row.
    pub fn take(&mut self, count: u64) -> Result<Piece, MemoryError> {
        for (index, range) in self.ranges.iter_mut().enumerate() {
            match range.pool.take(count) {
                Err(MemoryError::OutOfFrames) => {}
                Err(error) => return Err(error),
                Ok(block) => {
                    let base = calls::cap_read(block.handle)?.base;
                    let used = range.used_below.saturating_sub(base).min(count);
                    range.used_below = range.used_below.max(base + count);
                    return Ok(Piece { range: index, block, used });
                }
            }
        }
        Err(MemoryError::OutOfFrames)
    }

    /// Ends everything built in a piece and takes it back. On an error the piece stays out of use.
    pub fn give_back(&mut self, piece: Piece) -> Result<(), Error> {
        match self.ranges.get_mut(piece.range) {
            Some(range) => range.pool.give_back(piece.block),
            None => Err(Error::BadArgument),
        }
    }

    /// Frames in all, and those in no piece.
    pub fn count(&self) -> (u64, u64) {
        self.ranges
            .iter()
            .fold((0, 0), |(all, free), range| (all + range.frames, free + range.pool.free_frames()))
    }
}

/// Maps a part of a piece in root's own space, to be written or looked at.
pub fn map(
    memory: &mut Memory,
    piece: &Piece,
    part: &core::ops::Range<u64>,
    flags: MapFlags,
) -> Result<Mapping, MemoryError> {
    memory.map(piece.handle(), part.start as u32, (part.end - part.start) as usize, flags)
}

/// Clears what another program may have left in a part.
pub fn clear_used(
    memory: &mut Memory,
    piece: &Piece,
    part: &core::ops::Range<u64>,
) -> Result<(), MemoryError> {
    let end = part.end.min(piece.used);
    let mut next = part.start;
    while next < end {
        let window = next..end.min(next + WINDOW_PAGES);
        let mapping = map(memory, piece, &window, MapFlags::WRITE)?;
        mapping.zero();
        memory.unmap(mapping)?;
        next = window.end;
    }
    Ok(())
}

/// Bytes of so many pages.
pub fn bytes(pages: u64) -> usize {
    pages as usize * PAGE_SIZE
}

//! A pool of page frames: large capabilities, its *parts*, from which pieces are derived and to which they come back. Parts come
//! and go: a program begins with what root gave it, and gets more from the fleet `pages` ([`crate::pages`]).
//!
//! Frames of a part have consecutive numbers within the pool. Numbers of two parts never touch, so no piece is of two.

use alloc::vec::Vec;

use fos_abi::Error;
use fos_abi::capability::{Handle, Kind, Rights};

use crate::calls;
use crate::memory::MemoryError;
use crate::ranges::Ranges;

/// Numbers of a part begin at a multiple of this, so that what is aligned within the pool is aligned within the part.
const PART_ALIGNMENT: u64 = 1 << 30;

/// Large Frames capabilities and what of them is free.
#[derive(Debug)]
pub struct Pool {
    /// By their numbers.
    parts: Vec<Part>,
    free: Ranges,
}

#[derive(Debug)]
struct Part {
    whole: Handle,
    rights: Rights,
    first: u64,
    count: u64,
}

/// A piece of a pool: a capability of its own over `count` frames in a row. What is built in it changes the
/// handle (a mailbox's handle replaces its frames'); the owner keeps the handle current.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a block that is dropped stays taken"]
pub struct Block {
    /// The derived capability.
    pub handle: Handle,
    /// First frame, within the pool.
    first: u64,
    /// How many frames.
    count: u64,
}

impl Block {
    /// A block of no pool.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Block {
        Block { handle: Handle::NONE, first: 0, count: 0 }
    }

    /// How many frames it has.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Gives up a capability of frames that are not mapped any more. One that was used for a mapping counts as mapped until it is told
/// otherwise.
pub fn give_up(frames: Handle) -> Result<(), Error> {
    calls::frames_unmap(frames)?;
    calls::cap_delete(frames)
}

impl Pool {
    /// A pool over all frames of a capability, from which nothing may be derived yet.
    pub fn new(whole: Handle) -> Result<Pool, Error> {
        let mut pool = Pool { parts: Vec::new(), free: Ranges::default() };
        pool.add(whole)?;
        Ok(pool)
    }

    /// Adds all frames of one more capability, from which nothing may be derived yet.
    pub fn add(&mut self, whole: Handle) -> Result<(), Error> {
        let info = calls::cap_read(whole)?;
        if info.kind != Kind::Frames as u32 {
            return Err(Error::WrongKind);
        }
        let last = self.parts.last().map_or(0, |part| part.first + part.count + 1);
        let first = last.checked_next_multiple_of(PART_ALIGNMENT).ok_or(Error::BadArgument)?;
        let added = self.free.give_back(first, info.length);
        debug_assert!(added, "beyond all numbers of earlier parts");
        self.parts.push(Part { whole, rights: Rights(info.rights as u8), first, count: info.length });
        Ok(())
    }

    /// Takes a part out of which nothing is taken, if it may go; the frames are the caller's again.
    pub fn remove_unused(&mut self, may_go: impl Fn(Handle) -> bool) -> Option<Handle> {
        let free = &mut self.free;
        let index =
            self.parts.iter().position(|part| may_go(part.whole) && free.take_at(part.first, part.count))?;
        Some(self.parts.remove(index).whole)
    }

    fn part_of(&self, number: u64) -> Option<&Part> {
        let after = self.parts.partition_point(|part| part.first <= number);
        self.parts.get(after.checked_sub(1)?)
    }

    /// Derives a piece of `count` frames with all rights of its part.
    pub fn take(&mut self, count: u64) -> Result<Block, MemoryError> {
        self.take_aligned(count, 1)
    }

    /// As [`take`](Self::take), the first frame a multiple of `alignment` (a power of two) within its part.
    pub fn take_aligned(&mut self, count: u64, alignment: u64) -> Result<Block, MemoryError> {
        let first = self.free.take(count, alignment).ok_or(MemoryError::OutOfFrames)?;
        let part = self.part_of(first).ok_or(MemoryError::OutOfFrames)?;
        match calls::cap_derive(part.whole, part.rights, first - part.first, count) {
            Ok(handle) => Ok(Block { handle, first, count }),
            Err(error) => {
                let returned = self.free.give_back(first, count);
                debug_assert!(returned, "taken a few lines above");
                Err(error.into())
            }
        }
    }

    /// Unmaps a piece wherever it is mapped, ends everything derived from it, and takes it back. On an error the piece
    /// stays taken.
    pub fn give_back(&mut self, block: Block) -> Result<(), Error> {
        calls::frames_unmap(block.handle)?;
        calls::cap_revoke(block.handle)?;
        calls::cap_delete(block.handle)?;
        let returned = self.free.give_back(block.first, block.count);
        debug_assert!(returned, "a block comes from one take, and is used up here");
        Ok(())
    }

    /// Frames that are not in any piece.
    pub fn free_frames(&self) -> u64 {
        self.free.free_count()
    }
}

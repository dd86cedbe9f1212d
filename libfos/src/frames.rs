//! A pool of page frames: one large capability, from which pieces are derived and to which they come back.

use fos_abi::Error;
use fos_abi::capability::{Handle, Kind, Rights};

use crate::calls;
use crate::memory::MemoryError;
use crate::ranges::Ranges;

/// A large Frames capability and what of it is free.
#[derive(Debug)]
pub struct Pool {
    whole: Handle,
    rights: Rights,
    free: Ranges,
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

impl Pool {
    /// A pool over all frames of a capability, from which nothing may be derived yet.
    pub fn new(whole: Handle) -> Result<Pool, Error> {
        let info = calls::cap_read(whole)?;
        if info.kind != Kind::Frames as u32 {
            return Err(Error::WrongKind);
        }
        Ok(Pool { whole, rights: Rights(info.rights as u8), free: Ranges::new(0, info.length) })
    }

    /// Derives a piece of `count` frames with all rights of the pool.
    pub fn take(&mut self, count: u64) -> Result<Block, MemoryError> {
        self.take_aligned(count, 1)
    }

    /// As [`take`](Self::take), the first frame a multiple of `alignment` (a power of two) within the pool.
    pub fn take_aligned(&mut self, count: u64, alignment: u64) -> Result<Block, MemoryError> {
        let first = self.free.take(count, alignment).ok_or(MemoryError::OutOfFrames)?;
        match calls::cap_derive(self.whole, self.rights, first, count) {
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

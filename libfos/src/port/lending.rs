//! Messages that are longer than a mailbox takes: in pages that their sender lends to the receiver, with a message that
//! says so.
//!
//! ```text
//!   lender                                                 borrower
//!      writes the message to pages of its own
//!      word "lent", its length, its head  ──mailbox──►     maps the pages, read only, a frame of its own behind them
//!        with the right to map them                        copies the message out, and looks at the copy alone
//!                                                          unmaps, and gives the right up
//!      finds that nobody has the right any more, and uses the pages again
//! ```
//!
//! *Trust.* The lender may write to the pages at any time, end, or take them back: the borrower has its copy, and while it
//! copies finds zeros at worst. The length that was said must be the pages' (to a page), and within [`LENT_MAX`]. A borrower
//! that keeps the right keeps one of the lender's [`LOANS_MAX`] buffers until it ends; the lender sends short messages as
//! before, and answers `Full` to long ones when none is left.
//!
//! The pages stay mapped at the lender, from the first long message on, so that lending is a copy and two calls.

use alloc::vec::Vec;

use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::limits::PAGE_SIZE;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_abi::space::MapFlags;
use fos_abi::{Error, Key};
use fos_messages::rpc::SendError;
use fos_runtime::port::LENT_MAX;

use super::refusal;
use crate::calls;
use crate::frames;
use crate::frames::Block;
use crate::memory::{Mapping, Memory, MemoryError};

/// Messages that one port has lent at a time.
pub const LOANS_MAX: usize = 4;
/// Pages of the longest message.
const PAGES: usize = LENT_MAX.div_ceil(PAGE_SIZE);
/// Frames for all of this: the buffers, one to stand behind what is borrowed, page tables.
pub const FRAMES: u64 = (LOANS_MAX * PAGES) as u64 + 8;

const _: () = assert!(LENT_MAX > MESSAGE_MAX);

/// Pages to lend.
#[derive(Debug)]
struct Buffer {
    block: Block,
    mapping: Mapping,
}

/// Buffers, made when they are needed.
#[derive(Debug, Default)]
pub struct Lender {
    buffers: Vec<Buffer>,
}

impl Lender {
    /// Writes a message to pages and sends `word` with the right to map them.
    pub fn send(
        &mut self,
        memory: &mut Memory,
        to: &Key,
        word: &[u8],
        message: &[u8],
    ) -> Result<(), SendError> {
        if message.len() > LENT_MAX {
            return Err(SendError::TooLong);
        }
        let place = self.free_buffer(memory).ok_or(SendError::Full)?;
        let Buffer { block, mapping } = &self.buffers[place];
        let pages = message.len().div_ceil(PAGE_SIZE);
        // What the pages hold behind the message is an older one's, which was another's to read.
        let rest = &[0; PAGE_SIZE][..pages * PAGE_SIZE - message.len()];
        let written = mapping.write(0, message).and_then(|()| mapping.write(message.len(), rest));
        written.map_err(|_| SendError::TooLong)?;
        let right = calls::cap_derive(block.handle, Rights::READ.with(Rights::MOVE), 0, pages as u64);
        let right = right.map_err(|_| SendError::Full)?;
        calls::send_with(to, word, right).map(|_| ()).map_err(|error| {
            // Not sent, so it is still here; the next long message would find the buffer lent if it stayed.
            let _ = calls::cap_delete(right);
            match error {
                // Capabilities go along only from the home core of the sender's space.
                Error::WrongCore => SendError::TooLong,
                error => refusal(error),
            }
        })
    }

    /// A buffer that nobody else has a right to, made if there may be one more.
    fn free_buffer(&mut self, memory: &mut Memory) -> Option<usize> {
        let is_free =
            |buffer: &Buffer| calls::cap_read(buffer.block.handle).is_ok_and(|info| info.children == 0);
        if let Some(place) = self.buffers.iter().position(is_free) {
            return Some(place);
        }
        if self.buffers.len() == LOANS_MAX {
            return None;
        }
        let (block, mapping) = memory.allocate(PAGES).ok()?;
        self.buffers.push(Buffer { block, mapping });
        Some(self.buffers.len() - 1)
    }

    /// Buffers that are lent.
    pub fn lent(&self) -> usize {
        let children =
            |buffer: &&Buffer| calls::cap_read(buffer.block.handle).is_ok_and(|info| info.children > 0);
        self.buffers.iter().filter(children).count()
    }
}

/// Copies a message out of pages that were lent with this right, which is given up. An error leaves nothing behind.
pub fn borrow(memory: &mut Memory, right: Handle, length: usize) -> Result<Vec<u8>, MemoryError> {
    let copied = Borrowed::map(memory, right, length).and_then(|borrowed| {
        let copied = borrowed.copy();
        borrowed.end(memory)?;
        copied
    });
    // Refused only if it is gone already, because the lender has ended.
    let _ = frames::give_up(right);
    copied
}

/// Pages of a lender that are mapped here: for as long as it takes to copy them, whatever becomes of the lender meanwhile.
#[derive(Debug)]
pub struct Borrowed {
    mapping: Mapping,
    /// The frame that stands where the lender's were when they are gone.
    behind: Block,
    /// Bytes.
    length: usize,
}

impl Borrowed {
    /// Maps the pages of a message of this length. `BadArgument`: they are not as many. An error leaves nothing mapped.
    pub fn map(memory: &mut Memory, right: Handle, length: usize) -> Result<Borrowed, MemoryError> {
        let info = calls::cap_read(right)?;
        let pages = length.div_ceil(PAGE_SIZE);
        if length > LENT_MAX || info.kind != Kind::Frames as u32 || info.length != pages as u64 {
            return Err(Error::BadArgument.into());
        }
        let behind = memory.frames.take(1)?;
        let mapped = calls::frames_fallback(right, behind.handle)
            .map_err(MemoryError::from)
            .and_then(|()| memory.map(right, 0, pages, MapFlags::READ));
        match mapped {
            Ok(mapping) => Ok(Borrowed { mapping, behind, length }),
            Err(error) => {
                memory.frames.give_back(behind)?;
                Err(error)
            }
        }
    }

    /// The message, as far as the lender lets it be read: zeros where its pages are gone.
    pub fn copy(&self) -> Result<Vec<u8>, MemoryError> {
        let mut message = Vec::new();
        message.try_reserve_exact(self.length).map_err(|_| MemoryError::OutOfFrames)?;
        message.resize(self.length, 0);
        self.mapping.read(0, &mut message).map_err(|_| Error::BadArgument)?;
        Ok(message)
    }

    /// Unmaps the pages. The right to them is still to be given up.
    pub fn end(self, memory: &mut Memory) -> Result<(), MemoryError> {
        let unmapped = memory.unmap(self.mapping);
        memory.frames.give_back(self.behind)?;
        unmapped.map_err(MemoryError::from)
    }
}

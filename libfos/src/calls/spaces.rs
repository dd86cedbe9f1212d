//! Calls on address spaces and on the mappings of frames.

use fos_abi::Error;
use fos_abi::calls::Call;
use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;

use super::{answer, done, handle, selector};
use crate::arch::call::{call1, call2, call3, call4, call5};

/// First and count of a range in one argument, as `space_map` takes them.
#[inline(always)]
pub(super) fn range_word(first: u32, count: u32) -> u64 {
    u64::from(first) | u64::from(count) << 32
}

/// How many mappings a frame has (`index` within the capability).
pub fn frame_read(frames: Handle, index: u64) -> Result<u64, Error> {
    // SAFETY: no pointers.
    answer(unsafe { call2(selector(Call::frame_read), u64::from(frames.0), index) })
}

/// Makes an address space with a capability table of `table_frames`, at home on `core`.
pub fn space_create(frames: Handle, table_frames: usize, core: u64) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    handle(unsafe { call3(selector(Call::space_create), u64::from(frames.0), table_frames as u64, core) })
}

/// Gives a space frames for its page tables.
pub fn space_donate(space: Handle, frames: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call2(selector(Call::space_donate), u64::from(space.0), u64::from(frames.0)) })
}

/// Maps `count` frames from `first` (within the capability) at an address; answers with the pages done.
#[inline]
pub fn space_map(
    space: Handle,
    frames: Handle,
    first: u32,
    count: u32,
    address: u64,
    flags: MapFlags,
) -> Result<u64, Error> {
    // SAFETY: no pointers; the kernel refuses an address where something is mapped.
    let answers = unsafe {
        call5(
            selector(Call::space_map),
            u64::from(space.0),
            u64::from(frames.0),
            range_word(first, count),
            address,
            u64::from(flags.0),
        )
    };
    answer(answers)
}

/// Unmaps `count` pages; when it returns, no core can still reach them. Answers with the pages done.
#[inline]
pub fn space_unmap(space: Handle, address: u64, count: u64) -> Result<u64, Error> {
    // SAFETY: no pointers; see `calls` for what safe means of mappings.
    answer(unsafe { call3(selector(Call::space_unmap), u64::from(space.0), address, count) })
}

/// Changes how pages are mapped, within the rights they were mapped with. Answers with the pages done.
#[inline]
pub fn space_protect(space: Handle, address: u64, count: u64, flags: MapFlags) -> Result<u64, Error> {
    // SAFETY: no pointers; see `calls` for what safe means of mappings.
    let answers = unsafe {
        call4(selector(Call::space_protect), u64::from(space.0), address, count, u64::from(flags.0))
    };
    answer(answers)
}

/// Reads and clears the dirty bits of up to 64 pages: bit `n` is the page at `address + n` pages.
pub fn space_dirty(space: Handle, address: u64, count: u64) -> Result<u64, Error> {
    // SAFETY: no pointers.
    answer(unsafe { call3(selector(Call::space_dirty), u64::from(space.0), address, count) })
}

/// Undoes every mapping made with a capability.
pub fn frames_unmap(frames: Handle) -> Result<(), Error> {
    // SAFETY: no pointers; see `calls` for what safe means of mappings.
    done(unsafe { call1(selector(Call::frames_unmap), u64::from(frames.0)) })
}

/// Names the private frame that takes the place of shared frames when they are revoked.
pub fn frames_fallback(frames: Handle, zero_frame: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call2(selector(Call::frames_fallback), u64::from(frames.0), u64::from(zero_frame.0)) })
}

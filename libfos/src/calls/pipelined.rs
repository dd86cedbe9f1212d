//! Calls that are started and not waited for. `Ok` means: begun. How it ended appears in the thread's area, in
//! `completions[ticket]`, whose count then goes up by one. A ticket (below [`PIPELINE_MAX`](fos_abi::limits)) may be
//! used again only after that.

use fos_abi::Error;
use fos_abi::calls::{Call, PIPELINED, TICKET_SHIFT};
use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;

use super::spaces::range_word;
use super::{done, selector};
use crate::arch::call::{call1, call3, call4, call5};

/// `call`, to be completed under `ticket`.
fn pipelined(call: Call, ticket: u32) -> u32 {
    selector(call) | PIPELINED | (ticket & 0xf) << TICKET_SHIFT
}

/// Begins [`super::cap_revoke`].
pub fn cap_revoke(ticket: u32, capability: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(pipelined(Call::cap_revoke, ticket), u64::from(capability.0)) })
}

/// Begins [`super::space_map`].
pub fn space_map(
    ticket: u32,
    space: Handle,
    frames: Handle,
    first: u32,
    count: u32,
    address: u64,
    flags: MapFlags,
) -> Result<(), Error> {
    // SAFETY: no pointers; the kernel refuses an address where something is mapped.
    let answers = unsafe {
        call5(
            pipelined(Call::space_map, ticket),
            u64::from(space.0),
            u64::from(frames.0),
            range_word(first, count),
            address,
            u64::from(flags.0),
        )
    };
    done(answers)
}

/// Begins [`super::space_unmap`].
pub fn space_unmap(ticket: u32, space: Handle, address: u64, count: u64) -> Result<(), Error> {
    // SAFETY: no pointers; see `calls` for what safe means of mappings.
    done(unsafe { call3(pipelined(Call::space_unmap, ticket), u64::from(space.0), address, count) })
}

/// Begins [`super::space_protect`].
pub fn space_protect(
    ticket: u32,
    space: Handle,
    address: u64,
    count: u64,
    flags: MapFlags,
) -> Result<(), Error> {
    // SAFETY: no pointers; see `calls` for what safe means of mappings.
    let answers = unsafe {
        call4(pipelined(Call::space_protect, ticket), u64::from(space.0), address, count, u64::from(flags.0))
    };
    done(answers)
}

/// Begins [`super::frames_unmap`].
pub fn frames_unmap(ticket: u32, frames: Handle) -> Result<(), Error> {
    // SAFETY: no pointers; see `calls` for what safe means of mappings.
    done(unsafe { call1(pipelined(Call::frames_unmap, ticket), u64::from(frames.0)) })
}

/// Begins [`super::thread_stop`].
pub fn thread_stop(ticket: u32, thread: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(pipelined(Call::thread_stop, ticket), u64::from(thread.0)) })
}

/// Begins [`super::destroy`].
pub fn destroy(ticket: u32, object: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(pipelined(Call::destroy, ticket), u64::from(object.0)) })
}

//! The kernel's calls with types: one function per call of [`fos_abi::calls`], under the call's name, with its
//! errors as `Err`. What a call means is told there and in `docs/calls.md`.
//!
//! *What safe means here.* A pointer reaches the kernel only as a reference or slice of the right type, so no call
//! makes the kernel write where Rust does not expect it; [`raw`] alone is unsafe. What a call does to *mappings* is
//! outside of that promise, as `/proc/self/mem` is on Linux: who unmaps or revokes memory of its own space takes
//! it from its own feet. [`crate::memory`] maps and unmaps so that the compiler watches.

mod capabilities;
mod mailboxes;
pub mod pipelined;
mod spaces;
mod threads;

pub use capabilities::*;
pub use mailboxes::*;
pub use spaces::*;
pub use threads::*;

use fos_abi::Error;
use fos_abi::calls::{Call, NATIVE};
use fos_abi::capability::Handle;

use crate::arch::call::{call0, call6};

/// What goes into `eax` for `call`.
const fn selector(call: Call) -> u32 {
    NATIVE | call as u32
}

/// Turns the kernel's two answers into the call's value or its error.
#[inline(always)]
fn answer((status, value): (u64, u64)) -> Result<u64, Error> {
    if status == 0 { Ok(value) } else { Err(error(status)) }
}

/// As [`answer`], for calls without a value.
#[inline(always)]
fn done(answers: (u64, u64)) -> Result<(), Error> {
    answer(answers).map(|_| ())
}

/// As [`answer`], for calls whose value is a handle.
#[inline(always)]
fn handle(answers: (u64, u64)) -> Result<Handle, Error> {
    answer(answers).map(|value| Handle(value as u32))
}

/// The error with this number. The kernel gives no number without an error; a newer kernel's new error reads as
/// `BadCall`.
#[cold]
fn error(status: u64) -> Error {
    Error::from_number(status as u32).unwrap_or(Error::BadCall)
}

/// Nothing: what entering the kernel costs.
#[inline(always)]
pub fn null() {
    // SAFETY: the call does nothing.
    let _ = unsafe { call0(selector(Call::null)) };
}

/// Any call with any arguments: `eax` is `number` with `NATIVE` set. Answers with `rax` and `rdx` as they are.
///
/// # Safety
/// Whatever the call does with these arguments must be sound: the kernel writes where a pointer says.
#[inline(always)]
pub unsafe fn raw(number: u32, arguments: [u64; 6]) -> (u64, u64) {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller's promise.
    unsafe { call6(NATIVE | number, a, b, c, d, e, f) }
}

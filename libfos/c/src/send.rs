//! Sending with a key.

use fos_abi::{Error, Key};
use libfos::clock::Deadline;
use libfos::mailbox::Sender;

use crate::{Process, Status};

/// The bytes of a message.
///
/// # Safety
/// `length` bytes from `bytes` must be readable, and nobody may write them while the result is used.
pub(crate) unsafe fn message<'a>(bytes: *const u8, length: usize) -> Result<&'a [u8], Error> {
    match bytes.is_null() {
        true if length == 0 => Ok(&[]),
        true => Err(Error::BadAddress),
        // SAFETY: the caller's promise; not null.
        false => Ok(unsafe { core::slice::from_raw_parts(bytes, length) }),
    }
}

/// Sends, or answers `Full` at once.
///
/// # Safety
/// `length` bytes from `bytes` must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_try_send(key: Option<&Key>, bytes: *const u8, length: usize) -> Status {
    let Some(key) = key else { return Error::BadAddress.into() };
    // SAFETY: the caller's promise; the slice is gone when this returns.
    Status::of(unsafe { message(bytes, length) }.and_then(|message| Sender::new(*key).send(message)))
}

/// Sends, and waits for room until the deadline, then answers `Full`.
///
/// # Safety
/// `length` bytes from `bytes` must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_send(
    fos: Option<&Process>,
    key: Option<&Key>,
    bytes: *const u8,
    length: usize,
    deadline: u64,
) -> Status {
    let (Some(fos), Some(key)) = (fos, key) else { return Error::BadAddress.into() };
    // SAFETY: the caller's promise; the slice is gone when this returns.
    let message = unsafe { message(bytes, length) };
    let deadline = Deadline(deadline);
    Status::of(message.and_then(|message| Sender::new(*key).send_until(message, fos.clock, deadline)))
}

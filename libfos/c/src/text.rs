//! Text to the program's streams, a message per call as long as it fits one.

use fos_abi::Error;
use libfos::console::{Stream, Text};

use crate::status::Status;

/// `FOS_OUT`.
pub const OUT: u32 = 0;
/// `FOS_ERROR_STREAM`.
pub const ERROR: u32 = 1;
/// `FOS_CONSOLE`.
pub const CONSOLE: u32 = 2;

/// Writes bytes to a stream.
///
/// # Safety
/// `length` bytes from `bytes` must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_write(stream: u32, bytes: *const u8, length: usize) -> Status {
    if bytes.is_null() && length > 0 {
        return Error::BadAddress.into();
    }
    let stream = match stream {
        OUT => Stream::Out,
        ERROR => Stream::Error,
        CONSOLE => Stream::Console,
        _ => return Error::BadArgument.into(),
    };
    let Some(mut text) = Text::to(stream) else { return Error::BadKey.into() };
    if length > 0 {
        // SAFETY: the caller's promise; not null, and the slice is gone when this returns.
        let sent = text.write_bytes(unsafe { core::slice::from_raw_parts(bytes, length) });
        if let Err(error) = sent {
            return error.into();
        }
    }
    Status::of(text.flush())
}

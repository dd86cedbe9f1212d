//! `writev(descriptor, vector, count)`: the buffers one after another.

use crate::errno::Errno;
use crate::process::{Process, get};
use crate::system::System;
use super::write::{sink, transfer};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::writev, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, vector, count, ..] = arguments;
    let stream = sink(process, descriptor)?;
    if count > VECTORS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    for index in 0..count {
        let at = vector.checked_add(index * VECTOR_BYTES).ok_or(Errno::EFAULT)?;
        let buffer = u64::from_le_bytes(get(system, at)?);
        let length = u64::from_le_bytes(get(system, at.wrapping_add(8))?);
        match transfer(system, stream, buffer, length) {
            Ok(written) if written < length => return Ok(done + written),
            Ok(written) => done += written,
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Most buffers of one call (UIO_MAXIOV).
pub const VECTORS_MAX: u64 = 1024;
/// Bytes of `struct iovec`.
const VECTOR_BYTES: u64 = 16;

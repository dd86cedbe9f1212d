//! `write(descriptor, buffer, length)`: what a program writes becomes messages to whoever takes its output.

use alloc::vec;
use crate::descriptors::Description;
use crate::errno::Errno;
use crate::process::{Process, TRANSFER_MAX};
use crate::system::{Stream, System};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::write, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, buffer, length, ..] = arguments;
    let stream = sink(process, descriptor)?;
    transfer(system, stream, buffer, length)
}

/// The stream behind a descriptor. EBADF if it is not open for writing.
pub fn sink(process: &Process, descriptor: u64) -> Result<Stream, Errno> {
    match process.descriptors.get(descriptor)?.description {
        Description::Sink(stream) => Ok(stream),
        Description::Input => Err(Errno::EBADF),
    }
}

/// Copies bytes of the program to a stream, piece by piece. A bad pointer after the first piece makes the write
/// short, as write(2) allows; before it, it is EFAULT.
pub fn transfer(system: &mut dyn System, stream: Stream, buffer: u64, length: u64) -> Answer {
    let mut piece = vec![0; length.min(TRANSFER_MAX as u64) as usize];
    let mut done = 0;
    while done < length {
        let take = (length - done).min(piece.len() as u64) as usize;
        let from = buffer.checked_add(done).ok_or(Errno::EFAULT);
        match from.and_then(|from| system.read(from, &mut piece[..take]).map_err(|_| Errno::EFAULT)) {
            Ok(()) => {}
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        system.output(stream, &piece[..take]).map_err(|_| Errno::EIO)?;
        done += take as u64;
    }
    Ok(done)
}

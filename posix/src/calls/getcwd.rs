//! `getcwd(buffer, size)`: the root directory.

use crate::errno::Errno;
use crate::process::{Process, put};
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::getcwd, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [buffer, size, ..] = arguments;
    if size < DIRECTORY.len() as u64 {
        return Err(Errno::ERANGE);
    }
    put(system, buffer, DIRECTORY)?;
    Ok(DIRECTORY.len() as u64)
}

const DIRECTORY: &[u8] = b"/\0";

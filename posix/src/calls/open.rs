//! `open(path, flags, mode)`: there are no files yet.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::open, support: Support::Partial, note: "every path: ENOENT; the root directory: EACCES", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [path, ..] = arguments;
    open_path(&process.read_path(system, path)?)
}

/// Opens a path: none can be.
pub fn open_path(path: &str) -> Answer {
    Err(if is_root(path) { Errno::EACCES } else { Errno::ENOENT })
}

/// Whether a path names the root directory, which is also where every process is.
pub fn is_root(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| matches!(part, "" | "." | ".."))
}

//! `openat(directory, path, flags, mode)`: there are no files yet.

use crate::process::Process;
use crate::system::System;
use super::open::open_path;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::openat, support: Support::Partial, note: "every path: ENOENT; the root directory: EACCES", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [_, path, ..] = arguments;
    open_path(&process.read_path(system, path)?)
}

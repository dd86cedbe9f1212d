//! `access(path, mode)`: the root directory can be read and searched by all, written by none.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use linux_raw_sys::general::W_OK;
use super::open::is_root;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::access, support: Support::Partial, note: "paths other than the root directory: ENOENT", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [path, mode, ..] = arguments;
    match is_root(&process.read_path(system, path)?) {
        true if mode as u32 & W_OK != 0 => Err(Errno::EACCES),
        true => Ok(0),
        false => Err(Errno::ENOENT),
    }
}

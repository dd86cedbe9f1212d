//! `newfstatat(directory, path, status, flags)`: there are no files but the root directory yet.

use crate::errno::Errno;
use crate::process::{Process, put};
use crate::system::System;
use linux_raw_sys::general::{AT_EMPTY_PATH, AT_FDCWD};
use super::fstat::of_root;
use super::open::is_root;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::newfstatat, support: Support::Partial, note: "paths other than the root directory: ENOENT", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [directory, path, status, flags, ..] = arguments;
    let path = process.read_path(system, path)?;
    if path.is_empty() && flags as u32 & AT_EMPTY_PATH != 0 && directory as i32 != AT_FDCWD {
        return (super::fstat::ENTRY.handler)(process, system, [directory, status, 0, 0, 0, 0]);
    }
    match is_root(&path) {
        true => put(system, status, &of_root()).map(|()| 0),
        false => Err(Errno::ENOENT),
    }
}

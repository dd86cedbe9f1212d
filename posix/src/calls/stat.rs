//! `stat(path, status)`: as `newfstatat`; there are no links.

use crate::errno::Errno;
use crate::process::{Process, put};
use crate::system::System;
use super::fstat::of_root;
use super::open::is_root;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::stat, support: Support::Partial, note: "paths other than the root directory: ENOENT", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [path, status, ..] = arguments;
    match is_root(&process.read_path(system, path)?) {
        true => put(system, status, &of_root()).map(|()| 0),
        false => Err(Errno::ENOENT),
    }
}

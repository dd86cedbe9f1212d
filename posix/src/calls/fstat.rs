//! `fstat(descriptor, status)`: the standard streams are pipes.

use core::mem::offset_of;
use crate::descriptors::Description;
use crate::layout::Bytes;
use crate::process::{Process, put};
use crate::system::{PAGE, Stream, System};
use linux_raw_sys::general::{S_IFDIR, S_IFIFO, stat as Stat};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::fstat, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, status, ..] = arguments;
    let entry = process.descriptors.get(descriptor)?;
    put(system, status, &of_stream(entry.description)).map(|()| 0)
}

/// `struct stat` of a standard stream; each has an inode number of its own.
pub fn of_stream(description: Description) -> [u8; size_of::<Stat>()] {
    let inode = match description {
        Description::Input => 1,
        Description::Sink(Stream::Output) => 2,
        Description::Sink(Stream::Error) => 3,
    };
    status(inode, S_IFIFO | 0o600, 1)
}

/// `struct stat` of the root directory, the only file there is.
pub fn of_root() -> [u8; size_of::<Stat>()] {
    status(4, S_IFDIR | 0o755, 2)
}

fn status(inode: u64, mode: u32, links: u64) -> [u8; size_of::<Stat>()] {
    Bytes::new()
        .u64(offset_of!(Stat, st_ino), inode)
        .u64(offset_of!(Stat, st_nlink), links)
        .u32(offset_of!(Stat, st_mode), mode)
        .u64(offset_of!(Stat, st_blksize), PAGE)
        .0
}

//! `readlink(path, buffer, size)`: the program's own file, by its usual name.

use crate::errno::Errno;
use crate::process::{Process, put};
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::readlink, support: Support::Partial, note: "only /proc/self/exe", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [path, buffer, size, ..] = arguments;
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    if process.read_path(system, path)? != "/proc/self/exe" {
        return Err(Errno::ENOENT);
    }
    let target = process.executable.as_bytes();
    let told = &target[..target.len().min(size as u32 as usize)];
    put(system, buffer, told)?;
    Ok(told.len() as u64)
}

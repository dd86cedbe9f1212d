//! `dup3(old, new, flags)`: as `dup2`, but the same number twice is an error, and O_CLOEXEC may be asked for.

use crate::descriptors::Descriptor;
use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use linux_raw_sys::general::O_CLOEXEC;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::dup3, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [old, new, flags, ..] = arguments;
    let close_on_exec = match flags as u32 {
        0 => false,
        O_CLOEXEC => true,
        _ => return Err(Errno::EINVAL),
    };
    if old as u32 == new as u32 {
        return Err(Errno::EINVAL);
    }
    let same = process.descriptors.get(old)?;
    process.descriptors.replace(new, Descriptor { close_on_exec, ..same })
}

//! `sysinfo(information)`: uptime; memory counts come with the pages fleet.

use core::mem::offset_of;
use crate::layout::Bytes;
use crate::process::{Process, put};
use crate::system::System;
use linux_raw_sys::system::sysinfo as Information;
use super::clock_gettime::SECOND;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::sysinfo, support: Support::Partial, note: "only uptime and the number of processes; memory is 0", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [information, ..] = arguments;
    let seconds = system.nanoseconds() / SECOND;
    let bytes = Bytes::<{ size_of::<Information>() }>::new()
        .u64(offset_of!(Information, uptime), seconds)
        .put(offset_of!(Information, procs), &1u16.to_le_bytes())
        .u32(offset_of!(Information, mem_unit), 1);
    put(system, information, &bytes.0).map(|()| 0)
}

//! `arch_prctl(code, address)`: the base of FS, where a C library keeps its thread. GS is the personality's own.

use alloc::format;
use crate::errno::Errno;
use crate::process::{Process, put};
use crate::system::System;
use fos_abi::limits::USER_END;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

// Linux's arch/x86/include/uapi/asm/prctl.h, which linux-raw-sys leaves out.
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::arch_prctl, support: Support::Partial, note: "ARCH_SET_GS and ARCH_GET_GS: GS belongs to the personality", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [code, address, ..] = arguments;
    match code as u32 {
        ARCH_SET_FS => set_base(process, system, address),
        ARCH_GET_FS => {
            let base = system.thread_pointer();
            put(system, address, &base.to_le_bytes()).map(|()| 0)
        }
        _ => {
            process.note(system, &format!("arch_prctl({code:#x}, {address:#x}) is not supported: EINVAL"));
            Err(Errno::EINVAL)
        }
    }
}

fn set_base(process: &mut Process, system: &mut dyn System, address: u64) -> Answer {
    if address >= USER_END {
        return Err(Errno::EPERM);
    }
    if !system.set_thread_pointer(address) {
        process.note(system, "arch_prctl(ARCH_SET_FS): this CPU has no FSGSBASE, programs with threads' data cannot run");
        return Err(Errno::ENODEV);
    }
    Ok(0)
}

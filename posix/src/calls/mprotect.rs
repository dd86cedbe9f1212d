//! `mprotect(address, length, protection)`.

use crate::process::Process;
use crate::system::System;
use super::mmap::read_protection;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::mprotect, support: Support::Partial, note: "writable and executable at once: EPERM; PROT_GROWSDOWN: EINVAL", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [address, length, protection, ..] = arguments;
    let protection = read_protection(protection)?;
    process.memory.protect(system, address, length, protection).map(|()| 0)
}

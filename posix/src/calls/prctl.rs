//! `prctl(operation, ...)`: the thread's name.

use crate::errno::Errno;
use crate::process::{Process, get, put};
use crate::system::System;
use linux_raw_sys::prctl::{PR_GET_NAME, PR_SET_NAME};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::prctl, support: Support::Partial, note: "only PR_GET_NAME and PR_SET_NAME", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [operation, address, ..] = arguments;
    match operation as u32 {
        PR_GET_NAME => put(system, address, &process.name).map(|()| 0),
        PR_SET_NAME => {
            process.name = get(system, address)?;
            process.name[15] = 0;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

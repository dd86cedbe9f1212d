//! `set_robust_list(head, length)`: accepted; with one thread nobody waits for a lock of a dead one.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::set_robust_list, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [_, length, ..] = arguments;
    if length == HEAD_BYTES { Ok(0) } else { Err(Errno::EINVAL) }
}

/// Bytes of `struct robust_list_head`.
const HEAD_BYTES: u64 = size_of::<linux_raw_sys::general::robust_list_head>() as u64;

//! `umask(mask)`: kept for files to come.

use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::umask, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [mask, ..] = arguments;
    let old = core::mem::replace(&mut process.file_mode_mask, mask as u32 & 0o777);
    Ok(u64::from(old))
}

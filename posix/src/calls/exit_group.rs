//! `exit_group(status)`: ends the process.

use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::exit_group, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [status, ..] = arguments;
    process.exit = Some(status as u8);
    Ok(0)
}

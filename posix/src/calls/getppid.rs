//! `getppid()`: whoever started the process is outside of what it can see, as in a fresh PID namespace.

use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::getppid, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, _: &mut dyn System, _: [u64; 6]) -> Answer {
    Ok(0)
}

//! `sched_yield()`.

use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::sched_yield, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, _: [u64; 6]) -> Answer {
    system.yield_now();
    Ok(0)
}

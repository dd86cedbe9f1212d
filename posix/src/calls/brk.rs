//! `brk(end)`: moves the end of the heap and answers where it is; never an error (brk(2), "C library/kernel differences").

use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::brk, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [end, ..] = arguments;
    Ok(process.memory.set_heap_end(system, end))
}

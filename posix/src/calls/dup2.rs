//! `dup2(old, new)`: exactly that number for the same thing.

use crate::descriptors::Descriptor;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::dup2, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [old, new, ..] = arguments;
    let same = process.descriptors.get(old)?;
    if old as u32 == new as u32 {
        return Ok(u64::from(new as u32));
    }
    process.descriptors.replace(new, Descriptor::open(same.description))
}

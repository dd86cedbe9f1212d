//! `dup(descriptor)`: the lowest free number for the same thing.

use crate::descriptors::Descriptor;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::dup, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, ..] = arguments;
    let same = process.descriptors.get(descriptor)?;
    process.descriptors.add(Descriptor::open(same.description), 0)
}

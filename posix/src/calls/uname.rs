//! `uname(names)`: the names of a Linux whose calls these are, so that C libraries agree to run.

use core::mem::offset_of;
use crate::layout::Bytes;
use crate::process::{Process, put};
use crate::system::System;
use linux_raw_sys::system::new_utsname as Names;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::uname, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [names, ..] = arguments;
    let bytes = Bytes::<{ size_of::<Names>() }>::new()
        .put(offset_of!(Names, sysname), b"Linux")
        .put(offset_of!(Names, nodename), b"fos")
        .put(offset_of!(Names, release), RELEASE.as_bytes())
        .put(offset_of!(Names, version), VERSION.as_bytes())
        .put(offset_of!(Names, machine), b"x86_64")
        .put(offset_of!(Names, domainname), b"(none)");
    put(system, names, &bytes.0).map(|()| 0)
}

/// The Linux whose interface this is (the headers of Debian 12), and that it is not it.
const RELEASE: &str = "6.1.0-fos";
const VERSION: &str = concat!("fos ", env!("CARGO_PKG_VERSION"));

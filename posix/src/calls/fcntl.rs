//! `fcntl(descriptor, command, argument)`: duplicates and flags.

use crate::descriptors::{Description, Descriptor};
use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use linux_raw_sys::general::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_RDONLY, O_WRONLY,
};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::fcntl, support: Support::Partial, note: "no locks, owners, leases or pipe sizes; O_NONBLOCK and O_APPEND are accepted and change nothing", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, command, argument, ..] = arguments;
    let entry = process.descriptors.get(descriptor)?;
    match command as u32 {
        F_DUPFD => process.descriptors.add(Descriptor::open(entry.description), argument as usize),
        F_DUPFD_CLOEXEC => {
            process.descriptors.add(Descriptor { close_on_exec: true, ..entry }, argument as usize)
        }
        F_GETFD => Ok(if entry.close_on_exec { u64::from(FD_CLOEXEC) } else { 0 }),
        F_SETFD => {
            let close = argument as u32 & FD_CLOEXEC != 0;
            process.descriptors.set_close_on_exec(descriptor, close).map(|()| 0)
        }
        F_GETFL => Ok(u64::from(access_mode(entry.description))),
        F_SETFL => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn access_mode(description: Description) -> u32 {
    match description {
        Description::Input => O_RDONLY,
        Description::Sink(_) => O_WRONLY,
    }
}

//! The table of Linux calls: one file each, named after the call. The table is what the program meets and what
//! `docs/linux-compat/README.md` tells; a test keeps the two equal.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use alloc::format;
use alloc::string::String;
use syscalls::Sysno;

/// What a call answers: the value in `rax`, or an error number.
pub type Answer = Result<u64, Errno>;

/// A call's code: the process, what lies below, the six argument registers.
pub type Handler = fn(&mut Process, &mut dyn System, [u64; 6]) -> Answer;

/// How much of a call is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As its manual page says, for what a process can have today.
    Full,
    /// With the limits that the note names.
    Partial,
    /// Answered with an error on purpose, as the note says, because programs expect it to be asked for.
    Refused,
}

/// One line of the table.
pub struct Entry {
    /// Number and name.
    pub number: Sysno,
    /// How much of it is there.
    pub support: Support,
    /// What is left out, in a few words.
    pub note: &'static str,
    /// Its code.
    pub handler: Handler,
}

macro_rules! table {
    ($($name:ident)*) => {
        $(pub mod $name;)*
        /// Every supported call, by name.
        pub const TABLE: &[Entry] = &[$($name::ENTRY),*];
    };
}

table! {
    access arch_prctl brk clock_getres clock_gettime clock_nanosleep close dup dup2 dup3 exit exit_group
    fcntl fstat futex getcwd getegid geteuid getgid getgroups getpgrp getpid getppid getrandom gettid
    gettimeofday getuid ioctl kill lseek lstat mmap mprotect munmap nanosleep newfstatat open openat prctl
    prlimit64 read readlink readv rseq rt_sigaction rt_sigprocmask sched_getaffinity sched_yield sendfile
    set_robust_list set_tid_address stat sysinfo tgkill time tkill umask uname write writev
}

/// Call numbers end below this (the table of x86-64 ends at 462 today; unused numbers stay empty).
pub(crate) const NUMBERS: usize = 512;
const NOT_SUPPORTED: u8 = u8::MAX;

/// Position in [`TABLE`] by call number.
static INDEX: [u8; NUMBERS] = index();

const fn index() -> [u8; NUMBERS] {
    let mut index = [NOT_SUPPORTED; NUMBERS];
    let mut position = 0;
    while position < TABLE.len() {
        index[TABLE[position].number as usize] = position as u8;
        position += 1;
    }
    index
}

/// The entry for a number as it came in `rax`. Linux looks at the low 32 bits.
pub fn find(number: u64) -> Option<&'static Entry> {
    TABLE.get(usize::from(*INDEX.get(number as u32 as usize)?))
}

/// The table as `docs/linux-compat/README.md` holds it.
pub fn markdown() -> String {
    let mut text = String::from("| call | number | support | what is left out |\n|---|---|---|---|\n");
    for entry in TABLE {
        let support = match entry.support {
            Support::Full => "full",
            Support::Partial => "partial",
            Support::Refused => "refused",
        };
        let (name, number) = (entry.number.name(), entry.number as usize);
        text += &format!("| `{name}` | {number} | {support} | {} |\n", entry.note);
    }
    text
}

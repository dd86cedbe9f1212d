//! The table of calls, and what each call says to bad arguments.

use super::fake::{DATA, call, put_text, start, text};
use crate::calls::{NUMBERS, TABLE, find, markdown};
use crate::errno::Errno;
use crate::process::Outcome;
use proptest::prelude::*;
use syscalls::Sysno;

const DOCUMENT: &str = include_str!("../../../docs/linux-compat/README.md");
const BEGIN: &str = "<!-- calls: begin -->\n";
const END: &str = "<!-- calls: end -->\n";

#[test]
fn the_document_holds_the_table() {
    let (_, after) = DOCUMENT.split_once(BEGIN).expect("the table's beginning is marked");
    let (table, _) = after.split_once(END).expect("the table's end is marked");
    assert_eq!(table, markdown(), "put the table that the code has between the marks of the document");
}

#[test]
fn every_call_is_found_by_its_number_and_only_there() {
    for entry in TABLE {
        assert_eq!(find(entry.number as u64).map(|found| found.number), Some(entry.number));
    }
    let found = (0..NUMBERS as u64).filter(|number| find(*number).is_some()).count();
    assert_eq!(found, TABLE.len());
    assert!(find(NUMBERS as u64).is_none() && find(u64::MAX).is_none());
}

#[test]
fn an_unsupported_call_is_named_once() {
    let (mut process, mut fake) = start();
    for _ in 0..3 {
        assert_eq!(call(&mut process, &mut fake, Sysno::io_uring_setup, &[5, 6]), -38);
    }
    assert_eq!(
        fake.error_text(),
        "fos-posix: io_uring_setup(0x5, 0x6, 0x0, 0x0, 0x0, 0x0), call 425, is not supported: ENOSYS\n"
    );
}

#[test]
fn a_write_stops_where_the_memory_does() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::write, &[1, 0x10, 1]), -14);
    assert_eq!(call(&mut process, &mut fake, Sysno::write, &[1, u64::MAX, 5]), -14);
    assert_eq!(call(&mut process, &mut fake, Sysno::write, &[9, DATA, 1]), -9);
    assert_eq!(call(&mut process, &mut fake, Sysno::write, &[0, DATA, 1]), -9);
    assert_eq!(call(&mut process, &mut fake, Sysno::write, &[1, DATA, 0]), 0);
    assert!(fake.output.is_empty());
}

#[test]
fn a_vector_writes_its_buffers_in_order() {
    let (mut process, mut fake) = start();
    put_text(&mut fake, DATA, "one two");
    let mut put = |at, value: u64| crate::process::put(&mut fake, at, &value.to_le_bytes()).unwrap();
    put(DATA + 64, DATA + 4);
    put(DATA + 72, 3);
    put(DATA + 80, DATA);
    put(DATA + 88, 4);
    put(DATA + 96, 1);
    put(DATA + 104, 1);
    assert_eq!(call(&mut process, &mut fake, Sysno::writev, &[2, DATA + 64, 2]), 7);
    assert_eq!(fake.error_text(), "twoone ");
    assert_eq!(
        call(&mut process, &mut fake, Sysno::writev, &[2, DATA + 64, 3]),
        7,
        "short before the bad one"
    );
    assert_eq!(call(&mut process, &mut fake, Sysno::writev, &[2, DATA + 96, 1]), -14);
    assert_eq!(call(&mut process, &mut fake, Sysno::writev, &[2, DATA, 1025]), -22);
}

#[test]
fn descriptors_are_the_lowest_free_ones() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::dup, &[1]), 3);
    assert_eq!(call(&mut process, &mut fake, Sysno::close, &[0]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::dup, &[2]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::fcntl, &[1, 0, 10]), 10, "F_DUPFD");
    assert_eq!(call(&mut process, &mut fake, Sysno::fcntl, &[1, 1030, 10]), 11, "F_DUPFD_CLOEXEC");
    assert_eq!(call(&mut process, &mut fake, Sysno::fcntl, &[11, 1]), 1, "F_GETFD");
    assert_eq!(call(&mut process, &mut fake, Sysno::dup2, &[1, 1023]), 1023);
    assert_eq!(call(&mut process, &mut fake, Sysno::dup2, &[1, 1024]), -9);
    assert_eq!(call(&mut process, &mut fake, Sysno::dup3, &[1, 1, 0]), -22);
    assert_eq!(call(&mut process, &mut fake, Sysno::close, &[500]), -9);
}

#[test]
fn the_thread_pointer_is_fs_and_never_gs() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::arch_prctl, &[0x1001, 0x1000]), -22, "ARCH_SET_GS");
    assert!(fake.error_text().contains("arch_prctl"), "the refusal is named");
    assert_eq!(call(&mut process, &mut fake, Sysno::arch_prctl, &[0x1002, 0x1234]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::arch_prctl, &[0x1003, DATA]), 0);
    assert_eq!(crate::process::get(&mut fake, DATA), Ok(0x1234u64.to_le_bytes()));
    assert_eq!(call(&mut process, &mut fake, Sysno::arch_prctl, &[0x1002, 1 << 63]), -1);
}

#[test]
fn time_passes_while_sleeping() {
    let (mut process, mut fake) = start();
    crate::process::put(&mut fake, DATA, &3u64.to_le_bytes()).unwrap();
    crate::process::put(&mut fake, DATA + 8, &5u64.to_le_bytes()).unwrap();
    assert_eq!(call(&mut process, &mut fake, Sysno::nanosleep, &[DATA, 0]), 0);
    assert_eq!(fake.nanoseconds, 3_000_000_005);
    assert_eq!(call(&mut process, &mut fake, Sysno::clock_gettime, &[1, DATA + 16]), 0);
    assert_eq!(crate::process::get(&mut fake, DATA + 24), Ok(5u64.to_le_bytes()));
    crate::process::put(&mut fake, DATA + 8, &1_000_000_000u64.to_le_bytes()).unwrap();
    assert_eq!(call(&mut process, &mut fake, Sysno::nanosleep, &[DATA, 0]), -22, "too many nanoseconds");
}

#[test]
fn a_path_without_an_end_is_too_long_or_faults() {
    let (mut process, mut fake) = start();
    fake.nanoseconds = 0;
    crate::process::put(&mut fake, DATA, &[b'a'; 4096]).unwrap();
    assert_eq!(call(&mut process, &mut fake, Sysno::readlink, &[DATA, DATA, 10]), -36);
    assert_eq!(call(&mut process, &mut fake, Sysno::readlink, &[DATA + 10, DATA, 10]), -14);
    put_text(&mut fake, DATA + 4096 - 15, "/proc/self/exe");
    assert_eq!(call(&mut process, &mut fake, Sysno::readlink, &[DATA + 4096 - 15, DATA, 4]), 4);
    assert_eq!(text(&mut fake, DATA, 4), "/bin");
}

#[test]
fn a_signal_to_oneself_ends_the_process_unless_it_is_ignored() {
    let outcome = |signal: u64, prepare: &[(Sysno, [u64; 4])]| {
        let (mut process, mut fake) = start();
        crate::process::put(&mut fake, DATA, &1u64.to_le_bytes()).unwrap();
        crate::process::put(&mut fake, DATA + 64, &0x40_1000u64.to_le_bytes()).unwrap();
        crate::process::put(&mut fake, DATA + 128, &(1u64 << (signal - 1)).to_le_bytes()).unwrap();
        for (number, arguments) in prepare {
            assert_eq!(call(&mut process, &mut fake, *number, arguments), 0);
        }
        process.call(&mut fake, Sysno::kill as u64, [7, signal, 0, 0, 0, 0])
    };
    let ignore = (Sysno::rt_sigaction, [15, DATA, 0, 8]);
    let handle = (Sysno::rt_sigaction, [15, DATA + 64, 0, 8]);
    let block = (Sysno::rt_sigprocmask, [0, DATA + 128, 0, 8]);
    assert_eq!(outcome(11, &[]), Outcome::Exit(139));
    assert_eq!(outcome(15, &[]), Outcome::Exit(143));
    assert_eq!(outcome(15, &[handle]), Outcome::Exit(143), "no handler runs yet");
    assert_eq!(outcome(15, &[ignore]), Outcome::Return(0));
    assert_eq!(outcome(15, &[block]), Outcome::Return(0));
    assert_eq!(outcome(17, &[]), Outcome::Return(0), "SIGCHLD is ignored by default");
    // How abort(3) does it: blocked, sent, let through.
    let (mut process, mut fake) = start();
    crate::process::put(&mut fake, DATA, &(1u64 << 5).to_le_bytes()).unwrap();
    assert_eq!(call(&mut process, &mut fake, Sysno::rt_sigprocmask, &[0, DATA, 0, 8]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::tgkill, &[7, 7, 6]), 0);
    let unblocked = process.call(&mut fake, Sysno::rt_sigprocmask as u64, [1, DATA, 0, 8, 0, 0]);
    assert_eq!(unblocked, Outcome::Exit(134));
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::kill, &[7, 65]), -22);
    assert_eq!(call(&mut process, &mut fake, Sysno::kill, &[8, 9]), -3);
    assert_eq!(call(&mut process, &mut fake, Sysno::tgkill, &[7, 7, 0]), 0, "signal 0 only asks");
}

#[test]
fn paths_are_the_root_directory_or_nothing() {
    let (mut process, mut fake) = start();
    for (path, there) in
        [("/", true), ("./..", true), ("//", true), ("/etc/passwd", false), ("...", false), ("", false)]
    {
        put_text(&mut fake, DATA, path);
        let errors = if there { (-13, 0, 0) } else { (-2, -2, -2) };
        let open = call(&mut process, &mut fake, Sysno::openat, &[0, DATA, 0, 0]);
        let access = call(&mut process, &mut fake, Sysno::access, &[DATA, 4]);
        let stat = call(&mut process, &mut fake, Sysno::stat, &[DATA, DATA + 64]);
        assert_eq!((open, access, stat), errors, "{path:?}");
    }
}

#[test]
fn a_futex_wait_that_nobody_could_end_does_not_hang() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::futex, &[DATA, 128, 1, 0]), -11, "another value");
    assert_eq!(call(&mut process, &mut fake, Sysno::futex, &[DATA, 128, 0, 0]), -35);
    crate::process::put(&mut fake, DATA + 8, &2u64.to_le_bytes()).unwrap();
    assert_eq!(call(&mut process, &mut fake, Sysno::futex, &[DATA, 128, 0, DATA + 8]), -110);
    assert_eq!(fake.nanoseconds, 2_000_000_000);
}

proptest! {
    /// No register content makes the personality panic, and every failure is a Linux error number.
    #[test]
    fn any_registers_get_an_answer(calls in proptest::collection::vec(
        (0..NUMBERS as u64, [argument(), argument(), argument(), argument(), argument(), argument()]), 1..40)) {
        let (mut process, mut fake) = start();
        for (number, arguments) in calls {
            if let Outcome::Return(value) = process.call(&mut fake, number, arguments)
                && let negative @ -4095..0 = value as i64
            {
                prop_assert!(Errno((-negative) as u16).0 < 134, "{} is no error of Linux", negative);
            }
            process.exit = None;
        }
    }
}

fn argument() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..16u64,
        Just(DATA),
        DATA..DATA + 4096,
        Just(super::fake::HEAP + 0x1000),
        Just(0x7000_0000_0000),
        (0..64u64).prop_map(|pages| pages * 4096),
        any::<u64>(),
    ]
}

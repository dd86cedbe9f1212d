//! The calls that Debian's static busybox makes, as `strace` shows them on Linux, in their order and with the
//! answers that it needs to go on.

use super::fake::{DATA, Fake, HEAP, call, put_text, start, text};
use crate::process::{Outcome, Process};
use syscalls::Sysno;

/// What every applet does before its own work (glibc 2.36 start-up).
fn start_up(process: &mut Process, fake: &mut Fake) {
    put_text(fake, DATA, "/proc/self/exe");
    let mut expect = |number, arguments: &[u64], answer: i64| {
        assert_eq!(call(process, fake, number, arguments), answer, "{number}");
    };
    let heap = HEAP as i64;
    expect(Sysno::brk, &[0], heap);
    expect(Sysno::brk, &[HEAP + 0xd40], heap + 0xd40);
    expect(Sysno::arch_prctl, &[0x1002, HEAP + 0x3c0], 0);
    expect(Sysno::set_tid_address, &[HEAP + 0x690], 7);
    expect(Sysno::set_robust_list, &[HEAP + 0x6a0, 24], 0);
    expect(Sysno::rseq, &[HEAP + 0xce0, 32, 0, 0x5305_3053], -38);
    expect(Sysno::prlimit64, &[0, 3, 0, DATA + 64], 0);
    expect(Sysno::readlink, &[DATA, DATA + 256, 1024], 12);
    expect(Sysno::getrandom, &[DATA + 128, 8, 1], 8);
    expect(Sysno::brk, &[0], heap + 0xd40);
    expect(Sysno::brk, &[HEAP + 0x2_1d40], heap + 0x2_1d40);
    expect(Sysno::brk, &[HEAP + 0x2_2000], heap + 0x2_2000);
    expect(Sysno::mprotect, &[DATA, 4096, 3], 0);
    expect(Sysno::prctl, &[16, DATA + 512], 0);
    expect(Sysno::getuid, &[], 0);
}

#[test]
fn echo_prints_and_ends_well() {
    let (mut process, mut fake) = start();
    start_up(&mut process, &mut fake);
    assert_eq!(fake.thread_pointer, HEAP + 0x3c0);
    assert_eq!(text(&mut fake, DATA + 256, 12), "/bin/busybox");
    assert_eq!(text(&mut fake, DATA + 512, 8), "busybox\0");
    put_text(&mut fake, HEAP + 0x1000, "hello\n");
    assert_eq!(call(&mut process, &mut fake, Sysno::write, &[1, HEAP + 0x1000, 6]), 6);
    assert_eq!(process.call(&mut fake, Sysno::exit_group as u64, [0; 6]), Outcome::Exit(0));
    assert_eq!(fake.output, b"hello\n");
    assert_eq!(fake.error_text(), "");
}

#[test]
fn uname_names_the_machine() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::uname, &[DATA]), 0);
    assert_eq!(text(&mut fake, DATA, 6), "Linux\0");
    assert_eq!(text(&mut fake, DATA + 4 * 65, 7), "x86_64\0");
    // busybox asks whether standard output is a terminal by its kind of file: a pipe (S_IFIFO).
    put_text(&mut fake, DATA + 512, "");
    assert_eq!(call(&mut process, &mut fake, Sysno::newfstatat, &[1, DATA + 512, DATA + 1024, 0x1000]), 0);
    let mode = u32::from_le_bytes(crate::process::get(&mut fake, DATA + 1024 + 24).unwrap());
    assert_eq!(mode & 0o170_000, 0o010_000);
}

#[test]
fn cat_of_nothing_copies_nothing() {
    let (mut process, mut fake) = start();
    assert_eq!(call(&mut process, &mut fake, Sysno::sendfile, &[1, 0, 0, 1 << 24]), -22);
    let buffer = call(&mut process, &mut fake, Sysno::mmap, &[0, 65536, 3, 0x22, u64::MAX, 0]);
    assert_eq!(buffer, 0x7000_0100_0000 - 65536);
    assert_eq!(call(&mut process, &mut fake, Sysno::read, &[0, buffer as u64, 65536]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::munmap, &[buffer as u64, 65536]), 0);
}

#[test]
fn the_shell_finds_the_root_directory_and_no_file() {
    let (mut process, mut fake) = start();
    put_text(&mut fake, DATA, ".");
    put_text(&mut fake, DATA + 16, "/etc/passwd");
    let at_cwd = (-100i32) as u32 as u64;
    assert_eq!(call(&mut process, &mut fake, Sysno::newfstatat, &[at_cwd, DATA, DATA + 64, 0]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::newfstatat, &[at_cwd, DATA + 16, DATA + 64, 0]), -2);
    assert_eq!(call(&mut process, &mut fake, Sysno::getcwd, &[DATA, 4096]), 2);
    assert_eq!(text(&mut fake, DATA, 2), "/\0");
}

#[test]
fn the_shell_asks_for_signals_and_is_told_what_it_said() {
    let (mut process, mut fake) = start();
    fake.thread_pointer = 0;
    put_text(&mut fake, DATA, "a handler, flags, restorer, mask");
    assert_eq!(call(&mut process, &mut fake, Sysno::rt_sigaction, &[2, DATA, 0, 8]), 0);
    assert_eq!(call(&mut process, &mut fake, Sysno::rt_sigaction, &[2, 0, DATA + 64, 8]), 0);
    assert_eq!(text(&mut fake, DATA + 64, 32), "a handler, flags, restorer, mask");
    assert_eq!(call(&mut process, &mut fake, Sysno::rt_sigaction, &[9, DATA, 0, 8]), -22);
}

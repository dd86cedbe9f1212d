//! Fault and free: a process touches each page of a new region in order, gives all of it back, and does so again. The same loop
//! runs on fos (`tests/pages/src/faults.rs`), with the same sizes.
//!
//! Pages of 4 KiB on both sides: Linux is told not to use huge ones here.

use crate::clock::timed;
use crate::process::{Child, check, pin};
use std::io::{Read, Write};
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use syscalls::{Sysno, raw_syscall};

/// Bytes of a page, and pages of the region: 64 MiB.
const PAGE: usize = 4096;
pub const PAGES: usize = 16 * 1024;
/// Regions before the first that counts, and those that are counted where time is instructions.
const WARM_UP: usize = 4;
pub const COUNTED: usize = 16;
/// How long workers run where time is time, after a pause in which all get to begin.
const PAUSE: Duration = Duration::from_millis(500);
const RUN: Duration = Duration::from_secs(3);

/// Maps a region, touches all of it, and unmaps it.
fn fault_and_free() {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let bytes = PAGES * PAGE;
    // SAFETY: a new anonymous mapping at a place of the kernel's choice touches nothing that exists.
    let answer = unsafe { raw_syscall!(Sysno::mmap, null_mut::<u8>(), bytes, protection, flags, -1isize, 0) };
    let address = check(Sysno::mmap, answer);
    // SAFETY: advice about the mapping made above, which is this function's.
    check(Sysno::madvise, unsafe { raw_syscall!(Sysno::madvise, address, bytes, libc::MADV_NOHUGEPAGE) });
    for page in (address..address + bytes).step_by(PAGE) {
        // SAFETY: inside the mapping made above, writable, which nothing else refers to.
        unsafe { (page as *mut u64).write_volatile(page as u64) };
    }
    // SAFETY: the mapping made above, which is not used after this.
    check(Sysno::munmap, unsafe { raw_syscall!(Sysno::munmap, address, bytes) });
}

/// Ticks for each page, everything that the machine did meanwhile included, rounded up.
pub fn ticks_per_page() -> u64 {
    (0..WARM_UP).for_each(|_| fault_and_free());
    let (ticks, ()) = timed(|| (0..COUNTED).for_each(|_| fault_and_free()));
    ticks.div_ceil((COUNTED * PAGES) as u64)
}

/// Pages in a second with a worker on each of so many CPUs.
pub fn pages_per_second(workers: usize) -> u64 {
    let begin = Instant::now() + PAUSE;
    let workers: Vec<_> = (0..workers)
        .map(|cpu| {
            let (mut rate, mut told) = std::io::pipe().expect("a pipe from the worker");
            let child = Child::start(|| {
                pin(cpu);
                told.write_all(&worker(begin).to_le_bytes()).expect("the parent reads");
            });
            (child, move || {
                let mut bytes = [0; 8];
                rate.read_exact(&mut bytes).expect("the worker tells its rate");
                u64::from_le_bytes(bytes)
            })
        })
        .collect();
    let rates = workers.into_iter().map(|(child, mut rate)| {
        let rate = rate();
        child.join();
        rate
    });
    rates.sum()
}

fn worker(begin: Instant) -> u64 {
    fault_and_free();
    std::thread::sleep(begin.saturating_duration_since(Instant::now()));
    let began = Instant::now();
    let mut pages = 0;
    while began.elapsed() < RUN {
        fault_and_free();
        pages += PAGES as u64;
    }
    (pages as f64 / began.elapsed().as_secs_f64()) as u64
}

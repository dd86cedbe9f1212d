//! What unmapping a page costs in time, when one CPU or two have it in their TLB.
//!
//! The partner thread touches each page on the other CPU and then spins in user mode, so the kernel must
//! interrupt it: the common and dear case. Needs two CPUs, and a QEMU that runs each on a thread of its own.

use crate::clock::{Scale, TIMING, middle};
use crate::pages::{munmap_page_after, touch};
use crate::process::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Told to the partner in place of a page.
const STOP: usize = usize::MAX;

/// The times of munmap in one case, in nanoseconds.
pub struct Times {
    /// The median round: what counts.
    pub median: u64,
    /// The quickest and the slowest round: how calm the host was.
    pub range: (u64, u64),
}

/// Both cases.
pub struct Munmap {
    /// The page touched on this CPU only, and no thread of the process on another.
    pub one_cpu: Times,
    /// The page touched here and by a thread that runs on the other CPU.
    pub two_cpus: Times,
}

/// How often both cases are measured in turn, so that a busy moment of the host does not fall on one of them
/// alone; the median of the rounds counts. Odd.
pub const ROUNDS: usize = 9;

/// Measures both cases in turn.
pub fn munmap(scale: &Scale) -> Munmap {
    let rounds = (0..ROUNDS).map(|_| (munmap_page_after(TIMING, |_| ()), two_cpus()));
    let (one_cpu, two_cpus) = rounds.unzip();
    Munmap { one_cpu: summarise(scale, one_cpu), two_cpus: summarise(scale, two_cpus) }
}

fn summarise(scale: &Scale, rounds: Vec<u64>) -> Times {
    let mut nanoseconds: Vec<u64> = rounds.into_iter().map(|ticks| scale.nanoseconds(ticks)).collect();
    nanoseconds.sort_unstable();
    Times { range: (nanoseconds[0], nanoseconds[ROUNDS - 1]), median: middle(nanoseconds) }
}

/// Ticks of munmap with a partner, which is gone afterwards: while it runs, Linux interrupts its CPU.
fn two_cpus() -> u64 {
    let (asked, touched) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let partner = std::thread::spawn({
        let (asked, touched) = (asked.clone(), touched.clone());
        move || touch_what_is_asked(&asked, &touched)
    });
    let ticks = munmap_page_after(TIMING, |page| {
        touched.store(0, Ordering::Release);
        asked.store(page, Ordering::Release);
        while touched.load(Ordering::Acquire) != page {
            std::hint::spin_loop();
        }
    });
    asked.store(STOP, Ordering::Release);
    partner.join().expect("the partner thread only touches pages");
    ticks
}

/// The partner: touches each page it is asked to, once, and spins in between.
fn touch_what_is_asked(asked: &AtomicUsize, touched: &AtomicUsize) {
    pin(1);
    loop {
        match asked.swap(0, Ordering::AcqRel) {
            0 => std::hint::spin_loop(),
            STOP => return,
            page => {
                // SAFETY: the asker keeps the page mapped and writable until it reads `touched`.
                unsafe { touch(page) };
                touched.store(page, Ordering::Release);
            }
        }
    }
}

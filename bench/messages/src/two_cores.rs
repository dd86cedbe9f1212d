//! Two threads on two cores, and how a number is made of what they do together.
//!
//! The host may run other programs on the same cores, and a hypervisor may move the cores themselves. So the work is
//! timed in bursts shorter than a time slice, and a sample is its fastest quarter's slowest burst: bursts that fell
//! into somebody else's time slice do not count. Samples of what is compared are taken in turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Bursts of a sample.
const BURSTS: usize = 40;
/// Bursts before those: caches, predictors and the partner get going.
const WARM_UP: usize = 4;

/// Tells the partner to end.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Stop(AtomicBool);

impl Stop {
    /// Whether to end.
    #[inline(always)]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The two cores that the measurements run on.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    ours: usize,
    partners: usize,
}

impl Cores {
    /// The first two that this process may use.
    ///
    /// # Panics
    /// If there is only one.
    pub fn choose() -> Cores {
        // SAFETY: an all-zero set is a valid, empty one.
        let mut set: libc::cpu_set_t = unsafe { core::mem::zeroed() };
        // SAFETY: the call writes at most the size of the set that is passed.
        let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
        assert_eq!(result, 0, "sched_getaffinity");
        let size = libc::CPU_SETSIZE as usize;
        // SAFETY: the index is below the size of a set.
        let mut usable = (0..size).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) });
        match (usable.next(), usable.next()) {
            (Some(ours), Some(partners)) => Cores { ours, partners },
            _ => panic!("two cores are needed, and this process may use only one"),
        }
    }

    /// Runs `operation` in bursts of `burst` on one core while `partner` runs on the other. Answers picoseconds per
    /// operation. `end` makes a partner return that does not look at [`Stop`].
    pub fn sample(
        self,
        burst: u64,
        partner: impl FnOnce(&Stop) + Send,
        mut operation: impl FnMut(),
        end: impl FnOnce(),
    ) -> u64 {
        let (stop, ready) = (Stop::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (stop, ready) = (&stop, &ready);
            // The partner's state moves to its own stack: beside ours it would share cache lines with it.
            scope.spawn(move || {
                pin(self.partners);
                ready.store(true, Ordering::Release);
                partner(stop);
            });
            pin(self.ours);
            while !ready.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let mut bursts: Vec<u64> = (0..WARM_UP + BURSTS).map(|_| timed(burst, &mut operation)).collect();
            stop.0.store(true, Ordering::Relaxed);
            end();
            let counted = &mut bursts[WARM_UP..];
            counted.sort_unstable();
            counted[BURSTS / 4]
        })
    }
}

/// Picoseconds of each of `burst` operations.
fn timed(burst: u64, operation: &mut impl FnMut()) -> u64 {
    let begin = Instant::now();
    for _ in 0..burst {
        operation();
    }
    begin.elapsed().as_nanos() as u64 * 1000 / burst
}

/// Keeps the calling thread on one core.
fn pin(core: usize) {
    // SAFETY: an all-zero set is a valid, empty one.
    let mut set: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    // SAFETY: `core` came out of a set, so it is below its size.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the call reads the set that is passed, and no more than its size.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    assert_eq!(result, 0, "sched_setaffinity to core {core}");
}

//! Pinning, children and calls that must not fail: the few things every measurement needs around it.

use std::io;
use syscalls::Sysno;

/// The calling thread, and what it starts later, runs on `cpu` only.
///
/// # Panics
/// If the machine has no such CPU.
pub fn pin(cpu: usize) {
    // SAFETY: a cpu_set_t is plain bits, for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is ours, and CPU_SET checks the number against the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the size is that of `set`, which outlives the call; 0 names the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    assert_eq!(result, 0, "pinning to CPU {cpu}: {}", io::Error::last_os_error());
}

/// A forked process that runs a closure and ends.
pub struct Child {
    pid: libc::pid_t,
}

impl Child {
    /// Forks; `body` runs in the child only, which then exits with status 0.
    ///
    /// Call it while the process has one thread: a child of several could inherit a lock held by a thread
    /// that it does not have.
    pub fn start(body: impl FnOnce()) -> Child {
        // SAFETY: callers fork while single-threaded, so the child's copy of every lock is usable.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                body();
                std::process::exit(0);
            }
            pid => Child { pid },
        }
    }

    /// Waits until the child has ended.
    ///
    /// # Panics
    /// If it did not end with status 0.
    pub fn join(self) {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the answer; the pid is our child's, not yet waited for.
        let waited = unsafe { libc::waitpid(self.pid, &mut status, 0) };
        assert!(waited == self.pid && status == 0, "the partner process ended with wait status {status:#x}");
    }
}

/// Panics if a raw call's answer is an error (the kernel answers -errno as -4095 to -1).
pub fn check(call: Sysno, answer: usize) -> usize {
    let value = answer as isize;
    assert!(!(-4095..0).contains(&value), "{call}: {}", io::Error::from_raw_os_error(-value as i32));
    answer
}

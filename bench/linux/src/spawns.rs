//! Starting a program and waiting for its end: `posix_spawn` of this very program, which is linked statically and in memory already,
//! and ends at once.

use super::clock::{Effort, median, timed};
use std::ffi::CStr;
use std::io;
use std::ptr::{null, null_mut};

/// The argument by which this program ends at once.
pub const ENDS_AT_ONCE: &str = "end-at-once";
const PROGRAM: &CStr = c"/proc/self/exe";

/// The ticks from `posix_spawn` until `waitpid` has told the end.
///
/// # Panics
/// If a child can't be spawned, or does not end with status 0.
pub fn spawn_and_wait(effort: Effort) -> u64 {
    median(effort, || Some(timed(once).0))
}

fn once() {
    let arguments = [PROGRAM.as_ptr().cast_mut(), c"end-at-once".as_ptr().cast_mut(), null_mut()];
    let environment = [null_mut()];
    let (mut pid, mut status) = (0, 0);
    // SAFETY: path and arguments are strings that end in NUL, the lists end in null, and all outlive the call.
    let error = unsafe {
        libc::posix_spawn(
            &mut pid,
            PROGRAM.as_ptr(),
            null(),
            null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    assert_eq!(error, 0, "posix_spawn: {}", io::Error::from_raw_os_error(error));
    // SAFETY: `status` is a valid place for the answer; the pid is our child's, not yet waited for.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert!(waited == pid && status == 0, "the child ended with wait status {status:#x}");
}

//! Calls on threads.

use fos_abi::Error;
use fos_abi::calls::{Call, ThreadInfo};
use fos_abi::capability::Handle;
use fos_abi::thread::{Registers, ThreadSetup};

use super::{done, handle, selector};
use crate::arch::call::{call0, call1, call2, call4};

/// Makes a thread, stopped, in a space, on a core.
pub fn thread_create(frames: Handle, space: Handle, cores: Handle, core: u64) -> Result<Handle, Error> {
    // SAFETY: no pointers.
    let answers = unsafe {
        call4(
            selector(Call::thread_create),
            u64::from(frames.0),
            u64::from(space.0),
            u64::from(cores.0),
            core,
        )
    };
    handle(answers)
}

/// Tells a stopped thread (or oneself) about its area, entries, stack and report mailbox.
pub fn thread_setup(thread: Handle, setup: &ThreadSetup) -> Result<(), Error> {
    let pointer = core::ptr::from_ref(setup) as u64;
    // SAFETY: the kernel only reads the setup.
    done(unsafe { call2(selector(Call::thread_setup), u64::from(thread.0), pointer) })
}

/// Sets the registers of a stopped thread.
pub fn thread_write(thread: Handle, registers: &Registers) -> Result<(), Error> {
    let pointer = core::ptr::from_ref(registers) as u64;
    // SAFETY: the kernel only reads the registers.
    done(unsafe { call2(selector(Call::thread_write), u64::from(thread.0), pointer) })
}

/// Reads the registers of a stopped thread.
pub fn thread_read(thread: Handle) -> Result<Registers, Error> {
    let mut registers = Registers::default();
    let out = core::ptr::from_mut(&mut registers) as u64;
    // SAFETY: the kernel writes one `Registers` to `out`, which is borrowed for the call.
    done(unsafe { call2(selector(Call::thread_read), u64::from(thread.0), out) }).map(|()| registers)
}

/// Stops a thread; when it returns, it has stopped.
pub fn thread_stop(thread: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(selector(Call::thread_stop), u64::from(thread.0)) })
}

/// Lets a stopped thread run.
pub fn thread_resume(thread: Handle) -> Result<(), Error> {
    // SAFETY: no pointers.
    done(unsafe { call1(selector(Call::thread_resume), u64::from(thread.0)) })
}

/// Ends the calling thread.
pub fn thread_exit(status: u8) -> ! {
    loop {
        // SAFETY: no pointers. The call does not return; the loop says so to the compiler.
        let _ = unsafe { call1(selector(Call::thread_exit), u64::from(status)) };
    }
}

/// Lets another runnable thread of this core go first.
#[inline(always)]
pub fn thread_yield() {
    // SAFETY: no pointers, and no errors.
    let _ = unsafe { call0(selector(Call::thread_yield)) };
}

/// State, core, cycles and switches of a thread.
pub fn thread_info(thread: Handle) -> Result<ThreadInfo, Error> {
    let mut info = ThreadInfo::default();
    let out = core::ptr::from_mut(&mut info) as u64;
    // SAFETY: the kernel writes one `ThreadInfo` to `out`, which is borrowed for the call.
    done(unsafe { call2(selector(Call::thread_info), u64::from(thread.0), out) }).map(|()| info)
}

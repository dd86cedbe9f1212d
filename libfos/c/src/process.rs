//! What a C program has: `struct fos`, given to `fos_main` and passed to whatever needs memory, time or root.

use core::time::Duration;

use fos_abi::Error;
use fos_messages::start::Start;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, RootError};
use libfos::{arch, calls};

use crate::Status;

/// `struct fos`. It belongs to one thread, like everything that is made with it.
pub struct Process {
    pub(crate) memory: Memory,
    pub(crate) clock: Clock,
    pub(crate) root: Result<Root, RootError>,
    identity: u64,
    core: u32,
}

impl Process {
    /// Of a program's start block.
    pub fn of_program(start: &Start) -> Result<Process, Error> {
        Ok(Process {
            memory: Memory::of_program(start)?,
            clock: Clock::new(start.tsc_hz),
            root: Root::of_program(start),
            identity: start.identity,
            core: start.core,
        })
    }
}

/// The process's identity, as receivers see it; 0 without a process.
#[unsafe(no_mangle)]
pub extern "C" fn fos_identity(fos: Option<&Process>) -> u64 {
    fos.map_or(0, |fos| fos.identity)
}

/// The core that the process runs on.
#[unsafe(no_mangle)]
pub extern "C" fn fos_core(fos: Option<&Process>) -> u32 {
    fos.map_or(0, |fos| fos.core)
}

/// The time, in nanoseconds since the machine's counter began.
#[unsafe(no_mangle)]
pub extern "C" fn fos_now(fos: Option<&Process>) -> u64 {
    fos.map_or(0, |fos| fos.clock.nanoseconds(arch::ticks()))
}

/// The deadline so many nanoseconds from now.
#[unsafe(no_mangle)]
pub extern "C" fn fos_after(fos: Option<&Process>, nanoseconds: u64) -> u64 {
    fos.map_or(0, |fos| fos.clock.after(Duration::from_nanos(nanoseconds)).0)
}

/// Ends the program.
#[unsafe(no_mangle)]
pub extern "C" fn fos_exit(status: u8) -> ! {
    calls::thread_exit(status)
}

/// What is needed of a process, or the status that says that there is none.
pub(crate) fn of(fos: Option<&mut Process>) -> Result<&mut Process, Status> {
    fos.ok_or(Error::BadAddress.into())
}

//! Running a foreign program in one's own address space: its `syscall` instructions come back here, reflected by the
//! kernel, and a [`Personality`] answers them.
//!
//! The kernel enters on a stack of libfos's own with every register as the program had it; the machine code of
//! `arch` saves them, calls the personality, and returns to the program. The program's memory is reached only
//! through [`ProgramMemory`], which refuses addresses of libfos itself and survives pages that are not there.

mod memory;

pub use crate::arch::reflect::{Frame, fs_base_writable, hardware_capabilities};
pub use memory::{Fault, OWN_START, ProgramMemory, own_image};

use alloc::boxed::Box;

use fos_abi::capability::Handle;
use fos_abi::limits::{MAP_MAX, PAGE_SIZE};
use fos_abi::space::MapFlags;
use fos_abi::thread::{FaultFrame, ThreadSetup};
use fos_abi::{Error, Key};

use crate::arch::reflect as machine;
use crate::calls;
use crate::memory::{Memory, MemoryError};

/// Bytes of the stack on which calls are answered.
pub const STACK_BYTES: usize = 64 * 1024;

/// Status of a program whose fault could not even be reported.
const GAVE_UP: u8 = 128 + 11;

/// Answers a program's calls and faults.
pub trait Personality {
    /// One call: reads its number and arguments from the frame and sets its answer.
    fn call(&mut self, frame: &mut Frame);

    /// The program faulted. True: the cause is gone, or the registers are changed, and it can go on. False: it is
    /// over, and whoever was named to [`Reflection::prepare`] is told.
    fn fault(&mut self, fault: &mut FaultFrame) -> bool;
}

/// Why a program could not be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginError {
    /// Memory for the area or the stack.
    Memory(MemoryError),
    /// The kernel refused the thread's setup.
    Refused(Error),
    /// This CPU's extended state is larger than what libfos keeps room for.
    ExtendedState,
}

impl From<MemoryError> for BeginError {
    fn from(error: MemoryError) -> BeginError {
        BeginError::Memory(error)
    }
}

impl From<Error> for BeginError {
    fn from(error: Error) -> BeginError {
        BeginError::Refused(error)
    }
}

/// A thread whose calls can be reflected. While it exists, the thread counts as inside libfos, so
/// [`ProgramMemory`] works.
#[derive(Debug)]
pub struct Reflection {
    setup: ThreadSetup,
}

/// A personality at work.
struct Running<P> {
    personality: P,
    setup: ThreadSetup,
}

extern "C" fn no_dispatch(_: &mut Frame, _: *mut u8) {}
extern "C" fn no_dispatch_fault(_: *mut u8, _: *mut FaultFrame) {}

impl Reflection {
    /// Gives the calling thread its area and the stack for calls. `report` is told when the program faults.
    pub fn prepare(memory: &mut Memory, report: Key, cookie: u64) -> Result<Reflection, BeginError> {
        let (reflect_entry, pager_entry) = machine::entries().ok_or(BeginError::ExtendedState)?;
        // Never given back: they are needed for as long as the thread runs.
        let (_, stack) = memory.allocate(STACK_BYTES / PAGE_SIZE)?;
        let area = memory.frames.take(1)?;
        let setup = ThreadSetup {
            area: area.handle.0,
            area_address: memory.reserve(1)?,
            reflect_entry,
            pager_entry,
            stack: stack.address() + STACK_BYTES as u64,
            report,
            cookie,
            reserved: 0,
        };
        while let Err(error) = calls::thread_setup(Handle::SELF, &setup) {
            if error != Error::NoTables {
                return Err(error.into());
            }
            memory.donate(Handle::SELF)?;
        }
        // SAFETY: the setup above made GS point to the area. Nothing is dispatched before `begin` installs it.
        unsafe { machine::install(no_dispatch, no_dispatch_fault, core::ptr::null_mut()) };
        Ok(Reflection { setup })
    }

    /// The program's memory.
    pub fn memory(&self) -> ProgramMemory {
        ProgramMemory(())
    }

    /// Leaves for the program. From now on `personality` answers.
    pub fn begin<P: Personality + 'static>(self, personality: P, entry: u64, stack: u64) -> ! {
        // With the area in place, later setups name none.
        let setup = ThreadSetup { area: Handle::NONE.0, ..self.setup };
        let running = Box::into_raw(Box::new(Running { personality, setup }));
        // SAFETY: `prepare` made GS point to the area; the box is leaked, and both functions take its very type.
        unsafe {
            machine::install(dispatch::<P>, dispatch_fault::<P>, running.cast());
            machine::begin(entry, stack)
        }
    }
}

extern "C" fn dispatch<P: Personality>(frame: &mut Frame, running: *mut u8) {
    // SAFETY: `begin` installed this function with a leaked box of this type. The kernel enters neither function while
    // the thread is inside libfos, so this is the only reference.
    let running = unsafe { &mut *running.cast::<Running<P>>() };
    running.personality.call(frame);
}

extern "C" fn dispatch_fault<P: Personality>(running: *mut u8, frame: *mut FaultFrame) {
    // SAFETY: as in `dispatch`.
    let running = unsafe { &mut *running.cast::<Running<P>>() };
    // SAFETY: the area's frame; the kernel writes there when a copy to or from the program faults, so it is taken out
    // first and put back last.
    let mut fault = unsafe { frame.read_volatile() };
    if !running.personality.fault(&mut fault) {
        give_up(&running.setup);
    }
    // SAFETY: as above.
    unsafe { frame.write_volatile(fault) };
}

/// Has the kernel report the fault when the program meets it again, as for a program without a library.
fn give_up(setup: &ThreadSetup) {
    let without_pager = ThreadSetup { pager_entry: 0, ..*setup };
    if calls::thread_setup(Handle::SELF, &without_pager).is_err() {
        calls::thread_exit(GAVE_UP);
    }
}

/// Sets the base of FS, which libfos leaves to its program. False if this CPU can't, or the address is not one of
/// user space.
pub fn set_fs_base(address: u64) -> bool {
    let possible = fs_base_writable() && address < fos_abi::limits::USER_END;
    if possible {
        // SAFETY: checked above; libfos keeps nothing behind FS.
        unsafe { machine::set_fs_base(address) };
    }
    possible
}

/// The base of FS; 0 on a CPU where it can't be read.
pub fn fs_base() -> u64 {
    // SAFETY: asked only where it can be.
    if fs_base_writable() { unsafe { machine::fs_base() } } else { 0 }
}

/// Maps frames of a capability at an address of the program, with page tables from `memory`. All or nothing.
pub fn map_program(
    memory: &mut Memory,
    frames: Handle,
    first: u32,
    pages: usize,
    address: u64,
    flags: MapFlags,
) -> Result<(), MemoryError> {
    check(address, pages)?;
    memory.map_at(Handle::SELF, frames, first, pages, address, flags).map_err(
        |(done, error)| match each_piece(address, done, |at, count| {
            calls::space_unmap(Handle::SELF, at, count)
        }) {
            Ok(()) => error,
            Err(undoing) => undoing.into(),
        },
    )
}

/// Unmaps pages of the program.
pub fn unmap_program(address: u64, pages: usize) -> Result<(), MemoryError> {
    check(address, pages)?;
    Ok(each_piece(address, pages, |at, count| calls::space_unmap(Handle::SELF, at, count))?)
}

/// Changes how pages of the program are mapped.
pub fn protect_program(address: u64, pages: usize, flags: MapFlags) -> Result<(), MemoryError> {
    check(address, pages)?;
    Ok(each_piece(address, pages, |at, count| calls::space_protect(Handle::SELF, at, count, flags))?)
}

fn check(address: u64, pages: usize) -> Result<(), MemoryError> {
    let bytes = pages.checked_mul(PAGE_SIZE).ok_or(MemoryError::OutOfAddresses)?;
    if memory::is_program(address, bytes) { Ok(()) } else { Err(MemoryError::OutOfAddresses) }
}

/// Calls for as many pages at once as a kernel call takes, until all are done.
fn each_piece(
    address: u64,
    pages: usize,
    mut call: impl FnMut(u64, u64) -> Result<u64, Error>,
) -> Result<(), Error> {
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(MAP_MAX);
        let now = call(address + (done * PAGE_SIZE) as u64, count as u64)?;
        if now == 0 {
            return Err(Error::NotMapped);
        }
        done += now as usize;
    }
    Ok(())
}

//! A program's pager: what stands behind an address is decided here, in the program's own space, when it is touched.
//!
//! *The contract.* The kernel reports a fault of the program to the entry that the thread named, on a stack of libfos's own, with
//! all registers ([`fos_abi::thread::Area`]). [`install`] puts a [`Pager`] there: it is asked about each page fault, and either
//! has the cause gone ([`Verdict::Retry`]), says what is over and why ([`Verdict::Over`]), or does not know the address
//! ([`Verdict::Unknown`]); in the last two the fault goes to whoever was named for reports, as without a pager, and the process is
//! ended there. Any pager will do; [`Demand`] is ours.
//!
//! *Who may fault.* The thread that installed it, outside libfos's entries. A pager may allocate, since a heap's memory is never
//! its own: heaps take mapped memory alone ([`crate::heap::set_aside`]). It may ask others and wait, as [`larder`] does; it must not
//! touch what it pages, but for pages that it has just mapped. The kernel waits for no pager: what a call is to read or write must
//! have been touched before ([`Demand::touch`]).

mod demand;
pub mod larder;
mod region;
mod store;

pub use demand::{Demand, Figures, Ground, InSpace, PagingError};
pub use region::{Kind, Region};

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::limits::PAGE_SIZE;
use fos_abi::thread::{FaultFrame, ThreadSetup};
use fos_messages::start::{Start, key_name};

use crate::arch::reflect as machine;
use crate::memory::Memory;
use crate::reflect::BeginError;
use crate::root::RootError;
use crate::{calls, console};

/// Bytes of the stack on which faults are handled.
const STACK_BYTES: usize = 32 * 1024;
/// Frames for the mailboxes of who asks the fleet, and for page tables: of regions of 200 MiB in all.
const LARDER_FRAMES: u64 = 64;
const TABLE_FRAMES: u64 = 128;
/// The vector of a page fault (Intel SDM vol. 3, 6.15).
const PAGE_FAULT: u64 = 14;
/// In a page fault's code: the access was a write.
const WRITE: u64 = 1 << 1;
/// Status of a program whose fault could not even be reported.
const GAVE_UP: u8 = 128 + 11;

/// A page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that was touched.
    pub address: u64,
    /// It was to be written.
    pub is_write: bool,
}

/// What a pager makes of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cause is gone: the instruction is done again.
    Retry,
    /// The process is over, for this reason.
    Over(String),
    /// The address is not the pager's.
    Unknown,
}

/// Decides what stands behind addresses.
pub trait Pager {
    /// The thread faulted.
    fn fault(&mut self, fault: Fault) -> Verdict;
}

/// A pager at work.
struct Running<P> {
    pager: P,
    setup: ThreadSetup,
}

extern "C" fn no_dispatch(_: &mut machine::Frame, _: *mut u8) {}

/// Has a pager asked about the calling thread's page faults from now on, for good. Once for each thread.
pub fn install<P: Pager + 'static>(memory: &mut Memory, start: &Start, pager: P) -> Result<(), BeginError> {
    let (_, pager_entry) = machine::entries().ok_or(BeginError::ExtendedState)?;
    let (_, stack) = memory.allocate(STACK_BYTES / PAGE_SIZE)?;
    let area = memory.frames.take(1)?;
    let setup = ThreadSetup {
        area: area.handle.0,
        reserved: 0,
        area_address: memory.reserve(1)?,
        reflect_entry: 0,
        pager_entry,
        stack: stack.address() + STACK_BYTES as u64,
        report: start.key(key_name::FAULTS).unwrap_or_default(),
        cookie: start.identity,
    };
    while let Err(error) = calls::thread_setup(Handle::SELF, &setup) {
        if error != Error::NoTables {
            return Err(error.into());
        }
        memory.donate(Handle::SELF)?;
    }
    // With the area in place, later setups name none.
    let setup = ThreadSetup { area: Handle::NONE.0, ..setup };
    let running = Box::into_raw(Box::new(Running { pager, setup }));
    // SAFETY: the setup above made GS point to the area; the box is leaked, and `dispatch` takes its very type. The thread leaves
    // libfos by this, so the next fault enters.
    unsafe {
        machine::install(no_dispatch, dispatch::<P>, running.cast());
        machine::leave();
    }
    Ok(())
}

/// A pager over the fleet `pages` for the calling thread, at work. It gets parts of `memory`, for its mailboxes and for page tables.
pub fn over_fleet(memory: &mut Memory, start: &Start) -> Result<Demand<InSpace>, BeginError> {
    let larder =
        larder::FromFleet::new(start, memory.split(LARDER_FRAMES)?).map_err(|error| match error {
            RootError::Memory(error) => BeginError::Memory(error),
            RootError::Refused(error) => BeginError::Refused(error),
            RootError::NoKey | RootError::Codec(_) | RootError::Path(_) => BeginError::Refused(Error::BadKey),
        })?;
    let pager = Demand::new(InSpace(memory.split(TABLE_FRAMES)?), larder);
    install(memory, start, pager.clone())?;
    Ok(pager)
}

extern "C" fn dispatch<P: Pager>(running: *mut u8, frame: *mut FaultFrame) {
    // SAFETY: `install` installed this function with a leaked box of this type. The kernel does not enter it again while the
    // thread is inside libfos, so this is the only reference.
    let running = unsafe { &mut *running.cast::<Running<P>>() };
    // SAFETY: the area's frame, which the kernel has just written.
    let fault = unsafe { frame.read_volatile() };
    let verdict = if fault.vector == PAGE_FAULT {
        running.pager.fault(Fault { address: fault.address, is_write: fault.code & WRITE != 0 })
    } else {
        Verdict::Unknown
    };
    match verdict {
        Verdict::Retry => return,
        Verdict::Over(why) => {
            if let Some(mut text) = console::last_words() {
                let _ = writeln!(text, "{why}");
            }
        }
        Verdict::Unknown => {}
    }
    give_up(&running.setup);
}

/// Has the kernel report the fault when the program meets it again, as for a program without a pager.
fn give_up(setup: &ThreadSetup) {
    let without_pager = ThreadSetup { pager_entry: 0, ..*setup };
    if calls::thread_setup(Handle::SELF, &without_pager).is_err() {
        calls::thread_exit(GAVE_UP);
    }
}

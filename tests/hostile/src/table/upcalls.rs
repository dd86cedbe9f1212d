//! Reflected calls and fault upcalls: where a thread enters its own library, and how it gets back.

use core::sync::atomic::Ordering;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::thread::{Area, ThreadSetup};
use libfos::spawn::{Frames, own_block};
use libfos::{calls, measure};

use super::Case;
use crate::ensure;
use crate::ground::PAGE;
use crate::stage::{Inbox, Stage, full_key, wait_for};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "upcall-of-a-fault-and-back", run: faults },
    Case { name: "upcall-reflected-call-and-back", run: reflected },
    Case { name: "upcall-fixup-inside", run: fixup },
    Case { name: "upcall-fault-inside-without-fixup", run: fault_inside },
    Case { name: "upcall-area-frame-given-back", run: area_given_back },
];

/// Words of a child's block.
mod place {
    /// What to do.
    pub const TASK: usize = 16;
    /// What came of it.
    pub const RESULT: usize = 17;
    /// Set when the child has ended.
    pub const DONE: usize = 18;
    /// Set before something from which there is no return.
    pub const READY: usize = 19;
}

/// What children are told to do.
mod task {
    pub const FAULT: u64 = 1;
    pub const REFLECT: u64 = 2;
    pub const FIXUP: u64 = 3;
    pub const FAULT_INSIDE: u64 = 4;
}

/// Where a child has its area; nothing is mapped a page further.
const AREA: u64 = 0x3500_0000;
/// Nothing is mapped here in a child.
const NOTHING: u64 = AREA + PAGE;
/// Bytes of the stack that upcalls run on.
const UPCALL_STACK: usize = 4096;

/// Gives the calling thread of a child its area, entries and a stack for them.
fn set_up(frames: Handle) -> Result<(), Error> {
    let area = calls::cap_derive(frames, fos_abi::capability::Rights::ALL, 0, 1)?;
    let stack = alloc::boxed::Box::leak(alloc::vec![0u8; UPCALL_STACK].into_boxed_slice());
    let setup = ThreadSetup {
        area: area.0,
        area_address: AREA,
        reflect_entry: measure::reflect_return as *const () as u64,
        pager_entry: measure::step_over_pager as *const () as u64,
        stack: stack.as_ptr_range().end as u64 & !15,
        ..ThreadSetup::default()
    };
    calls::thread_setup(Handle::SELF, &setup)
}

fn area() -> &'static Area {
    // SAFETY: a child that set itself up has its area there; the fields used here are read and written as words that
    // only this thread and its upcalls touch.
    unsafe { &*(AREA as *const Area) }
}

extern "C" fn perform(block: u64) -> u64 {
    let block = own_block(block);
    let frames = Handle(block[0].load(Ordering::Relaxed) as u32);
    let task = block[place::TASK].load(Ordering::Relaxed);
    let result = set_up(frames).map(|()| in_area(block, task));
    block[place::RESULT].store(result.unwrap_or_else(|error| 1000 + error as u64), Ordering::Relaxed);
    block[place::DONE].store(1, Ordering::Release);
    0
}

fn in_area(block: &libfos::spawn::Block, task: u64) -> u64 {
    match task {
        task::FAULT => {
            for _ in 0..1000 {
                // SAFETY: nothing is mapped there, and the pager entry steps over the load.
                unsafe { measure::touch(NOTHING) };
            }
            let fault = area().fault;
            u64::from(fault.vector == 14 && fault.address == NOTHING && fault.code & 7 == 4)
        }
        task::REFLECT => {
            // SAFETY: the thread has an area, a stack and the entry that returns at once.
            let own = unsafe { measure::area_address() };
            (0..1000).for_each(|_| {
                let _ = measure::reflect_cost();
            });
            u64::from(own == AREA && area().inside == 0)
        }
        task::FIXUP => {
            // SAFETY: the thread has an area.
            let probes = unsafe {
                [AREA, NOTHING, 0xffff_8000_0000_0000, 0x8000_0000_0000, perform as *const () as u64, 8]
                    .map(|address| measure::probe(address))
            };
            u64::from(probes == [true, false, false, false, true, false])
        }
        _ => {
            // Inside libfos without a fixup: the thread is stopped and its report mailbox told.
            block[place::READY].store(1, Ordering::Release);
            // SAFETY: nothing is mapped there; the thread does not come back from the load.
            unsafe { measure::fault_inside(NOTHING) };
            2
        }
    }
}

/// Runs a task in a child: what came of it.
fn result_of(stage: &mut Stage, task: u64) -> Result<u64, crate::verdict::Failure> {
    let core = stage.far_core();
    let (plot, child) = stage.child(perform, core)?;
    child.block()[place::TASK].store(task, Ordering::Relaxed);
    calls::thread_resume(child.thread)?;
    let done = wait_for(&child.block()[place::DONE], 1, stage.patience());
    ensure!(done, "the child never finished: {:?}", calls::thread_info(child.thread));
    let result = child.block()[place::RESULT].load(Ordering::Relaxed);
    stage.clear(plot)?;
    Ok(result)
}

fn faults(stage: &mut Stage) -> Verdict {
    same("1000 faults stepped over (1: the fault frame is right)", result_of(stage, task::FAULT)?, 1)
}

fn reflected(stage: &mut Stage) -> Verdict {
    same("1000 reflected calls (1: all came back)", result_of(stage, task::REFLECT)?, 1)
}

fn fixup(stage: &mut Stage) -> Verdict {
    same("probing addresses by fixup (1: each found right)", result_of(stage, task::FIXUP)?, 1)
}

fn fault_inside(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let core = stage.far_core();
    let (child_plot, child) = stage.child(perform_reported, core)?;
    let key = full_key(inbox.mailbox, 0)?;
    crate::stage::store_key(&child.block()[24..], &key);
    calls::thread_resume(child.thread)?;
    let letter = inbox.receive(stage.patience())?;
    let report = super::mappings::report(&letter)?;
    same("the fault inside", (report.vector, report.address), (14, NOTHING))?;
    same("the child got ready", child.block()[place::READY].load(Ordering::Acquire), 1)?;
    same("the child's result", child.block()[place::DONE].load(Ordering::Acquire), 0)?;
    refused("the faulted thread's stop", calls::thread_stop(child.thread).map(|()| 0), Error::WrongState)?;
    stage.clear(child_plot)?;
    stage.clear(plot)
}

/// Sets itself up with a report mailbox, then faults inside.
extern "C" fn perform_reported(block: u64) -> u64 {
    let block = own_block(block);
    let frames = Handle(block[0].load(Ordering::Relaxed) as u32);
    let Ok(area) = calls::cap_derive(frames, fos_abi::capability::Rights::ALL, 0, 1) else { return 1 };
    let stack = alloc::boxed::Box::leak(alloc::vec![0u8; UPCALL_STACK].into_boxed_slice());
    let setup = ThreadSetup {
        area: area.0,
        area_address: AREA,
        pager_entry: measure::step_over_pager as *const () as u64,
        stack: stack.as_ptr_range().end as u64 & !15,
        report: crate::stage::load_key(&block[24..]),
        cookie: 3,
        ..ThreadSetup::default()
    };
    match calls::thread_setup(Handle::SELF, &setup) {
        Ok(()) => in_area(block, task::FAULT_INSIDE),
        Err(error) => error as u64,
    }
}

/// The frame of an ended thread's area is ordinary memory again.
fn area_given_back(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let thread_frames = plot.take(2)?;
    let frame = plot.take(1)?;
    let twin = calls::cap_derive(frame, fos_abi::capability::Rights::ALL, 0, 1)?;
    let area = calls::cap_derive(frame, fos_abi::capability::Rights::ALL, 0, 1)?;
    let grant = stage.ground.grant;
    let thread = calls::thread_create(thread_frames, Handle::SELF, grant.cores, grant.core)?;
    let address = window + 0x10_0000;
    let setup = ThreadSetup { area: area.0, area_address: address, ..ThreadSetup::default() };
    calls::thread_setup(thread, &setup)?;
    let elsewhere = address + PAGE;
    let flags = fos_abi::space::MapFlags::WRITE;
    let answer = calls::space_map(Handle::SELF, twin, 0, 1, elsewhere, flags);
    ensure!(answer.is_ok() || answer == Err(Error::InUse), "mapping a living thread's area: {answer:?}");
    if answer.is_ok() {
        calls::frames_unmap(twin)?;
    }
    calls::destroy(thread)?;
    same(
        "mapping it after the thread's end",
        calls::space_map(Handle::SELF, twin, 0, 1, elsewhere, flags)?,
        1,
    )?;
    calls::frames_unmap(twin)?;
    stage.clear(plot)
}

//! Threads: what acts on one goes to its core.

use super::frames::claim;
use crate::arch::machine::cpu::is_canonical;
use crate::arch::machine::entry::Answer;
use crate::arch::machine::extended_state;
use crate::arch::machine::paging::{Access, Entry, frame_pointer, index_at};
use crate::arch::machine::user_memory::check_aligned;
use crate::calls::spaces::tables_word;
use crate::calls::{attempt, target_space};
use crate::capabilities;
use crate::cores::{self, Core};
use crate::ends::{self, unmap_area};
use crate::jobs::{self, Job, Step};
use crate::objects::{self, Reference, reference_to};
use crate::space::{Pages, Space};
use crate::thread::{Resume, State, Thread};
use core::cell::Cell;
use core::sync::atomic::{AtomicU16, Ordering};
use fos_abi::Error;
use fos_abi::calls::ThreadInfo;
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::limits::USER_END;
use fos_abi::mailbox::EndReason;
use fos_abi::thread::{Area, Registers, THREAD_FRAMES, ThreadSetup, USER_RFLAGS};

/// Interrupts are on in user mode, and bit 1 is always set.
const RFLAGS_ALWAYS: u64 = 0x202;

/// `thread_create`
pub extern "C" fn thread_create(frames: u64, space: u64, cores: u64, core: u64, _: u64, _: u64) -> Answer {
    jobs::call(create_step, [frames, space, cores, core, 0, 0], (0, 0), |_| Ok(()))
}

fn create_step(job: &'static Job, here: &'static Core) -> Step {
    let own = job.space();
    if job.stage.get() == 1 {
        // On the thread's core: it counts there, and its initial state is filled in.
        here.counters.threads.fetch_add(1, Ordering::Relaxed);
        return Step::Done(Ok(job.cursor[1].get()));
    }
    let space = attempt!(target_space(job, job.argument(1), Rights::CONTROL));
    let (_, range) = attempt!(capabilities::find_kind(own, job.argument(2), Kind::Cores, Rights::CONTROL));
    let core = job.argument(3);
    let in_range = core >= range.first() && core < range.first() + range.length;
    let alive = u16::try_from(core).is_ok_and(|number| cores::get(number).is_some_and(Core::is_alive));
    if !in_range || !alive {
        return Step::Done(Err(Error::BadArgument));
    }
    let (slot, first) = attempt!(claim(own, job.argument(0), |length| length == THREAD_FRAMES as u64));
    let thread = create(first, space, core as u16);
    let reference = objects::publish::<Thread>(first);
    thread.reference.set(reference);
    slot.convert(Kind::Thread, reference.0, THREAD_FRAMES as u64);
    space.add_thread(thread);
    if !space.is_alive() {
        // It began to end while the thread was being made; its end waits for this one.
        ends::end_thread(here, thread, EndReason::Destroyed as u64);
    }
    job.cursor[1].set(u64::from(Handle::new(own.index_of(slot), slot.epoch()).0));
    job.stage.set(1);
    if core as u16 == here.number { create_step(job, here) } else { Step::Go(core as u16) }
}

/// Makes a stopped thread in two claimed, zeroed frames.
pub fn create(first: u64, space: &'static Space, core: u16) -> &'static Thread {
    let at = frame_pointer(first).cast::<Thread>();
    let extended = frame_pointer(first + 1);
    // SAFETY: the frames are this thread's; zero is valid for every field not set here.
    unsafe {
        extended_state::initialise(extended);
        (*at).extended = extended;
        (&raw mut (*at).space).write(space);
        (*at).home = AtomicU16::new(core);
        (*at).resume = Cell::new(Resume::All);
        (*at).state = Cell::new(State::Stopped);
        (*at).control_words = Cell::new(extended_state::INITIAL_CONTROL_WORDS);
        (*at).waited = Cell::new(None);
        (*at).saved().rflags = RFLAGS_ALWAYS;
        &*at
    }
}

/// The thread that a handle means, looked up in the caller's table (from any core).
fn target(job: &Job, rights: Rights) -> Result<&'static Thread, Error> {
    if job.argument(0) == u64::from(Handle::SELF.0) {
        return Ok(job.thread());
    }
    let (_, capability) = capabilities::find_kind(job.space(), job.argument(0), Kind::Thread, rights)?;
    capability.object::<Thread>()
}

/// Ends the step unless this is the thread's core.
macro_rules! at_home_of {
    ($thread:expr, $here:expr) => {
        let home = $thread.home.load(Ordering::Acquire);
        if home != $here.number {
            return Step::Go(home);
        }
    };
}

/// `thread_setup`
pub extern "C" fn thread_setup(thread: u64, setup: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(setup_step, [thread, 0, 0, 0, 0, 0], (0, 0), |job| job.read_input::<ThreadSetup>(setup))
}

const CHECK: u32 = 0;
const CLAIM: u32 = 1;
const MAP: u32 = 2;
const APPLY: u32 = 3;
const UNDO: u32 = 4;

/// Checks at the thread's core, claims the area's frame at the caller's home, maps it at the space's home,
/// and sets it all at the thread's core. A step that fails undoes the ones before.
pub(super) fn setup_step(job: &'static Job, here: &'static Core) -> Step {
    let thread = match target(job, Rights::CONTROL.with(Rights::WRITE)) {
        Ok(thread) => thread,
        Err(error) if job.stage.get() == CHECK => return Step::Done(Err(error)),
        Err(_) => return undo_setup(job, here),
    };
    let setup = job.input::<ThreadSetup>();
    let has_area = setup.area != Handle::NONE.0;
    if job.stage.get() == CHECK {
        at_home_of!(thread, here);
        attempt!(check_setup(job, thread, &setup, has_area));
        job.stage.set(if has_area { CLAIM } else { APPLY });
    }
    if job.stage.get() == CLAIM {
        if job.space().home() != here.number {
            return Step::Go(job.space().home());
        }
        let (slot, first) = attempt!(claim(job.space(), u64::from(setup.area), |length| length == 1));
        slot.convert(Kind::Tables, reference_to(thread).0, tables_word(first, 1));
        job.cursor[0].set(first);
        job.stage.set(MAP);
    }
    if job.stage.get() == MAP {
        if thread.space.home() != here.number {
            return Step::Go(thread.space.home());
        }
        match map_area(thread.space, setup.area_address, job.cursor[0].get()) {
            Ok(()) => {
                job.bytes()[AREA_ADDRESS] = setup.area_address;
                job.bytes()[UNMAPPED] = 0;
                job.cursor[3].set(reference_to(thread.space).0);
                job.stage.set(APPLY);
            }
            Err(error) => {
                job.cursor[2].set(error as u64);
                job.stage.set(UNDO);
            }
        }
    }
    if job.stage.get() == UNDO {
        return undo_setup(job, here);
    }
    at_home_of!(thread, here);
    if let Err(error) = check_setup(job, thread, &setup, has_area) {
        // Another setup, or a start, came in between.
        job.cursor[2].set(error as u64);
        return undo_setup(job, here);
    }
    apply_setup(here, thread, &setup, has_area.then(|| job.cursor[0].get()));
    Step::Done(Ok(0))
}

fn check_setup(job: &Job, thread: &Thread, setup: &ThreadSetup, has_area: bool) -> Result<(), Error> {
    let own = core::ptr::eq(thread, job.thread());
    if !own && !matches!(thread.state.get(), State::Stopped | State::Faulted) {
        return Err(Error::WrongState);
    }
    let entries = [setup.reflect_entry, setup.pager_entry, setup.stack];
    if setup.reserved != 0 || entries.iter().any(|address| *address >= USER_END) {
        return Err(Error::BadArgument);
    }
    if has_area {
        Pages::new(setup.area_address, 1)?;
        if thread.area_frame.get() != 0 {
            return Err(Error::InUse);
        }
    } else if thread.area_frame.get() == 0 && (setup.reflect_entry | setup.pager_entry) != 0 {
        return Err(Error::BadArgument);
    }
    Ok(())
}

fn map_area(space: &Space, address: u64, frame: u64) -> Result<(), Error> {
    let table = space.table_for(address >> 12, 0, true)?;
    if table.get(index_at(address, 0)).is_present() {
        return Err(Error::AlreadyMapped);
    }
    let access = Access { write: true, may_write: true, uncounted: true, ..Access::default() };
    table.set(index_at(address, 0), Entry::page(frame, access, false));
    Ok(())
}

/// Unmaps the area at its space's home, waits until no core can reach it, and gives the claimed frame back
/// to the caller's slot.
fn undo_setup(job: &Job, here: &Core) -> Step {
    job.stage.set(UNDO);
    let frame = job.cursor[0].get();
    let space = Space::still_there(Reference(job.cursor[3].get()), here);
    if let Err(Some(home)) = space {
        return Step::Go(home);
    }
    if let Ok(space) = space {
        if job.bytes()[UNMAPPED] == 0 {
            unmap_area(space, job.bytes()[AREA_ADDRESS] >> 12, frame);
            job.bytes()[UNMAPPED] = space.begin_flush(here).max(1);
        }
        if job.bytes()[UNMAPPED] > 1 && !space.is_flushed(here, job.bytes()[UNMAPPED]) {
            return Step::Park;
        }
    }
    job.cursor[3].set(0);
    let own = job.space();
    if own.home() != here.number {
        return Step::Go(own.home());
    }
    if frame != 0 {
        crate::frames::release(frame, 1);
        // Unless it was revoked meanwhile, and the slot is perhaps another's.
        let area = capabilities::find(own, u64::from(job.input::<ThreadSetup>().area));
        if let Ok((slot, found)) = area
            && (found.kind, found.length) == (Kind::Tables, tables_word(frame, 1))
        {
            slot.convert(Kind::Frames, frame, 1);
        }
    }
    Step::Done(Err(Error::from_number(job.cursor[2].get() as u32).unwrap_or(Error::Closed)))
}

/// Words of the job's bytes, behind the setup itself: where the area is, and how far its unmapping is.
const AREA_ADDRESS: usize = 12;
const UNMAPPED: usize = 13;

fn apply_setup(here: &Core, thread: &Thread, setup: &ThreadSetup, area: Option<u64>) {
    if let Some(frame) = area {
        let pointer = frame_pointer(frame).cast::<Area>();
        // SAFETY: the frame was claimed and zeroed for this thread.
        unsafe { (&raw mut (*pointer).own_address).write(setup.area_address) };
        thread.area_frame.set(frame);
        thread.area.set(pointer);
        thread.area_address.set(setup.area_address);
    }
    thread.reflect_entry.set(setup.reflect_entry);
    thread.pager_entry.set(setup.pager_entry);
    thread.libfos_stack.set(setup.stack);
    thread.report.set(setup.report);
    thread.cookie.set(setup.cookie);
    if core::ptr::eq(here.current.get(), thread) {
        load_setup(here, thread);
    }
}

/// Puts what machine code needs of a thread into the core.
#[inline(always)]
pub fn load_setup(here: &Core, thread: &Thread) {
    let reflects = thread.reflect_entry.get() != 0;
    here.area.set(if reflects { thread.area.get() } else { core::ptr::null_mut() });
    here.reflect_entry.set(thread.reflect_entry.get());
    here.libfos_stack.set(thread.libfos_stack.get());
    // SAFETY: 0, or an address of user space (`check_setup`). Always: a program may have changed its GS base itself.
    unsafe { crate::arch::machine::entry::set_user_gs(thread.area_address.get()) };
}

/// `thread_write`
pub extern "C" fn thread_write(thread: u64, registers: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(write_step, [thread, 0, 0, 0, 0, 0], (0, 0), |job| {
        job.read_input::<Registers>(registers)?;
        check_registers(&job.input::<Registers>())
    })
}

/// What the kernel will load must not make it fault: addresses canonical, flags a program's own.
fn check_registers(registers: &Registers) -> Result<(), Error> {
    let bad = registers.rip >= USER_END
        || registers.rflags & !(USER_RFLAGS | RFLAGS_ALWAYS) != 0
        || !is_canonical(registers.rsp)
        || !is_canonical(registers.fs_base);
    if bad { Err(Error::BadArgument) } else { Ok(()) }
}

fn write_step(job: &'static Job, here: &'static Core) -> Step {
    let thread = attempt!(target(job, Rights::WRITE));
    at_home_of!(thread, here);
    if !matches!(thread.state.get(), State::Stopped | State::Faulted) || core::ptr::eq(thread, job.thread()) {
        return Step::Done(Err(Error::WrongState));
    }
    *thread.saved() = job.input::<Registers>();
    thread.saved().rflags |= RFLAGS_ALWAYS;
    thread.resume.set(Resume::All);
    Step::Done(Ok(0))
}

/// `thread_read`
pub extern "C" fn thread_read(thread: u64, out: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let size = size_of::<Registers>();
    jobs::call(read_step, [thread, 0, 0, 0, 0, 0], (out, size), |_| check_aligned(out, size))
}

fn read_step(job: &'static Job, here: &'static Core) -> Step {
    let thread = attempt!(target(job, Rights::READ));
    at_home_of!(thread, here);
    if !matches!(thread.state.get(), State::Stopped | State::Faulted) || core::ptr::eq(thread, job.thread()) {
        return Step::Done(Err(Error::WrongState));
    }
    job.answer(Registers { gs_base: thread.area_address.get(), ..*thread.saved() });
    Step::Done(Ok(0))
}

/// `thread_stop`
pub extern "C" fn thread_stop(thread: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(stop_step, [thread, 0, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn stop_step(job: &'static Job, here: &'static Core) -> Step {
    let thread = attempt!(target(job, Rights::CONTROL));
    at_home_of!(thread, here);
    let own = core::ptr::eq(thread, job.thread());
    match thread.state.get() {
        // The answer to this very call comes when somebody resumes it.
        State::Waiting if own => {
            thread.stop_wanted.set(true);
            Step::Done(Ok(0))
        }
        State::Ready if own => {
            thread.state.set(State::Stopped);
            here.leave.set(1);
            Step::Done(Ok(0))
        }
        State::Ready => {
            here.scheduler.stop(here, thread);
            Step::Done(Ok(0))
        }
        State::Waiting if thread.waiting_count.get() > 0 => {
            thread.stop_wanted.set(true);
            thread.end_wait(here, Error::Interrupted as u64);
            Step::Done(Ok(0))
        }
        State::Waiting if job.cancelled.load(Ordering::Acquire) => Step::Done(Err(Error::Closed)),
        State::Waiting => {
            // Inside a call that acts elsewhere: it stops when that has ended.
            thread.stop_wanted.set(true);
            job.stage.set(1);
            Step::Park
        }
        State::Stopped if job.stage.get() == 1 => Step::Done(Ok(0)),
        _ => Step::Done(Err(Error::WrongState)),
    }
}

/// `thread_resume`
pub extern "C" fn thread_resume(thread: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    jobs::call(resume_step, [thread, 0, 0, 0, 0, 0], (0, 0), |_| Ok(()))
}

fn resume_step(job: &'static Job, here: &'static Core) -> Step {
    let thread = attempt!(target(job, Rights::CONTROL));
    at_home_of!(thread, here);
    let stopped = matches!(thread.state.get(), State::Stopped | State::Faulted);
    if !stopped || !thread.is_alive() {
        return Step::Done(Err(Error::WrongState));
    }
    here.scheduler.make_ready(here, thread);
    Step::Done(Ok(0))
}

/// `thread_exit`
pub extern "C" fn thread_exit(status: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let here = cores::this();
    let thread = Thread::current();
    thread.exit_status.set(status);
    thread.state.set(State::Stopped);
    ends::end_thread(here, thread, EndReason::Exited as u64);
    here.leave.set(1);
    Answer::ok(0)
}

/// `thread_yield`
pub extern "C" fn thread_yield(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    cores::this().scheduler.rotate_wanted.set(true);
    cores::this().leave.set(1);
    Answer::ok(0)
}

/// `thread_info`
pub extern "C" fn thread_info(thread: u64, out: u64, _: u64, _: u64, _: u64, _: u64) -> Answer {
    let size = size_of::<ThreadInfo>();
    jobs::call(info_step, [thread, 0, 0, 0, 0, 0], (out, size), |_| check_aligned(out, size))
}

fn info_step(job: &'static Job, here: &'static Core) -> Step {
    let thread = attempt!(target(job, Rights::READ));
    at_home_of!(thread, here);
    job.answer(ThreadInfo {
        state: thread.state.get() as u64,
        core: u64::from(here.number),
        cycles: thread.cycles.get(),
        switches: thread.switches.get(),
        identity: thread.space.identity,
        status: thread.exit_status.get(),
    });
    Step::Done(Ok(0))
}

#[cfg(test)]
#[path = "../tests/registers.rs"]
mod tests;

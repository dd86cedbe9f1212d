//! A failing core is only that core. Whatever goes wrong in a kernel (a panic, a machine check, silence),
//! the core is *fenced*: it never runs again, is taken out of the core table and of shootdowns, and a
//! surviving core buries it: what was at home there ends, whoever held it is told, and calls that were
//! under way there are answered `CoreFailed`.

use crate::arch::machine::{self, clock, controller, cpu, paging, serial};
use crate::cores::{self, Core, core_state};
use crate::ends;
use crate::frames::{self, frame_kind};
use crate::inbox::{Inbox, flag};
use crate::interrupts;
use crate::jobs::{self, Job, Step};
use crate::mailbox::Mailbox;
use crate::objects::object_at;
use crate::space::Space;
use crate::thread::{State, Thread};
use crate::watch;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use fos_abi::limits::CHUNK_STEPS;
use fos_abi::mailbox::EndReason;

/// Set by `panic=stop-all`: a failing core ends the machine.
static STOP_ALL: AtomicBool = AtomicBool::new(false);

/// How long a core may leave a request unanswered before it is given up, in milliseconds. Generous: an
/// emulated core shares its host with others. `silence=N` sets it.
static SILENCE_MILLISECONDS: AtomicU64 = AtomicU64::new(10_000);

/// A failure to come, for tests of this file: `plant=panic:CORE` or `plant=hang:CORE`. Core number plus
/// one; bit 16: a hang.
static PLANTED: AtomicU32 = AtomicU32::new(0);
const HANG: u32 = 1 << 16;
/// When a planted failure springs, after the core's start.
const PLANTED_MICROSECONDS: u64 = 1_000_000;

/// Reads the kernel's command line. Words that are not for the kernel are for the root program.
pub fn configure(command_line: &str) {
    for word in command_line.split(' ') {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value.split_once(':')) {
            ("panic", _) => STOP_ALL.store(value == "stop-all", Ordering::Relaxed),
            ("silence", _) => {
                if let Ok(milliseconds) = value.parse() {
                    SILENCE_MILLISECONDS.store(milliseconds, Ordering::Relaxed);
                }
            }
            ("plant", Some((how, core))) => {
                let core: u32 = core.parse::<u16>().map_or(0, |core| u32::from(core) + 1);
                PLANTED.store(core | if how == "hang" { HANG } else { 0 }, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// How long until this core's planted failure, in ticks, if it has one.
pub fn planted(here: &Core) -> Option<u64> {
    let planted = PLANTED.load(Ordering::Relaxed) & !HANG;
    (planted == u32::from(here.number) + 1).then(|| clock::ticks(PLANTED_MICROSECONDS))
}

/// Springs this core's planted failure.
pub fn spring(here: &'static Core) {
    if PLANTED.load(Ordering::Relaxed) & HANG == 0 {
        fail(here, format_args!("planted on the command line"), machine::traps::frame_pointer(), 0)
    }
    loop {
        cpu::relax();
    }
}

/// This core can't go on: says why, with a backtrace, and fences itself. `frame` is a frame pointer.
pub fn fail(here: &'static Core, why: fmt::Arguments, frame: u64, instruction: u64) -> ! {
    if here.failing.replace(true) {
        // Failed again while saying so.
        fence(here)
    }
    serial::print_line(format_args!("fos-kernel: panic on core {}: {why}", here.number));
    serial::print_line(format_args!(
        "fos-backtrace: core {} {}",
        here.number,
        machine::traps::Backtrace { instruction, frame }
    ));
    if STOP_ALL.load(Ordering::Relaxed) {
        machine::power_off(fos_abi::exit::STOPPED_BY_PANIC);
    }
    fence(here)
}

/// Takes this core out, and tells the others.
fn fence(here: &'static Core) -> ! {
    mark_failed(here);
    if cores::alive().next().is_none() {
        machine::power_off(fos_abi::exit::STOPPED_BY_PANIC);
    }
    cpu::halt_forever()
}

fn mark_failed(core: &Core) {
    core.state.store(core_state::FAILED, Ordering::SeqCst);
    for other in cores::alive() {
        Inbox::post_flags(other, flag::CORE_FAILED);
    }
}

/// A non-maskable interrupt: peers have given this core up, or somebody outside pressed a button.
pub fn asked_to_stop(here: &'static Core) {
    if here.given_up.load(Ordering::SeqCst) {
        fence(here)
    }
}

/// Whether another core was asked for something and has not looked yet.
pub fn somebody_owes_an_answer(here: &Core) -> bool {
    cores::alive().any(|core| core.number != here.number && core.asked_at.load(Ordering::Relaxed) != 0)
}

/// Looks for cores that leave requests unanswered: first an NMI, with which a core that can still do
/// anything fences itself; one that does not even do that is taken to be dead.
pub fn look_for_hung_cores(here: &Core) {
    let limit = clock::ticks(1000 * SILENCE_MILLISECONDS.load(Ordering::Relaxed));
    for core in cores::alive().filter(|core| core.number != here.number) {
        let asked = core.asked_at.load(Ordering::Relaxed);
        let silent = cpu::time_stamp().saturating_sub(asked);
        if asked == 0 || silent < limit {
            continue;
        }
        if !core.given_up.swap(true, Ordering::SeqCst) {
            serial::print_line(format_args!("fos-kernel: core {} does not answer; stopping it", core.number));
            controller::interrupt_unconditionally(core.hardware_id);
        } else if silent > 2 * limit {
            mark_failed(core);
        }
    }
}

/// This core hears that another failed: it looks after its own, and the lowest one alive buries the dead.
pub fn notice(here: &'static Core) {
    begin(here, &here.rescue, rescue_step);
    let undertaker = cores::alive().next().is_some_and(|first| first.number == here.number);
    for number in 0..cores::count_all() as u16 {
        let Some(core) = cores::get(number) else { continue };
        if undertaker && core.state.load(Ordering::SeqCst) == core_state::FAILED {
            interrupts::move_lines(number, here);
            begin(here, &core.burial, burial_step);
        }
    }
}

fn begin(here: &'static Core, job: &'static Job, code: jobs::Code) {
    if job.active.get() {
        // Begun already: once more from the start, for a core that failed meanwhile.
        job.cursor[0].set(0);
        return;
    }
    job.prepare(code);
    here.work.push(job);
    here.leave.set(1);
}

/// Calls `each` for the objects of a chunk of frames. The cursor is the next frame. Says whether there
/// are more.
fn walk(job: &Job, mut each: impl FnMut(u8, u64)) -> bool {
    for _ in 0..CHUNK_STEPS {
        let frame = job.cursor[0].get();
        let Some(entry) = frames::entry(frame) else { return false };
        job.cursor[0].set(frame + 1);
        if entry.kind() >= frame_kind::SPACE {
            each(entry.kind(), frame);
        }
    }
    true
}

/// Buries the failed core that the job belongs to: voids the message it was sending, takes its objects
/// over and ends them, tells who watches it.
fn burial_step(job: &'static Job, here: &'static Core) -> Step {
    let dead =
        (0..cores::count_all() as u16).filter_map(cores::get).find(|core| core::ptr::eq(&core.burial, job));
    let Some(dead) = dead else { return Step::Done(Ok(0)) };
    if job.stage.get() == 0 {
        void_message(dead);
        job.stage.set(1);
    }
    if job.stage.get() == 1 {
        let more = walk(job, |kind, frame| bury_object(here, dead, kind, frame));
        if more {
            return Step::Again;
        }
        job.stage.set(2);
    }
    let number = u64::from(dead.number);
    if !watch::tell(&dead.watchers, &job.cursor[1], EndReason::CoreFailed as u64, number) {
        return Step::Again;
    }
    jobs::recheck_everywhere(here);
    Step::Done(Ok(0))
}

fn void_message(dead: &Core) {
    let address = dead.sending_mailbox.swap(0, Ordering::AcqRel);
    let ticket = dead.sending_ticket.load(Ordering::Acquire);
    if address != 0 {
        let frame = paging::pointer_frame(address as *const u8);
        let is_mailbox = frames::entry(frame).is_some_and(|entry| entry.kind() == frame_kind::MAILBOX);
        if is_mailbox {
            // SAFETY: the frame table says so just now, and its end waits for this core.
            unsafe { object_at::<Mailbox>(frame) }.void(ticket as u32, (ticket >> 32) as u32);
        }
    }
}

/// Takes one object over if the dead core was its home, and ends it; an end that got stuck there goes on.
fn bury_object(here: &'static Core, dead: &Core, kind: u8, frame: u64) {
    let reason = EndReason::CoreFailed as u64;
    match kind {
        frame_kind::THREAD => {
            // SAFETY: the frame table says so.
            let thread = unsafe { object_at::<Thread>(frame) };
            if thread.home.load(Ordering::Acquire) == dead.number {
                thread.run_next.set(core::ptr::null());
                thread.timer_slot.set(0);
                thread.copy_out_pending.set(false);
                thread.posted.store(0, Ordering::SeqCst);
                for call in thread.jobs.iter().filter(|call| has_failed(call)) {
                    call.active.set(false);
                }
                thread.state.set(State::Stopped);
                thread.home.store(here.number, Ordering::Release);
                here.counters.threads.fetch_add(1, Ordering::Relaxed);
                ends::end_thread(here, thread, reason);
            }
            restart(here, dead, &thread.teardown);
        }
        frame_kind::MAILBOX => {
            // SAFETY: as above.
            let mailbox = unsafe { object_at::<Mailbox>(frame) };
            if mailbox.home.load(Ordering::Acquire) == dead.number {
                mailbox.home.store(here.number, Ordering::Release);
                ends::end_mailbox(here, mailbox, reason);
            }
            restart(here, dead, &mailbox.teardown);
        }
        _ => {
            // SAFETY: as above.
            let space = unsafe { object_at::<Space>(frame) };
            if space.home() == dead.number {
                space.set_home(here.number);
                here.add_space(space);
                ends::end_space(here, space, reason);
            }
            restart(here, dead, &space.teardown);
        }
    }
}

/// An end that was at the dead core goes on here, from the beginning of its stage.
fn restart(here: &'static Core, dead: &Core, teardown: &'static Job) {
    if teardown.active.get() && teardown.at.load(Ordering::Acquire) == dead.number {
        teardown.send_to(here, here.number);
    }
}

/// Answers calls of this core's threads that were under way on a core that failed.
fn rescue_step(job: &'static Job, here: &'static Core) -> Step {
    let more = walk(job, |kind, frame| {
        if kind == frame_kind::THREAD {
            // SAFETY: the frame table says so.
            let thread = unsafe { object_at::<Thread>(frame) };
            if thread.home.load(Ordering::Acquire) == here.number {
                rescue(here, thread);
            }
        }
    });
    if more { Step::Again } else { Step::Done(Ok(0)) }
}

/// Whether a job was last at a core that has failed.
fn has_failed(job: &Job) -> bool {
    let at = cores::get(job.at.load(Ordering::Acquire));
    at.is_some_and(|core| core.state.load(Ordering::SeqCst) == core_state::FAILED)
}

fn rescue(here: &'static Core, thread: &'static Thread) {
    for call in thread.jobs.iter().filter(|call| call.active.get() && has_failed(call)) {
        call.fail_here(here);
    }
}

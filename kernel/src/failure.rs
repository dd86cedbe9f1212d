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
use crate::objects::{Reference, object_at, reference_to, resolve};
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

/// Failures to come, for tests of this file: `plant=HOW:CORE`. Each holds a core's number plus one.
static PLANTED: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
/// In which ways: with a panic, with an endless loop, with a panic while it buries another core.
const WAYS: [&str; 3] = ["panic", "hang", "bury"];
const PANIC: usize = 0;
const HANG: usize = 1;
const BURY: usize = 2;
/// When a planted panic or hang springs, after the core's start. `spring=N` sets it.
static SPRING_MILLISECONDS: AtomicU64 = AtomicU64::new(1_000);

/// Positions of a burial in its job's cursors, beside [`ends::grace`]'s: the next frame to look at, the next
/// watcher to tell, the mailbox that the dead core was sending to.
const FRAME: usize = 0;
const WATCHER: usize = 1;
const SENDING: usize = 2;

/// Reads the kernel's command line. Words that are not for the kernel are for the root program.
pub fn configure(command_line: &str) {
    for word in command_line.split(' ') {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value.split_once(':')) {
            ("panic", _) => STOP_ALL.store(value == "stop-all", Ordering::Relaxed),
            ("silence" | "spring", _) => {
                let of = if name == "silence" { &SILENCE_MILLISECONDS } else { &SPRING_MILLISECONDS };
                let _ = value.parse().map(|milliseconds| of.store(milliseconds, Ordering::Relaxed));
            }
            ("plant", Some((how, core))) => {
                let core: u32 = core.parse::<u16>().map_or(0, |core| u32::from(core) + 1);
                let ways = WAYS.iter().zip(&PLANTED);
                ways.filter(|(way, _)| **way == how)
                    .for_each(|(_, place)| place.store(core, Ordering::Relaxed));
            }
            _ => {}
        }
    }
}

fn is_planted(here: &Core, way: usize) -> bool {
    PLANTED[way].load(Ordering::Relaxed) == u32::from(here.number) + 1
}

/// How long until this core's planted failure, in ticks, if it has one.
pub fn planted(here: &Core) -> Option<u64> {
    let after = || clock::ticks(1000 * SPRING_MILLISECONDS.load(Ordering::Relaxed));
    [PANIC, HANG].iter().any(|way| is_planted(here, *way)).then(after)
}

/// Springs this core's planted failure.
pub fn spring(here: &'static Core) {
    while is_planted(here, HANG) {
        cpu::relax();
    }
    fail(here, format_args!("planted on the command line"), machine::traps::frame_pointer(), 0)
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

/// Takes this core out, and tells the others. From then on nobody waits for it before the loaded space's tables become
/// ordinary memory.
fn fence(here: &'static Core) -> ! {
    // SAFETY: the kernel's own tables map the kernel.
    unsafe { cpu::set_page_table_root(paging::kernel_root()) };
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

/// Looks for cores that leave requests unanswered: first an NMI, with which a core that can still do
/// anything fences itself; one that does not even do that is taken to be dead. Called when this core's
/// timer fires, which whoever asks something of another core sees to.
pub fn look_for_hung_cores(here: &Core) {
    let limit = clock::ticks(1000 * SILENCE_MILLISECONDS.load(Ordering::Relaxed));
    for core in cores::alive().filter(|core| core.number != here.number) {
        let Some(silence) = silence(here, core, cpu::time_stamp()) else { continue };
        if silence < limit {
            continue;
        }
        if !core.given_up.swap(true, Ordering::SeqCst) {
            serial::print_line(format_args!("fos-kernel: core {} does not answer; stopping it", core.number));
            controller::interrupt_unconditionally(core.hardware_id);
        } else if silence > 2 * limit {
            mark_failed(core);
        }
    }
}

/// For how many ticks a core has owed an answer, if it does. Of the time between two looks only as much
/// counts as the timer may have been set to: a machine that was paused jumps, and has silenced nobody.
fn silence(here: &Core, core: &Core, now: u64) -> Option<u64> {
    let since = core.asked_at.load(Ordering::Relaxed);
    if since == 0 {
        return None;
    }
    here.scheduler.look_soon(now);
    let passed = now.saturating_sub(since).min(2 * here.scheduler.horizon.get());
    core.asked_at.compare_exchange(since, now | 1, Ordering::Relaxed, Ordering::Relaxed).ok()?;
    Some(core.silence.fetch_add(passed, Ordering::Relaxed) + passed)
}

/// This core hears that another failed: it looks after its own, and buries the dead before it in the order of
/// numbers. Should it fail meanwhile, the next one begins anew.
pub fn notice(here: &'static Core) {
    begin(here, &here.rescue, rescue_step);
    for dead in (0..cores::count_all() as u16).filter_map(cores::get) {
        if dead.state.load(Ordering::SeqCst) == core_state::FAILED && is_undertaker(here, dead) {
            interrupts::move_lines(dead.number, here);
            begin(here, &dead.burial, burial_step);
        }
    }
    // What they wait for may have been the dead core.
    jobs::unpark_all(here);
}

/// Whether this is the first core alive after a dead one, around the end.
fn is_undertaker(here: &Core, dead: &Core) -> bool {
    let first = cores::alive().find(|core| core.number > dead.number).or_else(|| cores::alive().next());
    first.is_some_and(|first| first.number == here.number)
}

/// Begins a burial, unless a living core is at it, or a rescue, from the start if another core failed before.
fn begin(here: &'static Core, job: &'static Job, code: jobs::Code) {
    let under_way = job.active.get() && !has_failed(job);
    if under_way && !core::ptr::eq(job, &here.rescue) {
        return;
    }
    // Who is still to be told outlives the undertaker.
    let watcher = job.cursor[WATCHER].get();
    job.prepare(code);
    job.cursor[WATCHER].set(watcher);
    if !under_way {
        job.send_to(here, here.number);
    }
}

/// Calls `each` for the objects of a chunk of frames. The cursor is the next frame. Says whether there
/// are more.
fn walk(job: &Job, mut each: impl FnMut(u8, u64)) -> bool {
    for _ in 0..CHUNK_STEPS {
        let frame = job.cursor[FRAME].get();
        let Some(entry) = frames::entry(frame) else { return false };
        job.cursor[FRAME].set(frame + 1);
        if entry.kind() >= frame_kind::SPACE {
            each(entry.kind(), frame);
        }
    }
    true
}

/// Buries the failed core that the job belongs to: voids the message it was sending, takes its objects
/// over and ends them, tells who watches it. What other cores had begun to send there when it failed is seen
/// after a grace period. Every stage may be repeated by another core.
fn burial_step(job: &'static Job, here: &'static Core) -> Step {
    let dead =
        (0..cores::count_all() as u16).filter_map(cores::get).find(|core| core::ptr::eq(&core.burial, job));
    let Some(dead) = dead else { return Step::Done(Ok(0)) };
    if job.stage.get() == 0 {
        job.cursor[SENDING].set(half_sent(dead).0);
        job.stage.set(1);
    }
    if job.stage.get() == 1 {
        if !ends::grace(job, here) {
            return Step::Park;
        }
        if let Some(mailbox) = resolve::<Mailbox>(Reference(job.cursor[SENDING].get())) {
            mailbox.void(dead.sending.load(Ordering::Relaxed));
        }
        dead.sending_mailbox.store(0, Ordering::Relaxed);
        job.stage.set(2);
    }
    if job.stage.get() == 2 {
        let more = walk(job, |kind, frame| bury_object(here, dead, kind, frame));
        if more {
            return Step::Again;
        }
        job.stage.set(3);
    }
    let number = u64::from(dead.number);
    if !watch::tell(&dead.watchers, &job.cursor[WATCHER], EndReason::CoreFailed as u64, number) {
        return Step::Again;
    }
    jobs::recheck_everywhere(here);
    Step::Done(Ok(0))
}

/// The mailbox to which a dead core may have been sending: it had noted a ticket that somebody has taken. If
/// that was another core, its message is there after a grace period.
fn half_sent(dead: &Core) -> Reference {
    let address = dead.sending_mailbox.load(Ordering::Acquire);
    if address == 0 {
        return Reference::NONE;
    }
    let frame = paging::pointer_frame(address as *const u8);
    if frames::entry(frame).is_none_or(|entry| entry.kind() != frame_kind::MAILBOX) {
        return Reference::NONE;
    }
    // SAFETY: the frame table says so just now.
    let mailbox = unsafe { object_at::<Mailbox>(frame) };
    let taken = mailbox.holds_message(dead.sending.load(Ordering::Relaxed) as u32);
    if taken { reference_to(mailbox) } else { Reference::NONE }
}

/// Takes one object over if the dead core was its home, and ends it; an end that got stuck there goes on.
fn bury_object(here: &'static Core, dead: &Core, kind: u8, frame: u64) {
    let reason = EndReason::CoreFailed as u64;
    match kind {
        frame_kind::THREAD => {
            // SAFETY: the frame table says so.
            let thread = unsafe { object_at::<Thread>(frame) };
            if thread.home.load(Ordering::Acquire) == dead.number {
                thread.timer_slot.set(0);
                thread.copy_out_pending.set(false);
                thread.posted.store(0, Ordering::SeqCst);
                thread.state.set(State::Stopped);
                thread.home.store(here.number, Ordering::Release);
                here.counters.threads.fetch_add(1, Ordering::Relaxed);
                ends::end_thread(here, thread, reason);
                rescue(here, thread);
                if is_planted(here, BURY) {
                    fail(here, format_args!("planted, in a burial"), machine::traps::frame_pointer(), 0)
                }
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
                if ends::is_listed(space) {
                    here.add_space(space);
                }
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

/// Looks after this core's threads when another has failed, and whatever was on its way there has arrived.
fn rescue_step(job: &'static Job, here: &'static Core) -> Step {
    if !ends::grace(job, here) {
        return Step::Park;
    }
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

/// Answers calls of a thread that were under way on a core that failed, but has those go on here that are
/// halfway through dropping a capability: nobody else could drop it any more. If the dead core had taken the
/// thread out of a mailbox and not come to wake it, it wakes now.
fn rescue(here: &'static Core, thread: &'static Thread) {
    for call in thread.jobs.iter().filter(|call| call.active.get() && has_failed(call)) {
        if call.drop_stage.get() != 0 {
            call.send_to(here, here.number);
        } else {
            call.finish(here, Err(fos_abi::Error::CoreFailed));
        }
    }
    if thread.waits_in_vain() {
        thread.end_wait(here, 0);
    }
}

#[cfg(test)]
#[path = "tests/failure.rs"]
mod tests;

//! Threads: faults are told with everything needed to act on them, stops and resumes take effect, slices are fair, and
//! whoever watches learns of every end.

use core::sync::atomic::Ordering;

use alloc::vec::Vec;

use fos_abi::Error;
use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::USER_END;
use fos_abi::mailbox::{EndReason, MessageKind};
use fos_abi::space::MapFlags;
use fos_abi::thread::{Registers, ThreadState, USER_RFLAGS};
use libfos::spawn::Frames;
use libfos::{calls, measure};

use super::Case;
use super::mappings::{fault_of, report};
use crate::ensure;
use crate::fixture::report_to;
use crate::ground::PAGE;
use crate::kernel::{call, word};
use crate::stage::{Inbox, Stage, full_key, memory_word, wait_for};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "thread-fault-report", run: fault_report },
    Case { name: "thread-fault-of-every-sort", run: fault_sorts },
    Case { name: "thread-registers", run: registers },
    Case { name: "thread-registers-that-would-harm", run: harmful_registers },
    Case { name: "thread-stop-and-resume", run: stop_and_resume },
    Case { name: "thread-time-slices-are-fair", run: slices },
    Case { name: "thread-watched-to-its-end", run: watched },
    Case { name: "thread-watch-of-what-has-ended", run: watch_ended },
    Case { name: "thread-frames-revoked-under-it", run: frames_revoked },
    Case { name: "space-ended-with-everything-in-it", run: space_ended },
    Case { name: "space-ended-by-revoking-its-own-page-tables", run: own_tables_revoked },
    Case { name: "core-told-by-number", run: cores },
];

/// Where cases map counters.
const FIELD: u64 = 0x10_0000;

fn entry(function: extern "C" fn() -> !) -> u64 {
    function as *const () as u64
}

fn fault_report(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(32)?;
    let nothing = stage.fresh_window()? + crate::fixture::place::NOTHING;
    let rip = entry(measure::load_entry);
    let registers = Registers {
        rip,
        rdi: nothing,
        rbx: 0x1111,
        rbp: 0x2222,
        rsp: 0x3333_0000,
        r12: 0x4444,
        r15: 0x5555,
        ..Registers::default()
    };
    let (letter, thread) = fault_of(stage, &mut plot, &registers)?;
    same("its sender", letter.sender, 0)?;
    let report = report(&letter)?;
    same("the report's badge and cookie", (letter.badge, report.cookie), (0, 0xc00c1e))?;
    same("vector and address", (report.vector, report.address), (14, nothing))?;
    same("code: a read by user code of what is not there", report.code & 7, 4)?;
    same("rip, rsp and rbp", (report.rip, report.rsp, report.rbp), (rip, 0x3333_0000, 0x2222))?;
    same("state", calls::thread_info(thread)?.state, ThreadState::Faulted as u64)?;
    let found = calls::thread_read(thread)?;
    same("registers", (found.rip, found.rdi, found.rbx), (rip, nothing, 0x1111))?;
    same("registers", (found.r12, found.r15, found.rsp), (0x4444, 0x5555, 0x3333_0000))?;
    // Repaired, it goes on.
    let target = stage.window + FIELD;
    let page = plot.take(1)?;
    stage.map(page, 1, target, MapFlags::WRITE)?;
    memory_word(target).store(99, Ordering::Relaxed);
    calls::thread_write(thread, &Registers { rdi: target, rsi: target + 8, ..found })?;
    calls::thread_resume(thread)?;
    ensure!(wait_for(memory_word(target + 8), 99, stage.patience()), "the repaired thread did not go on");
    stage.clear(plot)
}

/// Every way to fault that user code has ends in a report with its vector, and in nothing else.
fn fault_sorts(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    // Divide error, breakpoint, invalid opcode, privileged instruction, non-canonical access, jump into the kernel.
    let sorts: [(&[u8], u64); 9] = [
        (&[0x31, 0xc9, 0xf7, 0xf1], 0),
        (&[0xcc], 3),
        (&[0x0f, 0x0b], 6),
        (&[0xf4], 13),
        (&[0xfa], 13),
        (&[0x0f, 0x22, 0xd8], 13),
        (&[0x0f, 0x30], 13),
        (&[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x48, 0x8b, 0x00], 13),
        (&[0x48, 0xc7, 0xc0, 0, 0, 0, 0x80, 0xff, 0xe0], 14),
    ];
    for (code, vector) in sorts {
        let mut plot = stage.ground.plot(32)?;
        let page = plot.take(1)?;
        let (writable, executable) = (window + FIELD, window + FIELD + PAGE);
        let second = calls::cap_derive(page, Rights::ALL, 0, 1)?;
        calls::space_map(Handle::SELF, second, 0, 1, writable, MapFlags::WRITE)?;
        for word in 0..4 {
            memory_word(writable + 8 * word).store(0, Ordering::Relaxed);
        }
        for (index, byte) in code.iter().enumerate() {
            let place = memory_word(writable + (index as u64 & !7));
            place.fetch_or(u64::from(*byte) << (8 * (index % 8)), Ordering::Relaxed);
        }
        let third = calls::cap_derive(page, Rights::ALL, 0, 1)?;
        calls::space_map(Handle::SELF, third, 0, 1, executable, MapFlags::EXECUTE)?;
        let (letter, _) = fault_of(stage, &mut plot, &Registers { rip: executable, ..Registers::default() })?;
        same(alloc::format!("the vector of {code:x?}"), report(&letter)?.vector, vector)?;
        stage.clear(plot)?;
    }
    Ok(())
}

fn registers(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(8)?;
    let thread = stage.thread(&mut plot, stage.far_core(), &Registers::default())?;
    let mut word = 0x0101_0101_0101_0101u64;
    let mut next = || {
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        word
    };
    let written = Registers {
        rax: next(),
        rbx: next(),
        rcx: next(),
        rdx: next(),
        rsi: next(),
        rdi: next(),
        rbp: next(),
        r8: next(),
        r9: next(),
        r10: next(),
        r11: next(),
        r12: next(),
        r13: next(),
        r14: next(),
        r15: next(),
        rip: entry(measure::exit_entry),
        rflags: 0xd5,
        rsp: next() >> 17,
        fs_base: 0x1234_5000,
        gs_base: 0, // GS belongs to the area, and this thread has none
    };
    calls::thread_write(thread, &written)?;
    let mut read = calls::thread_read(thread)?;
    ensure!(
        read.rflags & USER_RFLAGS == 0xd5 & USER_RFLAGS,
        "flags {:#x} came back as {:#x}",
        0xd5,
        read.rflags
    );
    read.rflags = written.rflags;
    same("registers read back", read, written)?;
    stage.clear(plot)
}

fn harmful_registers(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(8)?;
    let thread = stage.thread(&mut plot, stage.far_core(), &Registers::default())?;
    let before = calls::thread_read(thread)?;
    let refuse = |registers: Registers| {
        let answer = calls::thread_write(thread, &registers).map(|()| 0);
        refused(&alloc::format!("writing {registers:x?}"), answer, Error::BadArgument)
    };
    for rip in [USER_END, 0x0000_7fff_ffff_ffff, 0x0000_8000_0000_0000, 0xffff_8000_0000_0000, u64::MAX] {
        refuse(Registers { rip, ..before })?;
    }
    for address in [0x0000_8000_0000_0000, 0x8000_0000_0000_0000, 0xffff_7fff_ffff_ffff] {
        refuse(Registers { rsp: address, ..before })?;
        refuse(Registers { fs_base: address, ..before })?;
    }
    // Flags that a program may not set: IOPL, NT, RF, VM, VIF, VIP.
    for bit in [12, 13, 14, 16, 17, 19, 20, 63] {
        refuse(Registers { rflags: 1 << bit, ..before })?;
    }
    same("registers after refused writes", calls::thread_read(thread)?, before)?;
    stage.clear(plot)
}

fn stop_and_resume(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let counter = window + FIELD;
    let page = plot.take(1)?;
    stage.map(page, 1, counter, MapFlags::WRITE)?;
    let registers = Registers { rip: entry(measure::count_entry), rdi: counter, ..Registers::default() };
    let thread = stage.thread(&mut plot, stage.far_core(), &registers)?;
    for round in 0..50 {
        calls::thread_resume(thread)?;
        refused("resuming what runs", calls::thread_resume(thread).map(|()| 0), Error::WrongState)?;
        let before = memory_word(counter).load(Ordering::Acquire);
        let deadline = stage.patience();
        while memory_word(counter).load(Ordering::Acquire) == before {
            ensure!(!deadline.has_passed(), "the resumed thread does not run in round {round}");
            calls::thread_yield();
        }
        refused("reading what runs", calls::thread_read(thread).map(|_| 0), Error::WrongState)?;
        calls::thread_stop(thread)?;
        let stopped = memory_word(counter).load(Ordering::Acquire);
        refused("stopping what is stopped", calls::thread_stop(thread).map(|()| 0), Error::WrongState)?;
        let found = calls::thread_read(thread)?;
        same("rdi of the stopped thread", found.rdi, counter)?;
        same("the counter while it is stopped", memory_word(counter).load(Ordering::Acquire), stopped)?;
    }
    stage.clear(plot)
}

/// Threads that never give up a core get equal parts of it.
fn slices(stage: &mut Stage) -> Verdict {
    const THREADS: usize = 4;
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let page = plot.take(1)?;
    stage.map(page, 1, window + FIELD, MapFlags::WRITE)?;
    let core = stage.far_core();
    let mut threads = Vec::new();
    for index in 0..THREADS as u64 {
        let registers = Registers {
            rip: entry(measure::count_entry),
            rdi: window + FIELD + 8 * index,
            ..Registers::default()
        };
        threads.push(stage.thread(&mut plot, core, &registers)?);
    }
    for thread in &threads {
        calls::thread_resume(*thread)?;
    }
    libfos::clock::sleep_until(stage.ground.after(400));
    let mut cycles = Vec::new();
    for thread in &threads {
        calls::thread_stop(*thread)?;
        cycles.push(calls::thread_info(*thread)?.cycles);
    }
    let (least, most) =
        (cycles.iter().min().copied().unwrap_or(0), cycles.iter().max().copied().unwrap_or(0));
    let slice = stage.ground.grant.tsc_hz / 20;
    ensure!(least > 0 && most - least <= least / 2 + slice, "cycles of {THREADS} equal threads: {cycles:?}");
    for index in 0..THREADS as u64 {
        let turns = memory_word(window + FIELD + 8 * index).load(Ordering::Relaxed);
        ensure!(turns > 0, "thread {index} of {THREADS} never ran");
    }
    stage.clear(plot)
}

/// Waits for the notice of a watch, and gives the watch up.
fn ended(
    inbox: &mut Inbox,
    stage: &Stage,
    (watch, cookie): (Handle, u64),
    reason: EndReason,
    detail: u64,
) -> Verdict {
    let letter = inbox.receive(stage.patience())?;
    same("the notice's kind", letter.kind, MessageKind::Ended as u8)?;
    same("its badge", letter.badge, cookie)?;
    same("its sender", letter.sender, 0)?;
    same("its reason and detail", (letter.word(0), letter.word(1)), (reason as u64, detail))?;
    calls::cap_delete(watch)?;
    Ok(())
}

fn watched(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(64)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let core = stage.far_core();
    let exiting = Registers { rip: entry(measure::exit_entry), rdi: 42, ..Registers::default() };
    let thread = stage.thread(&mut plot, core, &exiting)?;
    let watch = calls::watch(thread, inbox.mailbox, 1)?;
    calls::thread_resume(thread)?;
    ended(&mut inbox, stage, (watch, 1), EndReason::Exited, 42)?;
    let second = stage.thread(&mut plot, core, &exiting)?;
    let watch = calls::watch(second, inbox.mailbox, 2)?;
    calls::destroy(second)?;
    ended(&mut inbox, stage, (watch, 2), EndReason::Destroyed, 0)?;
    let space = crate::fixture::space(&mut plot, core)?;
    let watch = calls::watch(space, inbox.mailbox, 3)?;
    calls::destroy(space)?;
    ended(&mut inbox, stage, (watch, 3), EndReason::Destroyed, 0)?;
    let mailbox = crate::fixture::mailbox(&mut plot)?;
    let key = full_key(mailbox, 0)?;
    let watches = [calls::watch(mailbox, inbox.mailbox, 4)?, calls::watch_mailbox(&key, inbox.mailbox, 5)?];
    calls::destroy(mailbox)?;
    let badges = [inbox.receive(stage.patience())?.badge, inbox.receive(stage.patience())?.badge];
    ensure!(badges == [4, 5] || badges == [5, 4], "badges of two watches on one mailbox: {badges:?}");
    watches.into_iter().try_for_each(calls::cap_delete)?;
    // A watch that was given up says nothing.
    let third = stage.thread(&mut plot, core, &exiting)?;
    let watch = calls::watch(third, inbox.mailbox, 6)?;
    calls::cap_delete(watch)?;
    calls::destroy(third)?;
    same("notices of a watch that was given up", inbox.drain(), 0)?;
    // A core can be watched as well; it lives on.
    let core = calls::cap_derive(stage.ground.grant.cores, Rights::WATCH, core, 1)?;
    calls::cap_delete(calls::watch(core, inbox.mailbox, 7)?)?;
    calls::cap_delete(core)?;
    stage.clear(plot)
}

fn watch_ended(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(64)?;
    let inbox = Inbox::create(&mut plot, window)?;
    let thread = stage.thread(&mut plot, stage.far_core(), &Registers::default())?;
    let twin = calls::cap_derive(thread, Rights::ALL, 0, 0)?;
    calls::destroy(twin)?;
    refused("watching an ended thread", calls::watch(thread, inbox.mailbox, 1).map(|_| 0), Error::Closed)?;
    for target in [fos_abi::calls::Call::thread_resume, fos_abi::calls::Call::thread_stop] {
        for handle in [thread, twin] {
            refused("acting on an ended thread", call(target, [word(handle), 0, 0, 0, 0, 0]), Error::Closed)?;
        }
    }
    // Ended by its owner, it is gone for everyone: the owner has frames, the others' handles name nothing.
    let second = stage.thread(&mut plot, stage.far_core(), &Registers::default())?;
    let twin = calls::cap_derive(second, Rights::ALL, 0, 0)?;
    calls::destroy(second)?;
    refused("a twin of an ended thread", calls::thread_info(twin).map(|_| 0), Error::BadCapability)?;
    same("the owner's capability", calls::cap_read(second)?.kind, fos_abi::capability::Kind::Frames as u32)?;
    stage.clear(plot)
}

fn frames_revoked(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let counter = window + FIELD;
    let page = plot.take(1)?;
    stage.map(page, 1, counter, MapFlags::WRITE)?;
    let frames = plot.take(2)?;
    let inner = calls::cap_derive(frames, Rights::ALL, 0, 2)?;
    let core = stage.far_core();
    let thread = calls::thread_create(inner, Handle::SELF, stage.ground.grant.cores, core)?;
    let registers = Registers { rip: entry(measure::count_entry), rdi: counter, ..Registers::default() };
    calls::thread_write(thread, &registers)?;
    let watch = calls::watch(thread, inbox.mailbox, 8)?;
    calls::thread_resume(thread)?;
    let deadline = stage.patience();
    while memory_word(counter).load(Ordering::Acquire) < 100 {
        ensure!(!deadline.has_passed(), "the counter never ran");
        calls::thread_yield();
    }
    calls::cap_revoke(frames)?;
    let stopped = memory_word(counter).load(Ordering::Acquire);
    ended(&mut inbox, stage, (watch, 8), EndReason::Destroyed, 0)?;
    refused("the ended thread's handle", calls::thread_info(thread).map(|_| 0), Error::BadCapability)?;
    same("the counter after the revocation", memory_word(counter).load(Ordering::Acquire), stopped)?;
    let again = calls::thread_create(frames, Handle::SELF, stage.ground.grant.cores, core)?;
    calls::destroy(again)?;
    stage.clear(plot)
}

/// Ends a child in the middle of its work: its threads stop, its mappings go, its frames come back.
extern "C" fn work_for_ever(block: u64) -> u64 {
    let block = libfos::spawn::own_block(block);
    loop {
        block[20].fetch_add(1, Ordering::Release);
        calls::thread_yield();
    }
}

fn space_ended(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let core = stage.far_core();
    let (child_plot, child) = stage.child(work_for_ever, core)?;
    report_to(child.thread, full_key(inbox.mailbox, 0)?, 5)?;
    let watches =
        [calls::watch(child.thread, inbox.mailbox, 9)?, calls::watch(child.space, inbox.mailbox, 10)?];
    calls::thread_resume(child.thread)?;
    let deadline = stage.patience();
    while child.block()[20].load(Ordering::Acquire) < 100 {
        ensure!(!deadline.has_passed(), "the child never worked");
        calls::thread_yield();
    }
    calls::destroy(child.space)?;
    let worked = child.block()[20].load(Ordering::Acquire);
    let mut badges = [inbox.receive(deadline)?.badge, inbox.receive(deadline)?.badge];
    badges.sort_unstable();
    same("badges of the notices", badges, [9, 10])?;
    watches.into_iter().try_for_each(calls::cap_delete)?;
    same("work done after the end", child.block()[20].load(Ordering::Acquire), worked)?;
    refused("the thread of an ended space", calls::thread_stop(child.thread).map(|()| 0), Error::Closed)?;
    stage.clear(child_plot)?;
    stage.clear(plot)
}

/// Gives itself page tables out of frames of its own, then sleeps its life away.
extern "C" fn feed_oneself(block: u64) -> u64 {
    let block = libfos::spawn::own_block(block);
    let frames = Handle(block[crate::stage::word::FRAMES].load(Ordering::Relaxed) as u32);
    let tables = calls::cap_derive(frames, Rights::ALL, 0, 4);
    let fed = tables.and_then(|tables| calls::space_donate(Handle::SELF, tables));
    block[20].store(fed.map_or_else(|error| error as u64, |()| 1000), Ordering::Release);
    loop {
        calls::thread_yield();
    }
}

/// Whoever revokes the frames that a space has as page tables ends that space, whichever of its own or others' tables
/// is looked at first.
fn own_tables_revoked(stage: &mut Stage) -> Verdict {
    for core in 0..stage.ground.grant.core_count {
        let (plot, child) = stage.child(feed_oneself, core)?;
        calls::thread_resume(child.thread)?;
        ensure!(wait_for(&child.block()[20], 1000, stage.patience()), "the child could not feed itself");
        stage.clear(plot)?;
    }
    Ok(())
}

fn cores(stage: &mut Stage) -> Verdict {
    for core in 0..stage.ground.grant.core_count {
        let info = calls::core_read(core)?;
        ensure!(info.state == 1 || info.state == 2, "core {core} is in state {}", info.state);
    }
    for core in [stage.ground.grant.core_count, 255, 256, 65_536, u64::MAX] {
        refused("a core that is not there", calls::core_read(core).map(|_| 0), Error::BadArgument)?;
    }
    Ok(())
}

//! Mappings: nothing is reachable without a right to it, and nothing stays reachable when the right is gone.

use core::sync::atomic::Ordering;

use fos_abi::Error;
use fos_abi::calls::Call;
use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::HUGE_PAGES;
use fos_abi::mailbox::MessageKind;
use fos_abi::space::MapFlags;
use fos_abi::thread::{FaultReport, Registers};
use libfos::spawn::{Frames, Process, own_block};
use libfos::{calls, measure};

use super::Case;
use crate::ensure;
use crate::fixture::report_to;
use crate::ground::{PAGE, Plot};
use crate::kernel::word;
use crate::stage::{Inbox, Letter, Stage, full_key, memory_word, wait_for};
use crate::verdict::{Failure, Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "mapping-write-to-a-read-only-loan", run: read_only_loan },
    Case { name: "mapping-rights-limit-flags", run: rights_limit_flags },
    Case { name: "mapping-protect-and-back", run: protect },
    Case { name: "mapping-revoked-under-a-running-reader", run: revoked_under_reader },
    Case { name: "mapping-revoked-with-a-fallback-frame", run: fallback },
    Case { name: "mapping-fallback-frame-revoked-in-its-place", run: fallback_revoked },
    Case { name: "mapping-fallback-frame-stays-while-mapped", run: fallback_stays },
    Case { name: "mapping-unmapped-on-every-core", run: unmapped_everywhere },
    Case { name: "mapping-changed-while-a-core-sleeps", run: changed_under_a_sleeper },
    Case { name: "mapping-counts", run: counts },
    Case { name: "mapping-objects-can-not-be-mapped", run: objects },
    Case { name: "mapping-dirty-bits", run: dirty },
    Case { name: "mapping-huge-pages", run: huge },
    Case { name: "mapping-in-one-space-at-a-time", run: one_space },
    Case { name: "mapping-partial-map-says-how-far", run: partial },
    Case { name: "mapping-refused-leaves-no-trace", run: no_trace },
];

/// Where cases map in their window, beside what a stage needs.
const FIELD: u64 = 0x10_0000;
/// `CoreInfo::state` of a core that sleeps.
const CORE_SLEEPS: u64 = 2;
/// Where a child has what its parent shares with it.
pub const SHARED: u64 = 0x3400_0000;

/// The report of a thread that was started with `registers` and must fault.
pub fn fault_of(
    stage: &mut Stage,
    plot: &mut Plot,
    registers: &Registers,
) -> Result<(Letter, Handle), Failure> {
    let window = stage.fresh_window()?;
    let mut inbox = Inbox::create(plot, window)?;
    let thread = stage.thread(plot, stage.far_core(), registers)?;
    report_to(thread, full_key(inbox.mailbox, 0)?, 0xc00c1e)?;
    calls::thread_resume(thread)?;
    Ok((inbox.receive(stage.patience())?, thread))
}

/// A letter's payload as a fault report.
pub fn report(letter: &Letter) -> Result<FaultReport, Failure> {
    ensure!(
        letter.kind == MessageKind::Fault as u8,
        "a message of kind {} instead of a fault report",
        letter.kind
    );
    ensure!(letter.length == size_of::<FaultReport>(), "a fault report of {} bytes", letter.length);
    let word = |index| letter.word(index);
    Ok(FaultReport {
        vector: word(0),
        code: word(1),
        address: word(2),
        rip: word(3),
        rsp: word(4),
        rbp: word(5),
        identity: word(6),
        cookie: word(7),
    })
}

/// Page fault codes (Intel SDM vol. 3, 4.7): present, write, user.
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const USER: u64 = 4;

fn read_only_loan(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let page = plot.take(1)?;
    let lender = calls::cap_derive(page, Rights::ALL, 0, 1)?;
    let loan = calls::cap_derive(page, Rights::READ, 0, 1)?;
    stage.map(lender, 1, window + FIELD, MapFlags::WRITE)?;
    memory_word(window + FIELD).store(1234, Ordering::Relaxed);
    let borrowed = window + FIELD + PAGE;
    refused(
        "mapping a read-only loan writable",
        calls::space_map(Handle::SELF, loan, 0, 1, borrowed, MapFlags::WRITE),
        Error::NoRights,
    )?;
    stage.map(loan, 1, borrowed, MapFlags::READ)?;
    same("what the borrower reads", memory_word(borrowed).load(Ordering::Relaxed), 1234)?;
    refused(
        "making the loan writable",
        calls::space_protect(Handle::SELF, borrowed, 1, MapFlags::WRITE),
        Error::NoRights,
    )?;
    let store = measure::store_entry as *const () as u64;
    let registers = Registers { rip: store, rdi: borrowed, rsi: 666, ..Registers::default() };
    let (letter, _) = fault_of(stage, &mut plot, &registers)?;
    let report = report(&letter)?;
    same("the fault's vector", report.vector, 14)?;
    same("the fault's code", report.code & 7, PRESENT | WRITE | USER)?;
    same("the fault's address", report.address, borrowed)?;
    same("the page after the write", memory_word(window + FIELD).load(Ordering::Relaxed), 1234)?;
    stage.clear(plot)
}

fn rights_limit_flags(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(8)?;
    let page = plot.take(1)?;
    let at = window + FIELD;
    for bits in 0..8u8 {
        let rights = Rights(bits);
        let piece = calls::cap_derive(page, rights, 0, 1)?;
        for flags in [MapFlags::READ, MapFlags::WRITE, MapFlags::EXECUTE] {
            let needed = match flags {
                MapFlags::WRITE => Rights::READ.with(Rights::WRITE),
                MapFlags::EXECUTE => Rights::READ.with(Rights::EXECUTE),
                _ => Rights::READ,
            };
            let answer = calls::space_map(Handle::SELF, piece, 0, 1, at, flags);
            if rights.contains(needed) {
                same("pages mapped with the right to", answer?, 1)?;
                calls::frames_unmap(piece)?;
            } else {
                refused("mapping without the right", answer, Error::NoRights)?;
            }
        }
        calls::cap_delete(piece)?;
    }
    stage.clear(plot)
}

fn protect(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let page = plot.take(1)?;
    let at = window + FIELD;
    stage.map(page, 1, at, MapFlags::WRITE)?;
    memory_word(at).store(1, Ordering::Relaxed);
    same("pages protected", calls::space_protect(Handle::SELF, at, 1, MapFlags::READ)?, 1)?;
    let store = measure::store_entry as *const () as u64;
    let registers = Registers { rip: store, rdi: at, rsi: 2, ..Registers::default() };
    let (letter, thread) = fault_of(stage, &mut plot, &registers)?;
    same("the fault's address", report(&letter)?.address, at)?;
    same("the page after the refused write", memory_word(at).load(Ordering::Relaxed), 1)?;
    same("pages unprotected", calls::space_protect(Handle::SELF, at, 1, MapFlags::WRITE)?, 1)?;
    // The faulting thread is stopped at its store: resumed, it does it again, and may now.
    calls::thread_resume(thread)?;
    ensure!(wait_for(memory_word(at), 2, stage.patience()), "the resumed store never happened");
    stage.clear(plot)
}

/// Reads the shared page for ever, and says how often.
extern "C" fn read_for_ever(block: u64) -> u64 {
    let block = own_block(block);
    let shared = memory_word(SHARED);
    loop {
        let value = shared.load(Ordering::Acquire);
        block[20].store(value, Ordering::Release);
        block[21].fetch_add(1, Ordering::Release);
    }
}

/// A child that reads a page of `piece`, mapped there through a capability derived from it.
fn reader(stage: &mut Stage, piece: Handle) -> Result<(Plot, Process, Handle), Failure> {
    let core = stage.far_core();
    let (mut plot, child) = stage.child(read_for_ever, core)?;
    let lent = calls::cap_derive(piece, Rights::ALL, 0, 1)?;
    libfos::spawn::map(child.space, &mut plot, lent, 0, 1, SHARED, MapFlags::READ)?;
    Ok((plot, child, lent))
}

fn revoked_under_reader(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let page = plot.take(1)?;
    let (child_plot, child, lent) = reader(stage, page)?;
    report_to(child.thread, full_key(inbox.mailbox, 0)?, 77)?;
    calls::thread_resume(child.thread)?;
    ensure!(wait_past(&child.block()[21], 1000, stage), "the reader never read");
    same("mappings while it is lent", calls::frame_read(page, 0)?, 1)?;
    calls::cap_revoke(page)?;
    let after = calls::frame_read(page, 0)?;
    same("mappings after the revocation", after, 0)?;
    refused("the revoked capability", calls::cap_read(lent).map(|_| 0), Error::BadCapability)?;
    let letter = inbox.receive(stage.patience())?;
    let report = report(&letter)?;
    same("the reader's fault", (report.vector, report.address), (14, SHARED))?;
    same("the report's badge and cookie", (letter.badge, report.cookie), (0, 77))?;
    same("the report's process", report.identity, calls::cap_read(child.space)?.identity)?;
    stage.clear(child_plot)?;
    stage.clear(plot)
}

fn wait_past(word: &core::sync::atomic::AtomicU64, value: u64, stage: &Stage) -> bool {
    let deadline = stage.patience();
    while word.load(Ordering::Acquire) < value {
        if deadline.has_passed() {
            return false;
        }
        calls::thread_yield();
    }
    true
}

fn fallback(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let page = plot.take(1)?;
    let own = calls::cap_derive(page, Rights::ALL, 0, 1)?;
    stage.map(own, 1, window + FIELD, MapFlags::WRITE)?;
    memory_word(window + FIELD).store(4321, Ordering::Relaxed);
    let core = stage.far_core();
    let (mut child_plot, child) = stage.child(read_for_ever, core)?;
    let lent = calls::cap_derive(page, Rights::READ, 0, 1)?;
    let zero = child_plot.take(1)?;
    calls::frames_fallback(lent, zero)?;
    libfos::spawn::map(child.space, &mut child_plot, lent, 0, 1, SHARED, MapFlags::READ)?;
    calls::thread_resume(child.thread)?;
    ensure!(wait_for(&child.block()[20], 4321, stage.patience()), "the reader never saw the shared page");
    calls::cap_revoke(page)?;
    let reads = child.block()[21].load(Ordering::Acquire);
    ensure!(wait_for(&child.block()[20], 0, stage.patience()), "the survivor does not read zeros");
    ensure!(wait_past(&child.block()[21], reads + 1000, stage), "the survivor stopped reading");
    same("mappings of the revoked frame", calls::frame_read(page, 0)?, 0)?;
    same("the survivor's state", calls::thread_info(child.thread)?.state, 1)?;
    stage.clear(child_plot)?;
    stage.clear(plot)
}

/// A page of this program that was lent to it and revoked: what it was, the fallback that took its place, and where.
fn replaced(stage: &mut Stage, plot: &mut Plot) -> Result<(Handle, u64), Failure> {
    let at = stage.fresh_window()? + FIELD;
    let (page, zero) = (plot.take(1)?, plot.take(1)?);
    let lent = calls::cap_derive(page, Rights::ALL, 0, 1)?;
    calls::frames_fallback(lent, zero)?;
    stage.map(lent, 1, at, MapFlags::WRITE)?;
    memory_word(at).store(99, Ordering::Relaxed);
    calls::cap_revoke(page)?;
    same("the word in the fallback", memory_word(at).load(Ordering::Relaxed), 0)?;
    same("mappings of the fallback", calls::frame_read(zero, 0)?, 1)?;
    Ok((zero, at))
}

fn fallback_revoked(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(64)?;
    let (zero, at) = replaced(stage, &mut plot)?;
    calls::cap_revoke(zero)?;
    same("mappings of the revoked fallback", calls::frame_read(zero, 0)?, 0)?;
    refused("unmapping it once more", calls::space_unmap(Handle::SELF, at, 1), Error::NotMapped)?;
    let load = measure::store_entry as *const () as u64;
    let registers = Registers { rip: load, rdi: at, rsi: 1, ..Registers::default() };
    let (letter, _) = fault_of(stage, &mut plot, &registers)?;
    let report = report(&letter)?;
    same("the fault", (report.vector, report.code & PRESENT, report.address), (14, 0, at))?;
    stage.clear(plot)
}

fn fallback_stays(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(64)?;
    let space = crate::fixture::space(&mut plot, stage.ground.grant.core)?;
    let (zero, at) = replaced(stage, &mut plot)?;
    refused("giving it away", calls::cap_give(space, zero).map(|_| 0), Error::HasChildren)?;
    refused("giving it up", calls::cap_delete(zero).map(|()| 0), Error::HasChildren)?;
    refused("building on it", calls::space_donate(space, zero).map(|()| 0), Error::HasChildren)?;
    memory_word(at).store(1, Ordering::Relaxed);
    calls::cap_revoke(zero)?;
    same("giving it away afterwards", calls::cap_give(space, zero).map(|_| 0)?, 0)?;
    stage.clear(plot)
}

/// When `space_unmap` returns no core can still read the page, however hard it tried.
fn unmapped_everywhere(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let at = window + FIELD;
    for _ in 0..20 {
        let mut plot = stage.ground.plot(64)?;
        let mut inbox = Inbox::create(&mut plot, window)?;
        let counter = plot.take(1)?;
        let page = plot.take(1)?;
        stage.map(counter, 1, at + PAGE, MapFlags::WRITE)?;
        stage.map(page, 1, at, MapFlags::WRITE)?;
        let key = full_key(inbox.mailbox, 0)?;
        let mut threads = 0;
        for core in (0..stage.ground.grant.core_count).filter(|core| *core != stage.ground.grant.core) {
            let registers =
                Registers { rip: measure::count_entry as *const () as u64, rdi: at, ..Registers::default() };
            let thread = stage.thread(&mut plot, core, &registers)?;
            report_to(thread, key, core)?;
            calls::thread_resume(thread)?;
            threads += 1;
        }
        let deadline = stage.patience();
        while threads > 0 && memory_word(at).load(Ordering::Relaxed) < 100 && !deadline.has_passed() {
            calls::thread_yield();
        }
        let again = calls::cap_derive(plot.whole, Rights::ALL, 0, 1)?;
        let _ = calls::cap_delete(again);
        same("pages unmapped", calls::space_unmap(Handle::SELF, at, 1)?, 1)?;
        same("mappings at once", calls::frame_read(page, 0)?, 0)?;
        calls::frames_unmap(page)?;
        stage.map(page, 1, at + 2 * PAGE, MapFlags::WRITE)?;
        let seen = memory_word(at + 2 * PAGE).load(Ordering::Acquire);
        for _ in 0..threads {
            let letter = inbox.receive(deadline)?;
            same("a counter's fault", report(&letter)?.address, at)?;
        }
        same("the page after the unmapping", memory_word(at + 2 * PAGE).load(Ordering::Acquire), seen)?;
        stage.clear(plot)?;
    }
    Ok(())
}

/// A core that sleeps is not told of an unmapping; when it wakes it reads the page that is there now.
fn changed_under_a_sleeper(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let key = full_key(inbox.mailbox, 0)?;
    let pages = plot.take(2)?;
    let at = window + FIELD;
    let [low, high] = key.secret;
    let length = 8 | u64::from(key.entry) << 16;
    let send = [key.mailbox.0, low, high, at, length, word(Handle::NONE)];
    let (core, deadline) = (stage.far_core(), stage.patience());
    let Some(helper) = stage.helper()? else { return stage.clear(plot) };
    for round in 0..40 {
        calls::space_map(Handle::SELF, pages, round % 2, 1, at, MapFlags::WRITE)?;
        memory_word(at).store(u64::from(round), Ordering::Release);
        helper.call(Call::send as u32, send)?;
        same("what is read on the core that slept", inbox.receive(deadline)?.word(0), u64::from(round))?;
        while calls::core_read(core)?.state != CORE_SLEEPS && !deadline.has_passed() {
            calls::thread_yield();
        }
        same("pages unmapped", calls::space_unmap(Handle::SELF, at, 1)?, 1)?;
        same("mappings at once", calls::frame_read(pages, u64::from(round % 2))?, 0)?;
    }
    stage.clear(plot)
}

fn counts(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(8)?;
    let frames = plot.take(4)?;
    let other = calls::cap_derive(frames, Rights::ALL, 1, 2)?;
    let at = window + FIELD;
    same("pages mapped", calls::space_map(Handle::SELF, frames, 0, 4, at, MapFlags::READ)?, 4)?;
    same("pages mapped", calls::space_map(Handle::SELF, other, 0, 2, at + 8 * PAGE, MapFlags::READ)?, 2)?;
    let expected = [1, 2, 2, 1];
    for (index, count) in expected.into_iter().enumerate() {
        same(index, calls::frame_read(frames, index as u64)?, count)?;
    }
    same("pages unmapped", calls::space_unmap(Handle::SELF, at + PAGE, 1)?, 1)?;
    same("frame 1 with one mapping less", calls::frame_read(frames, 1)?, 1)?;
    calls::frames_unmap(other)?;
    let expected = [1, 0, 1, 1];
    for (index, count) in expected.into_iter().enumerate() {
        same(index, calls::frame_read(frames, index as u64)?, count)?;
    }
    stage.clear(plot)
}

/// No capability, however it was come by, maps memory that the kernel keeps an object in.
fn objects(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let mailbox_frames = plot.take(crate::fixture::MAILBOX_FRAMES)?;
    let twin = calls::cap_derive(mailbox_frames, Rights::ALL, 0, crate::fixture::MAILBOX_FRAMES)?;
    let builder = calls::cap_derive(mailbox_frames, Rights::ALL, 0, crate::fixture::MAILBOX_FRAMES)?;
    let mailbox = calls::mailbox_create(builder, crate::fixture::SLOTS, crate::fixture::KEYS)?;
    for index in 0..crate::fixture::MAILBOX_FRAMES as u32 {
        let answer = calls::space_map(Handle::SELF, twin, index, 1, window + FIELD, MapFlags::READ);
        refused("mapping a mailbox's frame", answer, Error::InUse)?;
    }
    calls::destroy(mailbox)?;
    let answer = calls::space_map(Handle::SELF, twin, 0, 1, window + FIELD, MapFlags::READ);
    same("mapping it after the end", answer?, 1)?;
    calls::frames_unmap(twin)?;
    let space = crate::fixture::space(&mut plot, stage.ground.grant.core)?;
    let tables = plot.take(2)?;
    calls::space_donate(space, tables)?;
    let answer = calls::space_map(Handle::SELF, tables, 0, 1, window + FIELD, MapFlags::READ);
    refused("mapping donated page tables", answer, Error::WrongKind)?;
    stage.clear(plot)
}

fn dirty(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(64)?;
    let frames = plot.take(64)?;
    let at = window + FIELD;
    stage.map(frames, 64, at, MapFlags::WRITE)?;
    calls::space_dirty(Handle::SELF, at, 64)?;
    same("dirty bits when nothing was written", calls::space_dirty(Handle::SELF, at, 64)?, 0)?;
    let pages = [0, 3, 31, 32, 63];
    let mut expected = 0;
    for page in pages {
        memory_word(at + page * PAGE).store(page, Ordering::Relaxed);
        expected |= 1 << page;
    }
    memory_word(at + 5 * PAGE).load(Ordering::Relaxed);
    same("dirty bits after five writes and a read", calls::space_dirty(Handle::SELF, at, 64)?, expected)?;
    same("dirty bits read once more", calls::space_dirty(Handle::SELF, at, 64)?, 0)?;
    memory_word(at + 3 * PAGE).store(1, Ordering::Relaxed);
    same("dirty bits after writing again", calls::space_dirty(Handle::SELF, at, 64)?, 8)?;
    // Writes by another core are seen as well.
    let core = stage.far_core();
    let store = measure::store_entry as *const () as u64;
    let registers = Registers { rip: store, rdi: at + 7 * PAGE, rsi: 9, ..Registers::default() };
    let mut thread_plot = stage.ground.plot(8)?;
    let thread = stage.thread(&mut thread_plot, core, &registers)?;
    calls::thread_resume(thread)?;
    ensure!(wait_for(memory_word(at + 7 * PAGE), 9, stage.patience()), "the other core never wrote");
    same("dirty bits after another core's write", calls::space_dirty(Handle::SELF, at, 64)?, 1 << 7)?;
    stage.clear(thread_plot)?;
    stage.clear(plot)
}

fn huge(stage: &mut Stage) -> Verdict {
    const PAGES: u64 = HUGE_PAGES as u64;
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(3 * PAGES)?;
    let frames = plot.aligned_piece(PAGES, PAGES)?;
    let own = Handle::SELF;
    let at = window + 4 * (PAGES * PAGE);
    let flags = MapFlags::HUGE.with(MapFlags::WRITE);
    for (first, count, address) in [(1, PAGES, at), (0, PAGES - 1, at), (0, PAGES, at + PAGE), (0, 1, at)] {
        let answer = calls::space_map(own, frames, first as u32, count as u32, address, flags);
        refused("a huge mapping that is not aligned", answer, Error::BadArgument)?;
    }
    same("pages of a huge mapping", calls::space_map(own, frames, 0, PAGES as u32, at, flags)?, PAGES)?;
    for page in [0, 1, 255, 511] {
        memory_word(at + page * PAGE).store(page + 1, Ordering::Relaxed);
        same("mappings of a frame inside", calls::frame_read(frames, page)?, 1)?;
    }
    refused("unmapping a part of a huge page", calls::space_unmap(own, at, 1), Error::BadArgument)?;
    let small = calls::cap_derive(frames, Rights::ALL, 255, 1)?;
    stage.map(small, 1, window + FIELD, MapFlags::READ)?;
    same("the same memory as a small page", memory_word(window + FIELD).load(Ordering::Relaxed), 256)?;
    same("mappings of a frame mapped both ways", calls::frame_read(frames, 255)?, 2)?;
    let thread_frames = calls::cap_derive(frames, Rights::ALL, 10, 2)?;
    let answer = calls::thread_create(thread_frames, own, stage.ground.grant.cores, 0).map(|_| 0);
    refused("building an object in frames of a huge mapping", answer, Error::StillMapped)?;
    same("pages unmapped", calls::space_unmap(own, at, PAGES)?, PAGES)?;
    same("mappings after unmapping", calls::frame_read(frames, 0)?, 0)?;
    stage.clear(plot)
}

fn one_space(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let page = plot.take(1)?;
    let space = crate::fixture::space(&mut plot, stage.far_core())?;
    calls::space_donate(space, plot.take(4)?)?;
    stage.map(page, 1, window + FIELD, MapFlags::READ)?;
    let answer = calls::space_map(space, page, 0, 1, SHARED, MapFlags::READ);
    refused("mapping one capability in a second space", answer, Error::AlreadyMapped)?;
    same("mappings of the frame", calls::frame_read(page, 0)?, 1)?;
    calls::frames_unmap(page)?;
    same("pages mapped there afterwards", calls::space_map(space, page, 0, 1, SHARED, MapFlags::READ)?, 1)?;
    stage.clear(plot)
}

fn partial(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let (blocker, frames) = (plot.take(1)?, plot.take(8)?);
    let at = window + FIELD;
    stage.map(blocker, 1, at + 5 * PAGE, MapFlags::READ)?;
    let answer = calls::space_map(Handle::SELF, frames, 0, 8, at, MapFlags::READ);
    same("pages mapped up to one that is taken", answer?, 5)?;
    let answer = calls::space_map(Handle::SELF, frames, 5, 3, at + 5 * PAGE, MapFlags::READ);
    refused("mapping where something is", answer, Error::AlreadyMapped)?;
    let answer = calls::space_unmap(Handle::SELF, at, 8);
    same("pages unmapped up to one that is not there", answer?, 6)?;
    refused("unmapping where nothing is", calls::space_unmap(Handle::SELF, at, 8), Error::NotMapped)?;
    stage.clear(plot)
}

/// A capability with which nothing was mapped, because it was refused, can be given up and built upon.
fn no_trace(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(32)?;
    let blocker = plot.take(1)?;
    let at = window + FIELD;
    stage.map(blocker, 1, at, MapFlags::READ)?;
    let frames = plot.take(2)?;
    let answer = calls::space_map(Handle::SELF, frames, 0, 1, at, MapFlags::READ);
    refused("mapping where something is", answer, Error::AlreadyMapped)?;
    let grant = stage.ground.grant;
    let thread = calls::thread_create(frames, Handle::SELF, grant.cores, grant.core)?;
    calls::destroy(thread)?;
    calls::cap_delete(frames)?;
    stage.clear(plot)
}

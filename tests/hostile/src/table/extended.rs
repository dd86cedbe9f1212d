//! Vector and x87 state belongs to its thread: interrupts keep it, native calls may lose it but never show another
//! process's, and a new thread finds the initial image.

use core::sync::atomic::Ordering;

use fos_abi::calls::{Call, NATIVE};
use fos_abi::thread::Registers;
use libfos::measure::{Extended, FirstState, hold};
use libfos::spawn::{Frames, own_block};
use libfos::{calls, measure};

use super::Case;
use crate::ensure;
use crate::stage::{Stage, memory_word, wait_for};
use crate::verdict::{Verdict, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "extended-state-kept-by-interrupts", run: kept },
    Case { name: "extended-state-does-not-leak-to-a-new-thread", run: fresh },
    Case { name: "extended-state-does-not-leak-between-spaces", run: no_leak },
    Case { name: "extended-state-control-words-are-per-thread", run: control_words },
    Case { name: "general-registers-cleared-by-calls", run: general },
];

/// Words of a child's block.
mod place {
    /// The seed of the child's pattern.
    pub const SEED: usize = 16;
    /// How often it held it, and how often that went wrong.
    pub const HELD: usize = 17;
    pub const WRONG: usize = 18;
    /// Set to end it; set by it when it has ended.
    pub const STOP: usize = 19;
    pub const DONE: usize = 20;
}

/// Turns that a pattern is held: long against a time slice.
const TURNS: u64 = 300_000;

/// Holds a pattern for long, again and again.
extern "C" fn hold_long(block: u64) -> u64 {
    let block = own_block(block);
    let pattern = Extended::pattern(block[place::SEED].load(Ordering::Relaxed));
    while block[place::STOP].load(Ordering::Acquire) == 0 {
        if hold(&pattern, TURNS, 0) != pattern {
            block[place::WRONG].fetch_add(1, Ordering::Relaxed);
        }
        block[place::HELD].fetch_add(1, Ordering::Release);
    }
    block[place::DONE].store(1, Ordering::Release);
    0
}

/// Fills the registers, gives up the core, and looks whether what comes back is another's.
extern "C" fn hold_over_yield(block: u64) -> u64 {
    let block = own_block(block);
    let seed = block[place::SEED].load(Ordering::Relaxed);
    let pattern = Extended::pattern(seed);
    let zero = Extended::ZERO;
    while block[place::STOP].load(Ordering::Acquire) == 0 {
        let after = hold(&pattern, 1, NATIVE | Call::thread_yield as u32);
        // A native call may lose the registers: then they are the initial ones. Never anything else.
        let own_or_lost = after
            .0
            .iter()
            .zip(pattern.0.iter().zip(zero.0))
            .all(|(found, (own, lost))| found == own || *found == lost);
        if !own_or_lost {
            block[place::WRONG].fetch_add(1, Ordering::Relaxed);
        }
        block[place::HELD].fetch_add(1, Ordering::Release);
    }
    block[place::DONE].store(1, Ordering::Release);
    0
}

/// Three children on one core, each with its own pattern, until each has held it often enough.
fn compete(stage: &mut Stage, entry: extern "C" fn(u64) -> u64, enough: u64) -> Verdict {
    let core = stage.far_core();
    let mut children = alloc::vec::Vec::new();
    for seed in 1..=3 {
        let (plot, child) = stage.child(entry, core)?;
        child.block()[place::SEED].store(seed, Ordering::Relaxed);
        children.push((plot, child));
    }
    for (_, child) in &children {
        calls::thread_resume(child.thread)?;
    }
    let deadline = stage.ground.after(60_000);
    for (_, child) in &children {
        while child.block()[place::HELD].load(Ordering::Acquire) < enough {
            ensure!(
                !deadline.has_passed(),
                "a child held its registers less than {enough} times in a minute"
            );
            calls::thread_yield();
        }
    }
    for (_, child) in &children {
        child.block()[place::STOP].store(1, Ordering::Release);
        ensure!(wait_for(&child.block()[place::DONE], 1, stage.patience()), "a child never ended");
        same("wrong register contents", child.block()[place::WRONG].load(Ordering::Relaxed), 0)?;
    }
    children.into_iter().try_for_each(|(plot, _)| stage.clear(plot))
}

fn kept(stage: &mut Stage) -> Verdict {
    compete(stage, hold_long, 30)
}

fn no_leak(stage: &mut Stage) -> Verdict {
    compete(stage, hold_over_yield, 500)
}

fn fresh(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()? + 0x10_0000;
    let core = stage.far_core();
    let (child_plot, child) = stage.child(hold_over_yield, core)?;
    child.block()[place::SEED].store(7, Ordering::Relaxed);
    calls::thread_resume(child.thread)?;
    let mut plot = stage.ground.plot(64)?;
    let page = plot.take(1)?;
    stage.map(page, 1, window, fos_abi::space::MapFlags::WRITE)?;
    for round in 0..20 {
        for word in 0..80 {
            memory_word(window + 8 * word).store(u64::MAX, Ordering::Relaxed);
        }
        let registers = Registers { rip: measure::dump_entry(), rdi: window, ..Registers::default() };
        let thread = stage.thread(&mut plot, core, &registers)?;
        calls::thread_resume(thread)?;
        let written = memory_word(window + core::mem::offset_of!(FirstState, written) as u64);
        ensure!(wait_for(written, 1, stage.patience()), "thread {round} never wrote its registers");
        let wide = measure::has_avx();
        for word in 0..measure::EXTENDED_WORDS as u64 {
            let found = memory_word(window + 8 * word).load(Ordering::Relaxed);
            let expected = if wide || word % 4 < 2 { 0 } else { u64::MAX };
            same(alloc::format!("word {word} of a new thread's vector registers"), found, expected)?;
        }
        let words =
            memory_word(window + core::mem::offset_of!(FirstState, mxcsr) as u64).load(Ordering::Relaxed);
        same("a new thread's MXCSR and x87 control word", words, 0x37f << 32 | 0x1f80)?;
        calls::destroy(thread)?;
    }
    stage.clear(child_plot)?;
    stage.clear(plot)
}

/// Sets rounding modes of its own and looks that they stay its own.
extern "C" fn keep_control_words(block: u64) -> u64 {
    let block = own_block(block);
    let mode = block[place::SEED].load(Ordering::Relaxed) as u32;
    let wanted = measure::ControlWords { mxcsr: 0x1f80 | mode << 13, x87: (0x37f | mode << 10) as u16 };
    measure::set_control_words(wanted);
    while block[place::STOP].load(Ordering::Acquire) == 0 {
        calls::thread_yield();
        let found = measure::control_words();
        if found != wanted {
            block[place::WRONG].fetch_add(1, Ordering::Relaxed);
        }
        block[place::HELD].fetch_add(1, Ordering::Release);
    }
    measure::set_control_words(measure::ControlWords { mxcsr: 0x1f80, x87: 0x37f });
    block[place::DONE].store(1, Ordering::Release);
    0
}

fn control_words(stage: &mut Stage) -> Verdict {
    compete(stage, keep_control_words, 2_000)
}

fn general(_: &mut Stage) -> Verdict {
    let after = measure::registers_after_null(0xdead_beef_dead_beef);
    let [rcx, _rflags, rdi, rsi, r8, r9, r10] = after;
    for (name, value) in [("rdi", rdi), ("rsi", rsi), ("r8", r8), ("r9", r9), ("r10", r10)] {
        same(alloc::format!("{name} after a call"), value, 0)?;
    }
    ensure!(rcx < fos_abi::limits::USER_END, "rcx after a call names no user address: {rcx:#x}");
    Ok(())
}

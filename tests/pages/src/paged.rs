//! A program over the pager: memory that is zero until it is written, copies that share what nobody has written since, a stack that
//! grows; and programs that run over an end, each of which is ended with a report that says so.

use alloc::format;
use alloc::string::{String, ToString};
use core::hint::black_box;
use core::sync::atomic::Ordering;

use libfos::memory::Memory;
use libfos::pager::{Demand, InSpace, Kind, over_fleet};
use libfos::server::Server;
use libfos::stackful::Stacks;
use libfos::{Start, println};

/// Pages of the regions: more than root gave the program.
const PAGES: u64 = 4096;
/// Words of a page.
const WORDS: usize = 512;
/// Each so many-th page is touched.
const EVERY: usize = 5;
/// The limit of a stack, in pages, and bytes that one call takes of it.
const STACK_PAGES: usize = 64;
const CALL_BYTES: usize = 1024;
/// Calls that fit the stack, and that do not.
const CALLS: u64 = 150;
const TOO_MANY: u64 = 1000;

fn text(error: impl core::fmt::Debug) -> String {
    format!("{error:?}")
}

/// Does what the role says.
pub fn run(start: &Start, role: &str) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(text)?;
    let pager = over_fleet(&mut memory, start).map_err(text)?;
    match role {
        "overrun" => overrun(&pager),
        "stack" => deep(start, memory, &pager, TOO_MANY),
        "outside" => outside(&pager),
        _ => {
            zero(&pager)?;
            copies(&pager)?;
            deep(start, memory, &pager, CALLS)
        }
    }
}

/// What is touched is zero, and nothing is behind what is not.
fn zero(pager: &Demand<InSpace>) -> Result<(), String> {
    for _ in 0..2 {
        let region = pager.make(Kind::Memory, PAGES).map_err(text)?;
        let before = pager.figures();
        for word in region.words().iter().step_by(WORDS * EVERY) {
            if word.swap(1, Ordering::Relaxed) != 0 {
                return Err("a page that was never touched is not zero".to_string());
            }
        }
        let (after, touched) = (pager.figures(), PAGES.div_ceil(EVERY as u64));
        if after.backed - before.backed != touched {
            return Err(format!("{touched} pages were touched: {before:?} became {after:?}"));
        }
        pager.release(region).map_err(text)?;
    }
    println!("pages-test: of {PAGES} pages the touched ones were zero, twice, and only they were there");
    Ok(())
}

/// A copy and its original are apart.
fn copies(pager: &Demand<InSpace>) -> Result<(), String> {
    let region = pager.make(Kind::Memory, PAGES).map_err(text)?;
    let mark = |words: &[core::sync::atomic::AtomicU64], every: usize, mark: u64| {
        words
            .iter()
            .zip(0..)
            .step_by(WORDS * every)
            .for_each(|(word, at)| word.store(at + mark, Ordering::Relaxed));
    };
    let is_marked = |words: &[core::sync::atomic::AtomicU64], every: usize, mark: u64| {
        let mut marked = words.iter().zip(0..).step_by(WORDS * every);
        marked.all(|(word, at)| word.load(Ordering::Relaxed) == at + mark)
    };
    mark(region.words(), 1, 1);
    let copy = pager.copy(&region).map_err(text)?;
    let before = pager.figures();
    mark(copy.words(), 2 * EVERY, 2);
    let copied = pager.figures().copied - before.copied;
    mark(region.words(), EVERY, 3);
    let others =
        copy.words().iter().zip(0..).step_by(WORDS).filter(|(_, at)| at % (2 * EVERY * WORDS) as u64 != 0);
    let is_well = copied == PAGES.div_ceil(2 * EVERY as u64)
        && is_marked(copy.words(), 2 * EVERY, 2)
        && is_marked(region.words(), EVERY, 3)
        && others.into_iter().all(|(word, at)| word.load(Ordering::Relaxed) == at + 1);
    if !is_well {
        return Err(format!("a copy is not what it should be, with {copied} pages copied"));
    }
    pager.release(region).map_err(text)?;
    pager.release(copy).map_err(text)?;
    println!(
        "pages-test: a copy and its original are apart where one was written: {copied} of {PAGES} pages"
    );
    Ok(())
}

/// Takes so much stack for each call.
#[inline(never)]
fn call(depth: u64) -> u64 {
    let room = black_box([depth; CALL_BYTES / 8]);
    if depth == 0 { room[1] } else { call(depth - 1) + black_box(&room)[7] }
}

/// Calls so deep on a stack that grows.
fn deep(start: &Start, mut memory: Memory, pager: &Demand<InSpace>, calls: u64) -> Result<(), String> {
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let stacks = Stacks::growing(pager, 1, STACK_PAGES).map_err(text)?;
    let before = pager.figures().backed;
    let sum = server.block_on(stacks.run(move |_| call(calls)));
    let pages = pager.figures().backed - before;
    let fewest = calls * CALL_BYTES as u64 / 4096;
    if sum != calls * (calls + 1) / 2 || pages < fewest {
        return Err(format!("{calls} calls came to {sum} on a stack of {pages} pages"));
    }
    println!("pages-test: a stack grew to at least {fewest} of its {STACK_PAGES} pages");
    Ok(())
}

/// Reads from the page behind a region.
fn overrun(pager: &Demand<InSpace>) -> Result<(), String> {
    let region = pager.make(Kind::Memory, 4).map_err(text)?;
    touch(region.address() + region.length() as u64)
}

/// Reads where nobody has anything.
fn outside(pager: &Demand<InSpace>) -> Result<(), String> {
    let region = pager.make(Kind::Memory, 4).map_err(text)?;
    touch(region.address() + (1 << 30))
}

/// Reads where the program has nothing, as one does that has a wrong address.
fn touch(address: u64) -> Result<(), String> {
    // SAFETY: the address is not the program's: the read faults, and nothing comes of it but the program's end.
    #[allow(unsafe_code, reason = "what ends a program can't be done by safe code")]
    unsafe {
        libfos::measure::touch(address);
    }
    Err(format!("address {address:#x} could be read"))
}

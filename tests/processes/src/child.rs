//! What children do, by the first word of their arguments. Their status says whether they found what they should.

use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::thread::{Registers, THREAD_FRAMES};
use fos_messages::start::{handle_name, key_name};
use libfos::Start;
use libfos::calls;
use libfos::clock::{Clock, sleep_until};
use libfos::memory::{Memory, MemoryError};
use libfos::processes::{self, Processes, SpawnOrder, Whom};
use libfos::root::Root;
use libfos::server::Server;

use crate::fleet::PATIENCE;

/// The status of a child that did not find what it should.
pub const WRONG: u8 = 77;
/// The status of a `parent` that has its children.
pub const HAS_CHILDREN: u8 = 3;
/// Pages that a hog takes at once.
const PART_PAGES: usize = 32;
/// The same program, which may make threads.
pub const BOMB: &str = "bomb";
/// The program in the image that has these roles.
pub const CHILD: &str = "child";
/// What a child finds in its environment.
pub const NAMED: (&str, &str) = ("FOS_TEST", "a value");
/// The name of the key that a child is given.
pub const GIFT: &str = "gift";

/// Does what this role does; answers with the child's status.
pub fn run(start: &Start, role: &str) -> u8 {
    match role {
        "exit" => number(start),
        "given" => given(start, false),
        "confined" => given(start, true),
        "words" => words(start),
        "hog" => hog(start),
        "hog-on" => hog_on(start),
        "storm" => storm(start),
        "overflow" => overflow(number(start).into()) as u8,
        "panic" => panic!("as it was asked to"),
        "spin" => spin(),
        "sleep" => loop {
            sleep_until(Clock::new(start.tsc_hz).after(Duration::from_secs(3600)));
        },
        "parent" => with_children(start),
        "named" => named(start),
        "threads" => threads(start),
        "threads-on" => match threads(start) {
            0 => spin(),
            wrong => wrong,
        },
        _ => WRONG,
    }
}

fn number(start: &Start) -> u8 {
    start.arguments.get(2).and_then(|word| word.parse().ok()).unwrap_or(WRONG)
}

/// Looks that it has what it was given, and nothing else if it is confined.
fn given(start: &Start, is_confined: bool) -> u8 {
    let (name, value) = NAMED;
    let has_value = start.environment.iter().any(|(key, is)| (key.as_str(), is.as_str()) == (name, value));
    let has_root = start.key(key_name::ROOT).is_some() || start.key(key_name::OUT).is_some();
    let keys = start.keys.iter().filter(|(name, _)| name != key_name::FAULTS).count();
    let is_well = has_value && start.key(GIFT).is_some() && has_root != is_confined;
    if is_well && (keys == 1 || !is_confined) { 0 } else { WRONG }
}

/// Answers with how many words it has after its role.
fn words(start: &Start) -> u8 {
    start.arguments.len().saturating_sub(2) as u8
}

/// Takes frames until there are none: they are as many as it may have.
fn hog(start: &Start) -> u8 {
    let Ok(mut memory) = Memory::of_program(start) else { return WRONG };
    let mut blocks = Vec::new();
    loop {
        match memory.frames.take(1) {
            Ok(block) => blocks.push(block),
            // It has no slots for more capabilities, or no frames.
            Err(MemoryError::OutOfFrames | MemoryError::Refused(_)) => return 0,
            Err(_) => return WRONG,
        }
    }
}

/// Takes and writes all that it has, gives it back, and begins again.
fn hog_on(start: &Start) -> u8 {
    let Ok(mut memory) = Memory::of_program(start) else { return WRONG };
    loop {
        let mut taken = Vec::new();
        while let Ok(part) = memory.allocate(PART_PAGES) {
            taken.push(part);
        }
        for (block, mapping) in taken {
            if memory.unmap(mapping).is_err() || memory.frames.give_back(block).is_err() {
                return WRONG;
            }
        }
    }
}

/// Registers a name with root, and leaves it behind.
fn named(start: &Start) -> u8 {
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let name = alloc::format!("child-{}", start.identity);
    let key = start.key(key_name::FAULTS).unwrap_or_default();
    match Root::of_program(start).and_then(|root| root.register(&name, key, deadline)) {
        Ok(()) => 0,
        Err(_) => WRONG,
    }
}

/// Makes threads that never end, on each core in turn, until it may have no more: it has no frames, or no slots for capabilities.
/// They begin when all are made, those of its own core last: it would wait for all of them after each that it makes elsewhere.
fn threads(start: &Start) -> u8 {
    let Ok(mut memory) = Memory::of_program(start) else { return WRONG };
    let (Some(cores), Some(space)) = (start.handle(handle_name::CORES), start.handle(handle_name::SPACE))
    else {
        return WRONG;
    };
    let spinning = Registers { rip: spin as *const () as u64, ..Registers::default() };
    let mut made = Vec::new();
    loop {
        let core = made.len() as u64 % u64::from(start.cores);
        let frames = match memory.frames.take(THREAD_FRAMES as u64) {
            Ok(block) => block.handle,
            Err(MemoryError::OutOfFrames | MemoryError::Refused(_)) => break,
            Err(_) => return WRONG,
        };
        let thread = calls::thread_create(frames, space, cores, core);
        match thread.and_then(|thread| calls::thread_write(thread, &spinning).map(|()| thread)) {
            Ok(thread) => made.push((core == u64::from(start.core), thread)),
            Err(_) => return WRONG,
        }
    }
    made.sort_by_key(|(is_here, _)| *is_here);
    if made.iter().all(|(_, thread)| calls::thread_resume(*thread).is_ok()) { 0 } else { WRONG }
}

/// What such a thread does, without a stack.
extern "C" fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Calls itself until its stack is used up.
fn overflow(depth: u64) -> u64 {
    let words = core::hint::black_box([depth; 64]);
    if depth == u64::MAX { words[0] } else { overflow(depth + 1) + core::hint::black_box(words[1]) }
}

/// Has two children, one that ends and one that does not, and waits for neither.
fn with_children(start: &Start) -> u8 {
    as_process(start, |processes| async move {
        let ends = processes.spawn(&SpawnOrder::of(CHILD, &["exit", "0"])).await;
        let stays = processes.spawn(&SpawnOrder::of(CHILD, &["sleep"])).await;
        if ends.is_ok() && stays.is_ok() { HAS_CHILDREN } else { WRONG }
    })
}

/// Spawns as many as it may, waits for all, and begins again.
fn storm(start: &Start) -> u8 {
    as_process(start, |processes| async move {
        loop {
            while processes.spawn(&SpawnOrder::of(CHILD, &["exit", "0"])).await.is_ok() {}
            while processes.wait(Whom::Any).await.is_ok() {}
        }
    })
}

/// Does this as a process that reaches the fleet.
fn as_process<F: Future<Output = u8> + 'static>(
    start: &Start,
    work: impl FnOnce(Processes) -> F + 'static,
) -> u8 {
    let Ok(mut memory) = Memory::of_program(start) else { return WRONG };
    let Ok(server) = Server::create(&mut memory, start) else { return WRONG };
    let Ok(starter) = processes::starter(start, &mut memory, PATIENCE) else { return WRONG };
    let (runtime, core) = (server.runtime.clone(), start.core as u16);
    server.block_on(async move {
        match processes::reach(&runtime, starter, core, PATIENCE).await {
            Ok(processes) => work(processes).await,
            Err(_) => WRONG,
        }
    })
}

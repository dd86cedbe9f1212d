//! `posix`: root loads it beside a Linux program and starts it first. It prepares the program's stack and memory,
//! asks the kernel to reflect the program's calls, and jumps to the program; from then on it only answers.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod native;
mod pages;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::fmt;

use fos_abi::Key;
use fos_abi::limits::USER_START;
use fos_abi::thread::FaultFrame;
use fos_messages::start::{Guest, key_name};
use fos_posix::calls::prlimit64::STACK_BYTES;
use fos_posix::image::{heap_start, segments};
use fos_posix::memory::Plan;
use fos_posix::process::{Outcome, Process};
use fos_posix::stack::{self, Contents};
use fos_posix::system::{PAGE, Protection, System};
use libfos::Start;
use libfos::calls::thread_exit;
use libfos::clock::Clock;
use libfos::memory::{END_ADDRESS, Memory, MemoryError};
use libfos::reflect::{
    BeginError, Frame, OWN_START, Personality, Reflection, fs_base_writable, hardware_capabilities, own_image,
};
use native::{Native, Sinks};

libfos::entry!(main);

/// Status of a program that could not be begun, as shells give it for a file that cannot be run.
const CANNOT_RUN: u8 = 126;
/// The highest address of the program's stack.
const STACK_TOP: u64 = 0x7fff_0000_0000;
/// Where `mmap` puts things, from the top down.
const WINDOW: core::ops::Range<u64> = 0x7000_0000_0000..0x7f00_0000_0000;

/// Why the program did not begin.
#[derive(Debug)]
enum Failure {
    NoProgram,
    NoKeys,
    TooManyArguments,
    Memory(MemoryError),
    Begin(BeginError),
    Stack,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoProgram => write!(formatter, "root loaded no Linux program beside the personality"),
            Failure::NoKeys => write!(formatter, "root gave it no keys named \"root\" and \"faults\""),
            Failure::TooManyArguments => write!(formatter, "its arguments and environment exceed 64 KiB"),
            Failure::Memory(error) => write!(formatter, "{error}"),
            Failure::Begin(error) => write!(formatter, "its thread could not be set up: {error:?}"),
            Failure::Stack => write!(formatter, "its stack could not be written"),
        }
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Failure {
        Failure::Memory(error)
    }
}

fn main(start: &Start) -> u8 {
    match prepare(start) {
        Ok((reflection, linux, entry, pointer)) => reflection.begin(linux, entry, pointer),
        Err(failure) => {
            let name = start.arguments.first().map_or("?", |name| name.as_str());
            libfos::eprintln!("fos-posix: {name} cannot run: {failure}");
            CANNOT_RUN
        }
    }
}

/// Everything that the program needs, its entry and its stack pointer.
fn prepare(start: &Start) -> Result<(Reflection, Linux, u64, u64), Failure> {
    let guest = start.guest.as_ref().ok_or(Failure::NoProgram)?;
    let root = start.key(key_name::ROOT).ok_or(Failure::NoKeys)?;
    let faults = start.key(key_name::FAULTS).ok_or(Failure::NoKeys)?;
    let mut memory = Memory::of_program(start).map_err(MemoryError::Refused)?;
    let reflection = Reflection::prepare(&mut memory, faults, start.identity).map_err(Failure::Begin)?;
    let clock = Clock::new(start.tsc_hz);
    let seed = seed(&root, &faults);
    let mut native = Native::new(memory, reflection.memory(), sinks(start), clock, seed)?;
    let pointer = make_stack(&mut native, start, guest)?;
    let process = Process::new(process_id(start), &executable(start), plan(guest));
    Ok((reflection, Linux { process, native }, guest.entry, pointer))
}

/// The process and what is below it: what reflected calls meet.
struct Linux {
    process: Process,
    native: Native,
}

impl Personality for Linux {
    fn call(&mut self, frame: &mut Frame) {
        match self.process.call(&mut self.native, frame.number(), frame.arguments()) {
            Outcome::Return(value) => frame.set_answer(value),
            Outcome::Exit(status) => thread_exit(status),
        }
    }

    fn fault(&mut self, fault: &mut FaultFrame) -> bool {
        self.native.resolve(fault)
    }
}

/// A seed that only root and the kernel could know as well: the keys' random halves, which ChaCha20 does not reveal.
fn seed(root: &Key, faults: &Key) -> [u8; 32] {
    let mut seed = [0; 32];
    let words = [root.secret[0], root.secret[1], faults.secret[0], faults.secret[1]];
    for (bytes, word) in seed.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    seed
}

fn sinks(start: &Start) -> Sinks {
    let output = start.key(key_name::OUT).or(start.key(key_name::CONSOLE));
    Sinks { output, error: start.key(key_name::ERROR).or(output) }
}

/// A number that fits PIDs of 16 bits and is not init's.
fn process_id(start: &Start) -> u32 {
    u32::from(start.identity as u16).max(2)
}

/// The program's file, as `/proc/self/exe` names it: absolute, which C libraries insist on.
fn executable(start: &Start) -> String {
    let name = start.arguments.first().map_or("", |name| name.as_str());
    if name.starts_with('/') { name.to_string() } else { format!("/bin/{name}") }
}

/// Maps the stack and puts the arguments there; answers with the stack pointer.
fn make_stack(native: &mut Native, start: &Start, guest: &Guest) -> Result<u64, Failure> {
    let mut random = [0; 16];
    native.random(&mut random);
    let contents = Contents {
        arguments: &start.arguments,
        environment: &start.environment,
        random,
        hardware: u64::from(hardware_capabilities()),
        fs_base_writable: fs_base_writable(),
    };
    let stack = stack::build(STACK_TOP, guest, &contents).map_err(|_| Failure::TooManyArguments)?;
    let pages = (STACK_TOP - STACK_BYTES) / PAGE..STACK_TOP / PAGE;
    native.populate(pages, Protection::READ_WRITE).map_err(|_| MemoryError::OutOfFrames)?;
    native.write(stack.pointer, &stack.bytes).map_err(|_| Failure::Stack)?;
    Ok(stack.pointer)
}

fn plan(guest: &Guest) -> Plan {
    let own = own_image();
    let heap_start = heap_start(guest);
    let mut mapped = segments(guest);
    mapped.push((STACK_TOP - STACK_BYTES..STACK_TOP, Protection::READ_WRITE));
    // A heap between the image and this library; none if the program was linked above it.
    let heap_limit = if heap_start < own.start { own.start } else { heap_start };
    let reserved = vec![0..USER_START, own, OWN_START..END_ADDRESS];
    Plan { mapped, reserved, heap_start, heap_limit, window: WINDOW }
}

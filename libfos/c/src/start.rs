//! From libfos's start-up to the program's `fos_main`: what a program has once, and so a static library once.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int};
use core::ptr;

use fos_messages::start::Start;
use libfos::eprintln;

use crate::Process;

#[allow(improper_ctypes, reason = "C knows a process by its pointer alone")]
unsafe extern "C" {
    /// The C program's.
    fn fos_main(fos: *mut Process, argument_count: c_int, arguments: *const *const c_char) -> c_int;
}

libfos::entry!(run);

/// The status of a program whose image gave it no frames.
const NO_FRAMES: u8 = 103;

fn run(start: &Start) -> u8 {
    let mut process = match Process::of_program(start) {
        Ok(process) => process,
        Err(error) => {
            eprintln!("the program has no frames to begin with: {error:?}");
            return NO_FRAMES;
        }
    };
    // An argument with a zero inside ends there, as C reads it.
    let until_zero =
        |text: &str| CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default();
    let texts: Vec<CString> = start.arguments.iter().map(|text| until_zero(text)).collect();
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: the program defines it as the header declares it; what it is given outlives it, and `process` is its alone.
    let status = unsafe { fos_main(&mut process, texts.len() as c_int, pointers.as_ptr()) };
    status as u8
}

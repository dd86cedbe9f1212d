//! From the first instruction to `main`, and what happens on a panic.
//!
//! [`entry!`](crate::entry) makes a program of a `fn main(start: &Start) -> u8`: the status is the program's.
//! [`root_entry!`](crate::root_entry) makes the root program of a `fn main(facts: &'static BootFacts) -> u8`. Both
//! give the program its `_start`, heap, panic handler and the functions that compiled code expects.

use core::fmt::Write;
use core::panic::PanicInfo;

use fos_abi::boot::{ABI_VERSION, BootFacts, FACTS_MAGIC};
use fos_messages::start::Start;

use crate::{calls, console};

/// The status of a program that panicked.
pub const PANICKED: u8 = 101;
/// The status of a program whose start block can't be read.
pub const NOT_STARTED: u8 = 102;

/// Makes a program: `libfos::entry!(main);` or `libfos::entry!(main, heap = 4 << 20);` (bytes).
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::entry!($main, heap = $crate::heap::DEFAULT_SIZE);
    };
    ($main:path, heap = $heap:expr) => {
        $crate::__program!($heap);
        extern "C" fn __fos_begin(block: u64, length: u64) -> ! {
            // SAFETY: only `_start` calls this, with the registers that root set.
            unsafe { $crate::start::run(block, length, $main) }
        }
    };
}

/// Makes the root program: `libfos::root_entry!(main);` or with `heap = BYTES`.
#[macro_export]
macro_rules! root_entry {
    ($main:path) => {
        $crate::root_entry!($main, heap = $crate::heap::DEFAULT_SIZE);
    };
    ($main:path, heap = $heap:expr) => {
        $crate::__program!($heap);
        extern "C" fn __fos_begin(facts: u64, _: u64) -> ! {
            // SAFETY: only `_start` calls this, with the registers that the kernel set.
            unsafe { $crate::start::run_root(facts, $main) }
        }
    };
}

/// What both kinds of program have.
#[doc(hidden)]
#[macro_export]
macro_rules! __program {
    ($heap:expr) => {
        static __FOS_ARENA: $crate::heap::Arena<{ $heap }> = $crate::heap::Arena::new();
        // SAFETY: the one heap over the arena above, which nobody else can name.
        #[global_allocator]
        static __FOS_HEAP: $crate::heap::Heap = unsafe { __FOS_ARENA.heap() };
        #[panic_handler]
        fn __fos_panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::start::panicked(info)
        }
        $crate::__memory_functions!("");
        $crate::__start_at!(__fos_begin);
    };
}

/// Reads the start block, opens the console and the output, runs `main`, ends the thread with its status.
///
/// # Safety
/// `block` and `length` must be those that root passed: readable memory that nobody writes.
#[doc(hidden)]
pub unsafe fn run(block: u64, length: u64, main: fn(&Start) -> u8) -> ! {
    // SAFETY: the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(block as *const u8, length as usize) };
    let Ok(start) = Start::decode(bytes) else { calls::thread_exit(NOT_STARTED) };
    console::open(&start);
    calls::thread_exit(main(&start))
}

/// Checks that the kernel speaks this library's version, runs `main`, ends the thread with its status.
///
/// # Safety
/// `facts` must be the address that the kernel passed.
#[doc(hidden)]
pub unsafe fn run_root(facts: u64, main: fn(&'static BootFacts) -> u8) -> ! {
    // SAFETY: the caller's promise; the page is read-only for good.
    let facts = unsafe { &*(facts as *const BootFacts) };
    if facts.magic != FACTS_MAGIC || facts.version != ABI_VERSION {
        calls::thread_exit(NOT_STARTED)
    }
    calls::thread_exit(main(facts))
}

/// Says on the console what panicked and where, as far as there is one, and ends the program.
#[doc(hidden)]
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    // A panic while this prints finds the console taken, prints nothing, and ends the program all the same.
    if let Some(mut text) = console::last_words() {
        let _ = writeln!(text, "{info}");
    }
    calls::thread_exit(PANICKED)
}

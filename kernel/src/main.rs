//! The kernel image: the library, and what a program without std must bring along.
#![no_std]
#![no_main]

use fos_kernel::arch::machine::traps::frame_pointer;
use fos_kernel::{cores, failure};

/// A panic fences this core; the others go on.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let place = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
    failure::fail(
        cores::this(),
        format_args!("{} at {}:{}", info.message(), place.0, place.1),
        frame_pointer(),
        0,
    )
}

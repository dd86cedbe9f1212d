//! A Linux program that does one bad thing, named by the first letter of its argument, for tests of what then happens
//! to it and to nobody else:
//!
//! | argument | does | ends with status |
//! |---|---|---|
//! | `read` | reads through a null pointer | 139, as by SIGSEGV |
//! | `write` | writes to its own code | 139 |
//! | `jump` | jumps to its stack | 139 |
//! | `divide` | divides by zero | 136, as by SIGFPE |
//! | `undefined` | executes an undefined instruction | 132, as by SIGILL |
//! | `syscall` | gives a call a bad pointer, and another one | 0 if both were EFAULT |
//! | `grow` | uses memory up to 4 MiB that it was promised | 0 if it all read as zero first |
#![no_std]
#![no_main]

mod arch;

/// No Rust code runs here that could panic; the compiler wants to know all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    arch::undefined()
}

//! The first serial port, for the kernel's last words only: a driver in user space owns it otherwise.

use super::ports;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u32 = 0x20;

/// Writes to the port by polling, with a bound: a port that is not there swallows the text.
pub struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            for _ in 0..10_000 {
                // SAFETY: reading the line status of the first serial port has no side effect.
                if unsafe { ports::read(LINE_STATUS, 1) } & TRANSMITTER_EMPTY != 0 {
                    break;
                }
            }
            // SAFETY: writing a byte to the first serial port prints it.
            unsafe { ports::write(COM1, 1, u32::from(byte)) };
        }
        Ok(())
    }
}

static WRITING: AtomicBool = AtomicBool::new(false);

/// Prints one line. Two cores' lines do not mix; a core that waits too long (the other died while
/// printing) prints all the same.
pub fn print_line(line: fmt::Arguments) {
    for _ in 0..1_000_000 {
        if WRITING.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            break;
        }
        super::cpu::relax();
    }
    let _ = Serial.write_fmt(line);
    let _ = Serial.write_str("\n");
    WRITING.store(false, Ordering::Release);
}

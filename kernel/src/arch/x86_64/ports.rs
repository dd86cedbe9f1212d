//! I/O ports.

use core::arch::asm;

/// Reads `size` (1, 2 or 4) bytes from a port.
///
/// # Safety
/// Reading this port must not break what the kernel relies on: devices that it owns itself are not read.
pub unsafe fn read(port: u16, size: u8) -> u32 {
    let value: u32;
    // SAFETY: the caller vouches for the port.
    unsafe {
        match size {
            1 => {
                let byte: u8;
                asm!("in al, dx", in("dx") port, out("al") byte, options(nomem, nostack, preserves_flags));
                value = u32::from(byte);
            }
            2 => {
                let word: u16;
                asm!("in ax, dx", in("dx") port, out("ax") word, options(nomem, nostack, preserves_flags));
                value = u32::from(word);
            }
            _ => {
                asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags))
            }
        }
    }
    value
}

/// Writes `size` (1, 2 or 4) bytes to a port.
///
/// # Safety
/// As [`read`]; a device may be told to write memory, so the holder of a port's capability is trusted.
pub unsafe fn write(port: u16, size: u8, value: u32) {
    // SAFETY: the caller vouches for the port and the value.
    unsafe {
        match size {
            1 => {
                asm!("out dx, al", in("dx") port, in("al") value as u8, options(nomem, nostack, preserves_flags))
            }
            2 => {
                asm!("out dx, ax", in("dx") port, in("ax") value as u16, options(nomem, nostack, preserves_flags))
            }
            _ => {
                asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags))
            }
        }
    }
}

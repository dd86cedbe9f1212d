//! The PC's first serial port (a 16550 at the address where the BIOS always had it), one byte at a time.

use fos_abi::capability::Handle;

use crate::calls;

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
/// The transmitter takes a byte.
const TRANSMIT_EMPTY: u32 = 0x20;
/// Looks at the chip before a byte is dropped: some milliseconds, where a byte takes 0.1.
const LOOKS: usize = 10_000;

/// Writes a byte when the chip takes one; drops it if it never does.
pub fn write_byte(ports: Handle, byte: u8) {
    let ready = || calls::port_read(ports, LINE_STATUS, 1).is_ok_and(|status| status & TRANSMIT_EMPTY != 0);
    if (0..LOOKS).any(|_| ready()) {
        // A machine without this port has nowhere to say so.
        let _ = calls::port_write(ports, DATA, 1, u32::from(byte));
    }
}

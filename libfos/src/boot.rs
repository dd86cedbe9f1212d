//! What the root program finds in its space at boot, beside its facts: the boot archive, and a last way to say
//! something when no driver of the console runs.

use fos_abi::boot::{ARCHIVE_ADDRESS, BootFacts, FACTS_ADDRESS};
use fos_abi::capability::Handle;

use crate::arch::first_port;

/// The boot archive, or nothing if `facts` are not those that the kernel mapped.
pub fn archive(facts: &'static BootFacts) -> &'static [u8] {
    if core::ptr::from_ref(facts) as u64 != FACTS_ADDRESS {
        return &[];
    }
    // SAFETY: these are the kernel's facts (the page is read-only); it maps so many bytes there, read-only, for good.
    unsafe { core::slice::from_raw_parts(ARCHIVE_ADDRESS as *const u8, facts.archive_length as usize) }
}

/// The words of the kernel's command line.
pub fn command_line(facts: &BootFacts) -> &[u8] {
    let all = &facts.command_line.0;
    &all[..all.len().min(facts.command_line_length as usize)]
}

/// Writes text to the machine's first serial port by itself, with the capability of its ports. For when no driver
/// does; each byte waits a bounded number of looks for the chip, then is dropped.
pub fn write_text(ports: Handle, text: &str) {
    for byte in text.bytes() {
        first_port::write_byte(ports, byte);
    }
}

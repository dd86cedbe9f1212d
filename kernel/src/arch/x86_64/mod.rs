//! x86-64: boot, traps, page-table format, interrupt controllers, time. Machine code lives here only.

pub mod acpi;
pub mod apic;
#[cfg(not(test))]
pub mod boot;
pub mod clock;
pub mod cpu;
pub mod descriptors;
pub mod entry;
pub mod extended_state;
pub mod features;
pub mod ioapic;
#[cfg(not(test))]
mod memory_functions;
pub mod memory_map;
pub mod multiprocessor;
pub mod paging;
pub mod ports;
pub mod serial;
pub mod traps;
pub mod user_memory;

/// The interrupt controller of each core, under the name that the rest of the kernel uses.
pub use apic as controller;

/// Ends the machine: QEMU's exit device, then, where that is not there, a reset by the keyboard controller,
/// then silence.
pub fn power_off(status: u8) -> ! {
    // SAFETY: ending the machine is what the caller wants; ports without a device ignore it.
    unsafe {
        ports::write(fos_abi::exit::EXIT_PORT, 1, u32::from(status));
        ports::write(0x64, 1, 0xfe);
    }
    cpu::halt_forever()
}

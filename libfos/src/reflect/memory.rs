//! The memory of the program that lives beside libfos: bytes at addresses that the program chose.
//!
//! Nothing that Rust knows of lies there, because every address of libfos's own (its image, its stack and start
//! block, what [`crate::memory`] hands out) is refused; and a page that is not there is found by the CPU and
//! answered with [`Fault`].

use core::ops::Range;

use fos_abi::limits::{USER_END, USER_START};

use crate::arch::reflect as machine;
use crate::memory::END_ADDRESS;

/// An address of libfos, of nobody, or of a page that does not allow this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// Where root puts stacks and start blocks; from here up to [`END_ADDRESS`] all is libfos's own.
pub const OWN_START: u64 = fos_abi::boot::FACTS_ADDRESS;

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
}

/// The addresses of the running program's image.
pub fn own_image() -> Range<u64> {
    &raw const __image_start as u64..&raw const __image_end as u64
}

/// Whether all of a range is the program's to use.
pub fn is_program(address: u64, bytes: usize) -> bool {
    outside(address, bytes, &[own_image(), OWN_START..END_ADDRESS])
}

fn outside(address: u64, bytes: usize, own: &[Range<u64>]) -> bool {
    let Some(end) = address.checked_add(bytes as u64) else { return false };
    let apart = |range: &Range<u64>| end <= range.start || range.end <= address;
    address >= USER_START && end <= USER_END && own.iter().all(apart)
}

/// Reads and writes the program's memory.
#[derive(Clone, Copy, Debug)]
pub struct ProgramMemory(pub(super) ());

impl ProgramMemory {
    /// Copies bytes out. On a fault `into` holds some of them.
    pub fn read(self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        check(address, into.len())?;
        // SAFETY: a `ProgramMemory` exists only inside libfos, with GS set; the source is not libfos's own.
        done(unsafe { machine::copy(into.as_mut_ptr(), address as *const u8, into.len()) })
    }

    /// Copies bytes in. On a fault some of them are there.
    pub fn write(self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        check(address, bytes.len())?;
        // SAFETY: a `ProgramMemory` exists only inside libfos, with GS set; the target is not libfos's own.
        done(unsafe { machine::copy(address as *mut u8, bytes.as_ptr(), bytes.len()) })
    }

    /// Clears bytes.
    pub fn clear(self, address: u64, bytes: usize) -> Result<(), Fault> {
        check(address, bytes)?;
        // SAFETY: a `ProgramMemory` exists only inside libfos, with GS set; the target is not libfos's own.
        done(unsafe { machine::clear(address as *mut u8, bytes) })
    }
}

fn check(address: u64, bytes: usize) -> Result<(), Fault> {
    if bytes == 0 || is_program(address, bytes) { Ok(()) } else { Err(Fault) }
}

fn done(copied: bool) -> Result<(), Fault> {
    if copied { Ok(()) } else { Err(Fault) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_libfos_and_of_nobody_are_refused() {
        let own = [0x6000_0000..0x6010_0000, OWN_START..END_ADDRESS];
        let outside = |address, bytes| outside(address, bytes, &own);
        assert!(outside(0x40_0000, 4096) && outside(0x5fff_f000, 4096) && outside(0x6010_0000, 1));
        assert!(!outside(0x5fff_f001, 4096) && !outside(0x600f_ffff, 1) && !outside(0x40_0000, 0x7000_0000));
        assert!(!outside(0, 1) && !outside(USER_START - 1, 1) && outside(USER_START, 1));
        assert!(!outside(USER_END, 1) && !outside(USER_END - 1, 2) && outside(USER_END - 1, 1));
        assert!(!outside(u64::MAX, 1) && !outside(0x7000_0000_0000, usize::MAX));
        assert!(!outside(0x2000_0000_0000, 8) && !outside(OWN_START - 1, 2) && outside(END_ADDRESS, 8));
    }
}

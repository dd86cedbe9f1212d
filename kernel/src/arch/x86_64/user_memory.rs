//! The one routine that touches user memory, with its fault table: any fault between `copy_start` and
//! `copy_end` continues at `copy_fault`, which reports it.

use core::arch::naked_asm;
use fos_abi::Error;
use fos_abi::limits::{USER_END, USER_START};

/// A range of addresses that a program alleges to be its own. Checked to lie in user space, never wrapped;
/// whether it is mapped shows only when it is copied.
#[derive(Clone, Copy, Debug)]
pub struct UserRange {
    start: u64,
    length: usize,
}

impl UserRange {
    /// Checks an allegation.
    #[inline(always)]
    pub fn new(start: u64, length: usize) -> Result<UserRange, Error> {
        const ROOM: u64 = USER_END - USER_START;
        if length as u64 > ROOM || start.wrapping_sub(USER_START) > ROOM - length as u64 {
            return Err(Error::BadAddress);
        }
        Ok(UserRange { start, length })
    }

    /// As `new`, but nothing at all may come from anywhere.
    #[inline(always)]
    pub fn or_empty(start: u64, length: usize) -> Result<UserRange, Error> {
        if length == 0 {
            Ok(UserRange { start: USER_START, length: 0 })
        } else {
            UserRange::new(start, length)
        }
    }

    /// The first `length` bytes, or all if it is shorter, and the rest.
    pub fn split_at_most(self, length: usize) -> (UserRange, UserRange) {
        let length = length.min(self.length);
        let front = UserRange { start: self.start, length };
        (front, UserRange { start: self.start + length as u64, length: self.length - length })
    }

    /// Copies the whole range into kernel memory.
    ///
    /// # Safety
    /// `to` must be valid for writes of the range's length.
    #[inline(always)]
    pub unsafe fn read(self, to: *mut u8) -> Result<(), Error> {
        // SAFETY: the range is user memory (checked), `to` is the caller's promise, faults are caught.
        match unsafe { copy(to, self.start as *const u8, self.length) } {
            0 => Ok(()),
            _ => Err(Error::BadAddress),
        }
    }

    /// Copies kernel memory into the whole range.
    ///
    /// # Safety
    /// `from` must be valid for reads of the range's length.
    pub unsafe fn write(self, from: *const u8) -> Result<(), Error> {
        // SAFETY: the range is user memory (checked), `from` is the caller's promise, faults are caught.
        match unsafe { copy(self.start as *mut u8, from, self.length) } {
            0 => Ok(()),
            _ => Err(Error::BadAddress),
        }
    }
}

/// Reads a plain value from user memory.
pub fn read_value<T: Copy + Default>(address: u64) -> Result<T, Error> {
    if !address.is_multiple_of(align_of::<T>() as u64) {
        return Err(Error::BadAddress);
    }
    let mut value = T::default();
    // SAFETY: `value` is a local of exactly this size; T is plain data of the abi, any bytes are valid.
    unsafe { UserRange::new(address, size_of::<T>())?.read((&raw mut value).cast())? };
    Ok(value)
}

/// Writes a plain value to user memory.
pub fn write_value<T: Copy>(address: u64, value: &T) -> Result<(), Error> {
    if !address.is_multiple_of(align_of::<T>() as u64) {
        return Err(Error::BadAddress);
    }
    // SAFETY: `value` is readable for its own size.
    unsafe { UserRange::new(address, size_of::<T>())?.write((value as *const T).cast()) }
}

/// Copies `length` bytes; 0 when done, 1 when user memory faulted (some bytes may have been written).
///
/// `stac`/`clac` are patched to no-ops at boot on CPUs without SMAP: see [`without_smap`].
///
/// # Safety
/// The kernel's side must be valid; the user's side must lie below `USER_END`.
#[unsafe(naked)]
unsafe extern "C" fn copy(to: *mut u8, from: *const u8, length: usize) -> u64 {
    naked_asm!(
        ".global copy_stac, copy_clac, copy_start, copy_end, copy_fault",
        "copy_stac: stac",
        "copy_start:",
        // 64 bytes a turn; moving them changes no flags.
        "2: sub rdx, 64",
        "jb 3f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + 32]",
        "movups xmm3, [rsi + 48]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + 32], xmm2",
        "movups [rdi + 48], xmm3",
        "jz 6f",
        "add rsi, 64",
        "add rdi, 64",
        "jmp 2b",
        // 16 bytes a turn, then once 8, then single ones.
        "3: add rdx, 64",
        "4: sub rdx, 16",
        "jb 5f",
        "movups xmm0, [rsi]",
        "movups [rdi], xmm0",
        "jz 6f",
        "add rsi, 16",
        "add rdi, 16",
        "jmp 4b",
        "5: add rdx, 16",
        "cmp rdx, 8",
        "jb 7f",
        "mov rax, [rsi]",
        "mov [rdi], rax",
        "add rsi, 8",
        "add rdi, 8",
        "sub rdx, 8",
        "7: test rdx, rdx",
        "jz 6f",
        "8: mov al, [rsi]",
        "mov [rdi], al",
        "inc rsi",
        "inc rdi",
        "dec rdx",
        "jnz 8b",
        "copy_end:",
        "6: xor eax, eax",
        "copy_clac: clac",
        "ret",
        "copy_fault: mov eax, 1",
        "jmp copy_clac",
    )
}

unsafe extern "C" {
    static copy_stac: u8;
    static copy_clac: u8;
    static copy_start: u8;
    static copy_end: u8;
    static copy_fault: u8;
}

/// Where to continue after a fault at `instruction`, if that is the copy routine's.
pub fn fault_table(instruction: u64) -> Option<u64> {
    let (start, end) = (&raw const copy_start as u64, &raw const copy_end as u64);
    (start <= instruction && instruction < end).then_some(&raw const copy_fault as u64)
}

/// The addresses of the two instructions that a CPU without SMAP does not know; boot replaces each of
/// them by a 3-byte no-op before the text becomes read-only.
pub fn without_smap() -> [u64; 2] {
    [&raw const copy_stac as u64, &raw const copy_clac as u64]
}

/// Whether an address could take `length` bytes of words.
pub fn check_aligned(address: u64, length: usize) -> Result<(), Error> {
    if !address.is_multiple_of(8) {
        return Err(Error::BadAddress);
    }
    UserRange::new(address, length).map(|_| ())
}

/// Whether an address can be jumped to in user mode without the kernel faulting on the way.
pub fn is_user_address(address: u64) -> bool {
    address < USER_END
}

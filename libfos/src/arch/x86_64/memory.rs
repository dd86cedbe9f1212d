//! The functions that compiled code calls without naming them: copy, move, fill, compare.
//!
//! Chosen for few instructions at small sizes, where they are called most: up to 64 bytes there is no loop, only
//! loads that may overlap followed by stores, which also makes `memcpy` correct as `memmove`. Longer ones go by 64
//! bytes with unaligned SSE moves. `rep movsb` is not used: under QEMU's instruction count it costs one per byte, and
//! on processors it starts slowly.

/// Emits the functions into a program, each name behind `$prefix` (empty in programs, something else in tests).
#[doc(hidden)]
#[macro_export]
macro_rules! __memory_functions {
    ($prefix:literal) => {
        core::arch::global_asm!(
            ".pushsection .text.memory, \"ax\", @progbits",
            // memcpy and memmove(rdi to, rsi from, rdx bytes) -> rdi
            concat!(".globl ", $prefix, "memcpy"),
            concat!(".globl ", $prefix, "memmove"),
            ".p2align 4",
            concat!($prefix, "memcpy:"),
            concat!($prefix, "memmove:"),
            "mov rax, rdi",
            "cmp rdx, 16",
            "jb 5f",
            "cmp rdx, 32",
            "ja 2f",
            "movups xmm0, [rsi]", // 16 to 32: two halves that may overlap
            "movups xmm1, [rsi + rdx - 16]",
            "movups [rdi], xmm0",
            "movups [rdi + rdx - 16], xmm1",
            "ret",
            "2:",
            "movups xmm4, [rsi + rdx - 32]", // more than 32: the last 32 bytes are held from now on
            "movups xmm5, [rsi + rdx - 16]",
            "cmp rdx, 64",
            "ja 3f",
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + 16]",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm1",
            "movups [rdi + rdx - 32], xmm4",
            "movups [rdi + rdx - 16], xmm5",
            "ret",
            "3:",
            "mov rcx, rdi",
            "sub rcx, rsi",
            "cmp rcx, rdx", // to - from < bytes, unsigned: the target begins inside the source
            "jb 8f",
            "lea r8, [rdi + rdx - 32]", // where the held bytes go
            "movups xmm6, [rsi + rdx - 64]",
            "movups xmm7, [rsi + rdx - 48]",
            "lea r9, [rdi + rdx - 64]", // the loop ends once it would reach beyond
            "4:",
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + 16]",
            "movups xmm2, [rsi + 32]",
            "movups xmm3, [rsi + 48]",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm1",
            "movups [rdi + 32], xmm2",
            "movups [rdi + 48], xmm3",
            "add rsi, 64",
            "add rdi, 64",
            "cmp rdi, r9",
            "jb 4b",
            "movups [r9], xmm6",
            "movups [r9 + 16], xmm7",
            "movups [r8], xmm4",
            "movups [r8 + 16], xmm5",
            "ret",
            "5:",
            "cmp edx, 8",
            "jb 6f",
            "mov rcx, [rsi]", // 8 to 15
            "mov r8, [rsi + rdx - 8]",
            "mov [rdi], rcx",
            "mov [rdi + rdx - 8], r8",
            "ret",
            "6:",
            "cmp edx, 4",
            "jb 7f",
            "mov ecx, [rsi]", // 4 to 7
            "mov r8d, [rsi + rdx - 4]",
            "mov [rdi], ecx",
            "mov [rdi + rdx - 4], r8d",
            "ret",
            "7:",
            "test edx, edx",
            "jz 2f",
            "movzx ecx, byte ptr [rsi]", // 1 to 3: first, middle, last
            "mov r9, rdx",
            "shr r9, 1",
            "movzx r8d, byte ptr [rsi + rdx - 1]",
            "movzx r10d, byte ptr [rsi + r9]",
            "mov [rdi], cl",
            "mov [rdi + r9], r10b",
            "mov [rdi + rdx - 1], r8b",
            "2:",
            "ret",
            "8:", // from the end: the first 64 bytes are held, the last 32 are in xmm4 and xmm5
            "movups xmm6, [rsi]",
            "movups xmm7, [rsi + 16]",
            "movups xmm8, [rsi + 32]",
            "movups xmm9, [rsi + 48]",
            "9:",
            "movups xmm0, [rsi + rdx - 64]",
            "movups xmm1, [rsi + rdx - 48]",
            "movups xmm2, [rsi + rdx - 32]",
            "movups xmm3, [rsi + rdx - 16]",
            "movups [rdi + rdx - 64], xmm0",
            "movups [rdi + rdx - 48], xmm1",
            "movups [rdi + rdx - 32], xmm2",
            "movups [rdi + rdx - 16], xmm3",
            "sub rdx, 64",
            "cmp rdx, 64",
            "ja 9b",
            "movups [rdi], xmm6",
            "movups [rdi + 16], xmm7",
            "movups [rdi + 32], xmm8",
            "movups [rdi + 48], xmm9",
            "ret",
            // memset(rdi to, esi byte, rdx bytes) -> rdi
            concat!(".globl ", $prefix, "memset"),
            ".p2align 4",
            concat!($prefix, "memset:"),
            "mov rax, rdi",
            "movzx esi, sil",
            "mov rcx, 0x0101010101010101",
            "imul rsi, rcx",
            "cmp rdx, 16",
            "jb 5f",
            "movq xmm0, rsi",
            "punpcklqdq xmm0, xmm0",
            "lea r9, [rdi + rdx - 64]",
            "cmp rdx, 64",
            "jae 4f",
            "movups [rdi], xmm0", // 16 to 63
            "movups [rdi + rdx - 16], xmm0",
            "cmp rdx, 32",
            "jbe 3f",
            "movups [rdi + 16], xmm0",
            "movups [rdi + rdx - 32], xmm0",
            "3:",
            "ret",
            "4:",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm0",
            "movups [rdi + 32], xmm0",
            "movups [rdi + 48], xmm0",
            "add rdi, 64",
            "cmp rdi, r9",
            "jb 4b",
            "movups [r9], xmm0",
            "movups [r9 + 16], xmm0",
            "movups [r9 + 32], xmm0",
            "movups [r9 + 48], xmm0",
            "ret",
            "5:",
            "cmp edx, 8",
            "jb 6f",
            "mov [rdi], rsi",
            "mov [rdi + rdx - 8], rsi",
            "ret",
            "6:",
            "cmp edx, 4",
            "jb 7f",
            "mov [rdi], esi",
            "mov [rdi + rdx - 4], esi",
            "ret",
            "7:",
            "test edx, edx",
            "jz 2f",
            "mov [rdi], sil",
            "mov [rdi + rdx - 1], sil",
            "shr rdx, 1",
            "mov [rdi + rdx], sil",
            "2:",
            "ret",
            // memcmp and bcmp(rdi one, rsi other, rdx bytes) -> <0, 0, >0
            concat!(".globl ", $prefix, "memcmp"),
            concat!(".globl ", $prefix, "bcmp"),
            ".p2align 4",
            concat!($prefix, "memcmp:"),
            concat!($prefix, "bcmp:"),
            "xor eax, eax",
            "sub rdx, 8",
            "jb 4f",
            "2:",
            "mov r8, [rdi]",
            "mov r9, [rsi]",
            "cmp r8, r9",
            "jne 3f",
            "add rdi, 8",
            "add rsi, 8",
            "sub rdx, 8",
            "jae 2b",
            "jmp 4f",
            "3:",
            "bswap r8", // the first byte in memory counts most
            "bswap r9",
            "cmp r8, r9",
            "sbb eax, eax",
            "or eax, 1",
            "ret",
            "4:",
            "add rdx, 8",
            "jz 6f",
            "5:",
            "movzx eax, byte ptr [rdi]",
            "movzx ecx, byte ptr [rsi]",
            "sub eax, ecx",
            "jne 6f",
            "inc rdi",
            "inc rsi",
            "dec rdx",
            "jnz 5b",
            "6:",
            "ret",
            // strlen(rdi text) -> bytes before the zero
            concat!(".globl ", $prefix, "strlen"),
            ".p2align 4",
            concat!($prefix, "strlen:"),
            "mov rax, -1",
            "2:",
            "inc rax",
            "cmp byte ptr [rdi + rax], 0",
            "jne 2b",
            "ret",
            // Precompiled core and alloc name these for unwinding; without std nothing unwinds.
            concat!(".globl ", $prefix, "rust_eh_personality"),
            concat!(".globl ", $prefix, "_Unwind_Resume"),
            concat!($prefix, "rust_eh_personality:"),
            concat!($prefix, "_Unwind_Resume:"),
            "ud2",
            ".popsection",
        );
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    __memory_functions!("fos_test_");

    unsafe extern "C" {
        fn fos_test_memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8;
        fn fos_test_memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8;
        fn fos_test_memcmp(one: *const u8, other: *const u8, bytes: usize) -> i32;
        fn fos_test_strlen(text: *const u8) -> usize;
    }

    const ROOM: usize = 700;

    /// Bytes that differ from their neighbours, so that a copy to the wrong place shows.
    fn pattern() -> Vec<u8> {
        (0..ROOM).map(|index| (index * 7 + index / 256) as u8).collect()
    }

    /// Moves within one buffer, and compares all of it with what `copy_within` makes.
    fn check_move(from: usize, to: usize, bytes: usize) {
        let (mut ours, mut expected) = (pattern(), pattern());
        expected.copy_within(from..from + bytes, to);
        let base = ours.as_mut_ptr();
        // SAFETY: the callers below keep both ranges inside the buffer.
        let returned = unsafe { fos_test_memmove(base.add(to), base.add(from), bytes) };
        assert_eq!(returned, base.wrapping_add(to));
        assert_eq!(ours, expected, "{bytes} bytes from {from} to {to}");
    }

    #[test]
    fn every_small_size_moves_at_every_small_distance() {
        for bytes in 0..200 {
            for distance in 0..100 {
                check_move(100 + distance, 100, bytes);
                check_move(100, 100 + distance, bytes);
            }
        }
    }

    #[test]
    fn every_small_size_is_filled_and_nothing_beside_it() {
        for bytes in 0..300 {
            let (mut ours, mut expected) = (pattern(), pattern());
            expected[50..50 + bytes].fill(0xa5);
            // SAFETY: 50 + 299 < ROOM.
            unsafe { fos_test_memset(ours.as_mut_ptr().add(50), 0x3a5, bytes) };
            assert_eq!(ours, expected, "{bytes} bytes");
        }
    }

    #[test]
    fn a_string_ends_at_its_first_zero() {
        for length in 0..40 {
            let mut text = std::vec![b'x'; length];
            text.extend([0, b'y', 0]);
            // SAFETY: the text holds a zero.
            assert_eq!(unsafe { fos_test_strlen(text.as_ptr()) }, length);
        }
    }

    proptest! {
        #[test]
        fn any_move_in_a_buffer_is_right(from in 0..ROOM, to in 0..ROOM, bytes in 0..ROOM) {
            check_move(from, to, bytes.min(ROOM - from.max(to)));
        }

        #[test]
        fn comparing_orders_as_slices_do(one in prop::collection::vec(0u8..3, 40), other in prop::collection::vec(0u8..3, 40), bytes in 0usize..=40, same in 0usize..=40) {
            let mut other = other;
            other[..same].copy_from_slice(&one[..same]);
            // SAFETY: both have 40 bytes.
            let order = unsafe { fos_test_memcmp(one.as_ptr(), other.as_ptr(), bytes) };
            prop_assert_eq!(order.cmp(&0), one[..bytes].cmp(&other[..bytes]));
        }
    }
}

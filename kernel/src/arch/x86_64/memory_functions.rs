//! The functions that the compiler expects of every program: copy, set and compare bytes.

use core::arch::naked_asm;

/// `memcpy`: 64 bytes a turn, then 8, then 1.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 64",
        "jb 3f",
        "2: movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + 32]",
        "movups xmm3, [rsi + 48]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + 32], xmm2",
        "movups [rdi + 48], xmm3",
        "add rsi, 64",
        "add rdi, 64",
        "sub rdx, 64",
        "cmp rdx, 64",
        "jae 2b",
        "3: cmp rdx, 8",
        "jb 5f",
        "4: mov rcx, [rsi]",
        "mov [rdi], rcx",
        "add rsi, 8",
        "add rdi, 8",
        "sub rdx, 8",
        "cmp rdx, 8",
        "jae 4b",
        "5: test rdx, rdx",
        "jz 7f",
        "6: mov cl, [rsi]",
        "mov [rdi], cl",
        "inc rsi",
        "inc rdi",
        "dec rdx",
        "jnz 6b",
        "7: ret",
    )
}

/// `memmove`: backwards, byte by byte, only where the ranges overlap that way.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx",
        "jae {memcpy}",
        "mov rax, rdi",
        "lea rsi, [rsi + rdx - 1]",
        "lea rdi, [rdi + rdx - 1]",
        "mov rcx, rdx",
        "std",
        "rep movsb",
        "cld",
        "ret",
        memcpy = sym memcpy,
    )
}

/// `memset`: whole words, then the rest.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    naked_asm!(
        "mov r8, rdi",
        "movzx eax, sil",
        "mov r9, 0x0101010101010101",
        "imul rax, r9",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "mov rcx, rdx",
        "and rcx, 7",
        "rep stosb",
        "mov rax, r8",
        "ret",
    )
}

/// `memcmp`.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    naked_asm!(
        "xor eax, eax",
        "2: test rdx, rdx",
        "jz 3f",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "inc rdi",
        "inc rsi",
        "dec rdx",
        "sub eax, ecx",
        "jz 2b",
        "3: ret",
    )
}

/// `bcmp`: as `memcmp`, of which only "equal" counts.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

/// Unwinding does not exist here; precompiled `core` names this all the same.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn rust_eh_personality() {}

//! The program itself. Linux enters with `argc` at the stack pointer, then `argv` (System V ABI for AMD64, "Process
//! Initialization"); numbers of calls are those of Linux's x86-64 table.

use core::arch::{asm, global_asm};

global_asm!(
    ".section .text.start, \"ax\", @progbits",
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov edi, 2", // exit status for anything else than the arguments below
    "cmp qword ptr [rsp], 2",
    "jb 9f",
    "mov rax, [rsp + 16]",
    "movzx eax, byte ptr [rax]",
    "cmp al, 'r'",
    "je 2f",
    "cmp al, 'w'",
    "je 3f",
    "cmp al, 'j'",
    "je 4f",
    "cmp al, 'd'",
    "je 5f",
    "cmp al, 'u'",
    "je 6f",
    "cmp al, 's'",
    "je 7f",
    "cmp al, 'g'",
    "je 20f",
    "9:",
    "mov eax, 231", // exit_group
    "syscall",
    "ud2",
    // read
    "2:",
    "mov rax, [0]",
    "jmp 9b",
    // write
    "3:",
    "lea rax, [rip + _start]",
    "mov byte ptr [rax], 0",
    "jmp 9b",
    // jump
    "4:",
    "jmp rsp",
    // divide
    "5:",
    "xor ecx, ecx",
    "div ecx",
    "jmp 9b",
    // undefined
    "6:",
    "ud2",
    // syscall: write(1, NULL, 5), then uname(0x7fff00000000)
    "7:",
    "mov eax, 1",
    "mov edi, 1",
    "xor esi, esi",
    "mov edx, 5",
    "syscall",
    "mov edi, 3",
    "cmp rax, -14",
    "jne 9b",
    "mov eax, 63",
    "movabs rdi, 0x7fff00000000",
    "syscall",
    "mov edi, 4",
    "cmp rax, -14",
    "jne 9b",
    "xor edi, edi",
    "jmp 9b",
    // grow: mmap(NULL, 4 MiB, read and write, private and anonymous, -1, 0), then every page
    "20:",
    "mov eax, 9",
    "xor edi, edi",
    "mov esi, 0x400000",
    "mov edx, 3",
    "mov r10d, 0x22",
    "mov r8, -1",
    "xor r9d, r9d",
    "syscall",
    "mov edi, 5",
    "test rax, rax",
    "js 9b",
    "mov ecx, 1024",
    "21:",
    "mov edi, 6",
    "cmp qword ptr [rax], 0",
    "jne 9b",
    "mov [rax + 8], rax",
    "add rax, 4096",
    "dec ecx",
    "jnz 21b",
    "xor edi, edi",
    "jmp 9b",
    ".text",
);

/// Ends the program as an undefined instruction does.
pub fn undefined() -> ! {
    // SAFETY: the instruction has no effect but its exception.
    unsafe { asm!("ud2", options(noreturn)) }
}

//! The ways into the kernel and out of it, in machine code.
//!
//! *Call*: `syscall` with the top bit of `eax` set. Saves nothing but where to return; a handler that does
//! not block returns straight to the program. *Reflected call*: `syscall` without that bit; enters the
//! program's own libfos, no kernel code runs. *Trap*: an interrupt or exception; saves everything in the
//! thread, extended state included, and leaves through the scheduler.
//!
//! Handlers run on the core's one stack with interrupts off and to their end. The vector registers are
//! cleared on the way out of a call, because the kernel's own code may have used them.

use super::descriptors::selector;
use crate::calls;
use crate::cores::core_offset as own;
use crate::thread::{Resume, Thread, register_offset as reg};
use core::arch::{global_asm, naked_asm};
use fos_abi::thread::area_offset as area;

/// What a call answers: `rax` and `rdx`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Answer {
    /// 0 or an error's number.
    pub error: u64,
    /// The value.
    pub value: u64,
}

impl Answer {
    /// Success.
    #[inline(always)]
    pub const fn ok(value: u64) -> Answer {
        Answer { error: 0, value }
    }
    /// Refusal.
    #[inline(always)]
    pub const fn error(error: fos_abi::Error) -> Answer {
        Answer { error: error as u64, value: 0 }
    }
}

impl From<Result<u64, fos_abi::Error>> for Answer {
    #[inline(always)]
    fn from(result: Result<u64, fos_abi::Error>) -> Answer {
        match result {
            Ok(value) => Answer::ok(value),
            Err(error) => Answer::error(error),
        }
    }
}

/// A call's handler, with the six argument registers.
pub type Handler = extern "C" fn(u64, u64, u64, u64, u64, u64) -> Answer;

/// Where `syscall` enters.
///
/// # Safety
/// Only the CPU comes here, by `syscall`, with the descriptors of this core loaded.
#[unsafe(naked)]
pub unsafe extern "C" fn system_call() {
    naked_asm!(
        "swapgs",
        "test eax, eax",
        "jns 5f",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{kernel_stack}]",
        "push r11",
        "push rcx",
        "sub eax, 0x80000000",
        "cmp eax, {count}",
        "jae 4f",
        "mov rcx, r10",
        "call [{table} + rax * 8]",
        "2:",
        // One look at two words: `leave`, and beside it `without_avx`.
        "cmp qword ptr gs:[{leave}], 0",
        "jne 6f",
        "vzeroall",
        "3: pop rcx",
        "pop r11",
        "xor edi, edi",
        "xor esi, esi",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "mov rsp, gs:[{user_rsp}]",
        "swapgs",
        "sysretq",
        // Pipelined calls, and numbers that are none: eax (number), and the six arguments.
        "4: push r9",
        "push r8",
        "push r10",
        "push rdx",
        "push rsi",
        "push rdi",
        "mov edi, eax",
        "mov rsi, rsp",
        "call {unusual}",
        "add rsp, 48",
        "jmp 2b",
        // A Linux call: to libfos, in the same space.
        "5: mov gs:[{scratch}], rax",
        "mov rax, gs:[{area}]",
        "test rax, rax",
        "jz 7f",
        "cmp qword ptr [rax + {inside}], 0",
        "jne 7f",
        "mov [rax + {user_rip}], rcx",
        "mov [rax + {user_rflags}], r11",
        "mov [rax + {user_stack}], rsp",
        "mov qword ptr [rax + {inside}], 1",
        "mov rcx, gs:[{reflect_entry}]",
        "mov rsp, gs:[{libfos_stack}]",
        "mov rax, gs:[{scratch}]",
        "mov r11d, 0x202",
        "swapgs",
        "sysretq",
        "6: cmp dword ptr gs:[{leave}], 0",
        "jne {slow}",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "xorps xmm\\n, xmm\\n",
        ".endr",
        "jmp 3b",
        // A Linux call of a thread that has no libfos, or from inside libfos: BadCall, nothing run.
        "7: mov eax, 1",
        "xor edx, edx",
        "swapgs",
        "sysretq",
        user_rsp = const own::USER_RSP,
        kernel_stack = const own::KERNEL_STACK,
        scratch = const own::SCRATCH,
        area = const own::AREA,
        reflect_entry = const own::REFLECT_ENTRY,
        libfos_stack = const own::LIBFOS_STACK,
        leave = const own::LEAVE,
        inside = const area::INSIDE,
        user_rip = const area::USER_RIP,
        user_rflags = const area::USER_RFLAGS,
        user_stack = const area::USER_RSP,
        count = const calls::COUNT,
        table = sym calls::HANDLERS,
        unusual = sym calls::unusual,
        slow = sym leave_after_call,
    )
}

/// A call after which the core may have something else to run: keeps the thread's registers, and leaves
/// through the scheduler. What a native call does not keep, a thread that comes back from one finds zero.
#[unsafe(naked)]
unsafe extern "C" fn leave_after_call() {
    naked_asm!(
        "mov rdi, gs:[{current}]",
        "test rdi, rdi",
        "jz 2f",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rbx}], rbx",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "pop rcx",
        "pop r11",
        "mov rax, gs:[{user_rsp}]",
        "mov [rdi + {rip}], rcx",
        "mov [rdi + {rflags}], r11",
        "mov [rdi + {rsp}], rax",
        "mov qword ptr [rdi + {resume}], {call}",
        "2: mov rsp, gs:[{kernel_stack}]",
        "xor ebp, ebp",
        "call {leave}",
        "ud2",
        current = const own::CURRENT,
        user_rsp = const own::USER_RSP,
        kernel_stack = const own::KERNEL_STACK,
        rax = const reg::RAX, rdx = const reg::RDX, rbx = const reg::RBX, rbp = const reg::RBP,
        r12 = const reg::R12, r13 = const reg::R13, r14 = const reg::R14, r15 = const reg::R15,
        rip = const reg::RIP, rflags = const reg::RFLAGS, rsp = const reg::RSP,
        resume = const core::mem::offset_of!(Thread, resume),
        call = const Resume::Call as u64,
        leave = sym crate::scheduler::leave,
    )
}

/// Returns to a thread that is inside a native call.
///
/// # Safety
/// The thread's space must be loaded, its registers those of a `syscall` of user mode.
#[unsafe(naked)]
pub unsafe extern "C" fn resume_call(thread: *const Thread) -> ! {
    naked_asm!(
        "mov rax, [rdi + {rax}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "mov rcx, [rdi + {rip}]",
        "mov r11, [rdi + {rflags}]",
        "mov rsp, [rdi + {rsp}]",
        "xor edi, edi",
        "xor esi, esi",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "cmp dword ptr gs:[{without_avx}], 0",
        "jne 3f",
        "vzeroall",
        "2: swapgs",
        "sysretq",
        "3:",
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "xorps xmm\\n, xmm\\n",
        ".endr",
        "jmp 2b",
        without_avx = const own::WITHOUT_AVX,
        rax = const reg::RAX, rdx = const reg::RDX, rbx = const reg::RBX, rbp = const reg::RBP,
        r12 = const reg::R12, r13 = const reg::R13, r14 = const reg::R14, r15 = const reg::R15,
        rip = const reg::RIP, rflags = const reg::RFLAGS, rsp = const reg::RSP,
    )
}

/// Returns to a thread that was interrupted, or starts a new one: every register as saved.
///
/// # Safety
/// The thread's space and extended state must be loaded; `rip` canonical, `rflags` checked.
#[unsafe(naked)]
pub unsafe extern "C" fn resume_all(thread: *const Thread) -> ! {
    naked_asm!(
        "push {user_data}",
        "push qword ptr [rdi + {rsp}]",
        "push qword ptr [rdi + {rflags}]",
        "push {user_code}",
        "push qword ptr [rdi + {rip}]",
        "mov rax, [rdi + {rax}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rsi, [rdi + {rsi}]",
        "mov rbp, [rdi + {rbp}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]",
        "mov r10, [rdi + {r10}]",
        "mov r11, [rdi + {r11}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "mov rdi, [rdi + {rdi}]",
        "swapgs",
        "iretq",
        user_data = const selector::USER_DATA as i32,
        user_code = const selector::USER_CODE as i32,
        rax = const reg::RAX, rbx = const reg::RBX, rcx = const reg::RCX, rdx = const reg::RDX,
        rsi = const reg::RSI, rdi = const reg::RDI, rbp = const reg::RBP, r8 = const reg::R8,
        r9 = const reg::R9, r10 = const reg::R10, r11 = const reg::R11, r12 = const reg::R12,
        r13 = const reg::R13, r14 = const reg::R14, r15 = const reg::R15, rip = const reg::RIP,
        rflags = const reg::RFLAGS, rsp = const reg::RSP,
    )
}

/// Continues on an empty kernel stack in the scheduler: the end of every trap, and of a core's start.
///
/// # Safety
/// GS must be the kernel's; nothing on the stack may be needed any more.
#[unsafe(naked)]
pub unsafe extern "C" fn leave() -> ! {
    naked_asm!(
        "mov rsp, gs:[{kernel_stack}]",
        "xor ebp, ebp",
        "call {leave}",
        "ud2",
        kernel_stack = const own::KERNEL_STACK,
        leave = sym crate::scheduler::leave,
    )
}

// One stub of 16 bytes per vector: pushes a zero where the CPU pushes no error code, then the vector.
global_asm!(
    ".balign 16",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30",
    ".else",
    "push 0",
    ".endif",
    "push vector",
    "jmp {trap}",
    ".set vector, vector + 1",
    ".endr",
    trap = sym trap,
);

/// Sets the GS base that `swapgs` gives the program.
///
/// # Safety
/// The base must be canonical.
#[inline(always)]
pub unsafe fn set_user_gs(base: u64) {
    // SAFETY: every x86-64 CPU has the register; the caller says that the base can't fault.
    unsafe { super::cpu::write_msr(super::cpu::msr::KERNEL_GS_BASE, base) };
}

unsafe extern "C" {
    static trap_stubs: u8;
}

/// The address of a vector's stub.
pub fn stub(vector: usize) -> u64 {
    &raw const trap_stubs as u64 + 16 * vector as u64
}

/// What is on the stack after a stub ran in the kernel, and the registers pushed after it.
#[repr(C)]
pub struct KernelFrame {
    /// Registers that Rust may change.
    pub scratch: [u64; 9],
    /// Frame pointer of what was interrupted.
    pub rbp: u64,
    /// The vector.
    pub vector: u64,
    /// The error code.
    pub code: u64,
    /// The interrupted instruction.
    pub rip: u64,
    /// Its code segment.
    pub cs: u64,
    /// Its flags.
    pub rflags: u64,
    /// Its stack.
    pub rsp: u64,
}

/// Every trap. From user mode: all registers to the thread, then [`super::traps::from_user`]. From the
/// kernel: see [`super::traps::from_kernel`]; only idle cores, the copy routine and failures come here.
#[unsafe(naked)]
unsafe extern "C" fn trap() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3",
        "jz 3f",
        "swapgs",
        "push rdi",
        "mov rdi, gs:[{current}]",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rbx}], rbx",
        "mov [rdi + {rcx}], rcx",
        "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rsi}], rsi",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {r8}], r8",
        "mov [rdi + {r9}], r9",
        "mov [rdi + {r10}], r10",
        "mov [rdi + {r11}], r11",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "pop qword ptr [rdi + {rdi}]",
        "mov rax, rdi",
        "pop rdi",
        "pop rsi",
        "pop qword ptr [rax + {rip}]",
        "pop rcx",
        "pop qword ptr [rax + {rflags}]",
        "pop qword ptr [rax + {rsp}]",
        // Extended state, before any Rust may change it.
        "mov rcx, [rax + {extended}]",
        "mov eax, -1",
        "mov edx, -1",
        "cmp byte ptr gs:[{xsave}], 0",
        "je 6f",
        "xsave64 [rcx]",
        "jmp 7f",
        "6: fxsave64 [rcx]",
        "7: cld",
        "mov rsp, gs:[{kernel_stack}]",
        "xor ebp, ebp",
        "call {from_user}",
        "ud2",
        "3: push rbp",
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "cld",
        // An NMI, machine check or debug trap may come between kernel entry and swapgs, with a GS base that
        // the program chose: what it has to be is looked up by the core's number.
        "mov eax, {core_number}",
        "lsl ecx, eax",
        "lea rax, [rip + {cores}]",
        "mov r8, [rax + rcx * 8]",
        "mov ecx, 0xc0000101",
        "rdmsr",
        "mov rdi, rsp",
        "push rbx",
        "xor ebx, ebx",
        "shl rdx, 32",
        "or rax, rdx",
        "cmp rax, r8",
        "je 4f",
        "swapgs",
        "inc ebx",
        "4:",
        // Who waits for interrupts keeps nothing in vector registers; a fault or an NMI comes anywhere.
        "mov rbp, rsp",
        "sub rsp, 528",
        "and rsp, -16",
        "cmp dword ptr [rbp + {vector}], 32",
        "jae 8f",
        "fxsave64 [rsp]",
        "8: call {from_kernel}",
        "cmp dword ptr [rbp + {vector}], 32",
        "jae 9f",
        "fxrstor64 [rsp]",
        "9: mov rsp, rbp",
        "test ebx, ebx",
        "jz 5f",
        "swapgs",
        "5: pop rbx",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "pop rbp",
        "add rsp, 16",
        "iretq",
        current = const own::CURRENT,
        kernel_stack = const own::KERNEL_STACK,
        rax = const reg::RAX, rbx = const reg::RBX, rcx = const reg::RCX, rdx = const reg::RDX,
        rsi = const reg::RSI, rdi = const reg::RDI, rbp = const reg::RBP, r8 = const reg::R8,
        r9 = const reg::R9, r10 = const reg::R10, r11 = const reg::R11, r12 = const reg::R12,
        r13 = const reg::R13, r14 = const reg::R14, r15 = const reg::R15, rip = const reg::RIP,
        rflags = const reg::RFLAGS, rsp = const reg::RSP,
        extended = const core::mem::offset_of!(Thread, extended),
        xsave = const own::XSAVE,
        from_user = sym super::traps::from_user,
        core_number = const selector::CORE_NUMBER as i32,
        cores = sym crate::cores::TABLE,
        // Behind the frame RBX was pushed.
        vector = const 8 + core::mem::offset_of!(KernelFrame, vector),
        from_kernel = sym super::traps::from_kernel,
    )
}

//! Where reflected Linux calls enter libfos and leave it, and copying from and to a program's memory that may not
//! be there. See `fos_abi::thread::Area` for what the kernel does before and after.
//!
//! A Linux call loses RAX, RCX and R11 and nothing else, vector registers included. The kernel loses those when
//! libfos calls it, so all of them are saved: with XSAVE where the kernel enabled it, else with FXSAVE.
//!
//! ```text
//!  stack (64-byte aligned)   the highest address, where each reflection begins
//!  - 120                     Frame: the general registers
//!  - 128 - SAVE_SIZE         extended state; its header is cleared once and then only XSAVE writes it
//! ```

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use fos_abi::thread::{FaultFrame, Registers, area_offset as area};

/// Bytes for extended state: as many as the kernel keeps per thread, one frame.
pub const SAVE_SIZE: usize = 4096;
/// Bytes between the stack's top and the frame; keeps the state below aligned to 64.
const FRAME_ROOM: usize = 128;

/// The program's general registers at a reflected call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "each is the register of that name")]
pub struct Frame {
    pub rax: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r10: u64,
    pub r8: u64,
    pub r9: u64,
    pub rbx: u64,
    pub rbp: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}
const _: () = assert!(size_of::<Frame>() <= FRAME_ROOM);

impl Frame {
    /// The Linux call's number.
    pub fn number(&self) -> u64 {
        self.rax
    }

    /// Its arguments, in their order.
    pub fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// What the program finds as the call's answer.
    pub fn set_answer(&mut self, value: u64) {
        self.rax = value;
    }
}

/// What an entry calls: the frame, and the value that was put into the area beside it.
pub type Dispatch = extern "C" fn(&mut Frame, *mut u8);

/// Emits an entry that saves extended state with one pair of instructions.
macro_rules! entry {
    ($(#[$meta:meta])* $name:ident, $($save:literal),+ ; $($restore:literal),+) => {
        $(#[$meta])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "sub rsp, {room}",
                "mov [rsp], rax",
                "mov [rsp + 8], rdi",
                "mov [rsp + 16], rsi",
                "mov [rsp + 24], rdx",
                "mov [rsp + 32], r10",
                "mov [rsp + 40], r8",
                "mov [rsp + 48], r9",
                "mov [rsp + 56], rbx",
                "mov [rsp + 64], rbp",
                "mov [rsp + 72], r12",
                "mov [rsp + 80], r13",
                "mov [rsp + 88], r14",
                "mov [rsp + 96], r15",
                "mov rdi, rsp",
                "sub rsp, {save}",
                $($save,)+
                "xor ebp, ebp", // where backtraces end
                "mov rsi, gs:[{value}]",
                "call qword ptr gs:[{dispatch}]",
                $($restore,)+
                "add rsp, {save}",
                "mov rdi, [rsp + 8]",
                "mov rsi, [rsp + 16]",
                "mov rdx, [rsp + 24]",
                "mov r10, [rsp + 32]",
                "mov r8, [rsp + 40]",
                "mov r9, [rsp + 48]",
                "mov rbx, [rsp + 56]",
                "mov rbp, [rsp + 64]",
                "mov r12, [rsp + 72]",
                "mov r13, [rsp + 80]",
                "mov r14, [rsp + 88]",
                "mov r15, [rsp + 96]",
                "mov rax, [rsp]",
                "mov rcx, gs:[{user_rip}]",
                "mov r11, gs:[{user_rflags}]",
                "push r11",
                "popfq",
                "mov rsp, gs:[{user_rsp}]",
                "mov qword ptr gs:[{inside}], 0",
                "jmp rcx", // RCX and R11 hold what a `syscall` leaves in them
                room = const FRAME_ROOM,
                save = const SAVE_SIZE,
                dispatch = const area::FREE,
                value = const area::FREE + 8,
                user_rip = const area::USER_RIP,
                user_rflags = const area::USER_RFLAGS,
                user_rsp = const area::USER_RSP,
                inside = const area::INSIDE,
            )
        }
    };
}

entry! {
    /// For CPUs on which the kernel enabled XSAVE: everything that is enabled, AVX included.
    enter_with_xsave, "mov eax, -1", "mov edx, -1", "xsave64 [rsp]" ; "mov eax, -1", "mov edx, -1", "xrstor64 [rsp]"
}
entry! {
    /// For CPUs without: x87 and SSE are all there is.
    enter_with_fxsave, "fxsave64 [rsp]" ; "fxrstor64 [rsp]"
}

/// What a fault's entry calls: the value that was put into the area, and the area's fault frame.
pub type DispatchFault = extern "C" fn(*mut u8, *mut FaultFrame);

/// Emits an entry for faults of the program. The kernel put all general registers into the area's fault frame, so only
/// extended state is saved; the way back loads what the frame then says.
macro_rules! fault_entry {
    ($(#[$meta:meta])* $name:ident, $($save:literal),+ ; $($restore:literal),+) => {
        $(#[$meta])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "sub rsp, {room} + {save}",
                $($save,)+
                "xor ebp, ebp",
                "mov rdi, gs:[{value}]",
                "mov rsi, gs:[{own_address}]",
                "add rsi, {fault}",
                "call qword ptr gs:[{dispatch}]",
                $($restore,)+
                "add rsp, {save}",
                "push qword ptr gs:[{fault} + 128]",
                "popfq",
                "mov rax, gs:[{fault}]",
                "mov rbx, gs:[{fault} + 8]",
                "mov rcx, gs:[{fault} + 16]",
                "mov rdx, gs:[{fault} + 24]",
                "mov rsi, gs:[{fault} + 32]",
                "mov rdi, gs:[{fault} + 40]",
                "mov rbp, gs:[{fault} + 48]",
                "mov r8, gs:[{fault} + 56]",
                "mov r9, gs:[{fault} + 64]",
                "mov r10, gs:[{fault} + 72]",
                "mov r11, gs:[{fault} + 80]",
                "mov r12, gs:[{fault} + 88]",
                "mov r13, gs:[{fault} + 96]",
                "mov r14, gs:[{fault} + 104]",
                "mov r15, gs:[{fault} + 112]",
                "mov rsp, gs:[{fault} + 136]",
                "mov qword ptr gs:[{inside}], 0",
                // No `iretq`: QEMU before 9.1 reads its operands as the kernel would, which SMAP forbids.
                "jmp qword ptr gs:[{fault} + 120]",
                room = const FRAME_ROOM,
                save = const SAVE_SIZE,
                dispatch = const area::FREE + 16,
                value = const area::FREE + 8,
                own_address = const area::OWN_ADDRESS,
                fault = const area::FAULT,
                inside = const area::INSIDE,
            )
        }
    };
}
const _: () = assert!(offset_of!(Registers, rip) == 120 && offset_of!(Registers, rsp) == 136);
const _: () = assert!(offset_of!(FaultFrame, registers) == 0 && offset_of!(Registers, r15) == 112);

fault_entry! {
    /// For CPUs on which the kernel enabled XSAVE.
    fault_with_xsave, "mov eax, -1", "mov edx, -1", "xsave64 [rsp]" ; "mov eax, -1", "mov edx, -1", "xrstor64 [rsp]"
}
fault_entry! {
    /// For CPUs without.
    fault_with_fxsave, "fxsave64 [rsp]" ; "fxrstor64 [rsp]"
}

/// The entries for reflected calls and for faults on this CPU; `None` if its extended state does not fit
/// [`SAVE_SIZE`].
pub fn entries() -> Option<(u64, u64)> {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return Some((enter_with_fxsave as *const () as u64, fault_with_fxsave as *const () as u64));
    }
    // Intel SDM vol. 1, 13.2: EBX is the size for all that is enabled now.
    let size = __cpuid_count(0xd, 0).ebx as usize;
    (size <= SAVE_SIZE)
        .then_some((enter_with_xsave as *const () as u64, fault_with_xsave as *const () as u64))
}

/// CPUID leaf 1, EDX: what Linux tells programs as AT_HWCAP.
pub fn hardware_capabilities() -> u32 {
    __cpuid(1).edx
}

/// Whether programs may set the base of FS themselves. The kernel enables that on every CPU that can.
pub fn fs_base_writable() -> bool {
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & 1 != 0
}

/// Sets the base of FS.
///
/// # Safety
/// [`fs_base_writable`] must have said so, the address must be canonical, and nothing of the caller's own may be
/// reached through FS.
pub unsafe fn set_fs_base(address: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("wrfsbase {}", in(reg) address, options(nostack, nomem, preserves_flags)) }
}

/// The base of FS.
///
/// # Safety
/// [`fs_base_writable`] must have said so.
pub unsafe fn fs_base() -> u64 {
    let address;
    // SAFETY: the caller's promise.
    unsafe { asm!("rdfsbase {}", out(reg) address, options(nostack, nomem, preserves_flags)) };
    address
}

/// Puts what reflections are to call into the area, and says that the thread is inside libfos.
///
/// # Safety
/// GS must point to the thread's area, and `value` must be what both functions expect for as long as they may be called.
pub unsafe fn install(dispatch: Dispatch, dispatch_fault: DispatchFault, value: *mut u8) {
    // SAFETY: the caller's promise; these words of the area are libfos's own.
    unsafe {
        asm!(
            "mov gs:[{free}], {dispatch}",
            "mov gs:[{free} + 8], {value}",
            "mov gs:[{free} + 16], {dispatch_fault}",
            "mov qword ptr gs:[{inside}], 1",
            free = const area::FREE,
            inside = const area::INSIDE,
            dispatch = in(reg) dispatch,
            dispatch_fault = in(reg) dispatch_fault,
            value = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

/// Says that the thread is not inside libfos: faults enter from now on.
///
/// # Safety
/// GS must point to the thread's area, prepared by [`install`].
pub unsafe fn leave() {
    // SAFETY: the caller's promise; the word is libfos's own.
    unsafe {
        asm!("mov qword ptr gs:[{inside}], 0", inside = const area::INSIDE, options(nostack, preserves_flags))
    }
}

/// Leaves libfos for the first instruction of a program, with registers as Linux gives them: all zero.
///
/// # Safety
/// GS must point to the thread's area, prepared by [`install`]; nothing of the caller is ever returned to.
pub unsafe fn begin(entry: u64, stack: u64) -> ! {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "mov rsp, rsi",
            "mov rcx, rdi",
            "xor eax, eax",
            "xor ebx, ebx",
            "xor edx, edx", // RDX = 0: the dynamic linker has no function to call at exit
            "xor esi, esi",
            "xor edi, edi",
            "xor ebp, ebp",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r11d, r11d",
            "xor r12d, r12d",
            "xor r13d, r13d",
            "xor r14d, r14d",
            "xor r15d, r15d",
            "mov qword ptr gs:[{inside}], 0",
            "jmp rcx",
            inside = const area::INSIDE,
            in("rdi") entry,
            in("rsi") stack,
            options(noreturn),
        )
    }
}

/// Copies bytes one way or the other between libfos and its program. False if a page is not there or not to be
/// touched so; some bytes may have been copied.
///
/// # Safety
/// GS must point to the thread's area and the thread be inside libfos. One side must be memory of the caller, the
/// other must hold nothing that the compiler knows of.
#[unsafe(naked)]
pub unsafe extern "C" fn copy(to: *mut u8, from: *const u8, bytes: usize) -> bool {
    naked_asm!(
        "lea rax, [rip + 5f]", // a fault from here on enters at 5 with these registers
        "mov gs:[{fixup}], rax",
        "2:",
        "cmp rdx, 16",
        "jb 3f",
        "movups xmm0, [rsi]",
        "movups [rdi], xmm0",
        "add rsi, 16",
        "add rdi, 16",
        "sub rdx, 16",
        "jmp 2b",
        "3:",
        "test rdx, rdx",
        "jz 4f",
        "mov al, [rsi]",
        "mov [rdi], al",
        "inc rsi",
        "inc rdi",
        "dec rdx",
        "jmp 3b",
        "4:",
        "mov qword ptr gs:[{fixup}], 0",
        "mov eax, 1",
        "ret",
        "5:",
        "xor eax, eax",
        "ret",
        fixup = const area::FIXUP,
    )
}

/// Clears bytes of the program. False as [`copy`] says.
///
/// # Safety
/// As for [`copy`], of the memory to clear.
#[unsafe(naked)]
pub unsafe extern "C" fn clear(start: *mut u8, bytes: usize) -> bool {
    naked_asm!(
        "lea rax, [rip + 5f]",
        "mov gs:[{fixup}], rax",
        "xorps xmm0, xmm0",
        "2:",
        "cmp rsi, 64",
        "jb 3f",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm0",
        "movups [rdi + 32], xmm0",
        "movups [rdi + 48], xmm0",
        "add rdi, 64",
        "sub rsi, 64",
        "jmp 2b",
        "3:",
        "test rsi, rsi",
        "jz 4f",
        "mov byte ptr [rdi], 0",
        "inc rdi",
        "dec rsi",
        "jmp 3b",
        "4:",
        "mov qword ptr gs:[{fixup}], 0",
        "mov eax, 1",
        "ret",
        "5:",
        "xor eax, eax",
        "ret",
        fixup = const area::FIXUP,
    )
}

#[cfg(test)]
mod tests;

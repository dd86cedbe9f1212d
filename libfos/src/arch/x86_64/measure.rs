//! Machine code for measuring and for attacking the kernel: exact instruction counts of a path, thread
//! entries that look at every register before anyone else can, and stubs that meet reflections and faults.
//!
//! Under `-icount shift=0` the time stamp counter counts instructions, so the difference of two readings is
//! exact; what the pair of readings itself costs is measured the same way and subtracted by the caller.
//! Only benchmarks and hostile tests use this module.

use core::arch::{asm, naked_asm};
use fos_abi::calls::{Call, NATIVE};
use fos_abi::thread::area_offset;

/// A Linux call number, for provoking a reflection; any number without the top bit does.
const LINUX_GETPID: u32 = 39;
/// Bytes of the instruction at which [`fault_cost`] and [`touch`] fault; the pager entries step over it.
const FAULTING_INSTRUCTION: usize = 3;
/// Offset of `rip` in the area's fault frame: the sixteenth register.
const FAULT_RIP: usize = area_offset::FAULT + 15 * 8;
/// Offset of `rflags` in the area's fault frame.
const FAULT_FLAGS: usize = area_offset::FAULT + 16 * 8;
/// Offset of `rsp` in the area's fault frame.
const FAULT_RSP: usize = area_offset::FAULT + 17 * 8;

/// Words of the wide vector registers: sixteen registers of four.
pub const EXTENDED_WORDS: usize = 64;

/// The contents of the sixteen wide vector registers (of their low halves on a CPU without AVX, where the
/// other words stay as they were).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Extended(pub [u64; EXTENDED_WORDS]);

impl Extended {
    /// All registers in their initial state.
    pub const ZERO: Extended = Extended([0; EXTENDED_WORDS]);

    /// Words that nothing but `seed` explains; none is zero.
    pub const fn pattern(seed: u64) -> Extended {
        let mut words = [0; EXTENDED_WORDS];
        let mut index = 0;
        while index < words.len() {
            words[index] = (seed ^ (index as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            index += 1;
        }
        Extended(words)
    }
}

/// The time stamp counter.
#[inline(always)]
pub fn timestamp() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `rdtsc` is allowed in user mode (the kernel leaves CR4.TSD clear). It is not declared `nomem`,
    // so that the compiler moves no memory access across a reading.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Ticks that `path` takes, the pair of readings included: subtract what an empty path takes. The first reading
/// follows an instruction that does nothing (`xchg bx, bx`), by which a debugger finds where a path begins.
#[inline(always)]
pub fn count<R>(path: impl FnOnce() -> R) -> (u64, R) {
    // SAFETY: the instruction does nothing; like the reading, it stays where it is.
    unsafe { asm!("xchg bx, bx", options(nostack, preserves_flags)) };
    let before = timestamp();
    let result = path();
    (timestamp() - before, result)
}

/// Ticks between two readings with nothing between them: subtract from [`null_cost`], [`reflect_cost`] and
/// [`fault_cost`].
#[inline(never)]
pub fn empty_cost() -> u32 {
    let difference: u32;
    // SAFETY: reads the counter twice; every register that changes is declared.
    unsafe {
        asm!(
            "rdtsc", "mov r12d, eax", "rdtsc", "sub eax, r12d",
            out("eax") difference, out("edx") _, out("r12") _, options(nostack),
        );
    }
    difference
}

/// Ticks of one null native call, loading its number included.
#[inline(never)]
pub fn null_cost() -> u32 {
    let difference: u32;
    // SAFETY: the null call changes nothing but the registers that the C ABI gives up, all declared.
    unsafe {
        asm!(
            "xchg bx, bx", "rdtsc", "mov r12d, eax",
            "mov eax, {null}", "syscall",
            "rdtsc", "sub eax, r12d",
            null = const NATIVE | Call::null as u32,
            out("eax") difference, out("r12") _, clobber_abi("sysv64"), options(nostack),
        );
    }
    difference
}

/// Ticks of one Linux call that is reflected to [`reflect_return`], loading its number included.
///
/// The calling thread must have been set up with an area, a stack and that entry.
#[inline(never)]
pub fn reflect_cost() -> u32 {
    let difference: u32;
    // SAFETY: the reflection comes back to the instruction after `syscall` with the stack and flags as they
    // were; without a reflect entry the kernel stops the thread. `syscall` changes rcx and r11, declared.
    unsafe {
        asm!(
            "xchg bx, bx", "rdtsc", "mov r12d, eax",
            "mov eax, {getpid}", "syscall",
            "rdtsc", "sub eax, r12d",
            getpid = const LINUX_GETPID,
            out("eax") difference, out("r12") _, clobber_abi("sysv64"),
        );
    }
    difference
}

/// A reflect entry that goes straight back: the least that a personality has to do.
///
/// # Safety
/// Only for the kernel to enter, as `ThreadSetup::reflect_entry`.
#[unsafe(naked)]
pub unsafe extern "C" fn reflect_return() -> ! {
    naked_asm!(
        "mov qword ptr gs:[{inside}], 0",
        "push qword ptr gs:[{flags}]",
        "popfq",
        "mov rsp, gs:[{stack}]",
        "jmp qword ptr gs:[{back}]",
        inside = const area_offset::INSIDE,
        flags = const area_offset::USER_RFLAGS,
        stack = const area_offset::USER_RSP,
        back = const area_offset::USER_RIP,
    )
}

/// Ticks from a faulting load through the upcall and [`step_over_pager`] to the instruction after it.
///
/// The calling thread must have been set up with an area, a stack and that pager entry.
///
/// # Safety
/// Nothing may be mapped at `address`, or it must be readable.
#[inline(never)]
pub unsafe fn fault_cost(address: u64) -> u32 {
    let difference: u32;
    // SAFETY: the load only reads, or faults and is stepped over by the pager entry; `rax` is declared.
    unsafe {
        asm!(
            "xchg bx, bx", "rdtsc", "mov r12d, eax",
            "mov rax, [rdi]",
            "rdtsc", "sub eax, r12d",
            in("rdi") address, out("eax") difference, out("edx") _, out("r12") _,
        );
    }
    difference
}

/// Loads from `address` and forgets what it read: provokes a fault for a pager that steps over the load.
///
/// # Safety
/// As [`fault_cost`].
#[inline(never)]
pub unsafe fn touch(address: u64) {
    // SAFETY: as in `fault_cost`. The three-byte load is the instruction that the pager entries step over.
    unsafe { asm!("mov rax, [rdi]", in("rdi") address, out("rax") _) };
}

/// A pager entry that skips the faulting load and goes back: the least that a pager has to do.
///
/// # Safety
/// Only for the kernel to enter, as `ThreadSetup::pager_entry`, on faults at [`fault_cost`] or [`touch`].
#[unsafe(naked)]
pub unsafe extern "C" fn step_over_pager() -> ! {
    naked_asm!(
        "add qword ptr gs:[{rip}], {length}",
        "mov qword ptr gs:[{inside}], 0",
        "push qword ptr gs:[{flags}]",
        "popfq",
        "mov rsp, gs:[{stack}]",
        "jmp qword ptr gs:[{rip}]",
        inside = const area_offset::INSIDE,
        flags = const FAULT_FLAGS,
        stack = const FAULT_RSP,
        rip = const FAULT_RIP,
        length = const FAULTING_INSTRUCTION,
    )
}

/// Whether `address` can be read, found out by the area's fixup: the thread acts as if it were inside libfos.
///
/// # Safety
/// The calling thread must have been set up with an area.
#[inline(never)]
pub unsafe fn probe(address: u64) -> bool {
    let readable: u64;
    // SAFETY: the load only reads; if it faults the kernel continues at label 2 with every register as it
    // was. The area's words are put back.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov gs:[{fixup}], rax",
            "mov qword ptr gs:[{inside}], 1",
            "mov rcx, [rdi]",
            "mov eax, 1",
            "jmp 3f",
            "2: xor eax, eax",
            "3: mov qword ptr gs:[{inside}], 0",
            "mov qword ptr gs:[{fixup}], 0",
            fixup = const area_offset::FIXUP,
            inside = const area_offset::INSIDE,
            in("rdi") address, out("rax") readable, out("rcx") _,
        );
    }
    readable == 1
}

/// Where the calling thread's area is, as the area itself says; the thread must have one.
///
/// # Safety
/// The calling thread must have been set up with an area.
pub unsafe fn area_address() -> u64 {
    let address;
    // SAFETY: the caller vouches that GS points to an area.
    unsafe {
        asm!(
            "mov {}, gs:[{own}]", out(reg) address, own = const area_offset::OWN_ADDRESS,
            options(nostack, readonly, preserves_flags),
        );
    }
    address
}

/// The registers that a native call gives up, as they are after it: rcx r11 rdi rsi r8 r9 r10.
/// Before the call each but the arguments held `marker`.
#[inline(never)]
pub fn registers_after_null(marker: u64) -> [u64; 7] {
    let mut after = [0; 7];
    // SAFETY: the null call changes only what the C ABI gives up, all declared; stores go to the local array.
    unsafe {
        asm!(
            "mov eax, {null}",
            "syscall",
            "mov [r12], rcx", "mov [r12 + 8], r11", "mov [r12 + 16], rdi", "mov [r12 + 24], rsi",
            "mov [r12 + 32], r8", "mov [r12 + 40], r9", "mov [r12 + 48], r10",
            null = const NATIVE | Call::null as u32,
            in("r12") after.as_mut_ptr(),
            inlateout("rdi") marker => _, inlateout("rsi") marker => _, inlateout("r8") marker => _,
            inlateout("r9") marker => _, inlateout("r10") marker => _,
            clobber_abi("sysv64"),
        );
    }
    after
}

/// Whether the CPU has AVX and the kernel has switched it on.
pub fn has_avx() -> bool {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    if core::arch::x86_64::__cpuid(1).ecx & OSXSAVE_AND_AVX != OSXSAVE_AND_AVX {
        return false;
    }
    let enabled: u32;
    // SAFETY: OSXSAVE is set, so `xgetbv` is allowed in user mode.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    enabled & 6 == 6
}

/// Fills the vector registers with `pattern`, spins `turns` times, makes the native call `call` (0: none; it
/// must take no arguments), and answers what the registers then hold.
pub fn hold(pattern: &Extended, turns: u64, call: u32) -> Extended {
    let mut after = *pattern;
    after.0.iter_mut().for_each(|word| *word = !*word);
    let routine = if has_avx() { hold_wide } else { hold_narrow };
    // SAFETY: both routines store 512 bytes (of each register 16 or 32 bytes) to `after` and keep the C ABI.
    unsafe { routine(pattern, turns.max(1), call, &mut after) };
    after
}

/// One instruction for each of the sixteen vector registers.
macro_rules! for_each_register {
    ($one:ident) => {
        concat!(
            $one!(0),
            $one!(1),
            $one!(2),
            $one!(3),
            $one!(4),
            $one!(5),
            $one!(6),
            $one!(7),
            $one!(8),
            $one!(9),
            $one!(10),
            $one!(11),
            $one!(12),
            $one!(13),
            $one!(14),
            $one!(15)
        )
    };
}
macro_rules! load_wide {
    ($n:literal) => {
        concat!("vmovups ymm", $n, ", [rdi + ", $n, " * 32]\n")
    };
}
macro_rules! store_wide {
    ($n:literal) => {
        concat!("vmovups [r12 + ", $n, " * 32], ymm", $n, "\n")
    };
}
macro_rules! load_narrow {
    ($n:literal) => {
        concat!("movups xmm", $n, ", [rdi + ", $n, " * 32]\n")
    };
}
macro_rules! store_narrow {
    ($n:literal) => {
        concat!("movups [r12 + ", $n, " * 32], xmm", $n, "\n")
    };
}
macro_rules! hold_routine {
    ($name:ident, $load:ident, $store:ident, $finish:literal) => {
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name(pattern: &Extended, turns: u64, call: u32, after: &mut Extended) {
            naked_asm!(
                "push r12",
                "push r13",
                "mov r12, rcx",
                "mov r13d, edx",
                for_each_register!($load),
                "2: dec rsi",
                "jnz 2b",
                "test r13d, r13d",
                "jz 3f",
                "mov eax, r13d",
                "syscall",
                "3:",
                for_each_register!($store),
                $finish,
                "pop r13",
                "pop r12",
                "ret",
            )
        }
    };
}
hold_routine!(hold_wide, load_wide, store_wide, "vzeroupper");
hold_routine!(hold_narrow, load_narrow, store_narrow, "");

/// What [`dump_entry`] fills.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct FirstState {
    /// The vector registers before the thread's first instruction.
    pub extended: Extended,
    /// Its MXCSR.
    pub mxcsr: u32,
    /// Its x87 control word.
    pub x87_control: u32,
    /// 1 once everything above is written.
    pub written: u64,
}
const _: () = assert!(core::mem::offset_of!(FirstState, mxcsr) == 512);

/// Where a thread starts that stores its first vector registers to the [`FirstState`] at `rdi` and exits
/// with status 0.
pub fn dump_entry() -> u64 {
    if has_avx() { dump_wide as *const () as u64 } else { dump_narrow as *const () as u64 }
}

macro_rules! dump_routine {
    ($name:ident, $store:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() -> ! {
            naked_asm!(
                "mov r12, rdi",
                for_each_register!($store),
                "stmxcsr [r12 + 512]",
                "mov dword ptr [r12 + 516], 0",
                "fnstcw [r12 + 516]",
                "mov qword ptr [r12 + 520], 1",
                "xor edi, edi",
                "mov eax, {exit}",
                "syscall",
                "ud2",
                exit = const NATIVE | Call::thread_exit as u32,
            )
        }
    };
}
dump_routine!(dump_wide, store_wide);
dump_routine!(dump_narrow, store_narrow);

/// Where a thread starts that exits at once with the status in `rdi`; it needs no stack.
#[unsafe(naked)]
pub extern "C" fn exit_entry() -> ! {
    naked_asm!(
        "mov eax, {exit}",
        "syscall",
        "ud2",
        exit = const NATIVE | Call::thread_exit as u32,
    )
}

/// Where a thread starts that counts in the word at `rdi` for ever; it needs no stack.
#[unsafe(naked)]
pub extern "C" fn count_entry() -> ! {
    naked_asm!("2: inc qword ptr [rdi]", "jmp 2b")
}

/// Where a thread starts that sleeps in `wait` with the list of one mailbox at `rdi`, again whenever it is woken,
/// and exits with the error once it is refused; it needs no stack.
#[unsafe(naked)]
pub extern "C" fn sleep_entry() -> ! {
    naked_asm!(
        "mov r12, rdi",
        "2: mov rdi, r12",
        "mov esi, 1",
        "mov eax, {wait}",
        "syscall",
        "test rax, rax",
        "jz 2b",
        "mov rdi, rax",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        wait = const NATIVE | Call::wait as u32,
        exit = const NATIVE | Call::thread_exit as u32,
    )
}

/// Where a thread starts that counts its yields in the word at `rdi` for ever; it needs no stack.
#[unsafe(naked)]
pub extern "C" fn yield_entry() -> ! {
    naked_asm!(
        "mov r12, rdi",
        "2: inc qword ptr [r12]",
        "mov eax, {thread_yield}",
        "syscall",
        "jmp 2b",
        thread_yield = const NATIVE | Call::thread_yield as u32,
    )
}

/// Where a thread starts that loads from the address in `rdi`, stores what it read to `rsi`, and exits with 0.
#[unsafe(naked)]
pub extern "C" fn load_entry() -> ! {
    naked_asm!(
        "mov rax, [rdi]",
        "mov [rsi], rax",
        "xor edi, edi",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        exit = const NATIVE | Call::thread_exit as u32,
    )
}

/// Where a thread starts that stores `rsi` to the address in `rdi` and exits with 0.
#[unsafe(naked)]
pub extern "C" fn store_entry() -> ! {
    naked_asm!(
        "mov [rdi], rsi",
        "xor edi, edi",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        exit = const NATIVE | Call::thread_exit as u32,
    )
}

/// The rounding modes and exception masks of both floating point units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlWords {
    /// Of the vector unit.
    pub mxcsr: u32,
    /// Of the x87 unit.
    pub x87: u16,
}

/// The calling thread's control words.
pub fn control_words() -> ControlWords {
    let (mut mxcsr, mut x87) = (0u32, 0u16);
    // SAFETY: both instructions store into locals of the right size.
    unsafe {
        asm!(
            "stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87,
            options(nostack, preserves_flags),
        );
    }
    ControlWords { mxcsr, x87 }
}

/// Sets the calling thread's control words. All exceptions must stay masked (0x1f80 and 0x37f, with any rounding
/// mode); compiled code computes with the default modes, so set them back before anything is computed.
pub fn set_control_words(words: ControlWords) {
    let mxcsr = words.mxcsr & 0x7f80 | 0x1f80;
    let x87 = words.x87 & 0xf7f | 0x37f;
    // SAFETY: reserved bits are cleared and exceptions masked by the lines above, so neither instruction faults.
    unsafe {
        asm!(
            "ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const x87,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Loads from `address` while inside libfos and without a fixup: if nothing is mapped there, the thread is stopped.
///
/// # Safety
/// The calling thread must have been set up with an area.
pub unsafe fn fault_inside(address: u64) {
    // SAFETY: the load only reads; the area's word is put back if it does not fault.
    unsafe {
        asm!(
            "mov qword ptr gs:[{fixup}], 0",
            "mov qword ptr gs:[{inside}], 1",
            "mov rax, [rdi]",
            "mov qword ptr gs:[{inside}], 0",
            fixup = const area_offset::FIXUP,
            inside = const area_offset::INSIDE,
            in("rdi") address, out("rax") _,
        );
    }
}

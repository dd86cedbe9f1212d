//! Threads: registers, the area page that a thread shares with the kernel, and fault reports.

use crate::key::Key;
use crate::limits::PIPELINE_MAX;

/// Frames a thread is built in: one for the object, one for its extended (FPU) state.
pub const THREAD_FRAMES: usize = 2;

/// All general registers of a stopped thread, in the order the kernel saves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "each is the register of that name")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}
const _: () = assert!(size_of::<Registers>() == 160);

/// The flags a program may set in `rflags` (CF PF AF ZF SF TF DF OF AC ID); the kernel adds IF.
pub const USER_RFLAGS: u64 = 0x0024_0dd5;

/// One page per thread, mapped where GS points; the kernel writes it through its own mapping.
///
/// A Linux `syscall` of a thread whose setup names `reflect_entry` is *reflected*: the kernel stores where
/// it came from here, sets `inside`, and enters `reflect_entry` on `stack` with every other register as it
/// was. The way back is libfos's own: clear `inside`, restore flags and stack, jump. A fault outside
/// libfos is reported in `fault` and enters `pager_entry` on `stack` with `inside` set; a fault inside
/// enters `fixup`, once, if libfos set one; any other stops the thread and tells its `report` mailbox.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Area {
    /// Where the reflected call returns to.
    pub user_rip: u64,
    /// Its flags.
    pub user_rflags: u64,
    /// Its stack.
    pub user_rsp: u64,
    /// Not zero while the thread is inside libfos (after a reflection or an upcall).
    pub inside: u64,
    /// Where to go on a fault while inside (0: nowhere). The kernel clears it when it uses it.
    pub fixup: u64,
    /// The address of this page in the program: lets `gs:[40]` find it.
    pub own_address: u64,
    /// Linux calls reflected, for statistics of libfos's own.
    pub reserved: [u64; 2],
    /// The last fault that came as an upcall, or was fixed up.
    pub fault: FaultFrame,
    /// Results of pipelined calls, by ticket.
    pub completions: [Completion; PIPELINE_MAX],
    /// Free for libfos.
    pub free: [u64; 32],
}

/// Offsets in [`Area`] that machine code uses.
pub mod area_offset {
    /// `user_rip`.
    pub const USER_RIP: usize = 0;
    /// `user_rflags`.
    pub const USER_RFLAGS: usize = 8;
    /// `user_rsp`.
    pub const USER_RSP: usize = 16;
    /// `inside`.
    pub const INSIDE: usize = 24;
    /// `fixup`.
    pub const FIXUP: usize = 32;
    /// `own_address`.
    pub const OWN_ADDRESS: usize = 40;
    /// `fault`.
    pub const FAULT: usize = 64;
    /// `free`.
    pub const FREE: usize = 64 + 184 + 4 * 32;
}
const _: () = assert!(core::mem::offset_of!(Area, user_rsp) == area_offset::USER_RSP);
const _: () = assert!(core::mem::offset_of!(Area, inside) == area_offset::INSIDE);
const _: () = assert!(core::mem::offset_of!(Area, fixup) == area_offset::FIXUP);
const _: () = assert!(core::mem::offset_of!(Area, own_address) == area_offset::OWN_ADDRESS);
const _: () = assert!(core::mem::offset_of!(Area, fault) == area_offset::FAULT);
const _: () = assert!(core::mem::offset_of!(Area, free) == area_offset::FREE);
const _: () = assert!(size_of::<Area>() <= 4096);

/// A fault with everything needed to resume after it. The way back is libfos's own, as from a reflected
/// call: restore the registers and the extended state it saved, clear `inside`, set flags and stack, jump to `rip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FaultFrame {
    /// Registers at the faulting instruction.
    pub registers: Registers,
    /// The exception's vector (Intel SDM vol. 3, table 6-1): 14 is a page fault.
    pub vector: u64,
    /// The CPU's error code.
    pub code: u64,
    /// The address, for page faults.
    pub address: u64,
}
const _: () = assert!(size_of::<FaultFrame>() == 184);

/// How a pipelined call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Completion {
    /// Counts completions in this place; it changes when the call has ended.
    pub count: u64,
    /// 0, or an error's number.
    pub error: u64,
    /// The call's value.
    pub value: u64,
    /// Unused.
    pub reserved: u64,
}
const _: () = assert!(size_of::<Completion>() == 32);

/// What `thread_setup` takes: how a thread meets its own library. Zero entries mean "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ThreadSetup {
    /// Handle of one frame for the area; it must be mapped nowhere yet. `Handle::NONE`: no area.
    pub area: u32,
    /// Unused, zero.
    pub reserved: u32,
    /// Where in the thread's space the kernel maps the area.
    pub area_address: u64,
    /// Where reflected Linux calls enter.
    pub reflect_entry: u64,
    /// Where faults enter.
    pub pager_entry: u64,
    /// The stack for both, its highest address.
    pub stack: u64,
    /// A key for fault reports; all zero: the thread just stops.
    pub report: Key,
    /// The cookie of those reports.
    pub cookie: u64,
}
const _: () = assert!(size_of::<ThreadSetup>() == 80);

/// The message about a thread that faulted and is now stopped; `thread_read` has all registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FaultReport {
    /// The exception's vector.
    pub vector: u64,
    /// The CPU's error code.
    pub code: u64,
    /// The address, for page faults.
    pub address: u64,
    /// The faulting instruction.
    pub rip: u64,
    /// The stack.
    pub rsp: u64,
    /// The frame pointer.
    pub rbp: u64,
    /// The process.
    pub identity: u64,
    /// The cookie of the thread's setup: chosen by whoever set it up, and worth as much.
    pub cookie: u64,
}
const _: () = assert!(size_of::<FaultReport>() == 64);

/// What `core_read` and `thread_info` tell of a core's or a thread's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ThreadState {
    /// Never started, or stopped.
    Stopped = 0,
    /// Runnable or running.
    Ready = 1,
    /// Waiting for a mailbox or for another core.
    Waiting = 2,
    /// Stopped by a fault.
    Faulted = 3,
    /// Over.
    Dead = 4,
}

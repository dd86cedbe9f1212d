//! The kernel's calls: numbers, arguments, and which errors each can end with.
//!
//! `syscall` with `rax = NATIVE | number` and arguments in `rdi rsi rdx r10 r8 r9`. The answer is
//! `rax` = 0 or an [`Error`]'s number, and `rdx` = the value. `rcx r11 rdi rsi r8 r9 r10` and all XMM
//! registers are lost (the kernel clears the general ones), `rbx rbp r12-r15` and MXCSR are kept.
//! Numbers without the top bit are Linux calls: the kernel reflects them to the thread's libfos.
//!
//! With [`PIPELINED`] and a ticket in bits 16 to 19 the call returns at once; its result appears in the
//! area's `completions[ticket]`. Only calls marked `pipelined` take it.
//!
//! Three outcomes are in no call's list. A call that has to act on another core can also end with `CoreFailed`; a
//! pipelined one with `NoSlot` (its ticket is under way) or `BadArgument` (there is no such ticket); and a wait that
//! `thread_stop` ends answers `Interrupted` when the thread is resumed.

use crate::error::Error::{self, *};

/// Set in `rax` for the kernel's own calls.
pub const NATIVE: u32 = 0x8000_0000;
/// Set in `rax` to start a call and go on.
pub const PIPELINED: u32 = 0x4000_0000;
/// Where the ticket of a pipelined call is in `rax`.
pub const TICKET_SHIFT: u32 = 16;

/// One line of the table of calls.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Its arguments, in register order.
    pub arguments: &'static str,
    /// What the value (`rdx`) is.
    pub value: &'static str,
    /// Whether it may be pipelined.
    pub pipelined: bool,
    /// What it does.
    pub summary: &'static str,
    /// Every error it can end with (beside `CoreFailed`).
    pub errors: &'static [Error],
}

macro_rules! calls {
    ($($name:ident = $number:literal ($($arguments:literal)?) -> $value:literal $pipelined:literal
        $summary:literal [$($error:ident)*];)*) => {
        /// A call's number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "calls are written as they are in documents and logs")]
        #[repr(u32)]
        pub enum Call {
            $(#[doc = $summary] $name = $number,)*
        }
        /// Every call, in the order of its number.
        pub const CALLS: &[CallInfo] = &[
            $(CallInfo {
                number: $number, name: stringify!($name), arguments: concat!("" $(, $arguments)?), value: $value,
                pipelined: $pipelined, summary: $summary, errors: &[$($error),*],
            },)*
        ];
    };
}

calls! {
    null = 0 () -> "" false "Nothing: what entering the kernel costs." [];
    send = 1 ("mailbox, secret0, secret1, pointer, length | entry << 16, attach") -> "ticket" false
        "Send bytes, and perhaps one capability, to a mailbox."
        [BadAddress BadArgument BadCapability WrongKind WrongCore NoRights BadKey Closed Full TooLong HasChildren StillMapped];
    send_wait = 2 ("mailbox, secret0, secret1, pointer, length | entry << 16 | count << 32, wait list") -> "mask" false
        "Send, then wait as `wait` does: one entry for a call and its answer."
        [BadAddress BadArgument BadCapability WrongKind WrongCore NoRights BadKey Closed Full TooLong TimedOut];
    wait = 3 ("wait list, count") -> "mask" false
        "Sleep until one of up to 32 mailboxes has a message or a bell, or the deadline passes."
        [BadAddress BadArgument BadCapability WrongKind WrongCore TimedOut];
    ring = 4 ("mailbox, secret0, secret1, bits, entry") -> "" false
        "Ring bells of a mailbox: wakes its receiver, takes no slot."
        [NoRights BadKey Closed];
    send_name = 5 ("name, pointer, length") -> "ticket" false
        "Send to what the space's name cache holds for a name."
        [BadAddress BadArgument NoRights Full TooLong Stale];
    name_set = 6 ("space, name, key") -> "" false
        "Put a name with its key into a space's name cache; a key of zeros removes it."
        [BadAddress BadArgument BadCapability WrongKind NoRights Closed];
    mailbox_create = 7 ("frames, slots, keys") -> "handle" false
        "Make a mailbox out of frames; its home is the caller's core."
        [BadArgument BadCapability WrongKind NoRights HasChildren StillMapped InUse];
    mailbox_map = 8 ("mailbox, address") -> "" false
        "Map a mailbox's control page and ring (twice) in the caller's space."
        [BadArgument BadCapability WrongKind NoTables AlreadyMapped];
    key_create = 9 ("mailbox, rights, badge, key out") -> "" false
        "Make a key to one's own mailbox."
        [BadAddress BadArgument BadCapability WrongKind NoSlot];
    key_derive = 10 ("key, rights, badge, key out") -> "" false
        "Make a weaker key from a key."
        [BadAddress BadArgument NoRights BadKey Closed NoSlot];
    key_revoke = 11 ("mailbox or NONE, key") -> "" false
        "End a key and all derived from it (its mailbox's owner), or all derived from it (its holder)."
        [BadAddress BadCapability WrongKind NoRights BadKey Closed];
    accept = 12 ("mailbox, ticket") -> "handle" false
        "Take the capability attached to the message with this ticket."
        [BadArgument BadCapability WrongKind NoSlot];
    cap_derive = 13 ("handle, rights, first, count") -> "handle" false
        "Make a weaker capability: fewer rights, a smaller range."
        [BadArgument BadCapability WrongKind NoRights NoSlot TooDeep];
    cap_delete = 14 ("handle") -> "" false
        "Give up a capability that nothing depends on."
        [BadCapability HasChildren StillMapped InUse];
    cap_revoke = 15 ("handle") -> "" true
        "End everything derived from a capability: unmapped, stopped, destroyed, wherever it went."
        [BadCapability];
    cap_read = 16 ("handle, info out") -> "" false
        "Tell what a capability is."
        [BadAddress BadCapability];
    frame_read = 17 ("frames, index") -> "mappings" false
        "How many mappings a frame has."
        [BadArgument BadCapability WrongKind NoRights];
    space_create = 18 ("frames, table frames, core") -> "handle" false
        "Make an address space with its capability table, at home on a core."
        [BadArgument BadCapability WrongKind NoRights HasChildren StillMapped InUse];
    space_donate = 19 ("space, frames") -> "" false
        "Give a space frames for its page tables."
        [BadArgument BadCapability WrongKind NoRights HasChildren StillMapped InUse Closed];
    space_map = 20 ("space, frames, first | count << 32, address, flags") -> "pages done" true
        "Map frames at an address. Stops at the first page that cannot be, and says how many were."
        [BadArgument BadCapability WrongKind NoRights NoTables AlreadyMapped InUse Closed];
    space_unmap = 21 ("space, address, count") -> "pages done" true
        "Unmap pages; when it returns no core can still reach them."
        [BadArgument BadCapability WrongKind NoRights NotMapped Closed];
    space_protect = 22 ("space, address, count, flags") -> "pages done" true
        "Change how pages are mapped, within the rights they were mapped with."
        [BadArgument BadCapability WrongKind NoRights NotMapped Closed];
    space_dirty = 23 ("space, address, count") -> "mask" false
        "Read and clear the dirty bits of up to 64 pages."
        [BadArgument BadCapability WrongKind NoRights Closed];
    frames_unmap = 24 ("frames") -> "" true
        "Undo every mapping made with a capability."
        [BadCapability WrongKind];
    frames_fallback = 25 ("frames, zero frame") -> "" false
        "Name the private frame that takes the place of shared frames when they are revoked."
        [BadArgument BadCapability WrongKind NoRights HasChildren StillMapped NoSlot InUse TooDeep];
    cap_give = 26 ("space, handle") -> "handle there" false
        "Move a capability into another space's table."
        [BadCapability WrongKind NoRights HasChildren StillMapped NoSlot Closed];
    thread_create = 27 ("frames, space, cores, core") -> "handle" false
        "Make a thread, stopped, in a space, on a core."
        [BadArgument BadCapability WrongKind NoRights HasChildren StillMapped InUse Closed];
    thread_setup = 28 ("thread, setup") -> "" false
        "Tell a stopped thread (or oneself) about its area, entries, stack and report mailbox."
        [BadAddress BadArgument BadCapability WrongKind NoRights NoTables AlreadyMapped StillMapped InUse WrongState Closed];
    thread_write = 29 ("thread, registers") -> "" false
        "Set the registers of a stopped thread."
        [BadAddress BadArgument BadCapability WrongKind NoRights WrongState Closed];
    thread_read = 30 ("thread, registers out") -> "" false
        "Read the registers of a stopped thread."
        [BadAddress BadCapability WrongKind NoRights WrongState Closed];
    thread_stop = 31 ("thread") -> "" true
        "Stop a thread; when it returns, it has stopped."
        [BadCapability WrongKind NoRights WrongState Closed];
    thread_resume = 32 ("thread") -> "" false
        "Let a stopped thread run."
        [BadCapability WrongKind NoRights WrongState Closed];
    thread_exit = 33 ("status") -> "" false
        "End the calling thread." [];
    thread_yield = 34 () -> "" false
        "Let another runnable thread of this core go first." [];
    thread_info = 35 ("thread, info out") -> "" false
        "State, core, cycles and switches of a thread."
        [BadAddress BadCapability WrongKind NoRights Closed];
    destroy = 36 ("handle") -> "" true
        "End a thread, space or mailbox; its owner's capability becomes the frames it was built in."
        [BadCapability WrongKind NoRights InUse];
    watch = 37 ("target, mailbox, cookie") -> "handle" false
        "Be told once when a thread, space, mailbox or core ends."
        [BadArgument BadCapability WrongKind NoRights NoSlot Closed];
    watch_mailbox = 38 ("key, mailbox, cookie") -> "handle" false
        "Be told once when the mailbox that a key opens ends."
        [BadAddress BadCapability WrongKind NoRights BadKey NoSlot Closed];
    interrupt_bind = 39 ("interrupts, line, mailbox, cookie") -> "handle" false
        "Have an interrupt line's interrupts sent to a mailbox."
        [BadArgument BadCapability WrongKind NoRights NoSlot InUse];
    interrupt_done = 40 ("interrupt") -> "" false
        "Let a line interrupt again."
        [BadCapability WrongKind];
    port_read = 41 ("ports, port, size") -> "data" false
        "Read 1, 2 or 4 bytes from an I/O port."
        [BadArgument BadCapability WrongKind NoRights];
    port_write = 42 ("ports, port, size, data") -> "" false
        "Write 1, 2 or 4 bytes to an I/O port."
        [BadArgument BadCapability WrongKind NoRights];
    machine_off = 43 ("machine, status") -> "" false
        "End the machine with a status."
        [BadCapability WrongKind];
    core_read = 44 ("core, info out") -> "" false
        "State and counters of a core."
        [BadAddress BadArgument];
}

/// What `wait` and `send_wait` read: when to give up, then `count` handles of mailboxes (32 bits each).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WaitList<const N: usize> {
    /// Time stamp counter at which the wait ends with `TimedOut`; `u64::MAX`: when the machine does.
    pub deadline: u64,
    /// The caller's own mailboxes, at home on the caller's core.
    pub mailboxes: [u32; N],
}

/// What `thread_info` fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ThreadInfo {
    /// [`crate::thread::ThreadState`] as a number.
    pub state: u64,
    /// Its core.
    pub core: u64,
    /// Time stamp ticks it ran.
    pub cycles: u64,
    /// How often it was switched to.
    pub switches: u64,
    /// Its process.
    pub identity: u64,
    /// Status it exited with, once dead.
    pub status: u64,
}
const _: () = assert!(size_of::<ThreadInfo>() == 48);

/// What `core_read` fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CoreInfo {
    /// 0 never started, 1 running, 2 idle, 3 failed.
    pub state: u64,
    /// Its interrupt controller's number.
    pub hardware_id: u64,
    /// Threads at home there.
    pub threads: u64,
    /// Spaces at home there.
    pub spaces: u64,
    /// Thread switches.
    pub switches: u64,
    /// Interrupts between cores it received.
    pub kicks: u64,
    /// Shootdowns it took part in.
    pub shootdowns: u64,
    /// Steps of long operations it did.
    pub chunks: u64,
}
const _: () = assert!(size_of::<CoreInfo>() == 64);

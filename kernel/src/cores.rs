//! Cores: what each kernel keeps for itself, and the little that the others may see of it.
//!
//! A [`Core`] is made of [`Cell`]s that only its own kernel touches (entries run to their end with
//! interrupts off, so nothing is ever halfway), and of atomics that others read or post to. The table of
//! cores is written while a core starts or is fenced, and read without locks.

use crate::arch::machine::descriptors::Descriptors;
use crate::capabilities::{VALIDATED, Validated};
use crate::inbox::Inbox;
use crate::jobs::Job;
use crate::list::List;
use crate::scheduler::Scheduler;
use crate::space::Space;
use crate::thread::Thread;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use fos_abi::limits::CORES_MAX;
use fos_abi::thread::Area;

/// Life of a core, as [`Core::state`] holds it.
pub mod core_state {
    /// Not started yet.
    pub const ABSENT: u32 = 0;
    /// Runs threads or its kernel.
    pub const RUNNING: u32 = 1;
    /// Sleeps: it holds no reference to anything shared, and of the space that is loaded it uses nothing before it has
    /// caught up with what was unmapped there.
    pub const IDLE: u32 = 2;
    /// Fenced after a failure; it never runs again.
    pub const FAILED: u32 = 3;
}

/// One core's kernel.
#[repr(C)]
pub struct Core {
    // Fields that machine code reaches by offset (see `core_offset`).
    own_address: u64,
    user_rsp: Cell<u64>,
    /// Highest address of the stack that calls and traps run on.
    pub kernel_stack: Cell<u64>,
    scratch: Cell<u64>,
    /// The current thread's area in the kernel's mapping; null when it has none.
    pub area: Cell<*mut Area>,
    /// The current thread's entry for reflected calls.
    pub reflect_entry: Cell<u64>,
    /// The current thread's libfos stack.
    pub libfos_stack: Cell<u64>,
    /// The thread that runs here, if one does.
    pub current: Cell<*const Thread>,
    /// The identity of its process.
    pub identity: Cell<u64>,
    /// Not zero: the way out of a call leads through the scheduler.
    pub leave: Cell<u32>,
    /// Not zero: there is no `vzeroall` to clear vector registers with. Right behind `leave`.
    without_avx: Cell<u32>,
    /// Whether extended state is saved by `xsave`.
    pub xsave: Cell<u8>,

    // The rest of what only this core touches.
    /// Its number: the index in the table.
    pub number: u16,
    /// Its place in a set of cores: the word, and the bit in it.
    pub place: (usize, u64),
    /// Its interrupt controller's number.
    pub hardware_id: u32,
    /// Run queue, timers, accounting.
    pub scheduler: Scheduler,
    /// Long operations under way here.
    pub work: List<Job>,
    /// Long operations that wait for other cores.
    pub parked: List<Job>,
    /// The spaces at home here.
    pub spaces: List<Space>,
    /// The space whose tables are loaded; null: the kernel's own.
    pub loaded: Cell<*const Space>,
    /// Next process number.
    pub next_identity: Cell<u64>,
    /// The state of its random number generator.
    pub random: crate::random::Generator,
    /// Its segment descriptors.
    pub descriptors: core::cell::UnsafeCell<Descriptors>,
    /// Ticket + 1 of the pipelined call that is being started; 0: an ordinary call.
    pub pipelined: Cell<u8>,
    /// Capabilities that it found valid lately.
    pub validated: [Cell<Validated>; VALIDATED],
    /// Whose extended state is in the registers; the state is reset when another space's thread comes.
    pub extended_owner: Cell<*const Space>,
    /// Set while this core prints its last words.
    pub failing: Cell<bool>,
    /// The burial of this core, on the core that does it.
    pub burial: Job,
    /// This core's search for what a failed core left undone.
    pub rescue: Job,

    // What others see.
    /// See [`core_state`].
    pub state: AtomicU32,
    /// The one inbox.
    pub inbox: Inbox,
    /// Set while an interrupt for this core is under way, so that further ones are not sent.
    pub kicked: AtomicBool,
    /// The last epoch in which this core was seen without any reference to shared objects.
    pub quiescent: AtomicU64,
    /// The mailbox (object address) whose slots this core is about to take or fill: voided if the core fails.
    pub sending_mailbox: AtomicU64,
    /// See `sending_mailbox`: as `taking` of `mailbox.rs` packs it.
    pub sending: AtomicU64,
    /// Flush generation of the loaded space that this core has caught up with.
    pub flushed: AtomicU64,
    /// The loaded space, for whoever waits for a flush.
    pub loaded_shared: AtomicPtr<Space>,
    /// Who watches this core.
    pub watchers: AtomicU64,
    /// Counters that `core_read` tells.
    pub counters: Counters,
    /// Set when its peers have given it up: it stops at the next chance, or at the NMI that follows.
    pub given_up: AtomicBool,
    /// When this core was asked something that it has not looked at, or when a peer last looked whether it
    /// has (time stamp); 0: it owes nothing.
    pub asked_at: AtomicU64,
    /// For how long it had owed that answer then, in ticks that its peers lived through.
    pub silence: AtomicU64,
}

/// Counts of a core, written by it alone.
#[derive(Default)]
#[allow(missing_docs, reason = "`fos_abi::calls::CoreInfo` says what each counts")]
pub struct Counters {
    pub threads: AtomicU64,
    pub spaces: AtomicU64,
    pub switches: AtomicU64,
    pub kicks: AtomicU64,
    pub shootdowns: AtomicU64,
    pub chunks: AtomicU64,
}

/// Adds one to a counter that only this core writes: no locked operation is needed.
#[inline(always)]
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Offsets that machine code uses.
#[allow(missing_docs, reason = "each is the offset of the field of that name")]
pub mod core_offset {
    use super::Core;
    use core::mem::offset_of;
    pub const USER_RSP: usize = offset_of!(Core, user_rsp);
    pub const KERNEL_STACK: usize = offset_of!(Core, kernel_stack);
    pub const SCRATCH: usize = offset_of!(Core, scratch);
    pub const AREA: usize = offset_of!(Core, area);
    pub const REFLECT_ENTRY: usize = offset_of!(Core, reflect_entry);
    pub const LIBFOS_STACK: usize = offset_of!(Core, libfos_stack);
    pub const CURRENT: usize = offset_of!(Core, current);
    pub const LEAVE: usize = offset_of!(Core, leave);
    pub const XSAVE: usize = offset_of!(Core, xsave);
    pub const WITHOUT_AVX: usize = offset_of!(Core, without_avx);
    const _: () = assert!(LEAVE.is_multiple_of(8) && WITHOUT_AVX == LEAVE + 4);
}

// SAFETY: the cells are touched by the core's own kernel only, whose entries do not interrupt each other;
// everything others touch is atomic.
unsafe impl Sync for Core {}

impl Core {
    /// A core that has not started, to be written to `at`.
    ///
    /// # Safety
    /// `at` must be zeroed memory of this size, aligned, kept for ever.
    pub unsafe fn create(at: *mut Core, number: u16, hardware_id: u32) {
        // SAFETY: the caller hands over memory for exactly this; zero bytes are valid for every field
        // that is not written here (null pointers, false, 0, empty lists).
        unsafe {
            (*at).own_address = at as u64;
            (*at).number = number;
            (*at).place = (usize::from(number) / 64, 1 << (number % 64));
            (*at).hardware_id = hardware_id;
            (*at).next_identity = Cell::new(1);
            (*at).xsave = Cell::new(u8::from(crate::arch::machine::features::get().xsave));
            (*at).without_avx = Cell::new(u32::from(!crate::arch::machine::features::get().avx));
        }
    }

    /// A process number that was never used: core and count; the machine's part is 0 until it joins others.
    pub fn new_identity(&self) -> u64 {
        let count = self.next_identity.get();
        self.next_identity.set(count + 1);
        u64::from(self.number) << 40 | count
    }

    /// A space is at home here from now on.
    pub fn add_space(&self, space: &'static Space) {
        self.spaces.push(space, |space| &space.at_home);
        self.counters.spaces.fetch_add(1, Ordering::Release);
    }
    /// A space that is at home here is no longer. One that ended before its core heard of it never was.
    pub fn forget_space(&self, space: &'static Space) {
        if self.spaces.remove(space, |space| &space.at_home) {
            self.counters.spaces.fetch_sub(1, Ordering::Release);
        }
    }

    /// Whether this core takes part: it runs or sleeps.
    pub fn is_alive(&self) -> bool {
        matches!(self.state.load(Ordering::SeqCst), core_state::RUNNING | core_state::IDLE)
    }

    /// Whether it may be using what it has loaded.
    pub fn is_running(&self) -> bool {
        self.state.load(Ordering::SeqCst) == core_state::RUNNING
    }

    /// This core sleeps no more: before it looks at anything that others may have ended or unmapped meanwhile.
    pub fn wake(&self) {
        let (from, to) = (core_state::IDLE, core_state::RUNNING);
        let _ = self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Makes this core's kernel look at its inbox soon. Coalesced; one that is about to look is left alone.
    pub fn kick(&self) {
        if !self.kicked.swap(true, Ordering::SeqCst) {
            let now = crate::arch::machine::cpu::time_stamp();
            self.silence.store(0, Ordering::Relaxed);
            self.asked_at.store(now | 1, Ordering::Relaxed);
            crate::arch::machine::controller::interrupt(self.hardware_id);
            this().scheduler.look_soon(now);
        }
    }
}

/// Every core, by number. Machine code reads it too.
pub static TABLE: [AtomicPtr<Core>; CORES_MAX] = [const { AtomicPtr::new(core::ptr::null_mut()) }; CORES_MAX];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The core that runs this.
#[inline(always)]
pub fn this() -> &'static Core {
    // SAFETY: GS points to this core's `Core` whenever the kernel runs, and its first word to itself.
    unsafe { &*crate::arch::machine::traps::core_pointer() }
}

/// How many cores there are (started or not).
pub fn count_all() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// The core with a number.
#[inline(always)]
pub fn get(number: u16) -> Option<&'static Core> {
    let pointer = TABLE.get(usize::from(number))?.load(Ordering::Acquire);
    // SAFETY: the table holds null or cores that are kept for ever.
    unsafe { pointer.as_ref() }
}

/// Every core that takes part.
pub fn alive() -> impl Iterator<Item = &'static Core> {
    (0..count_all()).filter_map(|number| get(number as u16)).filter(|core| core.is_alive())
}

/// Adds a core to the table, at boot.
pub fn add(core: &'static Core) {
    let number = usize::from(core.number);
    TABLE[number].store((core as *const Core).cast_mut(), Ordering::Release);
    COUNT.fetch_max(number + 1, Ordering::AcqRel);
}

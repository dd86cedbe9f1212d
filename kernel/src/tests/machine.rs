//! The machine that host tests run on: 4 GiB of RAM where [`DIRECT_MAP`] says, one page of interrupt
//! controller that takes whatever is written to it, and for each thread of a test a core of its own.
//!
//! Nothing of the kernel is replaced. GS, which host programs do not use, points to the thread's core as
//! it does in the kernel; the copy routine has its `stac` and `clac` patched out as on a CPU without SMAP,
//! and a fault in it goes through the kernel's own fault table.
//!
//! Frames are handed out once and never again, so that tests may run at the same time. What is shared by
//! the whole machine (memory below 16 MiB, the table of cores as others see it) is held by [`whole`].

use crate::arch::machine::features::{self, Features};
use crate::arch::machine::paging::{DEVICES, DIRECT_MAP, frame_pointer};
use crate::arch::machine::{controller, user_memory};
use crate::capabilities::{Capability, NO_PARENT};
use crate::cores::{self, Core, core_state};
use crate::frames::{self, Entry, frame_kind};
use crate::mailbox::{self, Mailbox};
use crate::objects::{self, reference_to};
use crate::space::Space;
use crate::thread::Thread;
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::limits::CORES_MAX;
use fos_abi::mailbox::frames_for;
use fos_abi::space::SPACE_FRAMES;
use fos_abi::thread::THREAD_FRAMES;
use proptest::prelude::ProptestConfig;
use std::alloc::Layout;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// Frames of the machine: 4 GiB.
pub const FRAMES: u64 = 1 << 20;
/// The first frame that is handed out; below it are what firmware leaves, and the frame table.
const FIRST_FREE: u64 = 0x2000;
const FRAME_TABLE: u64 = 0x1000;
/// `ARCH_SET_GS` of `asm/prctl.h`.
const SET_GS: libc::c_int = 0x1001;

static NEXT_FRAME: AtomicU64 = AtomicU64::new(FIRST_FREE);
static STARTED: Once = Once::new();
static WHOLE: Mutex<()> = Mutex::new(());
/// Numbers of cores whose thread has ended.
static NUMBERS: Mutex<Vec<u16>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    // A failed test poisons a lock and breaks nothing that the next would see.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a property is tested: with that many cases, and without writing into the tree when one fails. The
/// shortest failing case is printed; it becomes a test of its own.
pub fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

/// How long a race between threads may take. Whoever waits for another thread looks at it, so that a test
/// whose other side has failed ends too.
#[derive(Clone, Copy)]
pub struct Patience(Instant);

impl Patience {
    /// From now on.
    pub fn new() -> Patience {
        Patience(Instant::now() + Duration::from_secs(60))
    }
    /// Fails the test when it is over.
    pub fn check(self) {
        assert!(Instant::now() < self.0, "the other side has failed, or takes more than a minute");
    }
}

/// Interrupts the thread that made it, some ten thousand times a second, for up to a few microseconds each:
/// what a host does to the cores of a virtual machine. Races that need a pause at one instruction happen.
pub struct Shaken(libc::timer_t);

/// Between two interruptions, in nanoseconds: no multiple of what a test's loops take.
const SHAKE_EVERY: libc::c_long = 37_003;
const SHAKE: libc::c_int = libc::SIGUSR1;

impl Shaken {
    /// From now until it goes.
    pub fn begin() -> Shaken {
        extern "C" fn handler(_: libc::c_int) {
            static SHAKES: AtomicU64 = AtomicU64::new(0);
            let shakes = SHAKES.fetch_add(1, Ordering::Relaxed);
            (0..shakes % 61).for_each(|_| std::hint::spin_loop());
        }
        let every = libc::timespec { tv_sec: 0, tv_nsec: SHAKE_EVERY };
        let setting = libc::itimerspec { it_interval: every, it_value: every };
        // SAFETY: zeroed structures are ones without flags; the handler counts and spins, nothing else; the
        // timer is this thread's and goes with the value.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(SHAKE, &raw const action, std::ptr::null_mut()), 0);
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SHAKE;
            event.sigev_notify_thread_id = libc::gettid();
            let mut timer: libc::timer_t = std::ptr::null_mut();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer), 0);
            assert_eq!(libc::timer_settime(timer, 0, &raw const setting, std::ptr::null_mut()), 0);
            Shaken(timer)
        }
    }
}

impl Drop for Shaken {
    fn drop(&mut self) {
        // SAFETY: the timer was made by `begin` and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The whole machine, for one test at a time.
pub fn whole() -> MutexGuard<'static, ()> {
    start();
    lock(&WHOLE)
}

/// What firmware leaves in the first 16 MiB, for one test at a time; gone when the test is.
pub struct Firmware {
    _whole: MutexGuard<'static, ()>,
    written: Vec<(u64, usize)>,
}

impl Firmware {
    /// A machine whose firmware has left nothing.
    pub fn none() -> Firmware {
        Firmware { _whole: whole(), written: vec![] }
    }
    /// Leaves bytes at an address.
    pub fn leave(&mut self, address: u64, bytes: &[u8]) {
        assert!(address + bytes.len() as u64 <= FRAME_TABLE << 12);
        self.written.push((address, bytes.len()));
        // SAFETY: RAM of the machine below the frame table, which only the holder of the lock touches.
        unsafe { frame_pointer(0).add(address as usize).copy_from(bytes.as_ptr(), bytes.len()) };
    }
}

impl Drop for Firmware {
    fn drop(&mut self) {
        for (address, length) in std::mem::take(&mut self.written) {
            self.leave(address, &vec![0; length]);
        }
    }
}

/// Switches the machine on, once.
pub fn start() {
    STARTED.call_once(|| {
        reserve(DIRECT_MAP, FRAMES << 12);
        reserve(DEVICES, 4096);
        controller::set_mapping();
        features::keep(Features { no_execute: true, ..Features::default() });
        user_memory::without_smap().into_iter().for_each(patch_out);
        catch_faults();
        // SAFETY: reserved memory is zeroed, these 16 MiB are for the table alone, and they stay.
        unsafe { frames::install(frame_pointer(FRAME_TABLE).cast::<Entry>(), FRAMES) };
        lock(&NUMBERS).extend((0..CORES_MAX as u16).rev());
    });
}

fn reserve(address: u64, length: u64) {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: new memory, and only where nothing is yet.
    let got = unsafe { libc::mmap(address as *mut _, length as usize, protection, flags, -1, 0) };
    assert_eq!(got as u64, address, "the test machine's memory at {address:#x} is taken");
}

/// Replaces one three-byte instruction by a no-op of that length, as boot does.
fn patch_out(instruction: u64) {
    let page = instruction & !4095;
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: pages of this program's text, which stay executable; nobody copies before this is done.
    unsafe {
        assert_eq!(libc::mprotect(page as *mut _, 8192, protection), 0);
        (instruction as *mut [u8; 3]).write([0x0f, 0x1f, 0x00]);
    }
}

/// A fault in the copy routine goes on where the kernel's fault table says; any other ends the program.
fn catch_faults() {
    extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: with SA_SIGINFO the third argument is the interrupted context, and changing it is how a
        // handler says where to go on.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        let instruction = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        match user_memory::fault_table(*instruction as u64) {
            Some(next) => *instruction = next as i64,
            // SAFETY: as if there had never been a handler; the fault comes again and is the last.
            None => unsafe {
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            },
        }
    }
    // SAFETY: a zeroed sigaction is one without flags; the handler touches its context and nothing else.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// A core, whose number another gets when this goes.
pub struct Seat(pub &'static Core);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.state.store(core_state::ABSENT, Ordering::SeqCst);
        lock(&NUMBERS).push(self.0.number);
    }
}

thread_local! {
    static SEAT: Seat = take_seat();
}

/// A value that stays for ever, all bytes zero.
///
/// # Safety
/// Zero must be a valid `T`, or the caller must make it one before it is used.
pub unsafe fn zeroed<T>() -> *mut T {
    // SAFETY: no type here has size 0.
    let memory = unsafe { std::alloc::alloc_zeroed(Layout::new::<T>()) };
    assert!(!memory.is_null());
    memory.cast()
}

/// A core that no thread of the test is.
pub fn peer() -> Seat {
    start();
    let number = lock(&NUMBERS).pop().expect("a test needs at most 255 cores");
    // SAFETY: zeroed memory for exactly this, as at boot.
    let core = unsafe {
        let core = zeroed::<Core>();
        Core::create(core, number, u32::from(number));
        &*core
    };
    cores::add(core);
    core.scheduler.start(core);
    Seat(core)
}

fn take_seat() -> Seat {
    let seat = peer();
    // SAFETY: GS is used by nobody else in this program, and the core stays.
    let done = unsafe { libc::syscall(libc::SYS_arch_prctl, SET_GS, std::ptr::from_ref(seat.0)) };
    assert_eq!(done, 0, "GS can't be set");
    seat
}

/// The core that this thread is.
pub fn here() -> &'static Core {
    SEAT.with(|seat| seat.0)
}

/// Free frames in a row, zeroed and ordinary, the first a multiple of `align`.
pub fn aligned_frames(count: u64, align: u64) -> u64 {
    start();
    let first = NEXT_FRAME
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let end = next.next_multiple_of(align) + count;
            (end <= FRAMES).then_some(end)
        })
        .expect("the test machine has 4 GiB")
        .next_multiple_of(align);
    for frame in first..first + count {
        frames::entry(frame).unwrap().set_kind(frame_kind::ORDINARY);
    }
    first
}

/// Free frames in a row.
pub fn frames(count: u64) -> u64 {
    aligned_frames(count, 1)
}

/// A space with one frame of capability slots and `tables` frames for page tables, at home here.
pub fn space(tables: u64) -> &'static Space {
    let core = here();
    let first = frames((SPACE_FRAMES + 1) as u64);
    frames::claim(first, SPACE_FRAMES + 1).unwrap();
    // SAFETY: claimed, and zeroed since the machine started.
    let space = unsafe { Space::create(first, 1, core.new_identity(), core.number) };
    objects::publish::<Space>(first);
    let spare = frames(tables);
    frames::claim(spare, tables as usize).unwrap();
    (spare..spare + tables).for_each(|frame| space.add_spare_table(frame));
    space
}

/// A stopped thread of a space, at home here.
pub fn thread(space: &'static Space) -> &'static Thread {
    let first = frames(THREAD_FRAMES as u64);
    frames::claim(first, THREAD_FRAMES).unwrap();
    let thread = crate::calls::make_thread(first, space, here().number);
    thread.reference.set(objects::publish::<Thread>(first));
    thread
}

/// A mailbox of a space, at home here.
pub fn mailbox(space: &'static Space, slots: usize, keys: usize) -> &'static Mailbox {
    let (count, private) = frames_for(slots, keys).unwrap();
    let first = frames(count as u64);
    frames::claim(first, count).unwrap();
    // SAFETY: that many claimed frames, zeroed since the machine started.
    unsafe { Mailbox::create(first, (count, private), slots, keys, space, here().number) };
    mailbox::find(objects::publish::<Mailbox>(first).0).unwrap()
}

/// Puts a capability that was there at boot into a space's table.
pub fn give(space: &'static Space, kind: Kind, object: u64, length: u64) -> u64 {
    let capability = Capability { kind, rights: Rights::ALL, object, length, parent: NO_PARENT, stamp: 0 };
    let handle: Handle = crate::capabilities::insert(space, &capability).unwrap();
    u64::from(handle.0)
}

/// Puts a mailbox into its space's table, as its owner has it.
pub fn give_mailbox(mailbox: &'static Mailbox) -> u64 {
    give(mailbox.space, Kind::Mailbox, reference_to(mailbox).0, mailbox.frames as u64)
}

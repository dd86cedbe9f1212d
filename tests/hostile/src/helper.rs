//! A second thread of this program on another core, which makes the calls it is told to: for mailboxes at home
//! elsewhere, and for two cores racing on the same object.

use alloc::boxed::Box;
use alloc::vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};

use fos_abi::Error;
use fos_abi::calls::WaitList;
use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use libfos::calls;
use libfos::spawn::{self, Frames};

use crate::fixture::{KEYS, MAILBOX_FRAMES, SLOTS};
use crate::ground::Ground;
use crate::kernel::{Answer, Arguments, Broken, During, numbered};
use crate::stage::{load_key, memory_word, store_key, wait_for};

/// Turns that an idle helper spins before it sleeps.
const SPINS: u32 = 500;
/// How long it may take to begin.
const BEGIN_MILLISECONDS: u64 = 20_000;
/// Words of its stack.
const STACK_WORDS: usize = 2048;

const IDLE: u64 = 0;
const BEGINNING: u64 = 5;
const POSTED: u64 = 1;
const ARMED: u64 = 2;
const DONE: u64 = 3;

/// What program and helper share.
struct Line {
    state: AtomicU64,
    go: AtomicU64,
    number: AtomicU64,
    arguments: [AtomicU64; 6],
    delay: AtomicU64,
    status: AtomicU64,
    value: AtomicU64,
    /// Frames for the mailbox that it sleeps for, where it maps it, and how to ring there.
    frames: Handle,
    mailbox_at: u64,
    key: [AtomicU64; 4],
}

/// See the module.
pub struct Helper {
    line: &'static Line,
}

extern "C" fn serve(line: u64) -> u64 {
    // SAFETY: `start` passed the address of a line that outlives the thread.
    let line = unsafe { &*(line as *const Line) };
    let mailbox = match bed(line) {
        Ok(mailbox) => mailbox,
        Err(error) => return error as u64,
    };
    line.state.store(IDLE, Ordering::Release);
    let list = WaitList { deadline: u64::MAX, mailboxes: [mailbox.0] };
    let bells = memory_word(line.mailbox_at + core::mem::offset_of!(fos_abi::mailbox::Control, bells) as u64);
    let mut idle = 0;
    loop {
        if line.state.load(Ordering::Acquire) == POSTED {
            idle = 0;
            perform(line);
        } else if idle < SPINS {
            idle += 1;
            spin_loop();
        } else if calls::wait(&list).is_ok() {
            bells.store(0, Ordering::Release);
            idle = 0;
        } else {
            calls::thread_yield();
        }
    }
}

/// The mailbox that a helper sleeps for must be made on its own core.
fn bed(line: &Line) -> Result<Handle, Error> {
    let mailbox = calls::mailbox_create(line.frames, SLOTS, KEYS)?;
    calls::mailbox_map(mailbox, line.mailbox_at)?;
    store_key(&line.key, &calls::key_create(mailbox, KeyRights::RING, 0)?);
    Ok(mailbox)
}

fn perform(line: &Line) {
    line.state.store(ARMED, Ordering::Release);
    while line.go.load(Ordering::Acquire) == 0 {
        spin_loop();
    }
    for _ in 0..line.delay.load(Ordering::Relaxed) {
        spin_loop();
    }
    let arguments = core::array::from_fn(|index| line.arguments[index].load(Ordering::Relaxed));
    let answer = numbered(line.number.load(Ordering::Relaxed) as u32, arguments);
    let (status, value) = match answer {
        Ok(value) => (0, value),
        Err(error) => (error as u64, 0),
    };
    line.status.store(status, Ordering::Relaxed);
    line.value.store(value, Ordering::Relaxed);
    line.state.store(DONE, Ordering::Release);
}

impl Helper {
    /// Starts a helper on a core.
    pub fn start(ground: &mut Ground, core: u64) -> Result<Helper, Broken> {
        let zero = || AtomicU64::new(0);
        let mailbox_at = ground.window();
        ground.prepare_window(mailbox_at)?;
        let frames = ground.permanent.take(MAILBOX_FRAMES).during("the helper's mailbox")?;
        let line: &'static Line = Box::leak(Box::new(Line {
            state: AtomicU64::new(BEGINNING),
            go: zero(),
            number: zero(),
            arguments: core::array::from_fn(|_| zero()),
            delay: zero(),
            status: zero(),
            value: zero(),
            frames,
            mailbox_at,
            key: core::array::from_fn(|_| zero()),
        }));
        let stack = Box::leak(vec![0u128; STACK_WORDS].into_boxed_slice());
        let top = stack.as_ptr_range().end as u64;
        let registers = spawn::registers(serve, core::ptr::from_ref(line) as u64, top);
        let permanent: &mut dyn Frames = &mut ground.permanent;
        let thread = spawn::thread(permanent, Handle::SELF, ground.grant.cores, core, &registers)
            .during("creating the helper")?;
        calls::thread_resume(thread).during("starting the helper")?;
        if !wait_for(&line.state, IDLE, ground.after(BEGIN_MILLISECONDS)) {
            return Err(Broken { step: "the helper's beginning", error: Error::TimedOut });
        }
        Ok(Helper { line })
    }

    /// Hands it a call, which it holds back until [`Helper::release`].
    pub fn arm(&mut self, number: u32, arguments: Arguments, delay: u64) {
        self.line.number.store(u64::from(number), Ordering::Relaxed);
        for (place, argument) in self.line.arguments.iter().zip(arguments) {
            place.store(argument, Ordering::Relaxed);
        }
        self.line.delay.store(delay, Ordering::Relaxed);
        self.line.go.store(0, Ordering::Relaxed);
        self.line.state.store(POSTED, Ordering::Release);
        // It may be asleep; a bell that finds it awake does no harm.
        let rung = calls::ring(&load_key(&self.line.key), 1);
        debug_assert!(rung.is_ok());
        while self.line.state.load(Ordering::Acquire) != ARMED {
            calls::thread_yield();
        }
    }

    /// Lets it make the call.
    pub fn release(&mut self) {
        self.line.go.store(1, Ordering::Release);
    }

    /// Waits for its answer.
    pub fn answer(&mut self) -> Answer {
        while self.line.state.load(Ordering::Acquire) != DONE {
            calls::thread_yield();
        }
        self.line.state.store(IDLE, Ordering::Relaxed);
        match self.line.status.load(Ordering::Relaxed) {
            0 => Ok(self.line.value.load(Ordering::Relaxed)),
            status => Err(Error::from_number(status as u32).unwrap_or(Error::BadCall)),
        }
    }

    /// Has it make one call now.
    pub fn call(&mut self, number: u32, arguments: Arguments) -> Answer {
        self.arm(number, arguments, 0);
        self.release();
        self.answer()
    }
}

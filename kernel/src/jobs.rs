//! Operations that take more than a few steps, or that act on objects at home on another core: one *job*
//! each. A job runs step by step on one core at a time; each step is bounded and answers what comes next.
//! Jobs are part of the thread that called, or of the object that ends, so that nothing is allocated.
//!
//! ```text
//!   call ──► step ──► Done ──────────────► the caller's core, the caller runs on
//!              │ ▲
//!              │ └─ Again   the same core, after interrupts and a turn of other threads
//!              ├──► Go(c)   core c's inbox
//!              └──► Park    until another core did something (flush, quiescence, an object's end)
//! ```

use crate::arch::machine::entry::Answer;
use crate::arch::machine::paging::Entry;
use crate::arch::machine::user_memory::UserRange;
use crate::cores::{self, Core};
use crate::frames;
use crate::inbox::{Inbox, flag};
use crate::list::Links;
use crate::space::Space;
use crate::thread::{State, Thread};
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::limits::CORES_MAX;
use fos_abi::thread::Completion;

/// Mappings that a job holds at once, in the first words of its bytes, and the word that counts them.
const HELD_MAX: usize = 16;
const HELD_COUNT: usize = 19;

/// What a step of a job answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has ended.
    Done(Result<u64, Error>),
    /// More steps on this core.
    Again,
    /// More steps on that core.
    Go(u16),
    /// Look again when another core has done something.
    Park,
    /// It was an object's end, and the object's memory is no longer the kernel's: the job is not touched.
    Vanished,
}

/// A job's code.
pub type Code = fn(&'static Job, &'static Core) -> Step;

/// One operation under way. Touched by the core that it is at.
#[repr(C)]
pub struct Job {
    /// Its place in an inbox.
    pub link: Cell<*mut Job>,
    /// Its place in one of its core's lists.
    pub place: Links<Job>,
    /// What a step does; none once it has ended and only its result is on the way.
    code: Cell<Option<Code>>,
    /// Whether it is under way. Set and cleared by the caller's core.
    pub active: Cell<bool>,
    /// Which of its thread's jobs it is: 0 blocks the thread, 1.. are tickets + 1.
    pub ticket: Cell<u8>,
    /// Set when the caller ends: a parked job gives up.
    pub cancelled: AtomicBool,
    /// Where it is.
    pub at: AtomicU16,
    /// Who asked; null for the end of an object.
    pub thread: Cell<*const Thread>,
    /// The object whose end it is.
    pub owner: Cell<*const u8>,
    /// How far it is; each code has its own numbers.
    pub stage: Cell<u32>,
    /// The same for the part of it that drops one capability.
    pub drop_stage: Cell<u32>,
    /// The arguments.
    pub arguments: [Cell<u64>; 6],
    /// Positions in whatever is walked.
    pub cursor: [Cell<u64>; 4],
    /// Bytes from the caller's memory, or for it.
    pub data: UnsafeCell<[u64; 24]>,
    /// Where an answer's bytes go, and how many.
    pub answer_to: Cell<(u64, usize)>,
    result: Cell<(u64, u64)>,
}

// SAFETY: a job is handed from core to core through an inbox, which orders memory; one core has it at a time.
unsafe impl Sync for Job {}

impl Job {
    /// An argument.
    #[inline(always)]
    pub fn argument(&self, index: usize) -> u64 {
        self.arguments[index].get()
    }
    /// The caller's space.
    pub fn space(&self) -> &'static Space {
        self.thread().space
    }
    /// The caller. Only for jobs of calls.
    pub fn thread(&self) -> &'static Thread {
        // SAFETY: a call's job names its thread, whose end waits until its jobs have ended.
        unsafe { &*self.thread.get() }
    }
    /// The bytes from or for the caller.
    #[allow(clippy::mut_from_ref, reason = "a job is at one core at a time, and its steps do not overlap")]
    pub fn bytes(&self) -> &mut [u64; 24] {
        // SAFETY: as the reason says; no caller keeps the reference over a step.
        unsafe { &mut *self.data.get() }
    }
    /// Stores a value of the abi as the answer's bytes.
    pub fn answer<T: Copy>(&self, value: T) {
        const { assert!(size_of::<T>() <= 192) };
        // SAFETY: the array is large enough and aligned for every abi type (at most 8).
        unsafe { self.bytes().as_mut_ptr().cast::<T>().write(value) };
    }
    /// The bytes read from the caller, as a value of the abi.
    pub fn input<T: Copy>(&self) -> T {
        const { assert!(size_of::<T>() <= 192) };
        // SAFETY: the array is large enough and aligned; T is plain data, valid for any bytes.
        unsafe { self.bytes().as_ptr().cast::<T>().read() }
    }
    /// Reads a value of the abi from the caller's memory, before the first step.
    pub fn read_input<T: Copy + Default>(&self, address: u64) -> Result<(), Error> {
        self.answer(crate::arch::machine::user_memory::read_value::<T>(address)?);
        Ok(())
    }
    /// Keeps a mapping that is gone from the tables counted, until no core can use it any more. The caller
    /// sees to it that there is room ([`Job::holds_all_it_can`]).
    pub fn hold(&self, entry: Entry, size: u64) {
        if entry.is_counted() {
            let held = self.bytes()[HELD_COUNT] as usize % HELD_MAX;
            self.bytes()[held] = entry.frame() << 1 | u64::from(size > 1);
            self.bytes()[HELD_COUNT] = held as u64 + 1;
        }
    }
    /// Whether no further mapping can be held.
    pub fn holds_all_it_can(&self) -> bool {
        self.bytes()[HELD_COUNT] as usize == HELD_MAX
    }
    /// No core can use them any more: they are no longer counted.
    pub fn release_held(&self) {
        for held in 0..(self.bytes()[HELD_COUNT] as usize).min(HELD_MAX) {
            let (frame, huge) = (self.bytes()[held] >> 1, self.bytes()[held] & 1 == 1);
            if huge { frames::unmap_huge(frame) } else { frames::unmap(frame) }
        }
        self.bytes()[HELD_COUNT] = 0;
    }
    /// Prepares the end of an object, which nobody's thread asked for.
    pub fn prepare(&'static self, code: Code) {
        self.code.set(Some(code));
        self.active.set(true);
        self.cancelled.store(false, Ordering::Relaxed);
        self.thread.set(core::ptr::null());
        self.stage.set(0);
        self.drop_stage.set(0);
        self.cursor.iter().for_each(|cursor| cursor.set(0));
        self.bytes()[HELD_COUNT] = 0;
    }
    /// Hands it to a core. Says whether that core takes part.
    pub fn send_to(&'static self, here: &'static Core, core: u16) -> bool {
        if core == here.number {
            self.at.store(core, Ordering::Release);
            here.work.push(self, |job| &job.place);
            here.leave.set(1);
            return true;
        }
        let Some(to) = cores::get(core).filter(|core| core.is_alive()) else { return false };
        self.at.store(core, Ordering::Release);
        Inbox::post_job(to, self);
        true
    }
    /// Ends it here: tells its thread, on the thread's core.
    pub fn finish(&'static self, here: &'static Core, result: Result<u64, Error>) {
        let (error, value) = match result {
            Ok(value) => (0, value),
            Err(error) => (error as u64, 0),
        };
        self.result.set((error, value));
        // SAFETY: see `thread`.
        let Some(thread) = (unsafe { self.thread.get().as_ref() }) else {
            self.active.set(false);
            return;
        };
        let home = thread.home.load(Ordering::Acquire);
        if home == here.number {
            self.deliver(here, thread);
        } else if let Some(core) = cores::get(home).filter(|core| core.is_alive()) {
            self.code.set(None);
            self.at.store(home, Ordering::Release);
            Inbox::post_job(core, self);
        } else {
            // The thread ends with its core, and its end waits for this.
            self.active.set(false);
            recheck_everywhere(here);
        }
    }
    /// On the thread's core: its result arrives.
    fn deliver(&'static self, here: &'static Core, thread: &'static Thread) {
        if !self.active.get() {
            // Answered already: the core it was at had failed.
            return;
        }
        let (error, value) = self.result.get();
        let ticket = self.ticket.get();
        if ticket > 0 {
            self.active.set(false);
            complete_pipelined(thread, usize::from(ticket) - 1, error, value);
        } else if error == 0 && self.answer_to.get().1 > 0 {
            thread.copy_out_pending.set(true);
            thread.complete_call(here, 0, value);
        } else {
            self.active.set(false);
            thread.complete_call(here, error, value);
        }
        unpark_all(here);
    }
}

/// Stores a pipelined call's result in the thread's area.
fn complete_pipelined(thread: &Thread, ticket: usize, error: u64, value: u64) {
    let area = thread.area.get();
    if area.is_null() {
        return;
    }
    // SAFETY: the area is a frame of the thread's own, kept until the thread has ended; the program may
    // write it at the same time, so it is only stored to, word by word.
    unsafe {
        let place: *mut Completion = (&raw mut (*area).completions).cast::<Completion>().add(ticket);
        (&raw mut (*place).error).write_volatile(error);
        (&raw mut (*place).value).write_volatile(value);
        let count = (&raw const (*place).count).read_volatile();
        core::sync::atomic::fence(Ordering::Release);
        (&raw mut (*place).count).write_volatile(count.wrapping_add(1));
    }
}

/// Stores a finished call's answer in the caller's memory, whose space is loaded.
pub fn copy_out(thread: &'static Thread) {
    thread.copy_out_pending.set(false);
    let job = &thread.jobs[0];
    let (address, length) = job.answer_to.replace((0, 0));
    // SAFETY: `data` holds the answer, at most its own size long.
    let stored =
        UserRange::new(address, length).and_then(|range| unsafe { range.write(job.data.get().cast()) });
    if let Err(error) = stored {
        let saved = thread.saved();
        saved.rax = error as u64;
        saved.rdx = 0;
    }
    job.active.set(false);
}

/// A call that is a job: from the current thread, with its arguments in place. Runs the first step at once
/// when it belongs here; a job that ends in it costs no more than a plain call.
pub fn call(
    code: Code,
    arguments: [u64; 6],
    answer_to: (u64, usize),
    prepare: impl FnOnce(&Job) -> Result<(), Error>,
) -> Answer {
    let here = cores::this();
    let thread = Thread::current();
    let ticket = here.pipelined.replace(0);
    let job = &thread.jobs[usize::from(ticket)];
    if job.active.get() {
        return Answer::error(Error::NoSlot);
    }
    for (cell, value) in job.arguments.iter().zip(arguments) {
        cell.set(value);
    }
    if let Err(error) = prepare(job) {
        return Answer::error(error);
    }
    job.bytes()[HELD_COUNT] = 0;
    job.code.set(Some(code));
    job.active.set(true);
    job.cancelled.store(false, Ordering::Relaxed);
    job.ticket.set(ticket);
    job.thread.set(thread);
    job.stage.set(0);
    job.drop_stage.set(0);
    job.cursor.iter().for_each(|cursor| cursor.set(0));
    job.answer_to.set(answer_to);
    let home = thread.space.home();
    if home != here.number {
        if !job.send_to(here, home) {
            job.active.set(false);
            return Answer::error(Error::CoreFailed);
        }
        wait_for(here, thread, ticket);
        return Answer::ok(0);
    }
    job.at.store(here.number, Ordering::Relaxed);
    let step = code(job, here);
    let Some(result) = place(job, here, step) else {
        wait_for(here, thread, ticket);
        return Answer::ok(0);
    };
    job.active.set(false);
    let result = result.and_then(|value| store_answer(job, value));
    if ticket > 0 {
        let (error, value) = result.map_or_else(|error| (error as u64, 0), |value| (0, value));
        complete_pipelined(thread, usize::from(ticket) - 1, error, value);
        return Answer::ok(0);
    }
    result.into()
}

/// The answer of a call that ended in its first step: its space is the loaded one.
fn store_answer(job: &Job, value: u64) -> Result<u64, Error> {
    let (address, length) = job.answer_to.replace((0, 0));
    if length > 0 {
        // SAFETY: `data` holds the answer, at most its own size long.
        unsafe { UserRange::new(address, length)?.write(job.data.get().cast())? };
    }
    Ok(value)
}

fn wait_for(here: &Core, thread: &Thread, ticket: u8) {
    if ticket == 0 {
        thread.state.set(State::Waiting);
        here.leave.set(1);
    }
}

/// Puts a job where its last step says. Gives the result if it has ended here.
fn place(job: &'static Job, here: &'static Core, mut step: Step) -> Option<Result<u64, Error>> {
    let mut announced = false;
    loop {
        match step {
            Step::Done(result) => return Some(result),
            Step::Again => {
                here.work.push(job, |job| &job.place);
                here.leave.set(1);
            }
            Step::Go(core) if job.send_to(here, core) => {}
            // An end, or what is halfway through dropping a capability, waits for the burial of that core: nobody
            // else could end or drop it.
            Step::Go(_) if job.drop_stage.get() == 0 && !job.thread.get().is_null() => {
                return Some(Err(Error::CoreFailed));
            }
            Step::Vanished => {}
            Step::Go(_) | Step::Park if announced => here.parked.push(job, |job| &job.place),
            Step::Go(_) | Step::Park => {
                let (word, bit) = (usize::from(here.number) / 64, 1 << (here.number % 64));
                PARKED[word].fetch_or(bit, Ordering::SeqCst);
                // What it waits for may have come about before the bit was seen: one more look.
                announced = true;
                step = job.code.get().map_or(Step::Park, |code| code(job, here));
                continue;
            }
        }
        return None;
    }
}

/// One step of the first job of this core.
pub fn run_one(here: &'static Core) {
    let Some(job) = here.work.pop(|job| &job.place) else { return };
    cores::count(&here.counters.chunks);
    let Some(code) = job.code.get() else {
        job.deliver(here, job.thread());
        return;
    };
    let step = code(job, here);
    if let Some(result) = place(job, here, step) {
        job.finish(here, result);
    }
}

/// Cores that have parked jobs.
static PARKED: [AtomicU64; CORES_MAX.div_ceil(64)] = [const { AtomicU64::new(0) }; CORES_MAX.div_ceil(64)];

/// Parked jobs of this core get another look.
pub fn unpark_all(here: &'static Core) {
    if here.parked.is_empty() {
        return;
    }
    PARKED[usize::from(here.number) / 64].fetch_and(!(1 << (here.number % 64)), Ordering::SeqCst);
    while let Some(job) = here.parked.pop(|job| &job.place) {
        here.work.push(job, |job| &job.place);
    }
    here.leave.set(1);
}

/// Parked jobs of every core get another look: something that others may wait for has happened here.
pub fn recheck_everywhere(here: &'static Core) {
    for (word, bits) in PARKED.iter().enumerate() {
        let mut bits = bits.load(Ordering::SeqCst);
        while bits != 0 {
            let number = (word * 64) as u16 + bits.trailing_zeros() as u16;
            bits &= bits - 1;
            if number == here.number {
                unpark_all(here);
            } else if let Some(core) = cores::get(number) {
                Inbox::post_flags(core, flag::RECHECK);
            }
        }
    }
}

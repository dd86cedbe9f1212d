//! The personality on the machine itself: [`Pages`] for memory, messages for what the program writes, and the CPU's own
//! clock and thread pointer.

use core::ops::Range;
use core::time::Duration;

use fos_abi::thread::FaultFrame;
use fos_abi::{Error, Key};
use fos_posix::system::{BadAddress, OutOfMemory, PAGE, Protection, SinkEnded, Stream, System};
use libfos::arch::ticks;
use libfos::calls;
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::{MESSAGE_MAX, Mailbox, Sender};
use libfos::memory::{Memory, MemoryError};
use libfos::reflect::{self, ProgramMemory};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::pages::{Access, Pages};

/// How long a reader of the program's output may be too busy for one message.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to sleep before a full reader is tried again.
const RETRY: Duration = Duration::from_micros(200);
/// Slots and keys of the mailbox that nobody sends to.
const NAPS_SIZE: (usize, usize) = (64, 16);
/// The page fault's vector, and the bits of its code (Intel SDM vol. 3, 4.7).
const PAGE_FAULT: u64 = 14;
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const FETCH: u64 = 16;

/// Where the program's output goes.
#[derive(Clone, Copy, Debug)]
pub struct Sinks {
    /// Standard output.
    pub output: Option<Key>,
    /// Standard error.
    pub error: Option<Key>,
}

/// The machine below one process.
pub struct Native {
    pages: Pages,
    program: ProgramMemory,
    sinks: Sinks,
    clock: Clock,
    random: ChaCha20Rng,
    /// Nobody has a key to it: a wait for it is a sleep.
    naps: Mailbox,
}

impl Native {
    /// Takes what is left of `memory` for the program. `seed` is known to nobody else.
    pub fn new(
        mut memory: Memory,
        program: ProgramMemory,
        sinks: Sinks,
        clock: Clock,
        seed: [u8; 32],
    ) -> Result<Native, MemoryError> {
        let naps = Mailbox::create(&mut memory, NAPS_SIZE.0, NAPS_SIZE.1)?;
        let pages = Pages::new(memory, program)?;
        Ok(Native { pages, program, sinks, clock, random: ChaCha20Rng::from_seed(seed), naps })
    }

    /// Whether a fault of the program was its first touch of memory that it was promised.
    pub fn resolve(&mut self, fault: &FaultFrame) -> bool {
        let access = match (fault.code & WRITE != 0, fault.code & FETCH != 0) {
            (_, true) => Access::Execute,
            (true, _) => Access::Write,
            _ => Access::Read,
        };
        fault.vector == PAGE_FAULT
            && fault.code & PRESENT == 0
            && self.pages.touch(fault.address / PAGE, access)
    }

    /// Sleeps until the deadline; may end early.
    fn sleep(&self, deadline: Deadline) {
        // Nothing but the deadline can end this wait, and the callers look at the time again.
        let _ = self.naps.wait(deadline);
    }

    /// Sends one message, and waits for a reader that has no room.
    fn send(&self, sender: Sender, piece: &[u8]) -> Result<(), SinkEnded> {
        let deadline = self.clock.after(PATIENCE);
        loop {
            match sender.send(piece) {
                Ok(_) => return Ok(()),
                Err(Error::Full) if !deadline.has_passed() => self.sleep(self.clock.after(RETRY)),
                Err(_) => return Err(SinkEnded),
            }
        }
    }
}

impl System for Native {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        let read = self.program.read(address, into);
        if read.is_err() && self.pages.touch_bytes(address, into.len()) {
            return self.program.read(address, into).map_err(|_| BadAddress);
        }
        read.map_err(|_| BadAddress)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        let written = self.program.write(address, bytes);
        if written.is_err() && self.pages.touch_bytes(address, bytes.len()) {
            return self.program.write(address, bytes).map_err(|_| BadAddress);
        }
        written.map_err(|_| BadAddress)
    }

    fn populate(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
        self.pages.promise(pages, protection)
    }

    fn release(&mut self, pages: Range<u64>) {
        self.pages.release(pages);
    }

    fn protect(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
        self.pages.protect(pages, protection)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), SinkEnded> {
        let key = match stream {
            Stream::Output => self.sinks.output,
            Stream::Error => self.sinks.error,
        };
        let sender = Sender::new(key.ok_or(SinkEnded)?);
        bytes.chunks(MESSAGE_MAX).try_for_each(|piece| self.send(sender, piece))
    }

    fn random(&mut self, into: &mut [u8]) {
        self.random.fill_bytes(into);
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.clock.duration(ticks()).as_nanos()).unwrap_or(u64::MAX)
    }

    fn set_thread_pointer(&mut self, address: u64) -> bool {
        reflect::set_fs_base(address)
    }

    fn thread_pointer(&self) -> u64 {
        reflect::fs_base()
    }

    fn yield_now(&mut self) {
        calls::thread_yield();
    }

    fn sleep_until(&mut self, nanoseconds: u64) {
        let deadline = Deadline(self.clock.ticks(Duration::from_nanos(nanoseconds)));
        while !deadline.has_passed() {
            self.sleep(deadline);
        }
    }
}

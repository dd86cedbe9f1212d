//! Programs that run: what root remembers of each until nothing of it is left.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use fos_abi::Key;
use fos_abi::capability::Handle;
use fos_messages::control::RequestId;
use fos_messages::processes::Usage;

use crate::files::File;
use crate::input::Input;
use crate::memory::Piece;
use crate::serving::Asker;

/// Programs that may run at once: each takes up to six keys.
pub const PROGRAMS_MAX: usize = 40;
/// Slots of root's table that one takes at most.
pub const SLOTS_PER_PROGRAM: usize = 20;

/// Names a program to root for as long as the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u64);

/// What a key that root made is for; together with the number, the key's badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Questions to root.
    Root = 0,
    /// The program's standard output.
    Output = 1,
    /// The program's standard error.
    Error = 2,
    /// Fault reports of threads that the program set up by itself.
    Faults = 3,
    /// Requests to start and end programs.
    Programs = 4,
    /// Requests about frames in custody.
    Custody = 5,
    /// Requests about starts under tickets.
    Tickets = 6,
}

const PURPOSES: [Purpose; 7] = [
    Purpose::Root,
    Purpose::Output,
    Purpose::Error,
    Purpose::Faults,
    Purpose::Programs,
    Purpose::Custody,
    Purpose::Tickets,
];
const PURPOSE_BITS: u32 = 3;

/// The badge of a key.
pub fn badge(number: Number, purpose: Purpose) -> u64 {
    number.0 << PURPOSE_BITS | purpose as u64
}

/// What a badge says. One that root did not make, which comes with fault reports alone, is as good as one for those.
pub fn read_badge(badge: u64) -> (Number, Purpose) {
    let purpose = PURPOSES.get(badge as usize % (1 << PURPOSE_BITS)).copied();
    (Number(badge >> PURPOSE_BITS), purpose.unwrap_or(Purpose::Faults))
}

/// A program.
#[derive(Debug)]
pub struct Program {
    /// Its number.
    pub number: Number,
    /// Its name in the image.
    pub name: String,
    /// The run that asked for it; none for programs of the boot and of the image's default commands.
    pub run: Option<RequestId>,
    /// The program that asked for it.
    pub starter: Option<Number>,
    /// Who of that program waits for its end.
    pub waiter: Option<Asker>,
    /// The ticket that it was started under.
    pub ticket: Option<u64>,
    /// Whether it was started at boot to do something and end: commands and the machine's end wait for it a little.
    pub is_task: bool,
    /// Whether the image makes it the driver of the control link.
    pub is_control: bool,
    /// Whether the image lets it end what others started.
    pub may_fence: bool,
    /// Whether the image lets it found fleets, as who starts others; and know the keys of those that were founded.
    pub may_found: bool,
    /// See [`Program::may_found`].
    pub may_know_fleets: bool,
    /// What it has not read of what the host gave for it.
    pub input: Input,
    /// Its process, as the kernel stamps it on messages.
    pub identity: u64,
    /// Its core.
    pub core: u16,
    /// All its frames; none once they were taken back.
    pub piece: Option<Piece>,
    /// Where its first stack is in the piece, for backtraces.
    pub stack: core::ops::Range<u64>,
    /// Its first thread.
    pub thread: Handle,
    /// The watch on that thread.
    pub watch: Handle,
    /// The keys that root made for it.
    pub keys: Vec<Key>,
    /// What it was made of.
    pub files: Vec<Rc<File>>,
    /// What was built for it: its space, the frames of the space's tables, its first thread.
    pub objects: [Handle; 3],
    /// By what was mapped there what it began with.
    pub mapped: Vec<Handle>,
    /// How it ended, once it has.
    pub status: Option<u8>,
    /// What it had used then.
    pub usage: Usage,
    /// How many messages of output root had taken then.
    pub output_taken: u64,
}

/// The programs, in the order of their numbers.
#[derive(Debug, Default)]
pub struct Programs {
    list: Vec<Program>,
    last: u64,
}

impl Programs {
    /// A number that no program had before. From 1 on.
    pub fn next_number(&mut self) -> Number {
        self.last += 1;
        Number(self.last)
    }

    /// Whether one more may run.
    pub fn has_room(&self) -> bool {
        self.list.len() < PROGRAMS_MAX
    }

    /// How many run, or ended and were not told of.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Adds a program that was started.
    pub fn add(&mut self, program: Program) {
        self.list.push(program);
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Program> {
        self.list.iter()
    }

    /// The program with this number.
    pub fn get(&self, number: Number) -> Option<&Program> {
        self.list.iter().find(|program| program.number == number)
    }

    /// The program with this number, to be changed.
    pub fn get_mut(&mut self, number: Number) -> Option<&mut Program> {
        self.list.iter_mut().find(|program| program.number == number)
    }

    /// The program of a run, or of a process.
    pub fn find(&self, wanted: impl Fn(&Program) -> bool) -> Option<Number> {
        self.list.iter().find(|program| wanted(program)).map(|program| program.number)
    }

    /// Takes out one that has ended and fits.
    pub fn take_ended(&mut self, fits: impl Fn(&Program) -> bool) -> Option<Program> {
        let index = self.list.iter().position(|program| program.status.is_some() && fits(program))?;
        Some(self.list.remove(index))
    }
}

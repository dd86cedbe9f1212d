//! What happened, record by record: as lines to read, and as one number to compare two runs by.

use fos_runtime::Work;
use fos_runtime::port::Class;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record<'a> {
    at: u64,
    what: What<'a>,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A process began.
    Began { process: &'a str, core: u32 },
    /// A process did something, which took its core so long.
    Did { process: &'a str, work: Work, nanoseconds: u64 },
    /// A message was accepted: its number in this run.
    Sent { number: u64, from: &'a str, to: &'a str, class: Class, bytes: &'a [u8] },
    /// A message was not accepted.
    Refused { from: &'a str, to: &'a str, error: fos_messages::rpc::SendError },
    /// A process ended.
    Ended { process: &'a str },
    /// A fault of the plan came about.
    Fault { fault: &'a str },
}

impl std::fmt::Display for Record<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:>12} ", self.at)?;
        match &self.what {
            What::Began { process, core } => write!(formatter, "begin {process} on core {core}"),
            What::Did { process, work, nanoseconds } => {
                write!(formatter, "step {process} {work:?} {nanoseconds} ns")
            }
            What::Sent { number, from, to, class, bytes } => {
                write!(formatter, "send {number} {from} > {to} {class:?} {} bytes ", bytes.len())?;
                write!(formatter, "{:016x}", bytes.iter().fold(Hash::default(), Hash::byte).0)
            }
            What::Refused { from, to, error } => write!(formatter, "refuse {from} > {to} {error:?}"),
            What::Ended { process } => write!(formatter, "end {process}"),
            What::Fault { fault } => write!(formatter, "fault {fault}"),
        }
    }
}

/// FNV-1a, 64 bits: enough to tell two runs apart, and one line long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub u64);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn byte(self, byte: &u8) -> Hash {
        Hash((self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Takes the lines of a trace.
pub type Sink = Box<dyn FnMut(&str)>;

/// Hashes the lines, and shows them to whoever wants to see them.
#[derive(Default)]
pub struct Trace {
    hash: Hash,
    line: String,
    sink: Option<Sink>,
}

impl Trace {
    /// Shows each line there.
    pub fn to(sink: Option<Sink>) -> Trace {
        Trace { sink, ..Trace::default() }
    }

    /// Something happened.
    pub fn record(&mut self, at: u64, what: What<'_>) {
        use std::fmt::Write;
        self.line.clear();
        // Writing to a string never fails.
        let _ = write!(self.line, "{}", Record { at, what });
        self.hash = self.line.as_bytes().iter().fold(self.hash, Hash::byte).byte(&b'\n');
        if let Some(sink) = &mut self.sink {
            sink(&self.line);
        }
    }

    /// The number of the trace so far.
    pub fn hash(&self) -> u64 {
        self.hash.0
    }
}

//! What the personality asks of the system below it: the one seam between Linux's meaning and fos's means.
//! The real one maps frames and sends messages; the one of the tests is a small array.

use core::ops::Range;

/// Bytes of a page.
pub const PAGE: u64 = fos_abi::limits::PAGE_SIZE as u64;

/// A pointer of the program names memory that it may not use that way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

/// The process has no frames left, or its page tables cannot grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Whoever takes the program's output has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkEnded;

/// What may be done with a page. `READ` alone is the least the CPU can express for a mapped page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Any access at all. Linux's PROT_READ; a page that may be written or executed can be read on x86-64.
    pub read: bool,
    /// PROT_WRITE.
    pub write: bool,
    /// PROT_EXEC.
    pub execute: bool,
}

impl Protection {
    /// Not accessible.
    pub const NONE: Protection = Protection { read: false, write: false, execute: false };
    /// Data.
    pub const READ_WRITE: Protection = Protection { read: true, write: true, execute: false };

    /// Whether the page is to be mapped at all.
    pub fn accessible(self) -> bool {
        self.read || self.write || self.execute
    }
}

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error, and what the personality itself has to say.
    Error,
}

/// What lies below the personality. Page ranges are in pages, not bytes.
pub trait System {
    /// Copies from the program's memory.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), BadAddress>;
    /// Copies to the program's memory.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress>;
    /// Gives pages, which have no memory yet, memory that reads as zero. All or nothing. Frames may come later, at the
    /// first touch, but they are sure to come.
    fn populate(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory>;
    /// Unmaps pages and gives back the memory behind those that `populate` gave some.
    fn release(&mut self, pages: Range<u64>);
    /// Changes how backed pages are mapped; pages without any access keep their content.
    fn protect(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory>;
    /// Writes to where the program's output goes; when it returns, the bytes are on their way in order.
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), SinkEnded>;
    /// Fills with unpredictable bytes.
    fn random(&mut self, into: &mut [u8]);
    /// Nanoseconds since the machine started.
    fn nanoseconds(&self) -> u64;
    /// Sets the base of FS, where the C library keeps its thread's data. False if this CPU cannot.
    fn set_thread_pointer(&mut self, address: u64) -> bool;
    /// The base of FS.
    fn thread_pointer(&self) -> u64;
    /// Lets others run first.
    fn yield_now(&mut self);
    /// Does nothing until `nanoseconds` (since the machine started) have come.
    fn sleep_until(&mut self, nanoseconds: u64);
}

//! A machine of a few pages: memory that faults where nothing is mapped, and streams that remember.

use crate::memory::Plan;
use crate::process::{Outcome, Process};
use crate::system::{BadAddress, OutOfMemory, PAGE, Protection, SinkEnded, Stream, System};
use core::ops::Range;
use std::collections::BTreeMap;
use std::string::String;
use std::vec;
use std::vec::Vec;
use syscalls::Sysno;

/// A page, its protection, and whether `populate` backed it.
#[derive(Clone, Debug)]
struct Page {
    bytes: Vec<u8>,
    protection: Protection,
}

/// The fake machine.
#[derive(Debug, Default)]
pub struct Fake {
    pages: BTreeMap<u64, Page>,
    /// How many pages may still be populated.
    pub frames_left: usize,
    pub output: Vec<u8>,
    pub error: Vec<u8>,
    pub thread_pointer: u64,
    pub nanoseconds: u64,
    /// Whether the CPU lets programs set FS.
    pub cannot_set_thread_pointer: bool,
}

impl Fake {
    /// What can be done with the page of an address.
    pub fn protection(&self, address: u64) -> Option<Protection> {
        self.pages.get(&(address / PAGE)).map(|page| page.protection)
    }
    pub fn error_text(&self) -> &str {
        core::str::from_utf8(&self.error).unwrap()
    }
    fn page(&self, address: u64) -> Option<&Page> {
        self.pages.get(&(address / PAGE)).filter(|page| page.protection.accessible())
    }
}

impl System for Fake {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        for (index, byte) in into.iter_mut().enumerate() {
            let at = address.checked_add(index as u64).ok_or(BadAddress)?;
            *byte = self.page(at).ok_or(BadAddress)?.bytes[(at % PAGE) as usize];
        }
        Ok(())
    }
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        for (index, byte) in bytes.iter().enumerate() {
            let at = address.checked_add(index as u64).ok_or(BadAddress)?;
            let page = self.pages.get_mut(&(at / PAGE)).filter(|page| page.protection.write);
            page.ok_or(BadAddress)?.bytes[(at % PAGE) as usize] = *byte;
        }
        Ok(())
    }
    fn populate(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
        let count = (pages.end - pages.start) as usize;
        self.frames_left = self.frames_left.checked_sub(count).ok_or(OutOfMemory)?;
        for page in pages {
            let fresh = Page { bytes: vec![0; PAGE as usize], protection };
            assert!(self.pages.insert(page, fresh).is_none(), "page {page:#x} was populated twice");
        }
        Ok(())
    }
    fn release(&mut self, pages: Range<u64>) {
        for page in pages {
            assert!(self.pages.remove(&page).is_some(), "page {page:#x} was released but never backed");
            self.frames_left += 1;
        }
    }
    fn protect(&mut self, pages: Range<u64>, protection: Protection) -> Result<(), OutOfMemory> {
        for page in pages {
            self.pages.get_mut(&page).expect("only backed pages are protected").protection = protection;
        }
        Ok(())
    }
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), SinkEnded> {
        match stream {
            Stream::Output => self.output.extend_from_slice(bytes),
            Stream::Error => self.error.extend_from_slice(bytes),
        }
        Ok(())
    }
    fn random(&mut self, into: &mut [u8]) {
        into.fill(4);
    }
    fn nanoseconds(&self) -> u64 {
        self.nanoseconds
    }
    fn set_thread_pointer(&mut self, address: u64) -> bool {
        self.thread_pointer = address;
        !self.cannot_set_thread_pointer
    }
    fn thread_pointer(&self) -> u64 {
        self.thread_pointer
    }
    fn yield_now(&mut self) {}
    fn sleep_until(&mut self, nanoseconds: u64) {
        self.nanoseconds = self.nanoseconds.max(nanoseconds);
    }
}

/// Where the fake program's only data page is.
pub const DATA: u64 = 0x40_0000;
/// Where its heap begins.
pub const HEAP: u64 = 0x40_1000;
/// Where its personality is.
pub const RESERVED: Range<u64> = 0x6000_0000..0x6010_0000;
/// Frames it may use.
pub const FRAMES: usize = 64;

/// A process with one page of data, on a fake machine.
pub fn start() -> (Process, Fake) {
    let mut fake = Fake { frames_left: FRAMES + 1, ..Fake::default() };
    fake.populate(DATA / PAGE..DATA / PAGE + 1, Protection::READ_WRITE).unwrap();
    let plan = Plan {
        mapped: vec![(DATA..DATA + PAGE, Protection::READ_WRITE)],
        reserved: vec![RESERVED],
        heap_start: HEAP,
        heap_limit: HEAP + 0x10_0000,
        window: 0x7000_0000_0000..0x7000_0100_0000,
    };
    (Process::new(7, "/bin/busybox", plan), fake)
}

/// Makes a call by name; arguments that are left out are 0.
pub fn call(process: &mut Process, fake: &mut Fake, number: Sysno, arguments: &[u64]) -> i64 {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    match process.call(fake, number as u64, all) {
        Outcome::Return(value) => value as i64,
        Outcome::Exit(status) => panic!("{number} ended the process with {status}"),
    }
}

/// Puts a string with its final zero at an address.
pub fn put_text(fake: &mut Fake, address: u64, text: &str) {
    fake.write(address, text.as_bytes()).unwrap();
    fake.write(address + text.len() as u64, &[0]).unwrap();
}

/// Text at an address.
pub fn text(fake: &mut Fake, address: u64, length: usize) -> String {
    let mut bytes = vec![0; length];
    fake.read(address, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

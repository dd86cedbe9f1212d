//! Open file descriptors. Today's programs have three streams: an input that is at its end, and two outputs that go
//! where root said. Descriptors may be duplicated and closed; the lowest free number is always the next.

use crate::errno::Errno;
use crate::system::Stream;
use alloc::vec::Vec;

/// Numbers a process may use (RLIMIT_NOFILE).
pub const DESCRIPTORS_MAX: usize = 1024;

/// What a descriptor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Description {
    /// Standard input: nothing ever comes.
    Input,
    /// Standard output or error.
    Sink(Stream),
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it names.
    pub description: Description,
    /// Whether `exec` closes it (FD_CLOEXEC).
    pub close_on_exec: bool,
}

impl Descriptor {
    /// One that `exec` keeps.
    pub fn open(description: Description) -> Descriptor {
        Descriptor { description, close_on_exec: false }
    }
}

/// The table.
#[derive(Debug)]
pub struct Descriptors {
    entries: Vec<Option<Descriptor>>,
}

impl Descriptors {
    /// 0, 1 and 2.
    pub fn standard() -> Descriptors {
        let streams =
            [Description::Input, Description::Sink(Stream::Output), Description::Sink(Stream::Error)];
        Descriptors { entries: streams.into_iter().map(|stream| Some(Descriptor::open(stream))).collect() }
    }

    /// The descriptor of a number as it came in a register. EBADF if there is none.
    pub fn get(&self, number: u64) -> Result<Descriptor, Errno> {
        let entry = usize::try_from(number as u32).ok().and_then(|index| self.entries.get(index));
        entry.copied().flatten().ok_or(Errno::EBADF)
    }

    /// Changes a descriptor's own flag.
    pub fn set_close_on_exec(&mut self, number: u64, close: bool) -> Result<(), Errno> {
        self.get(number)?;
        if let Some(Some(entry)) = self.entries.get_mut(number as u32 as usize) {
            entry.close_on_exec = close;
        }
        Ok(())
    }

    /// Forgets a descriptor.
    pub fn close(&mut self, number: u64) -> Result<(), Errno> {
        self.get(number)?;
        if let Some(entry) = self.entries.get_mut(number as u32 as usize) {
            *entry = None;
        }
        Ok(())
    }

    /// Gives `descriptor` the lowest free number that is at least `lowest`.
    pub fn add(&mut self, descriptor: Descriptor, lowest: usize) -> Result<u64, Errno> {
        if lowest >= DESCRIPTORS_MAX {
            return Err(Errno::EINVAL);
        }
        let free =
            (lowest..DESCRIPTORS_MAX).find(|index| self.entries.get(*index).is_none_or(Option::is_none));
        let index = free.ok_or(Errno::EMFILE)?;
        self.put(index, descriptor);
        Ok(index as u64)
    }

    /// Gives `descriptor` exactly this number, closing what had it.
    pub fn replace(&mut self, number: u64, descriptor: Descriptor) -> Result<u64, Errno> {
        let index = number as u32 as usize;
        if index >= DESCRIPTORS_MAX {
            return Err(Errno::EBADF);
        }
        self.put(index, descriptor);
        Ok(index as u64)
    }

    fn put(&mut self, index: usize, descriptor: Descriptor) {
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        self.entries[index] = Some(descriptor);
    }
}

//! One Linux process: everything that its calls read and change, and the way from a reflected `syscall` to the
//! file that answers it.

use crate::calls;
use crate::descriptors::Descriptors;
use crate::errno::Errno;
use crate::memory::{Memory, Plan};
use crate::signals::Signals;
use crate::system::{Stream, System};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Longest path a call takes, its final zero included (PATH_MAX).
pub const PATH_MAX: usize = 4096;
/// Bytes moved at once between the program and a message.
pub const TRANSFER_MAX: usize = 64 * 1024;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program goes on with this in `rax`.
    Return(u64),
    /// The process is over.
    Exit(u8),
}

/// A Linux process with one thread.
#[derive(Debug)]
pub struct Process {
    /// Its number, and its only thread's.
    pub id: u32,
    /// What `/proc/self/exe` names.
    pub executable: String,
    /// The thread's name (PR_GET_NAME).
    pub name: [u8; 16],
    /// Which addresses are what.
    pub memory: Memory,
    /// Open files.
    pub descriptors: Descriptors,
    /// Recorded signal actions.
    pub signals: Signals,
    /// Permission bits that new files will not get.
    pub file_mode_mask: u32,
    /// Set by the calls that end the process.
    pub exit: Option<u8>,
    named: BTreeSet<u32>,
}

impl Process {
    /// A process about to start.
    pub fn new(id: u32, executable: &str, plan: Plan) -> Process {
        let mut name = [0; 16];
        let base = executable.rsplit('/').next().unwrap_or_default().as_bytes();
        let kept = base.len().min(name.len() - 1);
        name[..kept].copy_from_slice(&base[..kept]);
        Process {
            id,
            executable: executable.into(),
            name,
            memory: Memory::new(plan),
            descriptors: Descriptors::standard(),
            signals: Signals::default(),
            file_mode_mask: 0o022,
            exit: None,
            named: BTreeSet::new(),
        }
    }

    /// Answers one call: its number as in `rax`, its arguments in the order of their registers.
    pub fn call(&mut self, system: &mut dyn System, number: u64, arguments: [u64; 6]) -> Outcome {
        let result = match calls::find(number) {
            Some(entry) => (entry.handler)(self, system, arguments),
            None => {
                self.name_unsupported(system, number, arguments);
                Err(Errno::ENOSYS)
            }
        };
        match self.exit {
            Some(status) => Outcome::Exit(status),
            None => Outcome::Return(result.unwrap_or_else(Errno::to_register)),
        }
    }

    /// Names an unsupported call on standard error, the first time.
    fn name_unsupported(&mut self, system: &mut dyn System, number: u64, arguments: [u64; 6]) {
        // Linux looks at the low half of `rax` only.
        let number = number as u32;
        if !self.named.insert(number) {
            return;
        }
        let name = syscalls::Sysno::new(number as usize).map_or("?", |call| call.name());
        let [a, b, c, d, e, f] = arguments;
        let values = format!("{a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x}");
        self.note(system, &format!("{name}({values}), call {number}, is not supported: ENOSYS"));
    }

    /// Says something on the program's standard error that the program itself did not write.
    pub fn note(&self, system: &mut dyn System, text: &str) {
        // A program whose standard error has ended goes on without it, as on Linux.
        let _ = system.output(Stream::Error, format!("fos-posix: {text}\n").as_bytes());
    }

    /// A string of the program that ends with a zero byte.
    pub fn read_path(&self, system: &mut dyn System, address: u64) -> Result<String, Errno> {
        let mut path = Vec::new();
        let mut from = address;
        while path.len() < PATH_MAX {
            // Up to the end of a page: a string may end just before one that cannot be read.
            let mut chunk = vec![0; 256.min(256 - from as usize % 256)];
            system.read(from, &mut chunk).map_err(|_| Errno::EFAULT)?;
            if let Some(end) = chunk.iter().position(|byte| *byte == 0) {
                path.extend_from_slice(&chunk[..end]);
                return String::from_utf8(path).map_err(|_| Errno::ENOENT);
            }
            from = from.checked_add(chunk.len() as u64).ok_or(Errno::EFAULT)?;
            path.extend_from_slice(&chunk);
        }
        Err(Errno::ENAMETOOLONG)
    }
}

/// Writes a structure to the program.
pub fn put(system: &mut dyn System, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    system.write(address, bytes).map_err(|_| Errno::EFAULT)
}

/// Reads a structure of the program.
pub fn get<const N: usize>(system: &mut dyn System, address: u64) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    system.read(address, &mut bytes).map_err(|_| Errno::EFAULT)?;
    Ok(bytes)
}

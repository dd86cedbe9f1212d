//! How root starts a program, and what the two say to each other afterwards.
//!
//! A native program is entered with `rdi` = address and `rsi` = length of a read-only, page-aligned block that
//! holds an encoded [`Start`], and `rsp` = the 16-byte aligned top of a mapped stack of [`STACK_SIZE`] bytes. What
//! a program may use is exactly what the block names: keys of mailboxes by name ([`key_name`]) and handles of
//! capabilities already in its table ([`handle_name`]).
//!
//! Text streams (`console`, `out`, `error`) carry raw bytes, one write per message, nothing else: whoever made the
//! key knows the stream by its badge. The mailbox behind `root` takes [`ToRoot`] messages; root knows the
//! program by the badge of its key and by the stamped identity. Root answers with [`FromRoot`], to the key that the
//! question named, matched by `request`. Root never waits for a program; a program gives every answer a deadline.

use alloc::string::String;
use alloc::vec::Vec;

use fos_abi::capability::Handle;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_abi::{Key, MailboxId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Changes with every change of [`Start`]; first in the block, so that a program built against another says so.
pub const START_VERSION: u32 = 3;
/// Bytes of the stack that a program starts on.
pub const STACK_SIZE: usize = 64 * 1024;
/// Longest name that can be registered, in bytes.
pub const NAME_MAX: usize = 64;
/// Most bytes of one [`ToRoot::Keep`], and how many of different names root keeps for one program.
pub const KEPT_BYTES_MAX: usize = 512;
/// See [`KEPT_BYTES_MAX`].
pub const KEPT_MAX: usize = 64;
/// Most bytes of one [`ToRoot::Wire`], so that it fits a message with its header.
pub const WIRE_BYTES_MAX: usize = MESSAGE_MAX - 8;

/// Names of keys in [`Start::keys`].
pub mod key_name {
    /// A text stream: the machine's console.
    pub const CONSOLE: &str = "console";
    /// Takes [`super::ToRoot`].
    pub const ROOT: &str = "root";
    /// A text stream: the program's standard output.
    pub const OUT: &str = "out";
    /// A text stream: the program's standard error.
    pub const ERROR: &str = "error";
    /// For fault reports of the program's own threads (`thread_setup`); root tells by the identity whose they are.
    pub const FAULTS: &str = "faults";
    /// Takes requests of [`crate::programs`]: for programs that the image lets start others.
    pub const PROGRAMS: &str = "programs";
    /// Takes requests of [`crate::custody`]: for members of the fleet `pages`.
    pub const CUSTODY: &str = "custody";
    /// Takes requests of [`crate::tickets`]: for members of the fleet `processes`.
    pub const TICKETS: &str = "tickets";
}

/// Names of capabilities in [`Start::handles`].
pub mod handle_name {
    /// Frames to build mailboxes in, to map, and to donate as page tables: at least 1 MiB.
    pub const SELF_FRAMES: &str = "self-frames";
    /// The I/O ports that the image grants; `cap_read` tells which.
    pub const PORTS: &str = "ports";
    /// The interrupt line that the image grants; `cap_read` tells which.
    pub const INTERRUPT: &str = "interrupt";
    /// The cores on which the program may create threads.
    pub const CORES: &str = "cores";
    /// Memory for spaces and threads of the program's own making (`frames:SIZE` in the image).
    pub const FRAMES: &str = "frames";
    /// The right to end the machine.
    pub const MACHINE: &str = "machine";
    /// The program's own space.
    pub const SPACE: &str = "space";
    /// The program's first thread.
    pub const THREAD: &str = "thread";
}

/// What a program knows when it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The program's name, then its arguments.
    pub arguments: Vec<String>,
    /// Named values.
    pub environment: Vec<(String, String)>,
    /// Ticks of the time stamp counter per second.
    pub tsc_hz: u64,
    /// Cores that were up at boot, numbered from 0.
    pub cores: u32,
    /// The core this program runs on.
    pub core: u32,
    /// The program's process identity, as receivers of its messages see it.
    pub identity: u64,
    /// Root's process identity.
    pub root: u64,
    /// Mailboxes it can reach, by [`key_name`] or by what the image says.
    pub keys: Vec<(String, KeyBytes)>,
    /// Capabilities in its table, by [`handle_name`] or by what the image says.
    pub handles: Vec<(String, u32)>,
    /// The foreign program that this one, its personality, is to run.
    pub guest: Option<Guest>,
    /// What those before it had root keep for it ([`ToRoot::Keep`]), by name.
    pub kept: Vec<(String, Vec<u8>)>,
}

/// A foreign program whose ELF file root loaded into the same space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Where it starts.
    pub entry: u64,
    /// Where its program headers are in memory; 0 if no segment holds them.
    pub headers: u64,
    /// Bytes of one program header.
    pub header_size: u64,
    /// How many program headers.
    pub header_count: u64,
    /// Its loaded segments, by address.
    pub segments: Vec<GuestSegment>,
}

/// A loaded segment of a foreign program, readable at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSegment {
    /// Its first address, page aligned.
    pub start: u64,
    /// The address after its last page.
    pub end: u64,
    /// Whether it may be written.
    pub write: bool,
    /// Whether it may be executed.
    pub execute: bool,
}

impl Start {
    /// The bytes of the block.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        encode(&(START_VERSION, self), usize::MAX)
    }

    /// Reads a block.
    pub fn decode(bytes: &[u8]) -> Result<Start, CodecError> {
        let (version, rest) = postcard::take_from_bytes::<u32>(bytes).map_err(|_| CodecError::Malformed)?;
        if version != START_VERSION {
            return Err(CodecError::Version { found: version });
        }
        decode(rest)
    }

    /// The key with this name.
    pub fn key(&self, name: &str) -> Option<Key> {
        self.keys.iter().find(|(known, _)| known == name).map(|(_, key)| (*key).into())
    }

    /// The capability with this name.
    pub fn handle(&self, name: &str) -> Option<Handle> {
        self.handles.iter().find(|(known, _)| known == name).map(|(_, handle)| Handle(*handle))
    }
}

/// From any program to root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRoot {
    /// "Whoever looks up `name` may have `key`." Not answered; a later one of the same program replaces it, another
    /// program's is refused and named on the console. Root forgets it when the program ends.
    Register {
        /// At most [`NAME_MAX`] bytes.
        name: String,
        /// A key that root may hand out as it is: make it no stronger than its users need.
        key: KeyBytes,
    },
    /// "Who is `name`?" Answered at once by [`FromRoot::Found`] or [`FromRoot::Unknown`]; may be repeated.
    Lookup {
        /// Comes back with the answer.
        request: u64,
        /// At most [`NAME_MAX`] bytes.
        name: String,
        /// Where the answer goes: a key with the right to send.
        answer: KeyBytes,
    },
    /// From the driver of the control link alone: bytes as they came over the wire, in order, cut anywhere. Root
    /// ignores it from others.
    Wire {
        /// At most [`WIRE_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// "What does my standard input say next?" Answered by [`FromRoot::Input`] when there is some, or when it has ended: at once
    /// for a program that the host does not run. A later one takes the place of one that was not answered yet.
    Read {
        /// Where the answer goes: a key with the right to send. What can't be sent there is kept for the next to ask.
        answer: KeyBytes,
    },
    /// "Tell this to who comes after me": from a program that the image has started again when it has ended
    /// ([`crate::image::Start::Kept`]). Not answered; root ignores it from others, and names what is too long or too much on the
    /// console. Whoever comes next finds it in [`Start::kept`].
    Keep {
        /// At most [`NAME_MAX`] bytes. What was kept under it before is forgotten.
        name: String,
        /// At most [`KEPT_BYTES_MAX`]; none: nothing is kept under the name.
        bytes: Vec<u8>,
    },
}

/// From root to the key that a [`ToRoot`] message named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRoot {
    /// The key registered under the name asked for.
    Found {
        /// The question.
        request: u64,
        /// As it was registered.
        key: KeyBytes,
        /// The process that registered it.
        identity: u64,
    },
    /// Nobody has registered that name yet.
    Unknown {
        /// The question.
        request: u64,
    },
    /// What the standard input says next.
    Input {
        /// At most [`crate::control::INPUT_BYTES_MAX`] bytes; none: it has ended.
        bytes: Vec<u8>,
    },
}

impl ToRoot {
    /// The message's bytes, at most [`MESSAGE_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        encode(self, MESSAGE_MAX)
    }
    /// Reads a message; whatever a program sent gives a message or an error.
    pub fn decode(bytes: &[u8]) -> Result<ToRoot, CodecError> {
        decode(bytes)
    }
}

impl FromRoot {
    /// The message's bytes, at most [`MESSAGE_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        encode(self, MESSAGE_MAX)
    }
    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<FromRoot, CodecError> {
        decode(bytes)
    }
}

/// A mailbox key as plain data on its way: mailbox, entry, machine, secret, little endian.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBytes(pub [u8; 32]);

impl core::fmt::Debug for KeyBytes {
    /// Says that it is a key, not which: secrets stay out of logs.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("KeyBytes(..)")
    }
}

impl From<Key> for KeyBytes {
    fn from(key: Key) -> KeyBytes {
        let mut bytes = [0; 32];
        bytes[0..8].copy_from_slice(&key.mailbox.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&key.entry.to_le_bytes());
        bytes[12..16].copy_from_slice(&key.machine.to_le_bytes());
        bytes[16..24].copy_from_slice(&key.secret[0].to_le_bytes());
        bytes[24..32].copy_from_slice(&key.secret[1].to_le_bytes());
        KeyBytes(bytes)
    }
}

impl From<KeyBytes> for Key {
    fn from(KeyBytes(bytes): KeyBytes) -> Key {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Key {
            mailbox: MailboxId(word(0)),
            entry: word(8) as u32,
            machine: (word(8) >> 32) as u32,
            secret: [word(16), word(24)],
        }
    }
}

/// Why bytes are no message, or a message can't become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes are not an encoding of the expected type, or go on after it.
    Malformed,
    /// The start block is of another version of this file: rebuild the image.
    Version {
        /// What the block says it is.
        found: u32,
    },
    /// The message would not fit a mailbox message.
    TooLong {
        /// How many bytes it would take.
        bytes: usize,
    },
}

impl core::fmt::Display for CodecError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CodecError::Malformed => write!(formatter, "the bytes are not a message of this conversation"),
            CodecError::Version { found } => {
                write!(formatter, "start block version {found}, not {START_VERSION}: rebuild the image")
            }
            CodecError::TooLong { bytes } => write!(formatter, "{bytes} bytes do not fit a message"),
        }
    }
}

impl core::error::Error for CodecError {}

fn encode<T: Serialize>(message: &T, limit: usize) -> Result<Vec<u8>, CodecError> {
    let bytes = postcard::to_allocvec(message).map_err(|_| CodecError::Malformed)?;
    if bytes.len() > limit { Err(CodecError::TooLong { bytes: bytes.len() }) } else { Ok(bytes) }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(CodecError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn key() -> Key {
        Key { mailbox: MailboxId(0x1122_3344_5566_7788), entry: 9, machine: 7, secret: [u64::MAX, 1] }
    }

    fn start() -> Start {
        Start {
            arguments: vec!["hello".to_string(), "first".to_string()],
            environment: vec![("LANG".to_string(), "C".to_string())],
            tsc_hz: 2_400_000_000,
            cores: 4,
            core: 1,
            identity: 0x0001_0002_0000_0003,
            root: 0x0001_0000_0000_0001,
            keys: vec![(key_name::ROOT.to_string(), key().into())],
            handles: vec![(handle_name::SELF_FRAMES.to_string(), 0x0001_0005)],
            guest: Some(Guest {
                entry: 0x40_1000,
                headers: 0x40_0040,
                header_size: 56,
                header_count: 10,
                segments: vec![GuestSegment {
                    start: 0x40_0000,
                    end: 0x40_2000,
                    write: false,
                    execute: true,
                }],
            }),
            kept: vec![("/naming".to_string(), vec![1, 2])],
        }
    }

    #[test]
    fn a_start_block_survives_its_journey() {
        let start = start();
        let read = Start::decode(&start.encode().unwrap()).unwrap();
        assert_eq!(read, start);
        assert_eq!(read.key(key_name::ROOT), Some(key()));
        assert_eq!(read.handle(handle_name::SELF_FRAMES), Some(Handle(0x0001_0005)));
        assert_eq!(read.key("nobody"), None);
    }

    #[test]
    fn a_block_of_another_version_is_named() {
        let mut block = start().encode().unwrap();
        block[0] = START_VERSION as u8 + 1;
        assert_eq!(Start::decode(&block), Err(CodecError::Version { found: START_VERSION + 1 }));
    }

    #[test]
    fn a_cut_or_longer_block_is_refused() {
        let mut block = start().encode().unwrap();
        for length in 0..block.len() {
            assert_eq!(Start::decode(&block[..length]), Err(CodecError::Malformed), "cut to {length}");
        }
        block.push(0);
        assert_eq!(Start::decode(&block), Err(CodecError::Malformed));
    }

    #[test]
    fn the_longest_wire_message_fits() {
        let full = ToRoot::Wire { bytes: vec![0xff; WIRE_BYTES_MAX] };
        assert!(full.encode().unwrap().len() <= MESSAGE_MAX);
        let over = ToRoot::Wire { bytes: vec![0xff; MESSAGE_MAX] };
        assert_eq!(over.encode(), Err(CodecError::TooLong { bytes: MESSAGE_MAX + 3 }));
    }

    #[test]
    fn a_key_does_not_show_in_a_log() {
        assert_eq!(std::format!("{:?}", KeyBytes::from(key())), "KeyBytes(..)");
    }

    proptest! {
        #[test]
        fn what_a_program_sends_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..MESSAGE_MAX)) {
            if let Ok(message) = ToRoot::decode(&bytes) {
                prop_assert_eq!(ToRoot::decode(&message.encode().unwrap()), Ok(message));
            }
        }

        #[test]
        fn every_question_and_answer_comes_back(request: u64, name in ".{0,64}", bytes: [u8; 32]) {
            let lookup = ToRoot::Lookup { request, name, answer: KeyBytes(bytes) };
            prop_assert_eq!(ToRoot::decode(&lookup.encode().unwrap()), Ok(lookup));
            let found = FromRoot::Found { request, key: Key::from(KeyBytes(bytes)).into(), identity: request };
            prop_assert_eq!(FromRoot::decode(&found.encode().unwrap()), Ok(found));
        }
    }
}

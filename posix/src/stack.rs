//! The stack as a Linux program finds it (System V ABI for AMD64, "Process Initialization", and
//! getauxval(3)): from the stack pointer upwards `argc`, the pointers of `argv` and of the environment, each list
//! ended by a null pointer, the auxiliary vector, and above them the strings that all these point to.

use alloc::string::String;
use alloc::vec::Vec;
use fos_messages::start::Guest;
use linux_raw_sys::auxvec::*;

/// `AT_CLKTCK`: what `times(2)` counts in, per second.
pub const CLOCK_TICKS: u64 = 100;
/// Most bytes of arguments and environment together; a quarter of the stack, as Linux has it (execve(2)).
pub const STRINGS_MAX: usize = 64 * 1024;

/// What the program gets to see on its stack.
#[derive(Debug)]
pub struct Contents<'a> {
    /// `argv`, the name first.
    pub arguments: &'a [String],
    /// Pairs, written as NAME=VALUE.
    pub environment: &'a [(String, String)],
    /// Sixteen unpredictable bytes (`AT_RANDOM`).
    pub random: [u8; 16],
    /// CPUID leaf 1, EDX (`AT_HWCAP`).
    pub hardware: u64,
    /// Whether programs may write the base of FS themselves (bit 1 of `AT_HWCAP2`).
    pub fs_base_writable: bool,
}

/// More arguments and environment than [`STRINGS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// A stack ready to be copied to the program: `bytes` end where the stack ends, and `pointer` is their address.
#[derive(Debug)]
pub struct Stack {
    /// The initial stack pointer, 16-byte aligned.
    pub pointer: u64,
    /// What lies from there to the top.
    pub bytes: Vec<u8>,
}

/// Strings, placed one after another from `base` upwards.
struct Strings {
    base: u64,
    bytes: Vec<u8>,
}

impl Strings {
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let address = self.base + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        address
    }

    fn add_terminated(&mut self, text: &str) -> u64 {
        let address = self.add(text.as_bytes());
        self.bytes.push(0);
        address
    }
}

/// Bytes that the strings of `contents` take, rounded so that what lies below stays aligned.
fn strings_length(contents: &Contents) -> usize {
    let arguments: usize = contents.arguments.iter().map(|text| text.len() + 1).sum();
    let environment: usize =
        contents.environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let name = contents.arguments.first().map_or(0, String::len) + 1;
    (16 + arguments + environment + name + "x86_64\0".len()).next_multiple_of(16)
}

/// Lays out the stack of a program that starts below `top` (16-byte aligned).
pub fn build(top: u64, image: &Guest, contents: &Contents) -> Result<Stack, TooLong> {
    let length = strings_length(contents);
    if length > STRINGS_MAX {
        return Err(TooLong);
    }
    let mut strings = Strings { base: top - length as u64, bytes: Vec::with_capacity(length) };
    let random = strings.add(&contents.random);
    let mut words = Vec::new();
    words.push(contents.arguments.len() as u64);
    words.extend(contents.arguments.iter().map(|text| strings.add_terminated(text)));
    words.push(0);
    for (name, value) in contents.environment {
        words.push(strings.add(name.as_bytes()));
        strings.add(b"=");
        strings.add_terminated(value);
    }
    words.push(0);
    let name = strings.add_terminated(contents.arguments.first().map_or("", String::as_str));
    let platform = strings.add_terminated("x86_64");
    strings.bytes.resize(length, 0);
    push_auxiliary(&mut words, image, contents, [random, name, platform]);
    Ok(finish(top, words, &strings.bytes))
}

fn push_auxiliary(words: &mut Vec<u64>, image: &Guest, contents: &Contents, strings: [u64; 3]) {
    let [random, name, platform] = strings;
    let entries: [(u32, u64); 19] = [
        (AT_HWCAP, contents.hardware),
        (AT_PAGESZ, crate::system::PAGE),
        (AT_CLKTCK, CLOCK_TICKS),
        (AT_PHDR, image.headers),
        (AT_PHENT, image.header_size),
        (AT_PHNUM, image.header_count),
        (AT_BASE, 0),
        (AT_FLAGS, 0),
        (AT_ENTRY, image.entry),
        (AT_UID, 0),
        (AT_EUID, 0),
        (AT_GID, 0),
        (AT_EGID, 0),
        (AT_SECURE, 0),
        (AT_RANDOM, random),
        (AT_HWCAP2, u64::from(contents.fs_base_writable) << 1),
        (AT_EXECFN, name),
        (AT_PLATFORM, platform),
        (AT_NULL, 0),
    ];
    for (kind, value) in entries {
        words.extend([u64::from(kind), value]);
    }
}

/// Puts the words below the strings; one word of padding, above the vector's end, if the pointer needs it.
fn finish(top: u64, mut words: Vec<u64>, strings: &[u8]) -> Stack {
    if !words.len().is_multiple_of(2) {
        words.push(0);
    }
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(strings);
    Stack { pointer: top - bytes.len() as u64, bytes }
}

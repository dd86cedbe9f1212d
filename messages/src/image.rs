//! Image descriptions: a whole system as data. `images/NAME.toml` says which programs the boot archive holds, on
//! which cores they start and what they may touch. The host builds the archive from it, and root reads the very same
//! file, `image.toml` in the archive, with the very same code.
//!
//! [`Image::parse`] accepts only descriptions that can work: types are checked where they are read, and what crosses
//! tables (two programs of one name, a core that the image does not have, a program without its file) is checked
//! before anyone acts on it. Every error carries the span of bytes it is about.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use serde::Deserialize;
use toml::Spanned;

mod capability;
mod policy;
pub use capability::Capability;
pub use policy::{FLEETS_MAX, Lookup, MEMBERS_MAX, Policy, VARIABLE};

/// Most cores a machine may have (a limit of this kernel; formats have 16 bits).
pub const CORES_MAX: u16 = 255;
/// Name of the image description in the boot archive.
pub const DESCRIPTION_ENTRY: &str = "image.toml";
/// Name of the root program in the boot archive. The kernel starts it.
pub const ROOT_ENTRY: &str = "root";
/// Name of the Linux personality in the boot archive: there when the image has a program with
/// [`Personality::Linux`]. Root loads it into the program's space, beside the program.
pub const PERSONALITY_ENTRY: &str = "posix";
/// What neither a file nor a program of an image may be named in the archive.
const RESERVED_ENTRIES: [&str; 3] = [DESCRIPTION_ENTRY, ROOT_ENTRY, PERSONALITY_ENTRY];
/// Longest name of a program or file, in bytes.
pub const NAME_BYTES_MAX: usize = 48;

/// A checked image description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Also the name of its file in `images/`.
    pub name: String,
    /// One sentence for `./fos run --help` and `./fos test --list`.
    pub description: String,
    /// Cores of the machine when the command line names no other number.
    pub cores: u16,
    /// Bytes of memory when the command line names no other.
    pub memory_bytes: u64,
    /// Bytes that root keeps to start programs in; the others are in custody, for the fleet `pages`. None: root keeps all.
    pub root_memory_bytes: Option<u64>,
    /// The programs, in the order in which root starts those of the boot.
    pub programs: Vec<Program>,
    /// The fleets, and how each is looked after.
    pub fleets: Vec<Policy>,
    /// Other files of the boot archive.
    pub files: Vec<File>,
    /// What a bare `./fos run` runs over the control link, with its own input: a shell. None: it has the default commands run.
    pub shell: Option<Vec<String>>,
    /// What a bare `./fos run` does without a shell: with `run=default` on the kernel's command line root runs these one after
    /// another, each when the one before has ended and no [`Start::OneShot`] runs, and powers off after the last.
    pub default: Vec<Vec<String>>,
}

/// A program that root may start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What the control link, messages and logs call it.
    pub name: String,
    /// The workspace crate that the host builds it from; none for a file from elsewhere.
    #[serde(default, rename = "crate")]
    pub package: Option<String>,
    /// The folder of the tree whose C files the host builds it from, with libfos for C.
    #[serde(default)]
    pub c: Option<String>,
    /// Its ELF file in the boot archive, when two programs share one; else [`Program::name`].
    #[serde(default)]
    file: Option<String>,
    /// The core it starts on. Root takes it modulo the number of cores that are up, so that an image for four cores
    /// also boots on one.
    #[serde(default)]
    pub core: u16,
    /// Its arguments after its name when it starts at boot. A command over the control link brings its own.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What root hands it, beside its own space, thread and mailboxes.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// When it starts.
    #[serde(default)]
    pub start: Start,
    /// What its system calls mean.
    #[serde(default)]
    pub personality: Personality,
}

impl Program {
    /// The name of its ELF file in the boot archive.
    pub fn file(&self) -> &str {
        self.file.as_deref().unwrap_or(&self.name)
    }

    /// Whether the image grants it anything but to speak on the console.
    pub fn is_trusted(&self) -> bool {
        self.capabilities.iter().any(|capability| *capability != Capability::Console)
    }
}

/// When a program starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Once, before root says it is ready.
    Boot,
    /// As `Boot`, and it is expected to end: the image's default commands wait until it has.
    OneShot,
    /// As `Boot`, and again whenever it has ended, with what it had root keep ([`crate::start::ToRoot::Keep`]).
    Kept,
    /// Each time a command over the control link names it.
    #[default]
    Request,
}

/// What a program's `syscall` instructions mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Personality {
    /// Calls of this kernel.
    #[default]
    Native,
    /// Linux x86-64 calls, reflected to `posix`.
    Linux,
}

/// A file of the boot archive that is not built from this workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the archive.
    pub name: String,
    /// The Debian package it comes from, unmodified.
    pub package: String,
    /// Its absolute path inside that package.
    pub path: String,
}

/// What is wrong with a description, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageError {
    /// What happened and what to do, in one sentence.
    pub message: String,
    /// The bytes of the description it is about, when there are some.
    pub span: Option<Range<usize>>,
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl core::error::Error for ImageError {}

/// The file as it is written, before the checks that cross tables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: Spanned<String>,
    #[serde(default)]
    description: String,
    cores: Spanned<u16>,
    memory: Spanned<String>,
    #[serde(default, rename = "root-memory")]
    root_memory: Option<Spanned<String>>,
    #[serde(default)]
    program: Vec<Spanned<Program>>,
    #[serde(default)]
    fleet: Vec<Spanned<Policy>>,
    #[serde(default)]
    file: Vec<Spanned<File>>,
    #[serde(default)]
    default: Vec<Spanned<Vec<String>>>,
    #[serde(default)]
    shell: Option<Spanned<Vec<String>>>,
}

impl Image {
    /// Reads and checks a description.
    pub fn parse(text: &str) -> Result<Image, ImageError> {
        let description: Description = toml::from_str(text)
            .map_err(|error| ImageError { message: error.message().to_owned(), span: error.span() })?;
        description.check()
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }
}

impl Description {
    fn check(self) -> Result<Image, ImageError> {
        check_name(self.name.get_ref(), self.name.span())?;
        let cores = *self.cores.get_ref();
        if cores == 0 || cores > CORES_MAX {
            return refuse(format!("cores = {cores} is not within 1 to {CORES_MAX}"), self.cores.span());
        }
        let memory_bytes = parse_bytes(self.memory.get_ref())
            .ok_or_else(|| invalid("memory is not a size such as \"256M\" or \"1G\"", self.memory.span()))?;
        let root_memory_bytes = self.root_memory.as_ref().map(|text| {
            let bytes = parse_bytes(text.get_ref()).filter(|bytes| *bytes < memory_bytes);
            bytes.ok_or_else(|| {
                invalid("root-memory is not a size such as \"64M\" below that of memory", text.span())
            })
        });
        let root_memory_bytes = root_memory_bytes.transpose()?;
        check_files(&self.file)?;
        check_programs(&self.program, &self.file, cores)?;
        check_fleets(&self.fleet, &self.program, cores)?;
        for command in self.default.iter().chain(&self.shell) {
            check_command(command, &self.program)?;
        }
        Ok(Image {
            name: self.name.into_inner(),
            description: self.description,
            cores,
            memory_bytes,
            root_memory_bytes,
            programs: self.program.into_iter().map(Spanned::into_inner).collect(),
            fleets: self.fleet.into_iter().map(Spanned::into_inner).collect(),
            files: self.file.into_iter().map(Spanned::into_inner).collect(),
            default: self.default.into_iter().map(Spanned::into_inner).collect(),
            shell: self.shell.map(Spanned::into_inner),
        })
    }
}

fn invalid(message: impl ToString, span: Range<usize>) -> ImageError {
    ImageError { message: message.to_string(), span: Some(span) }
}

fn refuse<T>(message: impl ToString, span: Range<usize>) -> Result<T, ImageError> {
    Err(invalid(message, span))
}

fn check_name(name: &str, span: Range<usize>) -> Result<(), ImageError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(valid) {
        let rule = "letters, digits, '-', '_' and '.'";
        return refuse(format!("{name:?} is not a name of 1 to {NAME_BYTES_MAX} {rule}"), span);
    }
    Ok(())
}

fn check_files(files: &[Spanned<File>]) -> Result<(), ImageError> {
    let mut names = BTreeSet::from(RESERVED_ENTRIES);
    for file in files {
        let (file, span) = (file.get_ref(), file.span());
        check_name(&file.name, span.clone())?;
        if !names.insert(&file.name) {
            return refuse(format!("the archive already holds a file named {:?}", file.name), span);
        }
        if !file.path.starts_with('/') || file.path.split('/').any(|part| part == "..") {
            return refuse(format!("path {:?} of file {:?} is not absolute", file.path, file.name), span);
        }
    }
    Ok(())
}

fn check_programs(
    programs: &[Spanned<Program>],
    files: &[Spanned<File>],
    cores: u16,
) -> Result<(), ImageError> {
    let mut names = BTreeSet::new();
    for program in programs {
        let (program, span) = (program.get_ref(), program.span());
        check_name(&program.name, span.clone())?;
        check_name(program.file(), span.clone())?;
        if RESERVED_ENTRIES.contains(&program.file()) {
            return refuse(
                format!("{:?} in the archive is not for programs of images", program.file()),
                span,
            );
        }
        let name = &program.name;
        if !names.insert(name) {
            return refuse(format!("two programs are named {name:?}"), span);
        }
        if program.core >= cores {
            return refuse(format!("program {name:?} wants core {} of {cores}", program.core), span);
        }
        let listed = files.iter().any(|file| file.get_ref().name == program.file());
        let sources = [program.package.is_some(), program.c.is_some(), listed];
        match sources.iter().filter(|is_one| **is_one).count() {
            0 => {
                let file = program.file();
                let message =
                    format!("program {name:?} has neither a crate nor C files nor a [[file]] named {file:?}");
                return refuse(message, span);
            }
            1 => {}
            _ => {
                let message =
                    format!("program {name:?} has more than one of a crate, C files and a [[file]]");
                return refuse(message, span);
            }
        }
        if let Some(folder) = program.c.as_deref().filter(|folder| !is_below(folder)) {
            return refuse(
                format!("the C files of program {name:?} are in {folder:?}, which is not below the tree"),
                span,
            );
        }
        check_shared_file(program, programs, span)?;
    }
    Ok(())
}

/// Whether a path is one of a file or folder below where it begins.
fn is_below(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Programs that share a file must be built from the same crate or folder.
fn check_shared_file(
    program: &Program,
    programs: &[Spanned<Program>],
    span: Range<usize>,
) -> Result<(), ImageError> {
    let differs = |other: &&Spanned<Program>| {
        let other = other.get_ref();
        other.file() == program.file() && (&other.package, &other.c) != (&program.package, &program.c)
    };
    match programs.iter().find(differs) {
        Some(other) => {
            let (file, one, two) = (program.file(), &program.name, &other.get_ref().name);
            refuse(format!("programs {one:?} and {two:?} share file {file:?} but not its source"), span)
        }
        None => Ok(()),
    }
}

fn check_fleets(
    fleets: &[Spanned<Policy>],
    programs: &[Spanned<Program>],
    cores: u16,
) -> Result<(), ImageError> {
    let mut names = BTreeSet::new();
    for fleet in fleets {
        let (policy, span) = (fleet.get_ref(), fleet.span());
        policy.check().or_else(|message| refuse(message, span.clone()))?;
        if policy.core >= cores {
            return refuse(format!("fleet {:?} wants core {} of {cores}", policy.name, policy.core), span);
        }
        if names.len() >= FLEETS_MAX {
            return refuse(format!("an image has at most {FLEETS_MAX} fleets"), span);
        }
        if !names.insert(&policy.name) {
            return refuse(format!("two fleets are named {:?}", policy.name), span);
        }
        if !programs.iter().any(|program| program.get_ref().name == policy.program) {
            let Policy { name, program, .. } = policy;
            return refuse(
                format!("program {program:?} of fleet {name:?} is no program of this image"),
                span,
            );
        }
    }
    Ok(())
}

fn check_command(command: &Spanned<Vec<String>>, programs: &[Spanned<Program>]) -> Result<(), ImageError> {
    let Some(first) = command.get_ref().first() else {
        return refuse("a default command is empty", command.span());
    };
    if !programs.iter().any(|program| program.get_ref().name == *first) {
        return refuse(format!("default command {first:?} is no program of this image"), command.span());
    }
    Ok(())
}

/// A number of bytes: decimal digits, or `0x` and hexadecimal ones, then nothing, `K`, `M` or `G`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1u64),
    };
    parse_number(digits)?.checked_mul(unit)
}

/// Decimal digits, or `0x` and hexadecimal ones; no sign.
fn parse_number(text: &str) -> Option<u64> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests;

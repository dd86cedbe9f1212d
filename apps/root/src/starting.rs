//! Starting a program: from a file of the boot archive to a running thread in a space of its own.
//!
//! The order matters, because the kernel takes frames for an object or a table only while nobody has them mapped:
//! first root writes the image into the piece and unmaps it again, then space and thread are built, then the
//! granted capabilities move over, and only then is the start block known, written and mapped. A failure at any
//! step gives the whole piece back.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use fos_abi::boot::root_slot;
use fos_abi::capability::{Handle, Rights};
use fos_abi::key::KeyRights;
use fos_abi::limits::PAGE_SIZE;
use fos_abi::space::MapFlags;
use fos_abi::thread::{Registers, ThreadSetup};
use fos_abi::{Error, Key};
use fos_messages::control::RequestId;
use fos_messages::image::{self, Capability, PERSONALITY_ENTRY, Personality};
use fos_messages::processes::{SpawnOrder, Usage};
use fos_messages::start::{Start, handle_name, key_name};
use fos_root::executable::{self, Executable, LoadError, Segment};
use fos_root::layout::{BLOCK_ADDRESS, Layout, STACK_PAGES, STACK_TOP, TABLE_FRAMES};
use libfos::calls;
use libfos::mailbox::Mailbox;
use libfos::memory::{Memory, MemoryError};

use crate::ending::give_up;
use crate::files::{File, fill};
use crate::grants::{Grants, granted_frames};
use crate::input::Input;
use crate::memory::{self, Frames, Piece};
use crate::program::{Number, Program, Purpose, badge};
use crate::server::Server;

/// Frames that a native program gets for itself: 4 MiB.
const NATIVE_FRAMES: u64 = 1024;
/// Frames that a Linux program gets, all its memory: 16 MiB.
const LINUX_FRAMES: u64 = 4096;
/// What a Linux program finds in its environment.
const LINUX_ENVIRONMENT: [(&str, &str); 3] = [("PATH", "/bin"), ("HOME", "/"), ("PWD", "/")];

/// Why a program was not started.
#[derive(Debug)]
pub enum StartError {
    /// The boot archive has no such file.
    NoFile(String),
    /// The file can't be loaded.
    Load(String, LoadError),
    /// A command that the program's file and the personality's can't share a space for.
    Together(String),
    /// As many programs run as may.
    TooMany,
    /// There are not enough frames in a row.
    OutOfMemory {
        /// How many it takes.
        frames: u64,
    },
    /// The command with its environment does not fit the start block.
    TooLong,
    /// The kernel refused a step.
    Step(&'static str, MemoryError),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NoFile(name) => write!(formatter, "the boot archive has no file named {name:?}"),
            StartError::Load(name, error) => write!(formatter, "{name:?} cannot be loaded: {error}"),
            StartError::Together(name) => {
                write!(formatter, "{name:?} is linked where its Linux personality has to be")
            }
            StartError::TooMany => write!(formatter, "too many programs run already: end one first"),
            StartError::OutOfMemory { frames } => {
                let kib = frames * PAGE_SIZE as u64 / 1024;
                write!(formatter, "no {kib} KiB of memory in a row are free: give the machine more")
            }
            StartError::TooLong => write!(formatter, "the command is too long for a start block"),
            StartError::Step(step, error) => write!(formatter, "{step}: {error}"),
        }
    }
}

/// Names the step in which something was refused.
pub trait During<T> {
    /// Says in which.
    fn during(self, step: &'static str) -> Result<T, StartError>;
}

impl<T, E: Into<MemoryError>> During<T> for Result<T, E> {
    fn during(self, step: &'static str) -> Result<T, StartError> {
        self.map_err(|error| StartError::Step(step, error.into()))
    }
}

/// What is to be started.
#[derive(Debug)]
pub struct Command<'a> {
    /// The program in the image.
    pub program: &'a image::Program,
    /// Its name and arguments.
    pub arguments: Vec<String>,
    /// The run that asks for it.
    pub run: Option<RequestId>,
    /// The program that asks for it.
    pub starter: Option<Number>,
    /// Its core.
    pub core: u16,
    /// Whether it is one of the boot's tasks, which commands and the machine's end wait for.
    pub is_task: bool,
    /// What the fleet `processes` says of it beside that.
    pub ordered: Option<Ordered<'a>>,
}

impl<'a> Command<'a> {
    /// A program without arguments, on the core that the image says, that nobody asks for.
    pub fn of(program: &'a image::Program) -> Command<'a> {
        let (arguments, run, starter) = Default::default();
        Command { program, arguments, run, starter, core: program.core, is_task: false, ordered: None }
    }

    /// What the image grants it, unless it is to have nothing of it.
    fn granted(&self) -> &'a [Capability] {
        if self.is_confined() { &[] } else { &self.program.capabilities }
    }

    /// Whether a key of this name is given to it by who orders it.
    fn is_given(&self, name: &str) -> bool {
        self.ordered.iter().any(|ordered| ordered.order.keys.iter().any(|(given, _)| given == name))
    }

    fn is_confined(&self) -> bool {
        self.ordered.as_ref().is_some_and(|ordered| ordered.order.is_confined)
    }
}

/// A start under a ticket.
#[derive(Debug)]
pub struct Ordered<'a> {
    /// The ticket.
    pub ticket: u64,
    /// The order.
    pub order: &'a SpawnOrder,
}

/// The files that make up one program.
struct Made {
    /// What runs first: the program itself, or the personality.
    first: Rc<File>,
    /// The program that a personality runs.
    guest: Option<Rc<File>>,
}

impl Made {
    fn all(&self) -> impl Iterator<Item = &Rc<File>> {
        core::iter::once(&self.first).chain(&self.guest)
    }

    /// The segments that the process has for itself, with their file.
    fn writable(&self) -> impl Iterator<Item = (&Rc<File>, &Segment)> {
        self.all().flat_map(|file| {
            let segments = file.executable.segments.iter().filter(|segment| segment.is_writable());
            segments.map(move |segment| (file, segment))
        })
    }
}

impl Server {
    /// Starts a program; answers with its number. If memory is short, what is kept for programs that do not run is given up for it.
    pub fn start(&mut self, command: &Command) -> Result<Number, StartError> {
        match self.try_start(command) {
            Err(StartError::OutOfMemory { .. }) if self.files.forget_unused(&mut self.frames) => {
                self.try_start(command)
            }
            started => started,
        }
    }

    fn try_start(&mut self, command: &Command) -> Result<Number, StartError> {
        if !self.programs.has_room() {
            return Err(StartError::TooMany);
        }
        let files = self.made_of(command.program)?;
        let usual = if files.guest.is_some() { LINUX_FRAMES } else { NATIVE_FRAMES };
        let wanted = command.ordered.as_ref().and_then(|ordered| ordered.order.memory_frames);
        let own = wanted.map_or(usual, u64::from);
        let executables: Vec<&Executable> = files.all().map(|file| &file.executable).collect();
        let layout = Layout::new(&executables, own, granted_frames(command.granted()));
        let piece = take(&mut self.frames, layout.frames())?;
        let number = self.programs.next_number();
        let core = command.core % self.facts.cores.max(1) as u16;
        let (mut keys, mut mapped) = (Vec::new(), Vec::new());
        let built = self.build(&piece, &layout, &files, command, number, core, (&mut keys, &mut mapped));
        match built {
            Ok(built) => {
                self.keeping.runs(built.identity, built.space);
                self.programs.add(Program {
                    number,
                    name: command.program.name.clone(),
                    run: command.run,
                    starter: command.starter,
                    waiter: None,
                    ticket: command.ordered.as_ref().map(|ordered| ordered.ticket),
                    is_task: command.is_task,
                    is_control: command.granted().contains(&Capability::Control),
                    may_fence: command.granted().contains(&Capability::Fencing),
                    may_found: command.granted().contains(&Capability::Programs),
                    may_know_fleets: command.granted().contains(&Capability::Fleets),
                    input: Input::default(),
                    identity: built.identity,
                    core,
                    piece: Some(piece),
                    stack: layout.stack,
                    thread: built.thread,
                    watch: built.watch,
                    keys,
                    files: files.all().cloned().collect(),
                    objects: [built.space, built.tables, built.thread],
                    mapped,
                    status: None,
                    usage: Usage::default(),
                    output_taken: 0,
                });
                Ok(number)
            }
            Err(error) => {
                self.undo(piece, &keys, &mapped);
                Err(error)
            }
        }
    }

    /// Frames in all, and those in which programs may be started.
    pub fn count_frames(&self) -> (u64, u64) {
        let (all, free) = self.frames.count();
        (all, free + self.files.frames())
    }

    fn made_of(&mut self, program: &image::Program) -> Result<Made, StartError> {
        let mut load = |name: &str| self.files.get(name, &mut self.frames, &mut self.memory);
        let own = load(program.file())?;
        match program.personality {
            Personality::Native => Ok(Made { first: own, guest: None }),
            Personality::Linux => {
                let first = load(PERSONALITY_ENTRY)?;
                if !executable::are_apart(&first.executable, &own.executable) {
                    return Err(StartError::Together(program.file().to_string()));
                }
                Ok(Made { first, guest: Some(own) })
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one step of `start`, which owns all of them")]
    fn build(
        &mut self,
        piece: &Piece,
        layout: &Layout,
        files: &Made,
        command: &Command,
        number: Number,
        core: u16,
        (keys, mapped): (&mut Vec<Key>, &mut Vec<Handle>),
    ) -> Result<Built, StartError> {
        prepare(&mut self.memory, piece, layout, files).during("clearing and filling its memory")?;
        let (space, tables) = create_space(piece, layout, core).during("building its space")?;
        let identity = calls::cap_read(space).during("reading its space's identity")?.identity;
        let cores = Handle::new(root_slot::CORES, 0);
        let thread = piece
            .part(Rights::ALL, &layout.thread)
            .and_then(|frames| calls::thread_create(frames, space, cores, u64::from(core)))
            .during("building its thread")?;
        let grants =
            grant(piece, layout, command.granted(), space, thread).during("granting capabilities")?;
        let named_keys = self.make_keys(command, number, keys).during("making its keys")?;
        let start = Start {
            arguments: command.arguments.clone(),
            environment: environment(command, &self.image.fleets),
            tsc_hz: self.facts.tsc_hz,
            cores: self.facts.cores,
            core: u32::from(core),
            identity,
            root: self.identity.0,
            keys: named_keys,
            handles: grants.handles,
            guest: files.guest.as_ref().map(|file| file.executable.guest.clone()),
            kept: self.kept_for(command).to_vec(),
        };
        let length = write_block(&mut self.memory, piece, layout, &start)?;
        map_own(piece, layout, files, space, length, mapped).during("mapping its memory")?;
        for file in files.all() {
            file.map_shared(space, mapped).during("mapping what it shares")?;
        }
        let faults = keys.last().copied().unwrap_or_default();
        set_up(thread, files.first.executable.guest.entry, length, faults, identity)
            .during("setting its thread up")?;
        let watch = calls::watch(thread, self.requests.handle(), badge(number, Purpose::Root))
            .during("watching its thread")?;
        calls::thread_resume(thread).during("letting it run")?;
        Ok(Built { identity, space, tables, thread, watch })
    }

    /// The keys of a program, by name; all that root made are also put into `made`, the one for faults last.
    fn make_keys(
        &self,
        command: &Command,
        number: Number,
        made: &mut Vec<Key>,
    ) -> Result<Vec<(String, fos_messages::start::KeyBytes)>, Error> {
        let mut make = |mailbox: &Mailbox, purpose| {
            let key = mailbox.key(KeyRights::SEND.with(KeyRights::WATCH), badge(number, purpose))?;
            made.push(key);
            Ok::<Key, Error>(key)
        };
        let granted = command.granted();
        let mut keys = Vec::new();
        if !command.is_confined() {
            keys.push((key_name::ROOT, make(&self.requests, Purpose::Root)?));
        }
        if granted.contains(&Capability::Programs) {
            keys.push((key_name::PROGRAMS, make(&self.requests, Purpose::Programs)?));
        }
        if granted.contains(&Capability::Tickets) {
            keys.push((key_name::TICKETS, make(&self.requests, Purpose::Tickets)?));
        }
        if granted.contains(&Capability::Custody) {
            keys.push((key_name::CUSTODY, make(&self.requests, Purpose::Custody)?));
        }
        if command.run.is_some() {
            keys.push((key_name::OUT, make(&self.output, Purpose::Output)?));
            keys.push((key_name::ERROR, make(&self.output, Purpose::Error)?));
        } else if let Some(console) = self.registry.key(key_name::CONSOLE).filter(|_| !command.is_confined())
        {
            let streams = [key_name::OUT, key_name::ERROR];
            keys.extend(
                streams.into_iter().filter(|name| !command.is_given(name)).map(|name| (name, console)),
            );
        }
        if granted.contains(&Capability::Console)
            && let Some(console) = self.registry.key(key_name::CONSOLE)
        {
            keys.push((key_name::CONSOLE, console));
        }
        keys.push((key_name::FAULTS, make(&self.requests, Purpose::Faults)?));
        let own = keys.into_iter().map(|(name, key)| (name.to_string(), key.into()));
        // Whatever they are called, its own are found first. Of those the streams of its text may be given.
        let given = command.ordered.iter().flat_map(|ordered| &ordered.order.keys).cloned();
        Ok(own.chain(given).collect())
    }

    /// Takes back what a start that failed had taken.
    fn undo(&mut self, piece: Piece, keys: &[Key], mapped: &[Handle]) {
        self.revoke_keys(keys);
        if let Err(error) = self.frames.give_back(piece) {
            self.talk.say(format_args!("frames of a program that did not start are lost: {error:?}"));
        }
        give_up(mapped);
    }
}

/// What is known of a program once it runs.
struct Built {
    identity: u64,
    space: Handle,
    tables: Handle,
    thread: Handle,
    watch: Handle,
}

/// Takes a piece of so many frames.
pub fn take(frames: &mut Frames, count: u64) -> Result<Piece, StartError> {
    frames.take(count).map_err(|error| match error {
        MemoryError::OutOfFrames => StartError::OutOfMemory { frames: count },
        error => StartError::Step("taking frames", error),
    })
}

/// Clears what others left, and copies in the segments that can be written.
fn prepare(memory: &mut Memory, piece: &Piece, layout: &Layout, files: &Made) -> Result<(), MemoryError> {
    for part in [&layout.stack, &layout.own, &layout.granted] {
        memory::clear_used(memory, piece, part)?;
    }
    if layout.image.is_empty() {
        return Ok(());
    }
    let mapping = memory::map(memory, piece, &layout.image, MapFlags::WRITE)?;
    let mut page = 0;
    for (file, segment) in files.writable() {
        page += fill(&mapping, page, segment, file.bytes);
    }
    memory.unmap(mapping)?;
    Ok(())
}

/// A space, and the frames of its page tables.
fn create_space(piece: &Piece, layout: &Layout, core: u16) -> Result<(Handle, Handle), Error> {
    let frames = piece.part(Rights::ALL, &layout.space)?;
    let space = calls::space_create(frames, TABLE_FRAMES as usize, u64::from(core))?;
    let tables = piece.part(Rights::ALL, &layout.tables)?;
    calls::space_donate(space, tables)?;
    Ok((space, tables))
}

/// Moves over what the image grants, and the program's own frames.
fn grant(
    piece: &Piece,
    layout: &Layout,
    granted: &[Capability],
    space: Handle,
    thread: Handle,
) -> Result<Grants, Error> {
    let mut grants = Grants::new(space);
    grants.give(handle_name::SELF_FRAMES, piece.part(Rights::ALL, &layout.own)?)?;
    if !layout.granted.is_empty() {
        grants.give(handle_name::FRAMES, piece.part(Rights::ALL, &layout.granted)?)?;
    }
    for capability in granted {
        grants.give_granted(capability)?;
    }
    if granted.contains(&Capability::Cores) {
        // Who may make threads may also hand its own space and thread to those that it makes.
        grants.give(handle_name::SPACE, calls::cap_derive(space, Rights::ALL, 0, 0)?)?;
        grants.give(handle_name::THREAD, calls::cap_derive(thread, Rights::ALL, 0, 0)?)?;
    }
    Ok(grants)
}

/// What a program finds in its environment: what was ordered; else one that may start others, or that members of a fleet are, the
/// policies of the image's fleets.
fn environment(command: &Command, fleets: &[image::Policy]) -> Vec<(String, String)> {
    if let Some(ordered) = command.ordered.as_ref().filter(|ordered| !ordered.order.environment.is_empty()) {
        return ordered.order.environment.clone();
    }
    let program = command.program;
    let starts_others = command.granted().contains(&Capability::Programs);
    let is_of_a_fleet = fleets.iter().any(|policy| policy.program == program.name);
    match program.personality {
        Personality::Native if starts_others || is_of_a_fleet => {
            fleets.iter().map(|policy| (image::VARIABLE.to_string(), policy.to_words())).collect()
        }
        Personality::Native => Vec::new(),
        Personality::Linux => {
            LINUX_ENVIRONMENT.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        }
    }
}

/// The part of the start block that so many bytes need.
fn used_block(layout: &Layout, length: u64) -> Range<u64> {
    layout.block.start..layout.block.start + length.div_ceil(PAGE_SIZE as u64)
}

/// Writes the start block; answers with its length.
fn write_block(
    memory: &mut Memory,
    piece: &Piece,
    layout: &Layout,
    start: &Start,
) -> Result<u64, StartError> {
    let bytes = start.encode().map_err(|_| StartError::TooLong)?;
    let part = used_block(layout, bytes.len() as u64);
    if part.end > layout.block.end {
        return Err(StartError::TooLong);
    }
    let mapping = memory::map(memory, piece, &part, MapFlags::WRITE).during("mapping its start block")?;
    let written = mapping.write(0, &bytes).and_then(|()| mapping.clear(bytes.len()..mapping.length()));
    memory.unmap(mapping).during("unmapping its start block")?;
    written.map(|()| bytes.len() as u64).map_err(|_| StartError::TooLong)
}

/// Maps start block, stack and the segments that can be written in the program's space, each by a capability with no more rights
/// than that.
fn map_own(
    piece: &Piece,
    layout: &Layout,
    files: &Made,
    space: Handle,
    block: u64,
    mapped: &mut Vec<Handle>,
) -> Result<(), Error> {
    let mut next = layout.image.start;
    for (_, Segment { pages, flags, .. }) in files.writable() {
        let part = next..next + pages.end - pages.start;
        next = part.end;
        mapped.push(map_part(piece, &part, space, pages.start * PAGE_SIZE as u64, *flags)?);
    }
    mapped.push(map_part(piece, &used_block(layout, block), space, BLOCK_ADDRESS, MapFlags::READ)?);
    let bottom = STACK_TOP - STACK_PAGES * PAGE_SIZE as u64;
    mapped.push(map_part(piece, &layout.stack, space, bottom, MapFlags::WRITE)?);
    Ok(())
}

/// Maps a part of a piece in a space; answers with the capability that it is mapped by.
pub fn map_part(
    piece: &Piece,
    part: &Range<u64>,
    space: Handle,
    address: u64,
    flags: MapFlags,
) -> Result<Handle, Error> {
    let frames = piece.part(rights(flags), part)?;
    let pages = part.end - part.start;
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(fos_abi::limits::MAP_MAX as u64) as u32;
        let at = address + done * PAGE_SIZE as u64;
        match calls::space_map(space, frames, done as u32, count, at, flags) {
            Ok(mapped) => done += mapped,
            Err(error) => {
                give_up(&[frames]);
                return Err(error);
            }
        }
    }
    Ok(frames)
}

/// The rights that a mapping needs.
fn rights(flags: MapFlags) -> Rights {
    let write = if flags.contains(MapFlags::WRITE) { Rights::WRITE } else { Rights::READ };
    let execute = if flags.contains(MapFlags::EXECUTE) { Rights::EXECUTE } else { Rights::READ };
    Rights::READ.with(write).with(execute)
}

fn set_up(thread: Handle, entry: u64, length: u64, faults: Key, identity: u64) -> Result<(), Error> {
    let registers =
        Registers { rip: entry, rsp: STACK_TOP, rdi: BLOCK_ADDRESS, rsi: length, ..Registers::default() };
    calls::thread_write(thread, &registers)?;
    let setup =
        ThreadSetup { area: Handle::NONE.0, report: faults, cookie: identity, ..ThreadSetup::default() };
    calls::thread_setup(thread, &setup)
}

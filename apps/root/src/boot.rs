//! From the kernel's facts to running boot programs.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fos_abi::Identity;
use fos_abi::boot::root_slot;
use fos_abi::capability::Handle;
use fos_abi::limits::PAGE_SIZE;
use fos_messages::image::{Capability, DESCRIPTION_ENTRY, Image, ImageError, Program, Start};
use fos_root::archive::Archive;
use fos_root::command_line::{Runs, runs};
use fos_root::succession::Succession;
use fos_root::tickets::Book;
use libfos::BootFacts;
use libfos::boot::{archive, command_line};
use libfos::calls::cap_read;
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::Mailbox;
use libfos::memory::MemoryError;

use crate::files::Files;
use crate::keeping::Keeping;
use crate::link::{Link, TASK_PATIENCE};
use crate::memory::Frames;
use crate::program::{Number, Programs};
use crate::registry::Registry;
use crate::server::Server;
use crate::starting::Command;
use crate::talk::Talk;

/// Slots of root's mailboxes: an eighth of them for each sender.
pub const SLOTS: usize = 256;
/// Keys of each: up to six for every program, and room for those being replaced.
const KEYS: usize = 256;
/// How long a driver may take to register before the boot goes on without it.
const DRIVER_PATIENCE: Duration = Duration::from_secs(5);

/// Why root could not begin.
#[derive(Debug)]
pub enum BootError {
    /// The archive has no image description.
    NoDescription,
    /// It is no text.
    NotText,
    /// It says something that cannot be.
    Description(ImageError),
    /// The frames of the boot facts, or root's own memory.
    Memory(MemoryError),
}

impl fmt::Display for BootError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::NoDescription => {
                write!(formatter, "the boot archive has no {DESCRIPTION_ENTRY}: pass one with -initrd")
            }
            BootError::NotText => write!(formatter, "{DESCRIPTION_ENTRY} is not UTF-8"),
            BootError::Description(error) => write!(formatter, "{DESCRIPTION_ENTRY}: {error}"),
            BootError::Memory(error) => write!(formatter, "root's own memory: {error}"),
        }
    }
}

impl<E: Into<MemoryError>> From<E> for BootError {
    fn from(error: E) -> BootError {
        BootError::Memory(error.into())
    }
}

/// Reads the image and makes root's mailboxes; nothing is started yet.
pub fn begin(facts: &'static BootFacts, talk: &Talk) -> Result<Server, BootError> {
    let archive = Archive(archive(facts));
    let description = archive.find(DESCRIPTION_ENTRY).ok_or(BootError::NoDescription)?;
    let text = core::str::from_utf8(description).map_err(|_| BootError::NotText)?;
    let image = Image::parse(text).map_err(BootError::Description)?;
    let mut frames = Frames::at_boot(facts)?;
    let mut memory = frames.own_memory()?;
    let in_custody =
        image.root_memory_bytes.map_or(Ok(Vec::new()), |bytes| frames.put_aside(bytes / PAGE_SIZE as u64))?;
    let identity = Identity(cap_read(Handle::new(root_slot::SPACE, 0))?.identity);
    let requests = Mailbox::create(&mut memory, SLOTS, KEYS)?;
    let output = Mailbox::create(&mut memory, SLOTS, KEYS)?;
    let defaults = match runs(command_line(facts)) {
        Runs::Control => None,
        Runs::Default => Some((image.default.iter().cloned().collect(), None)),
    };
    Ok(Server {
        facts,
        identity,
        clock: Clock::new(facts.tsc_hz),
        talk: *talk,
        files: Files::new(archive),
        image,
        frames,
        keeping: Keeping::new(in_custody),
        memory,
        requests,
        output,
        output_taken: 0,
        programs: Programs::default(),
        registry: Registry::default(),
        ended: VecDeque::new(),
        succession: Succession::default(),
        tickets: Book::default(),
        link: Link::default(),
        booted: false,
        waiting: VecDeque::new(),
        tasks_until: Deadline::PASSED,
        ending: None,
        defaults,
    })
}

impl Server {
    /// Starts the boot programs in the image's order. A driver is waited for, so that those after it find it.
    pub fn boot(&mut self) {
        let programs = self.image.programs.clone();
        for program in programs.iter().filter(|program| program.start != Start::Request) {
            let arguments =
                [&program.name].into_iter().chain(&program.arguments).map(String::to_string).collect();
            let is_task = program.start == Start::OneShot;
            if program.start == Start::Kept {
                self.succession.add(&program.name);
            }
            match self.start(&Command { arguments, is_task, ..Command::of(program) }) {
                Ok(number) if is_driver(program) => self.wait_for_driver(number, &program.name),
                Ok(_) => {}
                Err(error) => self.talk.say(format_args!("{} does not start: {error}", program.name)),
            }
        }
        self.booted = true;
        self.tasks_until = self.clock.after(TASK_PATIENCE);
    }

    fn wait_for_driver(&mut self, number: Number, name: &str) {
        let deadline = self.clock.after(DRIVER_PATIENCE);
        while !self.registry.has_names_of(number) {
            if self.programs.get(number).is_none() {
                return self.talk.say(format_args!("{name} ended before it registered; going on without it"));
            }
            if deadline.has_passed() {
                return self.talk.say(format_args!("{name} has not registered in 5 s; going on without it"));
            }
            self.step(deadline);
        }
    }
}

/// Drivers own an interrupt, and register what they offer.
fn is_driver(program: &Program) -> bool {
    program.capabilities.iter().any(|capability| matches!(capability, Capability::Interrupt(_)))
}

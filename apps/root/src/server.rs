//! Root's loop. Two mailboxes: `requests` takes questions of programs, bytes of the control link, faults and ends;
//! `output` takes what programs that the host runs write. Output is left in its mailbox while the link is full, so
//! that the writer waits and not root; requests are always taken.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use fos_abi::exit::ORDERLY;
use fos_abi::{Error, Identity};
use fos_messages::control::RequestId;
use fos_messages::founder::FOUNDER;
use fos_messages::image::Image;
use fos_messages::programs::{self, ProgramsInterface};
use fos_messages::start::{FromRoot, KeyBytes, ToRoot, key_name};
use fos_messages::tickets::{self, TicketsInterface};
use fos_root::succession::Succession;
use fos_root::tickets::Book;
use libfos::BootFacts;
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::{Event, Mailbox, Message, Sender, select};
use libfos::memory::Memory;

use crate::files::Files;
use crate::keeping::Keeping;
use crate::link::{CONTROL, Link};
use crate::memory::Frames;
use crate::program::{Number, Programs, Purpose, read_badge};
use crate::registry::Registry;
use crate::serving::{Asker, Call, Ended};
use crate::talk::Talk;

/// Messages of one kind that are taken in one step, so that a program that never stops sending delays others a little
/// and stops nobody.
const MESSAGES_PER_STEP: usize = 64;

/// Everything that root knows.
#[derive(Debug)]
pub struct Server {
    /// What the kernel said at boot.
    pub facts: &'static BootFacts,
    /// Root's own process.
    pub identity: Identity,
    /// Time.
    pub clock: Clock,
    /// What to say to people.
    pub talk: Talk,
    /// What was started of the boot archive.
    pub files: Files,
    /// The image description.
    pub image: Image,
    /// The machine's frames.
    pub frames: Frames,
    /// The frames that are not root's to start programs in.
    pub keeping: Keeping,
    /// Root's own addresses and frames.
    pub memory: Memory,
    /// Questions, faults, ends.
    pub requests: Mailbox,
    /// What programs write.
    pub output: Mailbox,
    /// Messages taken from `output` since the boot.
    pub output_taken: u64,
    /// Who runs.
    pub programs: Programs,
    /// Who can be found.
    pub registry: Registry,
    /// Programs that ended before their starter asked.
    pub ended: VecDeque<Ended>,
    /// Programs that are started again.
    pub succession: Succession,
    /// Starts under tickets.
    pub tickets: Book<Asker>,
    /// The way to the host.
    pub link: Link,
    /// Whether all boot programs were started.
    pub booted: bool,
    /// Commands of the host that wait for the boot's tasks, and how long at most.
    pub waiting: VecDeque<(RequestId, Vec<String>)>,
    /// See [`Server::waiting`].
    pub tasks_until: Deadline,
    /// Set when the machine is to end: with which status, and when at the latest.
    pub ending: Option<(u8, Deadline)>,
    /// The image's default commands that are still to run, if root runs them, and the one that does.
    pub defaults: Option<(VecDeque<Vec<String>>, Option<Number>)>,
}

/// A message, taken out of its mailbox.
enum Request {
    Asked(Number, Identity, ToRoot),
    Called(Number, Call<programs::Request>),
    Ticketed(Call<tickets::Request>),
    Kept(Identity, Vec<u8>),
    Malformed(Number),
    Ended(Number, Option<fos_abi::mailbox::EndReason>, u64),
    Faulted(fos_abi::thread::FaultReport),
    Nothing,
}

fn read(message: &Message<'_>) -> Request {
    let (number, purpose) = read_badge(message.badge());
    match message.event() {
        Event::Data(bytes) if purpose == Purpose::Root => match ToRoot::decode(bytes) {
            Ok(asked) => Request::Asked(number, message.sender(), asked),
            Err(_) => Request::Malformed(number),
        },
        Event::Data(bytes) if purpose == Purpose::Programs => {
            match Call::of::<ProgramsInterface>(bytes, programs::Request::read) {
                Some(call) => Request::Called(number, call),
                None => Request::Malformed(number),
            }
        }
        Event::Data(bytes) if purpose == Purpose::Tickets => {
            match Call::of::<TicketsInterface>(bytes, tickets::Request::read) {
                Some(call) => Request::Ticketed(call),
                None => Request::Malformed(number),
            }
        }
        Event::Data(bytes) if purpose == Purpose::Custody => Request::Kept(message.sender(), bytes.to_vec()),
        Event::Ended { reason, status } => Request::Ended(number, reason, status),
        Event::Fault(report) => Request::Faulted(report),
        // Data on the key for faults, and what the kernel does not send here.
        Event::Data(_) | Event::Interrupt { .. } | Event::Unknown => Request::Nothing,
    }
}

impl Server {
    /// Boots the image, then serves for ever.
    pub fn run(&mut self) -> ! {
        self.boot();
        self.act();
        loop {
            self.step(Deadline::NEVER);
        }
    }

    /// Sleeps until there is something to do or the deadline passes, then does it.
    pub fn step(&mut self, deadline: Deadline) {
        self.sleep(deadline.min(self.next_look()));
        self.act();
    }

    /// Does some of what there is to do.
    fn act(&mut self) {
        self.take_requests();
        let all_taken = self.take_output();
        self.tell_ends(all_taken);
        self.start_successors();
        self.tell_ready();
        self.run_waiting();
        self.flush_link();
        self.power_off_now();
    }

    fn sleep(&mut self, deadline: Deadline) {
        if self.requests.has_message() {
            return;
        }
        // Output that there is no room for must not wake root again and again.
        let waited = if self.link.outbox.has_room() {
            if self.output.has_message() {
                return;
            }
            select(&[&self.requests, &self.output], deadline)
        } else {
            select(&[&self.requests], deadline)
        };
        if let Err(error) = waited
            && !matches!(error, Error::TimedOut | Error::Interrupted)
        {
            self.talk.say(format_args!("waiting was refused: {error:?}"));
        }
    }

    fn take_requests(&mut self) {
        for _ in 0..MESSAGES_PER_STEP {
            let Some(request) = self.requests.take().map(|message| read(&message)) else { return };
            match request {
                Request::Asked(number, sender, asked) => self.asked(number, sender, asked),
                Request::Called(number, call) => self.called(number, call),
                Request::Ticketed(call) => self.ticketed(call),
                Request::Kept(member, bytes) => self.keeping.asked(member, &bytes),
                Request::Malformed(number) => self.name_malformed(number),
                Request::Ended(number, reason, status) => self.thread_ended(number, reason, status),
                Request::Faulted(report) => self.thread_faulted(&report),
                Request::Nothing => {}
            }
        }
    }

    /// Takes some output, while there is room for it. Whether nothing is left.
    fn take_output(&mut self) -> bool {
        for _ in 0..MESSAGES_PER_STEP {
            if self.has_reader() && !self.link.outbox.has_room() {
                return false;
            }
            let taken = self.output.take().map(|message| (message.badge(), message.bytes().to_vec()));
            let Some((badge, bytes)) = taken else { return true };
            self.output_taken += 1;
            let (number, purpose) = read_badge(badge);
            self.deliver(number, purpose, bytes);
            self.flush_link();
        }
        !self.output.has_message()
    }

    /// Whether anything takes what waits for the host.
    fn has_reader(&self) -> bool {
        self.registry.key(CONTROL).is_some()
    }

    fn name_malformed(&mut self, number: Number) {
        if let Some(program) = self.programs.get(number) {
            self.talk.say(format_args!("{} sent something that is no question", program.name));
        }
    }

    fn asked(&mut self, number: Number, sender: Identity, asked: ToRoot) {
        match asked {
            ToRoot::Register { name, key } => self.register(number, &name, key),
            ToRoot::Lookup { request, name, answer } => {
                let answer_to = Sender::new(answer.into());
                let found = match self.registry.lookup(&name).filter(|_| self.may_find(number, &name)) {
                    Some((key, owner)) => FromRoot::Found { request, key, identity: self.identity_of(owner) },
                    None => FromRoot::Unknown { request },
                };
                let Ok(bytes) = found.encode() else { return };
                // Who asks sees to it that the answer has room; who does not asks again.
                let _ = answer_to.send(&bytes);
            }
            ToRoot::Wire { bytes } if self.identity_of(number) == sender.0 => self.wire(number, &bytes),
            ToRoot::Read { answer } if self.identity_of(number) == sender.0 => {
                self.read(number, answer.into())
            }
            ToRoot::Keep { name, bytes } if self.identity_of(number) == sender.0 => {
                self.keep(number, name, bytes)
            }
            // Somebody else has its key.
            ToRoot::Wire { .. } | ToRoot::Read { .. } | ToRoot::Keep { .. } => {}
        }
    }

    /// Whether the image lets a program find this name. Who founded the fleets tells their keys to whoever finds him.
    fn may_find(&self, number: Number, name: &str) -> bool {
        name != FOUNDER || self.programs.get(number).is_some_and(|program| program.may_know_fleets)
    }

    fn identity_of(&self, number: Number) -> u64 {
        self.programs.get(number).map_or(0, |program| program.identity)
    }

    fn register(&mut self, number: Number, name: &str, key: KeyBytes) {
        let Some(program) = self.programs.get(number) else { return };
        // The first two names are roles that root itself relies on, the third one that those rely on who know all fleets.
        let entitled = match name {
            CONTROL => program.is_control,
            FOUNDER => program.may_found,
            key_name::CONSOLE => program.run.is_none(),
            _ => true,
        };
        let refused = if entitled { self.registry.register(number, name, key).err() } else { None };
        if !entitled || refused.is_some() {
            let reason = refused.map_or("the image does not give it that role", |refusal| refusal.sentence());
            self.talk.say(format_args!("{} may not be called {name:?}: {reason}", program.name));
        } else if name == key_name::CONSOLE {
            self.talk.use_console(Some(key.into()));
        }
    }

    /// Starts the next of the default commands, if root runs them and none does now; ends the machine after the
    /// last.
    pub fn next_default(&mut self) {
        let Some((commands, running)) = &mut self.defaults else { return };
        if running.is_some() {
            return;
        }
        let Some(command) = commands.pop_front() else {
            self.defaults = None;
            return self.power_off(ORDERLY);
        };
        match self.start_command(command, None) {
            Ok(number) => {
                if let Some((_, running)) = &mut self.defaults {
                    *running = Some(number);
                }
            }
            Err(reason) => self.talk.say(format_args!("{reason}")),
        }
    }

    /// A program ended: perhaps the default command that ran.
    pub fn default_ended(&mut self, number: Number) {
        if let Some((_, running)) = &mut self.defaults
            && *running == Some(number)
        {
            *running = None;
        }
    }
}

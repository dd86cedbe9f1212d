//! The control link: commands of the host, and what is told to it. Frames of `fos_messages::control` come as pieces of
//! bytes from the link's driver, and go to it the same way when it has room.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Error;
use fos_abi::boot::root_slot;
use fos_abi::capability::Handle;
use fos_messages::control::{
    OUTPUT_BYTES_MAX, PROTOCOL_VERSION, RequestId, STREAM_ERROR, STREAM_OUTPUT, ToGuest, ToHost,
};
use fos_messages::frame::{Decoder, encode};
use fos_root::outbox::Outbox;
use fos_root::signal;
use libfos::calls;
use libfos::clock::{Deadline, sleep_until};
use libfos::mailbox::{MESSAGE_MAX, Sender};

use crate::program::{Number, Purpose};
use crate::server::Server;
use crate::starting::Command;

/// Name under which the link's driver registers.
pub const CONTROL: &str = "control";
/// Commands that may wait for the boot's tasks.
const WAITING_MAX: usize = 64;
/// How long to wait before the driver is tried again when it was full.
pub const RETRY: Duration = Duration::from_micros(200);
/// How long the boot's tasks, programs that do something and end, may hold up commands and the machine's end.
pub const TASK_PATIENCE: Duration = Duration::from_secs(5);
/// How long the console's driver gets to write what it still has, before the machine ends.
const LAST_WORDS: Duration = Duration::from_millis(20);

const _: () = assert!(MESSAGE_MAX <= OUTPUT_BYTES_MAX);

/// The link's state.
#[derive(Debug, Default)]
pub struct Link {
    decoder: Decoder<ToGuest>,
    /// What waits for the driver.
    pub outbox: Outbox,
    /// Whether the host was told that commands are taken.
    ready: bool,
}

impl Server {
    /// Sends the host a message, as soon as the driver takes it.
    pub fn tell_host(&mut self, message: &ToHost) {
        match encode(message) {
            Ok(_) if self.link.outbox.is_overfull() => {
                self.talk.say(format_args!("the host does not read: a message to it is lost"));
            }
            Ok(frame) => self.link.outbox.push(&frame),
            Err(error) => self.talk.say(format_args!("a message to the host is lost: {error}")),
        }
    }

    /// Tells the host, once, that the boot programs run.
    pub fn tell_ready(&mut self) {
        if self.booted && !self.link.ready && self.registry.key(CONTROL).is_some() {
            self.link.ready = true;
            let cores = self.facts.cores as u16;
            let image = self.image.name.clone();
            self.tell_host(&ToHost::Ready { protocol: PROTOCOL_VERSION, cores, image });
        }
    }

    /// Hands the driver what it takes.
    pub fn flush_link(&mut self) {
        let Some(driver) = self.registry.key(CONTROL).map(Sender::new) else { return };
        let mut refused = None;
        self.link.outbox.drain(MESSAGE_MAX, |piece| match driver.send(piece) {
            Ok(_) => true,
            Err(error) => {
                refused = Some(error);
                false
            }
        });
        if let Some(error) = refused.filter(|error| *error != Error::Full) {
            self.talk.say(format_args!("the control link's driver takes nothing more: {error:?}"));
            self.registry.forget_name(CONTROL);
        }
    }

    /// Bytes of the wire. Only the program that the image made the link's driver is believed.
    pub fn wire(&mut self, from: Number, bytes: &[u8]) {
        if !self.programs.get(from).is_some_and(|program| program.is_control) {
            return;
        }
        let messages: Vec<_> = self.link.decoder.push_all(bytes).collect();
        for message in messages {
            match message {
                Ok(message) => self.command(message),
                Err(error) => self.talk.say(format_args!("a command of the host is lost: {error}")),
            }
        }
    }

    fn command(&mut self, command: ToGuest) {
        match command {
            ToGuest::Run { id, .. } if self.waiting.len() >= WAITING_MAX => {
                let reason = format!("{WAITING_MAX} commands wait already: let some end first");
                self.tell_host(&ToHost::Failed { id, reason });
            }
            ToGuest::Run { id, command } => self.waiting.push_back((id, command)),
            ToGuest::Query { id, what } => {
                let rows = self.answer(what);
                self.tell_host(&ToHost::State { id, rows });
            }
            ToGuest::Kill { id } => {
                self.kill(id);
            }
            ToGuest::PowerOff { status } => self.power_off(status),
            ToGuest::Input { id, bytes } => self.input(id, bytes),
        }
    }

    fn kill(&mut self, id: RequestId) {
        let status = signal::status(signal::KILLED);
        if let Some(number) = self.programs.find(|program| program.run == Some(id)) {
            self.stop_and_end(number, status);
        } else if let Some(index) = self.waiting.iter().position(|(waiting, _)| *waiting == id) {
            self.waiting.remove(index);
            self.tell_host(&ToHost::Exited { id, status: i32::from(status) });
        }
    }

    /// Whether programs that the boot started to do something are still at it, and have time left. Commands wait for
    /// them, so that what they say comes first.
    fn tasks_go_on(&self, deadline: Deadline) -> bool {
        self.programs.iter().any(|program| program.is_task) && !deadline.has_passed()
    }

    /// Starts the commands that came, or the next of the image's own, once the boot's tasks are through.
    pub fn run_waiting(&mut self) {
        if !self.booted || self.tasks_go_on(self.tasks_until) {
            return;
        }
        while let Some((id, command)) = self.waiting.pop_front() {
            self.run_command(id, command);
        }
        self.next_default();
    }

    fn run_command(&mut self, id: RequestId, arguments: Vec<String>) {
        match self.start_command(arguments, Some(id)) {
            Ok(_) => self.tell_host(&ToHost::Started { id }),
            Err(reason) => self.tell_host(&ToHost::Failed { id, reason }),
        }
    }

    /// Starts a program of the image by a command line; the reason why not is a sentence for people.
    pub fn start_command(
        &mut self,
        arguments: Vec<String>,
        run: Option<RequestId>,
    ) -> Result<Number, String> {
        let name = arguments.first().ok_or("the command is empty")?;
        let program = self.image.program(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.image.programs.iter().map(|program| program.name.as_str()).collect();
            format!("image {:?} has no program {name:?}; it has {}", self.image.name, known.join(", "))
        })?;
        let core = program.core;
        let command = Command { arguments, run, core, ..Command::of(&program) };
        self.start(&command).map_err(|error| error.to_string())
    }

    /// What a program wrote, on its way to the host.
    pub fn deliver(&mut self, number: Number, purpose: Purpose, bytes: Vec<u8>) {
        let stream = match purpose {
            Purpose::Output => STREAM_OUTPUT,
            Purpose::Error => STREAM_ERROR,
            Purpose::Root | Purpose::Faults | Purpose::Programs | Purpose::Custody | Purpose::Tickets => {
                return;
            }
        };
        if let Some(id) = self.programs.get(number).and_then(|program| program.run) {
            self.tell_host(&ToHost::Output { id, stream, bytes });
        }
    }

    /// Ends the machine as soon as the boot's own tasks have ended, or did not in time.
    pub fn power_off(&mut self, status: u8) {
        self.ending = Some((status, self.clock.after(TASK_PATIENCE)));
    }

    /// Ends the machine if that was asked for and nothing is waited for.
    pub fn power_off_now(&mut self) {
        let Some((status, deadline)) = self.ending else { return };
        if self.tasks_go_on(deadline) {
            return;
        }
        sleep_until(self.clock.after(LAST_WORDS));
        if let Err(error) = calls::machine_off(Handle::new(root_slot::MACHINE, 0), status) {
            self.talk.say(format_args!("the machine does not end: {error:?}"));
            self.ending = None;
        }
    }

    /// When to look again although no message came: at the link's driver if something waits for it, at the end of the
    /// machine.
    pub fn next_look(&self) -> Deadline {
        let waiting = !self.link.outbox.is_empty() && self.registry.key(CONTROL).is_some();
        let retry = if waiting { self.clock.after(RETRY) } else { Deadline::NEVER };
        let commands_wait = !self.waiting.is_empty() || self.defaults.is_some();
        let start =
            if commands_wait && !self.tasks_until.has_passed() { self.tasks_until } else { Deadline::NEVER };
        let end = self.ending.map_or(Deadline::NEVER, |(_, deadline)| deadline);
        retry.min(start).min(end).min(self.next_successor())
    }
}

//! Programs that come after others of the same name. Which, when, and with what is in [`fos_root::succession`].

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use fos_root::succession::After;
use libfos::clock::Deadline;

use crate::program::{Number, Program};
use crate::server::Server;
use crate::starting::Command;

impl Server {
    /// Whether another is started when this one has ended: it is one of the boot's, or came after one.
    pub fn is_succeeded(&self, program: &Program) -> bool {
        let is_own = program.run.is_none() && program.starter.is_none() && program.ticket.is_none();
        is_own && self.succession.has(&program.name)
    }

    /// What those before it left.
    pub fn kept_for(&self, command: &Command) -> &[(String, Vec<u8>)] {
        let is_own = command.run.is_none() && command.starter.is_none() && command.ordered.is_none();
        if is_own { self.succession.kept(&command.program.name) } else { &[] }
    }

    /// A program leaves something to who comes next.
    pub fn keep(&mut self, number: Number, name: String, bytes: Vec<u8>) {
        let Some(program) = self.programs.get(number).filter(|program| self.is_succeeded(program)) else {
            return;
        };
        let said = (program.name.clone(), name.clone());
        if let Err(reason) = self.succession.keep(&said.0, name, bytes) {
            let ((program, name), reason) = (said, reason.sentence());
            self.talk.say(format_args!("what {program} wants kept as {name:?} is not: {reason}"));
        }
    }

    /// A program has ended and was taken off the list.
    pub fn make_good(&mut self, program: &Program) {
        if self.is_succeeded(program) && self.ending.is_none() {
            self.succeed(&program.name);
        }
    }

    fn succeed(&mut self, name: &str) {
        if self.succession.ended(name, self.now()) == After::GivenUp {
            self.talk.say(format_args!("{name} has ended too often, and is not started again"));
        }
    }

    fn now(&self) -> u64 {
        self.clock.nanoseconds(self.clock.after(Duration::ZERO).0)
    }

    /// When the next successor is due.
    pub fn next_successor(&self) -> Deadline {
        self.succession.next_due().map_or(Deadline::NEVER, |due| self.clock.deadline_at(due))
    }

    /// Starts those that are due.
    pub fn start_successors(&mut self) {
        if self.succession.next_due().is_none() {
            return;
        }
        let now = self.now();
        while let Some(name) = self.succession.take_due(now) {
            let Some(program) = self.image.program(&name).cloned() else { continue };
            let arguments = [&program.name].into_iter().chain(&program.arguments).cloned().collect();
            match self.start(&Command { arguments, ..Command::of(&program) }) {
                Ok(number) => self.talk.say(format_args!("{name} is started again, as program {}", number.0)),
                Err(error) => {
                    self.talk.say(format_args!("{name} is not started again: {error}"));
                    self.succeed(&name);
                }
            }
        }
    }
}

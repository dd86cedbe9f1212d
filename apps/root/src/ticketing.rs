//! What members of the fleet `processes` ask of root by `fos_messages::tickets`. What is known of each ticket is in
//! [`fos_root::tickets`]; here it comes true. Root waits for nobody: an end that is not there yet is answered when it comes.

use alloc::vec::Vec;

use fos_messages::processes::{Ended, Exit, ProcessError, SpawnOrder};
use fos_messages::rpc::{Status, wire};
use fos_messages::tickets::{Counts, Deed, Request};
use fos_root::signal;
use fos_root::tickets::{Outlived, already};
use libfos::calls;

use crate::program::{Number, Program};
use crate::server::Server;
use crate::serving::{Asker, Call};
use crate::starting::{Command, Ordered, StartError};

impl Server {
    /// Does what a member asks.
    pub fn ticketed(&mut self, call: Call<Request>) {
        let asker = call.asker;
        match call.request {
            Err(status) => asker.answer(status, ()),
            Ok(Request::Prepare(ticket, at, part)) => {
                self.tickets.prepare(ticket, at, &part);
                asker.answer(Status::Done, ());
            }
            Ok(Request::Start(ticket, core, at, rest)) => {
                self.start_ticket(asker, (ticket, core), (at, rest))
            }
            Ok(Request::Act(ticket, deed, by)) => {
                self.act_on(ticket, deed, by);
                asker.answer(Status::Done, ());
            }
            Ok(Request::Outlive(ticket)) => match self.tickets.outlive(ticket, asker) {
                Outlived::Ended(asker, ended) => tell(asker, &ended),
                Outlived::Unknown(asker) => refuse(asker, ProcessError::NoSuchProcess),
                Outlived::Waits(Some(earlier)) => earlier.answer(Status::NotNow, ()),
                Outlived::Waits(None) => {}
            },
            Ok(Request::Forget(ticket)) => {
                self.tickets.forget(ticket);
                asker.answer(Status::Done, ());
            }
            Ok(Request::Counts) => asker.answer(Status::Done, self.counts()),
            Ok(Request::Known(above)) => {
                let program = |ticket| {
                    let program = self.programs.get(self.of_ticket(ticket)?)?;
                    Some((program.core, program.name.clone()))
                };
                let survey = self.tickets.survey(above, program);
                asker.answer_with(Status::Done, |bytes| wire::write(&survey, bytes));
            }
        }
    }

    fn start_ticket(&mut self, asker: Asker, (ticket, core): (u64, u16), (at, rest): (u32, Vec<u8>)) {
        let Some(bytes) = self.tickets.whole(ticket, at, rest) else {
            return asker.answer(Status::NotNow, ());
        };
        let outcome = match already(self.tickets.known(ticket)) {
            Some(outcome) => outcome,
            None => self.start_order(ticket, core, &bytes),
        };
        match outcome {
            Ok(identity) => asker.answer(Status::Done, identity),
            Err(error) => refuse(asker, error),
        }
    }

    fn start_order(&mut self, ticket: u64, core: u16, bytes: &[u8]) -> Result<u64, ProcessError> {
        let order: SpawnOrder = postcard::from_bytes(bytes).map_err(|_| ProcessError::TooLong)?;
        let program = self.image.program(&order.program).cloned().ok_or(ProcessError::NoProgram)?;
        if program.is_trusted() && !order.is_trusted && !order.is_confined {
            return Err(ProcessError::NotEntitled);
        }
        let arguments = [&order.program].into_iter().chain(&order.arguments).cloned().collect();
        let ordered = Some(Ordered { ticket, order: &order });
        let command = Command { arguments, core, ordered, ..Command::of(&program) };
        let number = self.start(&command).map_err(|error| refusal(&error))?;
        let started = self.programs.get(number).ok_or(ProcessError::NotStarted)?;
        self.tickets.started(ticket, started.identity);
        Ok(started.identity)
    }

    fn of_ticket(&self, ticket: u64) -> Option<Number> {
        self.programs.find(|program| program.ticket == Some(ticket) && program.status.is_none())
    }

    fn act_on(&mut self, ticket: u64, deed: Deed, by: u8) {
        let Some(number) = self.of_ticket(ticket) else { return };
        let Some(thread) = self.programs.get(number).map(|program| program.thread) else { return };
        match deed {
            Deed::End => self.end(number, signal::status(by)),
            // Refused when it stands, or runs, already.
            Deed::Stop => _ = calls::thread_stop(thread),
            Deed::Resume => _ = calls::thread_resume(thread),
        }
    }

    /// A program has ended: whoever waits for its ticket hears of it now, or when it asks.
    pub fn tell_ticket(&mut self, program: &Program, status: u8) {
        let Some(ticket) = program.ticket else { return };
        let ended = Ended { exit: Exit::Status(status), usage: program.usage };
        if let Some(asker) = self.tickets.ended(ticket, ended) {
            tell(asker, &ended);
        }
    }

    fn counts(&self) -> Counts {
        let (tickets, prepared) = self.tickets.counts();
        let cores = (0..u64::from(self.facts.cores)).filter_map(|core| calls::core_read(core).ok());
        let (threads, spaces) =
            cores.fold((0, 0), |(threads, spaces), core| (threads + core.threads, spaces + core.spaces));
        Counts {
            programs: self.programs.count() as u32,
            tickets: tickets as u32,
            prepared: prepared as u32,
            keys: self.programs.iter().map(|program| program.keys.len() as u32).sum(),
            names: self.registry.count() as u32,
            frames_free: self.count_frames().1,
            own_free: self.memory.frames.free_frames(),
            threads,
            spaces,
        }
    }
}

fn tell(asker: Asker, ended: &Ended) {
    asker.answer_with(Status::Done, |bytes| wire::write(ended, bytes));
}

fn refuse(asker: Asker, error: ProcessError) {
    asker.answer(Status::Refused, error);
}

fn refusal(error: &StartError) -> ProcessError {
    match error {
        StartError::NoFile(_) => ProcessError::NoProgram,
        StartError::TooMany => ProcessError::TooMany,
        StartError::OutOfMemory { .. } => ProcessError::NoMemory,
        StartError::TooLong => ProcessError::TooLong,
        StartError::Load(..) | StartError::Together(_) | StartError::Step(..) => ProcessError::NotStarted,
    }
}

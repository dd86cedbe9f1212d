//! What programs ask of root by `fos_messages::programs`: to start others and to tell of their ends. The key that such
//! requests come by is given to programs with the capability `programs` alone; its badge says who asks.

use alloc::vec::Vec;

use fos_messages::programs::{Order, Refusal, Request, Started};
use fos_messages::rpc::wire::{Scalar, Unwritable};
use fos_messages::rpc::{Address, Envelope, Interface, Kind, Outgoing, Received, Status};
use fos_root::signal;
use libfos::mailbox::Sender;

use crate::program::{Number, PROGRAMS_MAX, Program};
use crate::server::Server;
use crate::starting::{Command, StartError};

/// A request of an interface, as it was read.
pub struct Call<R> {
    /// Who asks.
    pub asker: Asker,
    /// What; or why it is none.
    pub request: Result<R, Status>,
}

/// Where the answer to a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    envelope: Envelope,
    reply: Address,
}

/// How a program ended that nobody has asked about yet.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    starter: Number,
    number: Number,
    status: u8,
}

impl<R> Call<R> {
    /// Reads a message; `None` for anything but a request that can be answered.
    pub fn of<I: Interface>(
        bytes: &[u8],
        read: impl FnOnce(u16, &[u8]) -> Option<Option<R>>,
    ) -> Option<Call<R>> {
        let Received { envelope, body, reply } = Envelope::read(bytes)?;
        let reply = Address::from_bytes(reply.filter(|_| envelope.kind == Kind::Request)?);
        let request = if envelope.interface != I::ID {
            Err(Status::Unknown)
        } else if envelope.version != I::VERSION {
            Err(Status::OtherVersion)
        } else {
            let read = read(envelope.operation, body);
            read.map_or(Err(Status::Unknown), |request| request.ok_or(Status::Malformed))
        };
        let envelope = Envelope { version: I::VERSION, ..envelope };
        Some(Call { asker: Asker { envelope, reply }, request })
    }
}

impl Asker {
    /// Sends the answer. Who asks has set room aside for it; who has not, goes without.
    pub fn answer(&self, status: Status, body: impl Scalar) {
        self.answer_with(status, |bytes| {
            body.write(bytes);
            Ok(())
        });
    }

    /// The same with a body that is written so.
    pub fn answer_with(&self, status: Status, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) {
        let mut answer = Outgoing::default();
        let status = write(answer.end()).map_or(Status::Unsendable, |()| status);
        let envelope = Envelope { kind: Kind::Answer, status, ..self.envelope };
        let _ = Sender::new(self.reply.key).send(answer.sealed(envelope.to_bytes()));
    }

    /// Sends what it came to.
    pub fn conclude(&self, outcome: Result<impl Scalar, impl Scalar>) {
        match outcome {
            Ok(value) => self.answer(Status::Done, value),
            Err(refusal) => self.answer(Status::Refused, refusal),
        }
    }
}

impl Server {
    /// Does what a program asks.
    pub fn called(&mut self, starter: Number, call: Call<Request>) {
        let asker = call.asker;
        match call.request {
            Err(status) => asker.answer(status, ()),
            Ok(Request::Start(order)) => asker.conclude(self.start_for(starter, order)),
            Ok(Request::End(number)) => self.await_end(starter, Number(number), asker),
            Ok(Request::Stop(number)) => asker.conclude(self.stop(starter, Number(number))),
            Ok(Request::Fence(identity)) => asker.conclude(self.fence(starter, identity)),
        }
    }

    fn start_for(&mut self, starter: Number, order: Order) -> Result<Started, Refusal> {
        let program = self.image.program(&order.program).cloned().ok_or(Refusal::NoProgram)?;
        let arguments = [order.program].into_iter().chain(order.arguments).collect();
        let (starter, core) = (Some(starter), order.core);
        let command = Command { arguments, starter, core, ..Command::of(&program) };
        let number = self.start(&command).map_err(|error| {
            self.talk.say(format_args!("{} does not start: {error}", program.name));
            refusal(&error)
        })?;
        let started = self.programs.get(number).ok_or(Refusal::NotStarted)?;
        Ok(Started { number: number.0, identity: started.identity, core: started.core })
    }

    /// Whether this one was started by that one, and has not been told of yet.
    fn is_of(&self, starter: Number, number: Number) -> bool {
        self.programs.get(number).is_some_and(|program| program.starter == Some(starter))
    }

    fn await_end(&mut self, starter: Number, number: Number, asker: Asker) {
        let is_it = |ended: &Ended| ended.starter == starter && ended.number == number;
        if let Some(ended) = self.ended.iter().find(|ended| is_it(ended)) {
            asker.answer(Status::Done, ended.status);
        } else if !self.is_of(starter, number) {
            asker.answer(Status::Refused, Refusal::NotYours);
        } else if let Some(program) = self.programs.get_mut(number)
            && let Some(earlier) = program.waiter.replace(asker)
        {
            earlier.answer(Status::NotNow, ());
        }
    }

    fn stop(&mut self, starter: Number, number: Number) -> Result<(), Refusal> {
        let has_ended = self.ended.iter().any(|ended| ended.starter == starter && ended.number == number);
        if self.is_of(starter, number) {
            self.stop_and_end(number, signal::status(signal::KILLED));
        } else if !has_ended {
            return Err(Refusal::NotYours);
        }
        Ok(())
    }

    /// Ends a program that another started: it is stopped, and what it was built in taken back, here and now, which every core
    /// has acknowledged when that returns. Of two that would fence each other the first to ask is heard: the other has ended then.
    fn fence(&mut self, asker: Number, identity: u64) -> Result<(), Refusal> {
        let may = |program: &Program| program.may_fence && program.status.is_none();
        if !self.programs.get(asker).is_some_and(may) {
            return Err(Refusal::NotEntitled);
        }
        // One that is not there has ended, which is what is wanted.
        let Some(number) = self.programs.find(|program| program.identity == identity) else { return Ok(()) };
        let is_found = |program: &Program| program.starter.is_some() || self.is_succeeded(program);
        if !self.programs.get(number).is_some_and(is_found) {
            return Err(Refusal::NotYours);
        }
        self.stop_and_end(number, signal::status(signal::KILLED));
        Ok(())
    }

    /// A program has ended: whoever started it hears of it now, or when it asks.
    pub fn tell_starter(&mut self, program: &Program, status: u8) {
        let Some(starter) = program.starter else { return };
        if let Some(asker) = program.waiter {
            asker.answer(Status::Done, status);
        }
        if self.ended.len() >= PROGRAMS_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { starter, number: program.number, status });
    }
}

fn refusal(error: &StartError) -> Refusal {
    match error {
        StartError::TooMany => Refusal::TooMany,
        StartError::OutOfMemory { .. } => Refusal::NoMemory,
        _ => Refusal::NotStarted,
    }
}

//! What messages promise, on the machine: over mailboxes alone, through ports without links, over links, and with the way
//! changed at every message. Both sides are in one thread, so nothing depends on who is faster.

use alloc::string::String;

use fos_abi::capability::Handle;
use fos_abi::key::KeyRights;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_abi::{Error, Identity, Key};
use fos_messages::rpc::SendError;
use fos_runtime::port::{self, Class, LENT_MAX, Port};
use fos_runtime::promises::{Came, PROMISES, Side, Way};
use libfos::mailbox::{Event, Mailbox, Sender};
use libfos::memory::Memory;
use libfos::port::KernelPort;
use libfos::port::thresholds::Thresholds;
use libfos::{Start, calls};

use crate::{Outcome, line};

const EAGER: Thresholds = Thresholds { sends: 1, patience: 1, ..Thresholds::MACHINE };
const NEVER: Thresholds = Thresholds { sends: u32::MAX, ..Thresholds::MACHINE };
/// Messages within which a link is there.
const LINK_WITHIN: usize = 20;

/// Checks every promise, of every way. The last ends the second side, so one pair of each does for all.
pub fn are_kept(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let mut mailboxes = Mailboxes::new(&mut memory, start)?;
    check("mailboxes", &mut mailboxes)?;
    mailboxes.end()?;
    for (name, thresholds, changes) in
        [("ports", NEVER, false), ("links", EAGER, false), ("changing ways", EAGER, true)]
    {
        let mut ports = Ports::new(&mut memory, start, thresholds, changes)?;
        if name == "links" {
            ports.begin_links()?;
        }
        check(name, &mut ports)?;
        ports.end()?;
    }
    Ok(())
}

fn check(name: &str, way: &mut dyn Way) -> Outcome {
    for (promise, check) in PROMISES {
        check(way).map_err(|reason| alloc::format!("{name}: {promise}: {reason}"))?;
    }
    Ok(())
}

fn refusal(error: Error) -> SendError {
    match error {
        Error::Full => SendError::Full,
        Error::TooLong => SendError::TooLong,
        _ => SendError::Closed,
    }
}

/// Two mailboxes, and keys to them.
struct Mailboxes<'a> {
    memory: &'a mut Memory,
    mailboxes: [Option<Mailbox>; 2],
    keys: [Key; 2],
    watch: Handle,
    identity: Identity,
}

impl<'a> Mailboxes<'a> {
    fn new(memory: &'a mut Memory, start: &Start) -> Result<Mailboxes<'a>, String> {
        let rights = KeyRights::SEND.with(KeyRights::WATCH);
        let first = Mailbox::create(memory, 64, 16).map_err(line)?;
        let second = Mailbox::create(memory, 128, 16).map_err(line)?;
        let keys = [first.key(rights, 0).map_err(line)?, second.key(rights, 0).map_err(line)?];
        let watch = calls::watch_mailbox(&keys[1], first.handle(), 1).map_err(line)?;
        let (mailboxes, identity) = ([Some(first), Some(second)], Identity(start.identity));
        Ok(Mailboxes { memory, mailboxes, keys, watch, identity })
    }

    fn end(self) -> Outcome {
        calls::cap_delete(self.watch).map_err(line)?;
        self.mailboxes
            .into_iter()
            .flatten()
            .try_for_each(|mailbox| mailbox.destroy(self.memory))
            .map_err(line)
    }
}

impl Way for Mailboxes<'_> {
    fn send(&mut self, from: Side, message: &[u8]) -> Result<(), SendError> {
        Sender::new(self.keys[from.other() as usize]).send(message).map(|_| ()).map_err(refusal)
    }
    fn send_guessing(&mut self, message: &[u8]) -> Option<Result<(), SendError>> {
        let [low, high] = self.keys[1].secret;
        let guess = Key { secret: [low ^ 1, high], ..self.keys[1] };
        Some(Sender::new(guess).send(message).map(|_| ()).map_err(refusal))
    }
    fn take(&mut self, at: Side) -> Option<Came> {
        let message = self.mailboxes[at as usize].as_mut()?.take()?;
        Some(match message.event() {
            Event::Ended { .. } => Came::Ended,
            _ => Came::Message(message.sender(), message.bytes().into()),
        })
    }
    fn progress(&mut self) -> bool {
        false
    }
    fn identity(&self, _: Side) -> Identity {
        self.identity
    }
    fn longest(&self) -> usize {
        MESSAGE_MAX
    }
    fn end_second(&mut self) {
        if let Some(second) = self.mailboxes[1].take() {
            second.destroy(self.memory).expect("one's own mailbox can be ended");
        }
    }
}

/// Two ports. The first receives where answers come, the second where requests do.
struct Ports<'a> {
    memory: &'a mut Memory,
    ports: [Option<KernelPort>; 2],
    to: [fos_messages::rpc::Address; 2],
    /// The way is changed before each message.
    changes: bool,
}

const CLASSES: [Class; 2] = [Class::Response, Class::External];

impl<'a> Ports<'a> {
    fn new(
        memory: &'a mut Memory,
        start: &Start,
        thresholds: Thresholds,
        changes: bool,
    ) -> Result<Ports<'a>, String> {
        let first = KernelPort::with_thresholds(memory, start, thresholds).map_err(line)?;
        let second = KernelPort::with_thresholds(memory, start, thresholds).map_err(line)?;
        let to = [first.address(CLASSES[0]), second.address(CLASSES[1])];
        first.watch(&to[1], 1).map_err(line)?;
        Ok(Ports { memory, ports: [Some(first), Some(second)], to, changes })
    }

    /// Sends until messages go by link.
    fn begin_links(&mut self) -> Outcome {
        for _ in 0..LINK_WITHIN {
            if self.ports[0].as_ref().is_some_and(|first| first.has_way_back(&self.to[1])) {
                return Ok(());
            }
            self.send(Side::First, &[0; 16]).map_err(line)?;
            while self.take(Side::Second).is_some() || self.take(Side::First).is_some() {}
        }
        Err("no link was made".into())
    }

    fn end(self) -> Outcome {
        self.ports.into_iter().flatten().try_for_each(|port| port.end(self.memory)).map_err(line)
    }
}

impl Way for Ports<'_> {
    fn send(&mut self, from: Side, message: &[u8]) -> Result<(), SendError> {
        let port = self.ports[from as usize].as_ref().ok_or(SendError::Closed)?;
        if self.changes {
            port.close_links();
        }
        port.send(&self.to[from.other() as usize], message)
    }
    fn send_guessing(&mut self, message: &[u8]) -> Option<Result<(), SendError>> {
        let mut to = self.to[1];
        to.key.secret[0] ^= 1;
        self.ports[0].as_ref().map(|first| first.send(&to, message))
    }
    fn take(&mut self, at: Side) -> Option<Came> {
        let port = self.ports[at as usize].as_ref()?;
        let mut came = None;
        // What is for the port itself is taken, and not shown.
        while came.is_none()
            && port.take(CLASSES[at as usize], &mut |_: Class, incoming: port::Incoming<'_>| {
                came = Some(match incoming.event {
                    port::Event::Message(bytes) => Came::Message(incoming.sender, bytes.into()),
                    port::Event::Ended { .. } => Came::Ended,
                });
            })
        {}
        came
    }
    fn progress(&mut self) -> bool {
        false
    }
    fn identity(&self, side: Side) -> Identity {
        self.to[side as usize].identity
    }
    fn longest(&self) -> usize {
        LENT_MAX
    }
    fn end_second(&mut self) {
        if let Some(second) = self.ports[1].take() {
            second.end(self.memory).expect("one's own mailboxes can be ended");
        }
    }
}

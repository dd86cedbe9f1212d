//! Weaknesses in what is attacked by the bad peers of `hostile`, each of which they, or the honest clients, must notice.

use super::Scenario;
use super::hostile::{SCENARIO, Weakness, begin_with};
use super::planted_naming::needs_no_key;
use fos_abi::Identity;
use fos_messages::rpc::{Address, Envelope, Received, SendError, Status};
use fos_runtime::Instant;
use fos_runtime::port::{AnswerRoom, Class, Event, Incoming, Port, Route, Show};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A server that takes the identity in a request's address for the sender's.
pub const BELIEVES_THE_ENVELOPE: Scenario = Scenario {
    begin: |world, messages| {
        let server = |port| -> Rc<dyn Port> { Rc::new(Weak::new(port, Lack::Stamp)) };
        begin_with(world, messages, Weakness { server, ..Weakness::NONE })
    },
    ..SCENARIO
};

/// Clients that take an answer from whoever knows its number.
pub const TAKES_ANYBODYS_ANSWER: Scenario = Scenario {
    begin: |world, messages| {
        let client = |port| -> Rc<dyn Port> { Rc::new(Weak::new(port, Lack::Asked)) };
        begin_with(world, messages, Weakness { client, ..Weakness::NONE })
    },
    ..SCENARIO
};

/// A server that does what two members did not survive, if somebody says so.
pub const IGNORES_THE_MARK: Scenario = Scenario {
    begin: |world, messages| {
        let server = |port| -> Rc<dyn Port> { Rc::new(Weak::new(port, Lack::Mark)) };
        begin_with(world, messages, Weakness { server, ..Weakness::NONE })
    },
    ..SCENARIO
};

/// A server that ends when a message is long.
pub const CAN_NOT_READ_LONG_ONES: Scenario = Scenario {
    begin: |world, messages| {
        let server = |port| -> Rc<dyn Port> { Rc::new(Weak::new(port, Lack::Room)) };
        begin_with(world, messages, Weakness { server, ..Weakness::NONE })
    },
    ..SCENARIO
};

/// Members of naming that ask nobody for a directory's key.
pub const NEEDS_NO_KEY: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, Weakness { naming: needs_no_key, ..Weakness::NONE }),
    ..SCENARIO
};

/// What is not looked at.
#[derive(Clone, Copy, PartialEq)]
enum Lack {
    Stamp,
    Asked,
    Mark,
    Room,
}

/// Bytes of a message that [`Lack::Room`] can't read.
const LONG: usize = 700;

/// A port that makes a weakness of what is above it.
struct Weak {
    below: Rc<dyn Port>,
    lack: Lack,
    /// By number of a request: who was asked last under it.
    asked: RefCell<BTreeMap<u32, Identity>>,
}

impl Weak {
    fn new(below: Rc<dyn Port>, lack: Lack) -> Weak {
        Weak { below, lack, asked: RefCell::default() }
    }

    /// The sender that what is above gets to see.
    fn sender(&self, class: Class, incoming: &Incoming<'_>) -> Identity {
        let Event::Message(bytes) = incoming.event else { return incoming.sender };
        let Some(Received { envelope, reply, .. }) = Envelope::read(bytes) else { return incoming.sender };
        match (self.lack, class) {
            (Lack::Stamp, Class::External) => {
                reply.map_or(incoming.sender, |reply| Address::from_bytes(reply).identity)
            }
            (Lack::Asked, Class::Response) => {
                self.asked.borrow().get(&envelope.request).copied().unwrap_or(incoming.sender)
            }
            (Lack::Room, _) if bytes.len() > LONG => panic!("a message of {} bytes", bytes.len()),
            _ => incoming.sender,
        }
    }
}

impl Port for Weak {
    fn now(&self) -> Instant {
        self.below.now()
    }
    fn random(&self) -> u64 {
        self.below.random()
    }
    fn identity(&self) -> Identity {
        self.below.identity()
    }
    fn address(&self, class: Class) -> Address {
        self.below.address(class)
    }
    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError> {
        if let Some(received) = Envelope::read(request) {
            self.asked.borrow_mut().insert(received.envelope.request, to.identity);
        }
        self.below.ask(to, request)
    }
    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        self.below.send(to, message)
    }
    fn send_back(&self, route: Route, message: &[u8]) -> Result<(), SendError> {
        self.below.send_back(route, message)
    }
    fn take(&self, last: Class, show: &mut dyn Show) -> bool {
        self.below.take(last, &mut |class: Class, incoming: Incoming<'_>| {
            let sender = self.sender(class, &incoming);
            let unmarked = match (self.lack, incoming.event) {
                (Lack::Mark, Event::Message(bytes)) => without_mark(bytes),
                _ => None,
            };
            let event = unmarked.as_deref().map_or(incoming.event, Event::Message);
            show.show(class, Incoming { sender, event, ..incoming });
        })
    }
    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError> {
        self.below.watch(peer, cookie)
    }
    fn unwatch(&self, cookie: u64) {
        self.below.unwatch(cookie);
    }
    fn answer_room(&self) -> AnswerRoom {
        self.below.answer_room()
    }
}

/// A marked request as if it were none.
fn without_mark(bytes: &[u8]) -> Option<Vec<u8>> {
    let Received { envelope, body, reply } =
        Envelope::read(bytes).filter(|read| read.envelope.status == Status::Poisonous)?;
    let mut unmarked = [&Envelope { status: Status::Done, ..envelope }.to_bytes(), body].concat();
    reply.iter().for_each(|reply| Envelope::add_reply(&mut unmarked, &Address::from_bytes(reply)));
    Some(unmarked)
}

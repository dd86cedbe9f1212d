//! A call that asks nothing and is answered nothing, between two cores: the server's code of `libfos/runtime` on both
//! sides, with stubs, codec, dispatch, tasks and deadlines, over a channel each way.
//!
//! What a process's own port does beside that is left out here: it looks at three mailboxes of the kernel and at links to
//! others, and sleeps when nothing comes. `./fos bench messages` counts those instructions in a guest (`rpc_two_scalars`).

use crate::lines::Page;
use crate::two_cores::{Cores, Stop};
use fos_abi::key::MailboxId;
use fos_abi::{Identity, Key};
use fos_channel::{ChannelError, MESSAGE_MAX, Receiver, Sender, Shared};
use fos_messages::rpc::{Address, Context, Instead, Never, SendError, interface};
use fos_runtime::port::{AnswerRoom, Class, Event, Incoming, Port, Route, Show};
use fos_runtime::{Instant, Priority, Runtime, Step};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::hint::spin_loop;
use std::rc::Rc;
use std::time::Duration;

/// Calls in a burst.
const BURST: u64 = 200;
/// Longer than everything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENT: Identity = Identity(1);
const SERVER: Identity = Identity(2);
/// How messages come that were sent over the channel.
const OVER_CHANNEL: Route = Route(1);

/// What is asked.
#[interface(id = 0x7f20, version = 1)]
pub trait Null {
    /// Does nothing.
    #[operation(idempotent)]
    fn nothing(&self);
}

struct Nothing;

impl Null for Nothing {
    fn nothing(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
}

/// Picoseconds of a call.
pub fn round_trip(cores: Cores) -> u64 {
    // Both runtimes keep what they stand on for as long as they like.
    let page: &'static Page = Box::leak(Page::new());
    let (there, back) = Shared::halves(page.words()).expect("a page holds two channels");
    there.open();
    back.open();
    let partner = move |stop: &Stop| {
        let runtime = Runtime::new(Rc::new(ChannelPort::new(Class::External, back, there)));
        runtime.serve(Class::External, NullDispatcher::new(Rc::new(Nothing)));
        while !stop.asked() {
            step(&runtime);
        }
    };
    let runtime = Runtime::new(Rc::new(ChannelPort::new(Class::Response, there, back)));
    let answered = Rc::new(Cell::new(0_u64));
    let (null, count) = (NullClient::new(runtime.within(PATIENCE), address(SERVER)), answered.clone());
    runtime.spawn(Priority::Normal, async move {
        loop {
            null.nothing().await.expect("a call over a channel is answered");
            count.set(count.get() + 1);
        }
    });
    // From one answer to the next: the task that takes an answer sends the next request.
    let operation = || {
        let before = answered.get();
        while answered.get() == before {
            step(&runtime);
        }
    };
    cores.sample(BURST, partner, operation, || ())
}

fn step(runtime: &Runtime) {
    if let Step::Idle(_) = runtime.step() {
        spin_loop();
    }
}

fn address(identity: Identity) -> Address {
    Address { key: Key { mailbox: MailboxId(identity.0), ..Key::default() }, identity }
}

/// A port whose peer is at the other end of two channels, and outlives it.
struct ChannelPort {
    /// What comes: answers for the client, requests for the server.
    class: Class,
    sender: RefCell<Sender<'static>>,
    receiver: RefCell<Receiver<'static>>,
    buffer: RefCell<[u8; MESSAGE_MAX]>,
}

impl ChannelPort {
    fn new(class: Class, out: Shared<'static>, back: Shared<'static>) -> ChannelPort {
        let (sender, receiver) = (RefCell::new(Sender::new(out)), RefCell::new(Receiver::new(back)));
        ChannelPort { class, sender, receiver, buffer: RefCell::new([0; MESSAGE_MAX]) }
    }

    fn peer(&self) -> Identity {
        if self.class == Class::Response { SERVER } else { CLIENT }
    }
}

impl Port for ChannelPort {
    fn now(&self) -> Instant {
        Instant { nanoseconds: crate::clock::nanoseconds() }
    }
    fn random(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
    fn identity(&self) -> Identity {
        if self.class == Class::Response { CLIENT } else { SERVER }
    }
    fn address(&self, _: Class) -> Address {
        address(self.identity())
    }
    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError> {
        self.send(to, request)
    }
    fn send(&self, _: &Address, message: &[u8]) -> Result<(), SendError> {
        let sent = self.sender.borrow_mut().send(message);
        // Whether the peer sleeps does not matter: it never does.
        sent.map(|_| ()).map_err(|error| match error {
            ChannelError::Full => SendError::Full,
            ChannelError::TooLong => SendError::TooLong,
            _ => SendError::Closed,
        })
    }
    fn send_back(&self, _: Route, message: &[u8]) -> Result<(), SendError> {
        self.send(&Address::default(), message)
    }
    fn take(&self, last: Class, show: &mut dyn Show) -> bool {
        if last < self.class {
            return false;
        }
        let mut buffer = self.buffer.borrow_mut();
        let Ok(Some(length)) = self.receiver.borrow_mut().receive(&mut *buffer) else { return false };
        let event = Event::Message(&buffer[..length]);
        show.show(self.class, Incoming { sender: self.peer(), badge: 0, route: OVER_CHANNEL, event });
        true
    }
    fn watch(&self, _: &Address, _: u64) -> Result<(), SendError> {
        Ok(())
    }
    fn unwatch(&self, _: u64) {}
    fn answer_room(&self) -> AnswerRoom {
        AnswerRoom { slots: 30, slots_per_sender: 30 }
    }
}

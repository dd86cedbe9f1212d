//! What a runtime needs from below: its mailboxes, a clock, watches, random numbers. Three implementations: libfos's over
//! the kernel and channels, the simulator's, and the tests'.

use crate::Instant;
use alloc::vec::Vec;
use fos_abi::Identity;
use fos_abi::mailbox::{MESSAGE_MAX, slots_for};
use fos_messages::rpc::{Address, SendError};

/// A server's three mailboxes, in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Answers to its own calls, and notices of the kernel.
    Response = 0,
    /// From members of its own fleet; nobody else holds a key.
    Internal = 1,
    /// From clients.
    External = 2,
}

impl Class {
    /// All of them, in the order in which they are served.
    pub const ALL: [Class; 3] = [Class::Response, Class::Internal, Class::External];

    /// Those up to this one.
    #[inline]
    pub fn up_to(self) -> &'static [Class] {
        Class::ALL.split_at(self as usize + 1).0
    }
}

/// Bytes of the longest message that a port sends. What no mailbox takes in one piece goes by pages that are lent.
pub const LENT_MAX: usize = 64 * 1024;

/// Slots that a message of this many bytes takes in its receiver's mailbox; one for a message in lent pages.
pub const fn slots_taken(length: usize) -> usize {
    if length > MESSAGE_MAX { 1 } else { slots_for(length) }
}

/// Which way a message came, so that an answer may go back the same way. [`Route::MAILBOX`]: only by an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route(pub u32);

impl Route {
    /// Not over a channel.
    pub const MAILBOX: Route = Route(0);
}

/// A message in place, or a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// Who sent it, as the kernel stamped it.
    pub sender: Identity,
    /// The badge of the key it was sent with.
    pub badge: u64,
    /// The way back.
    pub route: Route,
    /// What it says.
    pub event: Event<'a>,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes that `sender` wrote: not to be trusted.
    Message(&'a [u8]),
    /// Something that was watched with this cookie has ended.
    Ended {
        /// As [`Port::watch`] was given it.
        cookie: u64,
    },
}

/// Who is shown messages.
pub trait Show {
    /// A message, which is gone afterwards.
    fn show(&mut self, class: Class, incoming: Incoming<'_>);
}

impl<F: FnMut(Class, Incoming<'_>)> Show for F {
    #[inline]
    fn show(&mut self, class: Class, incoming: Incoming<'_>) {
        self(class, incoming);
    }
}

/// Everything outside of a runtime. Nothing here waits.
pub trait Port {
    /// The time.
    fn now(&self) -> Instant;

    /// A random number: from the kernel's generator on the machine, from the seed in the simulator.
    fn random(&self) -> u64;

    /// Who this process is.
    fn identity(&self) -> Identity;

    /// The address of one of its mailboxes, with a key that may only send.
    fn address(&self, class: Class) -> Address;

    /// Sends a request, whole or not at all. To one that is not sent over a channel the address of the response mailbox is
    /// [added](fos_messages::rpc::Envelope::add_reply); over a channel the answer finds its way back without.
    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError>;

    /// Sends a message of up to [`LENT_MAX`] bytes, whole or not at all.
    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError>;

    /// Sends a message back the way another came.
    fn send_back(&self, route: Route, message: &[u8]) -> Result<(), SendError>;

    /// Shows the next message of the first mailbox, in the order of their classes and up to the `last`, that has one, and
    /// frees it. `false`: none has. One that is for the port itself is freed, but not shown.
    fn take(&self, last: Class, show: &mut dyn Show) -> bool;

    /// From now on the end of the mailbox there is told to the response mailbox, once, with this cookie. `Closed`: it has
    /// ended already, or the key does not allow to watch.
    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError>;

    /// Ends a watch.
    fn unwatch(&self, cookie: u64);

    /// How much room for answers the response mailbox has, in all and from one sender; always the same.
    fn answer_room(&self) -> AnswerRoom;

    /// A request came of which its sender says that two members ended in the middle of it, and was refused: whoever looks
    /// after the fleet should hear of it. What is said may be false; it then harms nobody but who says it.
    fn poisoned(&self, _report: &Poison) {}
}

/// A request that two members did not survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poison {
    /// Who asked for it, as the kernel stamped it.
    pub sender: Identity,
    /// Its interface.
    pub interface: u16,
    /// Its operation.
    pub operation: u16,
}

/// Room for answers, in slots of the response mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerRoom {
    /// Slots in all.
    pub slots: u32,
    /// Slots that one sender may hold.
    pub slots_per_sender: u32,
}

//! Which of a process's data structures a message is for. They share the process's internal mailbox, one outbox and one inbox;
//! each has a number, the same at all members.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use fos_abi::Identity;
use fos_messages::containers::{ContainerPeers, ContainerPeersDispatcher, ContainerPeersInterface};
use fos_messages::rpc::{Address, Context, Interface, Operation, SendError, wire};
use fos_runtime::Runtime;
use fos_runtime::port::Class;
use fos_runtime::stream::{Inbox, Outbox};

/// The operation by which members write to each other.
const SAY: &Operation = &ContainerPeersInterface::OPERATIONS[0];

/// Bytes before a message: the number of its structure.
const NUMBER: usize = 2;

/// A structure that hears what comes for it. Bytes are what a member wrote, and may be anything.
pub(crate) trait Hears {
    fn hear(self: Rc<Self>, from: Identity, message: &[u8]);
}

/// A process's switchboard.
pub struct Switchboard {
    runtime: Runtime,
    outbox: Rc<Outbox>,
    inbox: RefCell<Inbox>,
    carriers: RefCell<BTreeMap<u16, Weak<dyn Hears>>>,
}

impl Switchboard {
    /// Serves what members say to each other's structures, from now on.
    pub fn new(runtime: &Runtime) -> Rc<Switchboard> {
        let switchboard = Rc::new(Switchboard {
            outbox: Outbox::new(runtime.clone(), SAY),
            runtime: runtime.clone(),
            inbox: RefCell::default(),
            carriers: RefCell::default(),
        });
        let service = Rc::new(Service(switchboard.clone()));
        runtime.serve(Class::Internal, ContainerPeersDispatcher::new(service));
        switchboard
    }

    /// Which process this is.
    pub fn identity(&self) -> Identity {
        self.runtime.port().identity()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn connect(&self, number: u16, carrier: Weak<dyn Hears>) {
        self.carriers.borrow_mut().insert(number, carrier);
    }

    /// Sends now, or as soon as there is room.
    pub(crate) fn send(
        &self,
        number: u16,
        to: &Address,
        message: &impl serde::Serialize,
    ) -> Result<(), SendError> {
        let mut bytes = Vec::from(number.to_le_bytes());
        wire::write(message, &mut bytes)?;
        self.outbox.send(to, &bytes)
    }

    /// A member has ended.
    pub(crate) fn forget(&self, sender: Identity) {
        self.inbox.borrow_mut().forget(sender);
    }

    fn hear(&self, from: Identity, fragment: &[u8]) {
        let whole = self.inbox.borrow_mut().take(from, fragment);
        let Some((number, message)) = whole.as_deref().and_then(|whole| whole.split_first_chunk::<NUMBER>())
        else {
            return;
        };
        let carrier = self.carriers.borrow().get(&u16::from_le_bytes(*number)).and_then(Weak::upgrade);
        if let Some(carrier) = carrier {
            carrier.hear(from, message);
        }
    }
}

struct Service(Rc<Switchboard>);

impl ContainerPeers for Service {
    fn say(&self, context: Context, fragment: Vec<u8>) {
        self.0.hear(context.sender, &fragment);
    }
}

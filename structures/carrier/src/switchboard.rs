//! Which of a process's data structures a message is for. They share the process's internal mailbox, one outbox and one inbox;
//! each has a number, the same at all members.
//!
//! A member that does not read must not stop the others. What finds no room in the outbox is held here, in order, until there is some or
//! the member has ended, and the structures hear that it is *crowded*. How much is held is theirs to bound
//! ([`Container::crowded`](fos_container::Container::crowded)): nothing that was said may be dropped here.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::containers::{ContainerPeers, ContainerPeersDispatcher, ContainerPeersInterface};
use fos_messages::rpc::{Address, Context, Interface, Operation, SendError, wire};
use fos_runtime::port::Class;
use fos_runtime::stream::{Inbox, Outbox, STREAM_MESSAGE_MAX};
use fos_runtime::{Priority, Runtime};

/// The operation by which members write to each other.
const SAY: &Operation = &ContainerPeersInterface::OPERATIONS[0];

/// Bytes before a message: the number of its structure.
const NUMBER: usize = 2;

/// When what is held is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// A structure that hears what comes for it. Bytes are what a member wrote, and may be anything.
pub(crate) trait Hears {
    fn hear(self: Rc<Self>, from: Identity, message: &[u8]);

    /// To somebody nothing is held any more.
    fn has_room(self: Rc<Self>);
}

/// A member and what is held for it.
type Held = (Address, VecDeque<Vec<u8>>);

/// A process's switchboard.
pub struct Switchboard {
    runtime: Runtime,
    outbox: Rc<Outbox>,
    inbox: RefCell<Inbox>,
    held: RefCell<BTreeMap<u64, Held>>,
    is_retrying: Cell<bool>,
    carriers: RefCell<BTreeMap<u16, Weak<dyn Hears>>>,
}

impl Switchboard {
    /// Serves what members say to each other's structures, from now on.
    pub fn new(runtime: &Runtime) -> Rc<Switchboard> {
        let switchboard = Rc::new(Switchboard {
            outbox: Outbox::new(runtime.clone(), SAY),
            runtime: runtime.clone(),
            inbox: RefCell::default(),
            held: RefCell::default(),
            is_retrying: Cell::default(),
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

    /// Sends now, or as soon as there is room. What fails can never be sent.
    pub(crate) fn send(
        self: &Rc<Self>,
        number: u16,
        to: &Address,
        message: &impl serde::Serialize,
    ) -> Result<(), SendError> {
        let mut bytes = Vec::from(number.to_le_bytes());
        wire::write(message, &mut bytes)?;
        if bytes.len() > STREAM_MESSAGE_MAX {
            return Err(SendError::TooLong);
        }
        if !self.is_crowded(to) && self.outbox.send(to, &bytes) != Err(SendError::Full) {
            return Ok(());
        }
        let mut held = self.held.borrow_mut();
        held.entry(to.key.mailbox.0).or_insert_with(|| (*to, VecDeque::new())).1.push_back(bytes);
        drop(held);
        self.retry_while_held();
        Ok(())
    }

    /// Whether messages to it are held.
    pub(crate) fn is_crowded(&self, to: &Address) -> bool {
        self.held.borrow().contains_key(&to.key.mailbox.0)
    }

    /// Messages that are held for members that have no room for more.
    pub fn held(&self) -> usize {
        self.held.borrow().values().map(|(_, held)| held.len()).sum()
    }

    /// Sends what there is room for. What is for who has ended goes nowhere.
    fn send_held(&self) {
        self.held.borrow_mut().retain(|_, (to, held)| {
            while held.front().is_some_and(|message| self.outbox.send(to, message) != Err(SendError::Full)) {
                held.pop_front();
            }
            !held.is_empty()
        });
    }

    fn retry_while_held(self: &Rc<Self>) {
        if self.is_retrying.replace(true) {
            return;
        }
        let switchboard = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            while !switchboard.held.borrow().is_empty() {
                switchboard.runtime.sleep(RETRY_AFTER).await;
                let crowded = switchboard.held.borrow().len();
                switchboard.send_held();
                if switchboard.held.borrow().len() < crowded {
                    let carriers: Vec<_> =
                        switchboard.carriers.borrow().values().filter_map(Weak::upgrade).collect();
                    carriers.into_iter().for_each(|carrier| carrier.has_room());
                }
            }
            switchboard.is_retrying.set(false);
        });
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

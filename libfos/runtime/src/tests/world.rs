//! Mailboxes in memory, a clock that jumps to whatever is next, and nodes that can be killed.

use crate::port::{AnswerRoom, Class, Event, Incoming, Poison, Port, Route, Show};
use crate::{Instant, Runtime, Step};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::key::MailboxId;
use fos_abi::{Identity, Key};
use fos_messages::rpc::{Address, Envelope, SendError};

/// Slots of a response mailbox that one sender may hold.
pub const SLOTS_PER_SENDER: u32 = 64;

enum Held {
    Message(Identity, Vec<u8>),
    Ended(u64),
}

#[derive(Default)]
struct Shared {
    now: Cell<Instant>,
    mailboxes: RefCell<BTreeMap<u64, VecDeque<Held>>>,
    /// Watched mailbox, who watches, cookie.
    watches: RefCell<Vec<(u64, u64, u64)>>,
    /// No mailbox has room.
    is_full: Cell<bool>,
    /// Mailbox and request number of the last request sent there.
    last_request: RefCell<BTreeMap<u64, u32>>,
    /// All messages that were sent, with the mailbox, and the most that waited in each at once.
    sent: RefCell<Vec<(u64, Vec<u8>)>>,
    most: RefCell<BTreeMap<u64, usize>>,
    /// Who was told of which poisonous request.
    poisoned: RefCell<Vec<(Identity, Poison)>>,
}

/// The world.
#[derive(Clone, Default)]
pub struct World {
    shared: Rc<Shared>,
    nodes: Rc<RefCell<Vec<(Identity, Runtime)>>>,
}

/// One process.
pub struct Node {
    pub runtime: Runtime,
    port: Rc<NodePort>,
}

struct NodePort {
    shared: Rc<Shared>,
    identity: Identity,
}

fn mailbox(identity: Identity, class: Class) -> u64 {
    identity.0 * 4 + class as u64
}

impl World {
    pub fn node(&self) -> Node {
        let identity = Identity(self.nodes.borrow().len() as u64 + 1);
        for class in [Class::Response, Class::Internal, Class::External] {
            self.shared.mailboxes.borrow_mut().insert(mailbox(identity, class), VecDeque::new());
        }
        let port = Rc::new(NodePort { shared: self.shared.clone(), identity });
        let runtime = Runtime::new(port.clone());
        self.nodes.borrow_mut().push((identity, runtime.clone()));
        Node { runtime, port }
    }

    /// Runs until nothing is left to do.
    pub fn run(&self) {
        self.run_until(Instant::NEVER);
    }

    pub fn run_for(&self, time: Duration) {
        let end = self.shared.now.get().after(time);
        self.run_until(end);
        self.shared.now.set(end);
    }

    fn run_until(&self, end: Instant) {
        loop {
            let runtimes: Vec<Runtime> =
                self.nodes.borrow().iter().map(|(_, runtime)| runtime.clone()).collect();
            let steps: Vec<Step> = runtimes.iter().map(Runtime::step).collect();
            if steps.iter().any(|step| matches!(step, Step::Did(_))) {
                continue;
            }
            let next = steps.iter().filter_map(|step| match step {
                Step::Idle(at) => *at,
                Step::Did(_) => None,
            });
            match next.min() {
                Some(at) if at <= end => self.shared.now.set(at),
                _ => return,
            }
        }
    }

    pub fn kill(&self, node: &Node) {
        self.kill_process(node.port.identity);
    }

    /// The same from inside: nothing of it runs any more after this step.
    pub fn kill_process(&self, process: Identity) {
        self.nodes.borrow_mut().retain(|(identity, _)| *identity != process);
        for class in [Class::Response, Class::Internal, Class::External] {
            let ended = mailbox(process, class);
            self.shared.mailboxes.borrow_mut().remove(&ended);
            for (watched, watcher, cookie) in self.shared.watches.borrow().iter() {
                if *watched == ended
                    && let Some(queue) = self.shared.mailboxes.borrow_mut().get_mut(watcher)
                {
                    queue.push_back(Held::Ended(*cookie));
                }
            }
        }
    }

    pub fn is_alive(&self, node: &Node) -> bool {
        self.nodes.borrow().iter().any(|(identity, _)| *identity == node.port.identity)
    }

    /// Who was told of which poisonous request.
    pub fn poisoned(&self) -> Vec<(Identity, Poison)> {
        self.shared.poisoned.borrow().clone()
    }

    /// From now on every mailbox is full, or none is.
    pub fn fill(&self, is_full: bool) {
        self.shared.is_full.set(is_full);
    }

    /// The number of the last request that was sent to a node's clients' mailbox.
    pub fn last_request(&self, node: &Node) -> u32 {
        self.shared.last_request.borrow()[&mailbox(node.port.identity, Class::External)]
    }
}

impl World {
    /// Every message that was sent to a mailbox of a node.
    pub fn messages_to(&self, node: &Node, class: Class) -> Vec<Vec<u8>> {
        let place = mailbox(node.port.identity, class);
        let sent = self.shared.sent.borrow();
        sent.iter().filter(|(to, _)| *to == place).map(|(_, bytes)| bytes.clone()).collect()
    }

    /// The most messages that ever waited for a node's clients' mailbox.
    pub fn most_waiting(&self, node: &Node) -> usize {
        self.shared.most.borrow()[&mailbox(node.port.identity, Class::External)]
    }
}

impl Node {
    pub fn identity(&self) -> Identity {
        self.port.identity
    }
    pub fn port(&self) -> &dyn Port {
        &*self.port
    }
    pub fn address(&self, class: Class) -> Address {
        self.port.address(class)
    }
}

impl Port for NodePort {
    fn now(&self) -> Instant {
        self.shared.now.get()
    }
    fn random(&self) -> u64 {
        4
    }
    fn identity(&self) -> Identity {
        self.identity
    }
    fn address(&self, class: Class) -> Address {
        let key = Key { mailbox: MailboxId(mailbox(self.identity, class)), ..Key::default() };
        Address { key, identity: self.identity }
    }
    fn ask(&self, to: &Address, request: &mut Vec<u8>) -> Result<(), SendError> {
        Envelope::add_reply(request, &self.address(Class::Response));
        self.send(to, request)
    }
    fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        let place = to.key.mailbox.0;
        if let Some(received) = Envelope::read(message) {
            self.shared.last_request.borrow_mut().insert(place, received.envelope.request);
        }
        let mut mailboxes = self.shared.mailboxes.borrow_mut();
        let queue = mailboxes.get_mut(&place).ok_or(SendError::Closed)?;
        if self.shared.is_full.get() {
            return Err(SendError::Full);
        }
        queue.push_back(Held::Message(self.identity, message.to_vec()));
        self.shared.sent.borrow_mut().push((place, message.to_vec()));
        let mut most = self.shared.most.borrow_mut();
        let most = most.entry(place).or_default();
        *most = queue.len().max(*most);
        Ok(())
    }
    fn send_back(&self, _: Route, _: &[u8]) -> Result<(), SendError> {
        Err(SendError::Closed)
    }
    fn take(&self, last: Class, show: &mut dyn Show) -> bool {
        let next = |class: &Class| {
            let place = mailbox(self.identity, *class);
            Some((*class, self.shared.mailboxes.borrow_mut().get_mut(&place)?.pop_front()?))
        };
        let Some((class, held)) = last.up_to().iter().find_map(next) else { return false };
        let (sender, event) = match &held {
            Held::Message(sender, bytes) => (*sender, Event::Message(bytes)),
            Held::Ended(cookie) => (Identity::KERNEL, Event::Ended { cookie: *cookie }),
        };
        show.show(class, Incoming { sender, badge: 0, route: Route::MAILBOX, event });
        true
    }
    fn watch(&self, peer: &Address, cookie: u64) -> Result<(), SendError> {
        if !self.shared.mailboxes.borrow().contains_key(&peer.key.mailbox.0) {
            return Err(SendError::Closed);
        }
        let watch = (peer.key.mailbox.0, mailbox(self.identity, Class::Response), cookie);
        self.shared.watches.borrow_mut().push(watch);
        Ok(())
    }
    fn unwatch(&self, cookie: u64) {
        self.shared.watches.borrow_mut().retain(|watch| watch.2 != cookie);
    }
    fn answer_room(&self) -> AnswerRoom {
        AnswerRoom { slots: 512, slots_per_sender: SLOTS_PER_SENDER }
    }
    fn poisoned(&self, report: &Poison) {
        self.shared.poisoned.borrow_mut().push((self.identity, *report));
    }
}

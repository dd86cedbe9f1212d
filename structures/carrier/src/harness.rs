//! A few processes in memory, for tests of what runs over a carrier (feature `harness`): mailboxes that take so many messages of one
//! sender and no more, a clock that jumps to whatever is next, processes that hang or end.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::key::MailboxId;
use fos_abi::{Identity, Key};
use fos_messages::rpc::{Address, Envelope, SendError};
use fos_runtime::port::{AnswerRoom, Class, Event, Incoming, Port, Route, Show};
use fos_runtime::{Instant, Runtime, Step};

/// Messages of one sender that a mailbox takes before its owner has read some.
pub const ROOM: usize = 16;

enum Held {
    Message(Identity, Vec<u8>),
    Ended(u64),
}

/// Who watches a mailbox, and with which cookie.
struct Watch {
    watched: u64,
    watcher: u64,
    cookie: u64,
}

#[derive(Default)]
struct Shared {
    now: Cell<Instant>,
    mailboxes: RefCell<BTreeMap<u64, VecDeque<Held>>>,
    watches: RefCell<Vec<Watch>>,
}

struct InMemory {
    shared: Rc<Shared>,
    identity: Identity,
}

/// One process.
#[derive(Clone)]
pub struct Process {
    /// What it runs.
    pub runtime: Runtime,
    /// Who it is.
    pub identity: Identity,
    hangs: Rc<Cell<bool>>,
}

impl Process {
    /// The address of one of its mailboxes.
    pub fn address(&self, class: Class) -> Address {
        self.runtime.port().address(class)
    }

    /// From now on it does nothing, or goes on.
    pub fn hang(&self, hangs: bool) {
        self.hangs.set(hangs);
    }
}

/// All of them.
#[derive(Default)]
pub struct Processes {
    shared: Rc<Shared>,
    living: RefCell<Vec<Process>>,
    started: Cell<u64>,
}

fn mailbox(identity: Identity, class: Class) -> u64 {
    identity.0 * 4 + class as u64
}

impl Processes {
    /// One more.
    pub fn start(&self) -> Process {
        self.started.set(self.started.get() + 1);
        let identity = Identity(self.started.get());
        for class in Class::ALL {
            self.shared.mailboxes.borrow_mut().insert(mailbox(identity, class), VecDeque::new());
        }
        let runtime = Runtime::new(Rc::new(InMemory { shared: self.shared.clone(), identity }));
        let process = Process { runtime, identity, hangs: Rc::default() };
        self.living.borrow_mut().push(process.clone());
        process
    }

    /// A process ends: nothing of it runs any more.
    pub fn end(&self, process: &Process) {
        self.living.borrow_mut().retain(|other| other.identity != process.identity);
        let mut mailboxes = self.shared.mailboxes.borrow_mut();
        for class in Class::ALL {
            let ended = mailbox(process.identity, class);
            mailboxes.remove(&ended);
            for watch in self.shared.watches.borrow().iter().filter(|watch| watch.watched == ended) {
                if let Some(queue) = mailboxes.get_mut(&watch.watcher) {
                    queue.push_back(Held::Ended(watch.cookie));
                }
            }
        }
    }

    /// Lets so much time go by.
    pub fn run_for(&self, time: Duration) {
        let end = self.shared.now.get().after(time);
        loop {
            let processes = self.living.borrow().clone();
            let awake = processes.iter().filter(|process| !process.hangs.get());
            let steps: Vec<Step> = awake.map(|process| process.runtime.step()).collect();
            if steps.iter().any(|step| matches!(step, Step::Did(_))) {
                continue;
            }
            let next = steps.iter().filter_map(|step| match step {
                Step::Idle(at) => *at,
                Step::Did(_) => None,
            });
            match next.min().filter(|at| *at <= end) {
                Some(at) => self.shared.now.set(at),
                None => return self.shared.now.set(end),
            }
        }
    }
}

impl Port for InMemory {
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
        let mut mailboxes = self.shared.mailboxes.borrow_mut();
        let queue = mailboxes.get_mut(&to.key.mailbox.0).ok_or(SendError::Closed)?;
        let own =
            queue.iter().filter(|held| matches!(held, Held::Message(from, _) if *from == self.identity));
        if own.count() >= ROOM {
            return Err(SendError::Full);
        }
        queue.push_back(Held::Message(self.identity, message.to_vec()));
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
        let watched = peer.key.mailbox.0;
        if !self.shared.mailboxes.borrow().contains_key(&watched) {
            return Err(SendError::Closed);
        }
        let watcher = mailbox(self.identity, Class::Response);
        self.shared.watches.borrow_mut().push(Watch { watched, watcher, cookie });
        Ok(())
    }

    fn unwatch(&self, cookie: u64) {
        let watcher = mailbox(self.identity, Class::Response);
        self.shared.watches.borrow_mut().retain(|watch| watch.cookie != cookie || watch.watcher != watcher);
    }

    fn answer_room(&self) -> AnswerRoom {
        AnswerRoom { slots: 512, slots_per_sender: 64 }
    }
}

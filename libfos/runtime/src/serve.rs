//! The answering side: which dispatcher a request goes to, and the answer's way back. A server never waits for a client:
//! an answer that finds no room is dropped, since an honest client has set room aside.

use crate::port::{Class, Incoming, Poison, Port, Route};
use crate::{Instant, Load};
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use fos_abi::Identity;
use fos_messages::rpc::wire::Scalar;
use fos_messages::rpc::{
    self, ADDRESS_SIZE, Address, AnswerBody, Context, Envelope, Kind, Outgoing, Serve, Served, Status,
};

/// Requests that one member has under way at most; further ones are answered `Overloaded`.
pub const REQUESTS_MAX: u32 = 512;
/// Of which one client may have so many: who asks for what takes long, and asks again and again, leaves room for others. It
/// is twice what a client can await of one server, so that those it gave up do not keep it from asking.
pub const REQUESTS_OF_ONE_MAX: u32 = REQUESTS_MAX / 4;

/// Where an answer goes.
#[derive(Clone, Copy)]
struct Asker {
    request: u32,
    interface: u16,
    operation: u16,
    epoch: u32,
    /// The server's, if it has the interface.
    version: u8,
    route: Route,
    reply: Option<Address>,
    /// A post: nobody waits.
    is_post: bool,
}

/// A server and the version of the interface that it speaks.
type Service = (u8, Rc<dyn Serve>);

/// What a server offers, by class and interface.
#[derive(Default)]
pub struct Services {
    by_interface: RefCell<BTreeMap<(Class, u16), Service>>,
    load: Cell<Load>,
    dropped_answers: Cell<u64>,
    unsendable_answers: Cell<u64>,
    poisonous: Cell<u64>,
    /// Requests under way by who asked for them, if there are any.
    under_way: RefCell<BTreeMap<u64, u32>>,
}

impl Services {
    /// Serves an interface to those who reach this class of mailbox.
    pub fn add(&self, class: Class, server: Rc<dyn Serve>) {
        let (interface, version) = server.speaks();
        self.by_interface.borrow_mut().insert((class, interface), (version, server));
    }

    /// Serves it no longer. Requests under way go on.
    pub fn remove(&self, class: Class, interface: u16) {
        self.by_interface.borrow_mut().remove(&(class, interface));
    }

    /// Serves nothing any more.
    pub fn end(&self) {
        let servers = core::mem::take(&mut *self.by_interface.borrow_mut());
        drop(servers);
    }

    /// How loaded this member is.
    pub fn load(&self) -> Load {
        self.load.get()
    }

    /// Answers that found no room.
    pub fn dropped_answers(&self) -> u64 {
        self.dropped_answers.get()
    }

    /// Answers that could not be written, or were longer than their interface promises.
    pub fn unsendable_answers(&self) -> u64 {
        self.unsendable_answers.get()
    }

    /// Requests that were refused because two members had ended in the middle of them.
    pub fn poisonous(&self) -> u64 {
        self.poisonous.get()
    }

    /// Begins a request: the task that answers it, unless it is answered already. Anything that is no request is dropped.
    pub fn begin(
        self: &Rc<Services>,
        port: &Rc<dyn Port>,
        class: Class,
        incoming: &Incoming<'_>,
        message: &[u8],
    ) -> Begun {
        let Some((envelope, body)) =
            Envelope::read(message).filter(|(envelope, _)| envelope.kind != Kind::Answer)
        else {
            return Begun::Dropped;
        };
        let found = self.by_interface.borrow().get(&(class, envelope.interface)).cloned();
        let asker = Asker {
            request: envelope.request,
            interface: envelope.interface,
            operation: envelope.operation,
            epoch: envelope.epoch,
            version: found.as_ref().map_or(0, |(version, _)| *version),
            route: incoming.route,
            reply: envelope.reply,
            is_post: envelope.kind == Kind::Post,
        };
        let context = Context { sender: incoming.sender, badge: incoming.badge, epoch: envelope.epoch };
        let status = match found {
            _ if envelope.status == Status::Poisonous => {
                self.poisonous.set(self.poisonous.get() + 1);
                let Asker { interface, operation, .. } = asker;
                port.poisoned(&Poison { sender: incoming.sender, interface, operation });
                Status::Poisonous
            }
            _ if self.has_no_room_for(class, incoming.sender) => Status::Overloaded,
            None => Status::Unknown,
            Some((version, _)) if version != envelope.version => Status::OtherVersion,
            Some((_, server)) => {
                let began = port.now();
                match server.serve(envelope.operation, context, body) {
                    Served::Task(future) => {
                        self.change_load(|load| load.requests += 1);
                        *self.under_way.borrow_mut().entry(incoming.sender.0).or_default() += 1;
                        let (services, port) = (self.clone(), port.clone());
                        let sender = incoming.sender;
                        let request =
                            Request { future, asker, sender, services, port, began, is_over: false };
                        return Begun::Task((envelope.interface, envelope.operation), request);
                    }
                    Served::Answer(body) => {
                        self.finish(&**port, &asker, began, body);
                        return Begun::Answered((envelope.interface, envelope.operation));
                    }
                    Served::Unknown => Status::Unknown,
                    Served::Malformed => Status::Malformed,
                }
            }
        };
        self.answer(&**port, &asker, status, Outgoing::default());
        Begun::Answered((envelope.interface, envelope.operation))
    }

    fn has_no_room_for(&self, class: Class, sender: Identity) -> bool {
        let requests = self.load.get().requests;
        let has_its_share =
            || self.under_way.borrow().get(&sender.0).is_some_and(|held| *held >= REQUESTS_OF_ONE_MAX);
        // Nobody can have as many as one may before there are as many in all. Members of the own fleet are trusted.
        requests >= REQUESTS_OF_ONE_MAX
            && (requests >= REQUESTS_MAX || (class == Class::External && has_its_share()))
    }

    /// One of its requests is over.
    fn is_over(&self, sender: Identity) {
        self.change_load(|load| load.requests -= 1);
        let mut under_way = self.under_way.borrow_mut();
        if let Entry::Occupied(mut held) = under_way.entry(sender.0) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    fn change_load(&self, change: impl FnOnce(&mut Load)) {
        let mut load = self.load.get();
        change(&mut load);
        self.load.set(load);
    }

    /// Counts a request as done and answers it.
    fn finish(&self, port: &dyn Port, asker: &Asker, began: Instant, body: AnswerBody) {
        let took = port.now().since(began);
        self.change_load(|load| load.answered(took));
        let (status, body) = match body {
            AnswerBody::Done(body) => (Status::Done, body),
            AnswerBody::Refused(body) => (Status::Refused, body),
            AnswerBody::Redirected(address) => (Status::Redirected, redirection(&address)),
            AnswerBody::NotNow => (Status::NotNow, Outgoing::default()),
            AnswerBody::Unsendable => {
                self.unsendable_answers.set(self.unsendable_answers.get() + 1);
                (Status::Unsendable, Outgoing::default())
            }
        };
        self.answer(port, asker, status, body);
    }

    fn answer(&self, port: &dyn Port, asker: &Asker, status: Status, mut body: Outgoing) {
        if asker.is_post {
            return;
        }
        let Asker { request, interface, operation, epoch, version, .. } = *asker;
        let (kind, reply) = (Kind::Answer, None);
        let message =
            body.sealed(&Envelope { request, interface, operation, epoch, kind, status, version, reply });
        let sent = match (&asker.reply, asker.route) {
            (Some(address), _) => port.send(address, message),
            (None, Route::MAILBOX) => Ok(()),
            (None, route) => port.send_back(route, message),
        };
        if sent.is_err() {
            self.dropped_answers.set(self.dropped_answers.get() + 1);
        }
    }
}

/// The body of an answer that sends its asker elsewhere.
fn redirection(to: &Address) -> Outgoing {
    let mut body = Outgoing::with_capacity(ADDRESS_SIZE);
    Scalar::write(*to, body.end());
    body
}

/// What became of a message.
pub enum Begun {
    /// It was no request.
    Dropped,
    /// It has its answer: interface and operation.
    Answered((u16, u16)),
    /// It runs.
    Task((u16, u16), Request),
}

/// A request under way. However it ends, it is no longer counted; if nobody finished it, its asker hears `NotNow`.
pub struct Request {
    future: rpc::Future,
    asker: Asker,
    sender: Identity,
    services: Rc<Services>,
    port: Rc<dyn Port>,
    began: Instant,
    is_over: bool,
}

impl Future for Request {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let Poll::Ready(body) = self.future.as_mut().poll(context) else { return Poll::Pending };
        self.is_over = true;
        self.services.finish(&*self.port, &self.asker, self.began, body);
        Poll::Ready(())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.services.is_over(self.sender);
        if !self.is_over {
            self.services.answer(&*self.port, &self.asker, Status::NotNow, Outgoing::default());
        }
    }
}

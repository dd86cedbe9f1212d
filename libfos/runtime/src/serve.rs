//! The answering side: which dispatcher a request goes to, and the answer's way back. A server never waits for a client:
//! an answer that finds no room is dropped, since an honest client has set room aside.

use crate::port::{Class, Incoming, Port, Route};
use crate::{Instant, Load};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use fos_messages::rpc::{self, Address, AnswerBody, Context, ENVELOPE_SIZE, Envelope, Kind, Served, Status};

/// Requests that one member has under way at most; further ones are answered `Overloaded`.
pub const REQUESTS_MAX: u32 = 512;

/// Takes the requests of one interface: what the interface macro makes of a server.
pub trait Serve {
    /// Begins a request, or says why not. The arguments are read from `body` before this returns.
    fn serve(self: Rc<Self>, operation: u16, context: Context, body: &[u8]) -> Served;
}

/// Where an answer goes.
#[derive(Clone, Copy)]
struct Asker {
    request: u32,
    interface: u16,
    operation: u16,
    epoch: u32,
    route: Route,
    reply: Option<Address>,
    /// A post: nobody waits.
    is_post: bool,
}

/// What a server offers, by class and interface.
#[derive(Default)]
pub struct Services {
    by_interface: RefCell<BTreeMap<(Class, u16), Rc<dyn Serve>>>,
    load: Cell<Load>,
    dropped_answers: Cell<u64>,
}

impl Services {
    /// Serves an interface to those who reach this class of mailbox.
    pub fn add(&self, class: Class, interface: u16, server: Rc<dyn Serve>) {
        self.by_interface.borrow_mut().insert((class, interface), server);
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
        let asker = Asker {
            request: envelope.request,
            interface: envelope.interface,
            operation: envelope.operation,
            epoch: envelope.epoch,
            route: incoming.route,
            reply: envelope.reply,
            is_post: envelope.kind == Kind::Post,
        };
        let what = (envelope.interface, envelope.operation);
        if self.load.get().requests >= REQUESTS_MAX {
            self.answer(&**port, &asker, Status::Overloaded, &[]);
            return Begun::Answered(what);
        }
        let server = self.by_interface.borrow().get(&(class, envelope.interface)).cloned();
        let context = Context { sender: incoming.sender, badge: incoming.badge, epoch: envelope.epoch };
        match server.map_or(Served::Unknown, |server| server.serve(envelope.operation, context, body)) {
            Served::Task(future) => {
                self.change_load(|load| load.requests += 1);
                let (services, port, began) = (self.clone(), port.clone(), port.now());
                Begun::Task(what, Request { future, asker, services, port, began, is_over: false })
            }
            Served::Unknown => {
                self.answer(&**port, &asker, Status::Unknown, &[]);
                Begun::Answered(what)
            }
            Served::Malformed => {
                self.answer(&**port, &asker, Status::Malformed, &[]);
                Begun::Answered(what)
            }
        }
    }

    fn change_load(&self, change: impl FnOnce(&mut Load)) {
        let mut load = self.load.get();
        change(&mut load);
        self.load.set(load);
    }

    fn answer(&self, port: &dyn Port, asker: &Asker, status: Status, body: &[u8]) {
        if asker.is_post {
            return;
        }
        let mut message = Vec::with_capacity(ENVELOPE_SIZE + body.len());
        let Asker { request, interface, operation, epoch, .. } = *asker;
        Envelope { request, interface, operation, epoch, kind: Kind::Answer, status, reply: None }
            .write(&mut message);
        message.extend_from_slice(body);
        let sent = match (&asker.reply, asker.route) {
            (Some(address), _) => port.send(address, &message),
            (None, Route::MAILBOX) => Ok(()),
            (None, route) => port.send_back(route, &message),
        };
        if sent.is_err() {
            self.dropped_answers.set(self.dropped_answers.get() + 1);
        }
    }
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
        let (status, bytes) = match body {
            AnswerBody::Done(bytes) => (Status::Done, bytes),
            AnswerBody::Refused(bytes) => (Status::Refused, bytes),
            AnswerBody::Redirected(address) => (Status::Redirected, address.to_bytes().to_vec()),
            AnswerBody::NotNow => (Status::NotNow, Vec::new()),
        };
        let took = self.port.now().since(self.began);
        self.services.change_load(|load| load.answered(took));
        self.services.answer(&*self.port, &self.asker, status, &bytes);
        Poll::Ready(())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.services.change_load(|load| load.requests -= 1);
        if !self.is_over {
            self.services.answer(&*self.port, &self.asker, Status::NotNow, &[]);
        }
    }
}

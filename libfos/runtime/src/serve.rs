//! The answering side: which dispatcher a request goes to, and the answer's way back. A server never waits for a client:
//! an answer that finds no room is dropped, since an honest client has set room aside.

use crate::load::Counter;
use crate::port::{Class, Incoming, Poison, Port, Route};
use crate::runtime::{Inner, Work};
use crate::tasks::Priority;
use crate::{Instant, Load};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use fos_abi::Identity;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_messages::rpc::wire::Scalar;
use fos_messages::rpc::{
    self, ADDRESS_SIZE, Address, AnswerBody, Context, ENVELOPE_SIZE, Envelope, Kind, Outgoing, Received,
    Serve, Served, Status,
};

/// Requests of clients that one member has under way at most; further ones are answered `Overloaded`. It has room for as many of
/// the other members besides: what they agree on is what clients wait for, so it must not wait for clients.
pub const REQUESTS_MAX: u32 = 512;
/// Of which one client may have so many: who asks for what takes long, and asks again and again, leaves room for others. It
/// is twice what a client can await of one server, so that those it gave up do not keep it from asking.
pub const REQUESTS_OF_ONE_MAX: u32 = REQUESTS_MAX / 4;

/// The most bytes of a buffer for answers that is kept for the next.
const ROOM_KEPT: usize = 4096;
/// What a buffer for answers has at first: an envelope and a few scalars.
const ROOM_AT_FIRST: usize = 64;

/// Where an answer goes. What is of the request's bytes is read where it is needed.
struct Asker<H, A> {
    /// The request's envelope.
    head: H,
    /// Of the server, if it has the interface.
    version: u8,
    /// Nobody waits for the answer to a post.
    is_post: bool,
    route: Route,
    reply: Option<A>,
}

type Head = [u8; ENVELOPE_SIZE];
type Reply = [u8; ADDRESS_SIZE];

impl<H: Borrow<Head>, A: Borrow<Reply>> Asker<H, A> {
    /// For longer than its request is there.
    fn kept(&self) -> Asker<Head, Reply> {
        let Asker { version, is_post, route, .. } = *self;
        let reply = self.reply.as_ref().map(|reply| *reply.borrow());
        Asker { head: *self.head.borrow(), version, is_post, route, reply }
    }
}

/// An interface that is offered.
struct Service {
    class: Class,
    interface: u16,
    version: u8,
    server: Rc<dyn Serve>,
}

/// What a server offers, by class and interface.
#[derive(Default)]
pub struct Services {
    offered: RefCell<Vec<Service>>,
    load: Counter,
    /// A buffer for the next answer.
    room: Cell<Outgoing>,
    dropped_answers: Cell<u64>,
    unsendable_answers: Cell<u64>,
    poisonous: Cell<u64>,
    /// Requests of clients under way, all and by who asked for them, if there are any.
    of_clients: Cell<u32>,
    under_way: RefCell<BTreeMap<u64, u32>>,
}

impl Services {
    /// Serves an interface to those who reach this class of mailbox.
    pub fn add(&self, class: Class, server: Rc<dyn Serve>) {
        let (interface, version) = server.speaks();
        self.remove(class, interface);
        self.offered.borrow_mut().push(Service { class, interface, version, server });
    }

    /// Serves it no longer. Requests under way go on.
    pub fn remove(&self, class: Class, interface: u16) {
        let is_it = |service: &Service| service.class == class && service.interface == interface;
        let place = self.offered.borrow().iter().position(is_it);
        let removed = place.map(|place| self.offered.borrow_mut().swap_remove(place));
        // Dropped when nothing is borrowed.
        drop(removed);
    }

    /// Serves nothing any more.
    pub fn end(&self) {
        let services = core::mem::take(&mut *self.offered.borrow_mut());
        drop(services);
    }

    #[inline(always)]
    fn find(&self, class: Class, interface: u16) -> Option<(u8, Rc<dyn Serve>)> {
        let offered = self.offered.borrow();
        let mut found = offered.iter().filter(|service| service.class == class);
        found
            .find(|service| service.interface == interface)
            .map(|service| (service.version, service.server.clone()))
    }

    /// How loaded this member is.
    pub fn load(&self) -> Load {
        self.load.load()
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

    /// Begins a request: it is answered, or has a task that will. Anything that is no request is dropped.
    #[inline(always)]
    pub fn begin<P: Port + ?Sized>(
        self: &Rc<Services>,
        port: &P,
        runtime: &Inner,
        began: Instant,
        class: Class,
        incoming: &Incoming<'_>,
        message: &[u8],
    ) -> Begun {
        let received = Envelope::read(message).filter(|received| received.envelope.kind != Kind::Answer);
        let (Some(Received { envelope, body, reply }), Some(head)) =
            (received, message.first_chunk::<ENVELOPE_SIZE>())
        else {
            return Begun::done(Work::Garbage(class));
        };
        let Envelope { interface, operation, epoch, .. } = envelope;
        let Incoming { sender, badge, route, .. } = *incoming;
        let work = Work::Request(class, interface, operation);
        let found = self.find(class, interface);
        let version = found.as_ref().map_or(0, |(version, _)| *version);
        let is_post = envelope.kind == Kind::Post;
        let asker = Asker { head, version, is_post, route, reply };
        let refusal = match found {
            _ if envelope.status == Status::Poisonous => {
                self.refuse_poison(port, &Poison { sender, interface, operation })
            }
            _ if self.has_no_room_for(class, envelope.kind, sender) => Status::Overloaded,
            None => Status::Unknown,
            Some(_) if version != envelope.version => Status::OtherVersion,
            Some((_, server)) => {
                let context = Context { sender, badge, epoch };
                match server.serve(operation, context, body, self.take_room()) {
                    Served::Task(future) => {
                        let client = (class == Class::External).then_some(sender);
                        self.began(client);
                        let (asker, services, port) = (asker.kept(), self.clone(), runtime.port.clone());
                        let request =
                            Request { future, asker, client, services, port, began, is_over: false };
                        runtime.tasks.spawn(Priority::Normal, Box::pin(request));
                        return Begun { work, then: Then::RunAdded };
                    }
                    Served::Answer(body) => {
                        self.finish(port, &asker, began, body);
                        return Begun::done(work);
                    }
                    Served::Unknown => Status::Unknown,
                    Served::Malformed => Status::Malformed,
                }
            }
        };
        self.refuse(port, &asker, refusal);
        Begun::done(work)
    }

    #[cold]
    fn refuse_poison<P: Port + ?Sized>(&self, port: &P, poison: &Poison) -> Status {
        self.poisonous.set(self.poisonous.get() + 1);
        port.poisoned(poison);
        Status::Poisonous
    }

    /// Members of the own fleet are trusted with how much they ask. A post of theirs is never refused: nobody would hear of it,
    /// and what they agree on would stand still.
    #[inline]
    fn has_no_room_for(&self, class: Class, kind: Kind, sender: Identity) -> bool {
        let of_clients = self.of_clients.get();
        if class != Class::External {
            return kind == Kind::Request && self.load.requests() - of_clients >= REQUESTS_MAX;
        }
        let has_its_share =
            || self.under_way.borrow().get(&sender.0).is_some_and(|held| *held >= REQUESTS_OF_ONE_MAX);
        // Nobody can have as many as one may before there are as many in all.
        of_clients >= REQUESTS_OF_ONE_MAX && (of_clients >= REQUESTS_MAX || has_its_share())
    }

    /// A request begins, of this client if it is not a member's.
    fn began(&self, client: Option<Identity>) {
        self.load.began();
        if let Some(client) = client {
            self.of_clients.set(self.of_clients.get() + 1);
            *self.under_way.borrow_mut().entry(client.0).or_default() += 1;
        }
    }

    /// It is over.
    fn ended(&self, client: Option<Identity>) {
        self.load.ended();
        let Some(client) = client else { return };
        self.of_clients.set(self.of_clients.get() - 1);
        let mut under_way = self.under_way.borrow_mut();
        if let Entry::Occupied(mut held) = under_way.entry(client.0) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    /// An empty buffer for an answer.
    #[inline(always)]
    fn take_room(&self) -> Outgoing {
        let room = self.room.take();
        if room.capacity() == 0 { Outgoing::with_capacity(ROOM_AT_FIRST) } else { room }
    }

    #[inline(always)]
    fn give_room_back(&self, mut room: Outgoing) {
        if room.capacity() <= ROOM_KEPT {
            room.clear();
            self.room.set(room);
        }
    }

    /// Answers without a body.
    #[cold]
    #[inline(never)]
    fn refuse<P: Port + ?Sized, H: Borrow<Head>, A: Borrow<Reply>>(
        &self,
        port: &P,
        asker: &Asker<H, A>,
        status: Status,
    ) {
        self.answer(port, asker, status, self.take_room());
    }

    /// Counts a request as done and answers it.
    #[inline(always)]
    fn finish<P: Port + ?Sized, H: Borrow<Head>, A: Borrow<Reply>>(
        &self,
        port: &P,
        asker: &Asker<H, A>,
        began: Instant,
        body: AnswerBody,
    ) {
        self.load.answered(port.now().nanoseconds.saturating_sub(began.nanoseconds));
        let (status, body) = match body {
            AnswerBody::Done(body) => (Status::Done, body),
            AnswerBody::Refused(body) => (Status::Refused, body),
            other => self.without_value(other),
        };
        self.answer(port, asker, status, body);
    }

    /// The status and body of an answer that is neither a value nor a refusal.
    #[cold]
    #[inline(never)]
    fn without_value(&self, body: AnswerBody) -> (Status, Outgoing) {
        let room = self.take_room();
        match body {
            AnswerBody::Done(body) => (Status::Done, body),
            AnswerBody::Refused(body) => (Status::Refused, body),
            AnswerBody::Redirected(address) => (Status::Redirected, redirection(&address, room)),
            AnswerBody::NotNow => (Status::NotNow, room),
            AnswerBody::Unsendable => {
                self.unsendable_answers.set(self.unsendable_answers.get() + 1);
                (Status::Unsendable, room)
            }
        }
    }

    /// Answers, except a post, for which nobody waits.
    #[inline(always)]
    fn answer<P: Port + ?Sized, H: Borrow<Head>, A: Borrow<Reply>>(
        &self,
        port: &P,
        asker: &Asker<H, A>,
        status: Status,
        mut body: Outgoing,
    ) {
        if !asker.is_post {
            let message = body.sealed(Envelope::answer_to(asker.head.borrow(), status, asker.version));
            let sent = match (&asker.reply, asker.route) {
                (Some(reply), _) => port.send(&Address::from_bytes(reply.borrow()), message),
                (None, Route::MAILBOX) => Ok(()),
                (None, route) => port.send_back(route, message),
            };
            if sent.is_err() {
                self.not_sent(port, asker, status, message.len());
            }
        }
        self.give_room_back(body);
    }

    /// An answer found no room, or no pages if it is too long for a mailbox: then a short one says that.
    #[cold]
    #[inline(never)]
    fn not_sent<P: Port + ?Sized, H: Borrow<Head>, A: Borrow<Reply>>(
        &self,
        port: &P,
        asker: &Asker<H, A>,
        status: Status,
        length: usize,
    ) {
        if length > MESSAGE_MAX && status != Status::Unsendable {
            return self.refuse(port, asker, Status::Unsendable);
        }
        self.dropped_answers.set(self.dropped_answers.get() + 1);
    }
}

/// The body of an answer that sends its asker elsewhere.
fn redirection(to: &Address, mut body: Outgoing) -> Outgoing {
    Scalar::write(*to, body.end());
    body
}

/// What became of a message.
#[derive(Clone, Copy)]
pub struct Begun {
    /// What the step did, if nothing runs after it.
    pub work: Work,
    pub then: Then,
}

/// What a step does after it took a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// Runs the task whose answer came.
    Run(u32),
    /// Runs the task that was added.
    RunAdded,
}

impl Begun {
    /// There is no more to do.
    pub fn done(work: Work) -> Begun {
        Begun { work, then: Then::Nothing }
    }
}

/// A request under way. However it ends, it is no longer counted; if nobody finished it, its asker hears `NotNow`.
struct Request {
    future: rpc::Future,
    asker: Asker<Head, Reply>,
    client: Option<Identity>,
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
        self.services.ended(self.client);
        if !self.is_over {
            self.services.answer(&*self.port, &self.asker, Status::NotNow, self.services.take_room());
        }
    }
}

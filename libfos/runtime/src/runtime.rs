//! The loop, a step at a time: responses first, then what has become ready, then requests from the own fleet, then
//! clients', and background work when there is nothing else.

use crate::calls::{Calls, Within};
use crate::port::{Class, Event, Incoming, Port, Show};
use crate::serve::{Begun, Services, Then};
use crate::tasks::{Priority, Tasks};
use crate::timers::{Timer, Timers};
use crate::watches::{Ended, Watches};
use crate::{Instant, Load};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use fos_messages::rpc::{Address, SendError, Serve};

/// When a watch that found no room is tried again.
const WATCH_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It did something; there may be more.
    Did(Work),
    /// There is nothing to do before this time, or before a message comes.
    Idle(Option<Instant>),
}

/// What a step did, for whoever accounts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Took a message to the response mailbox.
    Response,
    /// Took an answer, and ran the task that waited for it.
    Answer,
    /// Began a request: its interface and operation.
    Request(Class, u16, u16),
    /// Dropped a message that was none.
    Garbage(Class),
    /// Ran a task that was waiting.
    Task,
    /// Ran a background task.
    Background,
}

/// What a runtime lost since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Messages to the response mailbox that answered nothing: forged, late, or garbage.
    pub strays: u64,
    /// Answers of its own that found no room at the asker.
    pub dropped_answers: u64,
    /// Answers of its own that could not be written or were longer than their interface promises: a server's mistake.
    pub unsendable_answers: u64,
    /// Requests that were refused because two members had ended in the middle of them.
    pub poisonous: u64,
}

/// What clones of a runtime share.
pub(crate) struct Inner {
    pub(crate) port: Rc<dyn Port>,
    pub(crate) tasks: Tasks,
    timers: Timers,
    pub(crate) calls: Calls,
    services: Rc<Services>,
    watches: Watches,
}

/// One thread's runtime. Clones are the same runtime.
#[derive(Clone)]
pub struct Runtime(Rc<Inner>);

impl Runtime {
    /// A runtime over a port.
    pub fn new(port: Rc<dyn Port>) -> Runtime {
        let (tasks, timers, calls, services) =
            (Tasks::default(), Timers::default(), Calls::default(), Rc::default());
        Runtime(Rc::new(Inner { port, tasks, timers, calls, services, watches: Watches::default() }))
    }

    /// What is below.
    #[inline]
    pub fn port(&self) -> &dyn Port {
        &*self.0.port
    }

    #[inline]
    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn watches(&self) -> &Watches {
        &self.0.watches
    }

    /// Waits for the end of the mailbox there; it is watched from this call on. An error: it has ended already, or the
    /// key does not allow to watch.
    pub fn ended(&self, peer: &Address) -> Result<Ended, SendError> {
        let ended = Ended::new(self.clone(), self.0.watches.begin());
        self.0.port.watch(peer, ended.cookie()).map(|()| ended)
    }

    /// Waits until the mailbox there has ended. As long as there is no room for one more watch it tries again: a lack of
    /// room says nothing of whoever is to be watched.
    pub async fn outlive(&self, peer: &Address) {
        loop {
            match self.ended(peer) {
                Ok(ended) => return ended.await,
                Err(SendError::Full) => self.sleep(WATCH_AGAIN_AFTER).await,
                Err(_) => return,
            }
        }
    }

    /// Adds a task.
    pub fn spawn(&self, priority: Priority, task: impl Future<Output = ()> + 'static) {
        self.0.tasks.spawn(priority, Box::pin(task));
    }

    /// Calls that give up after this time.
    pub fn within(&self, time: Duration) -> Within {
        Within::new(self.clone(), time)
    }

    /// Serves an interface to those who reach this class of mailbox, from now on: a server's own when it begins, and
    /// that of a data structure whenever one comes to be.
    pub fn serve(&self, class: Class, server: Rc<dyn Serve>) {
        self.0.services.add(class, server);
    }

    /// Serves an interface no longer. Requests under way go on.
    pub fn withdraw(&self, class: Class, interface: u16) {
        self.0.services.remove(class, interface);
    }

    /// How loaded it is.
    pub fn load(&self) -> Load {
        self.0.services.load()
    }

    /// What was lost.
    pub fn lost(&self) -> Lost {
        let Inner { calls, services, .. } = &*self.0;
        Lost {
            strays: calls.strays(),
            dropped_answers: services.dropped_answers(),
            unsendable_answers: services.unsendable_answers(),
            poisonous: services.poisonous(),
        }
    }

    /// Drops every task and every service. Nothing of this runtime runs any more, and what its tasks held of it is
    /// free: for whoever ends a process from outside.
    pub fn end(&self) {
        self.0.tasks.end();
        self.0.services.end();
    }

    /// Sleeps for a time.
    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep { runtime: self.clone(), until: self.port().now().after(time), timer: None }
    }

    /// Does the next thing there is to do.
    pub fn step(&self) -> Step {
        self.step_on(self.port())
    }

    /// The same for who knows what its port is, which the compiler then puts together with the step. `port` is the one that
    /// the runtime was made over.
    #[inline]
    pub fn step_on<P: Port + ?Sized>(&self, port: &P) -> Step {
        let inner = &*self.0;
        let now = port.now();
        inner.timers.fire(now);
        inner.calls.expire(now, &inner.tasks);
        let is_ready = inner.tasks.is_ready(Priority::Normal);
        if let Some(work) = self.take(port, now, is_ready) {
            return Step::Did(work);
        }
        if is_ready && inner.tasks.run_one(Priority::Normal) {
            return Step::Did(Work::Task);
        }
        if inner.tasks.run_one(Priority::Idle) {
            return Step::Did(Work::Background);
        }
        let next = [inner.timers.next(), inner.calls.next_deadline()];
        Step::Idle(next.into_iter().flatten().min())
    }

    /// Takes a message from the first mailbox that has one; from that for responses only, if tasks are ready. A request runs
    /// up to where it first waits, and so does a task whose answer came, unless others are ready before it.
    #[inline(always)]
    fn take<P: Port + ?Sized>(&self, port: &P, now: Instant, is_ready: bool) -> Option<Work> {
        let tasks = &self.0.tasks;
        let last = if is_ready { Class::Response } else { Class::External };
        // What the port keeps for itself is not shown.
        let mut taking =
            Taking { inner: &self.0, port, now, is_ready, begun: Begun::done(Work::Garbage(last)) };
        if !port.take(last, &mut taking) {
            return None;
        }
        let Begun { work, then } = taking.begun;
        match then {
            Then::Nothing => {}
            Then::Run(task) if tasks.run_now(task) => return Some(Work::Answer),
            Then::Run(_) => {}
            Then::RunAdded => _ = tasks.run_one(Priority::Normal),
        }
        Some(work)
    }
}

/// A step that takes a message.
struct Taking<'a, P: ?Sized> {
    inner: &'a Inner,
    port: &'a P,
    now: Instant,
    /// Other tasks are ready before one that an answer wakes.
    is_ready: bool,
    begun: Begun,
}

impl<P: Port + ?Sized> Show for Taking<'_, P> {
    // Together with a port that is known it is one function, without calls through tables.
    #[inline(always)]
    fn show(&mut self, class: Class, incoming: Incoming<'_>) {
        let Inner { services, calls, watches, tasks, .. } = self.inner;
        self.begun = match (class, incoming.event) {
            (Class::Response, Event::Message(bytes)) => {
                let then = match calls.answered(incoming.sender, bytes) {
                    Some(task) if self.is_ready => {
                        tasks.wake(task);
                        Then::Nothing
                    }
                    Some(task) => Then::Run(task),
                    None => Then::Nothing,
                };
                Begun { work: Work::Response, then }
            }
            (Class::Response, Event::Ended { cookie }) => {
                if !watches.ended(cookie) {
                    calls.peer_ended(cookie, tasks);
                }
                Begun::done(Work::Response)
            }
            (_, Event::Message(bytes)) => {
                services.begin(self.port, self.inner, self.now, class, &incoming, bytes)
            }
            (_, Event::Ended { .. }) => Begun::done(Work::Garbage(class)),
        };
    }
}

/// Sleeps until a time.
pub struct Sleep {
    runtime: Runtime,
    until: Instant,
    timer: Option<Timer>,
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = self.timer.take() {
            self.runtime.0.timers.cancel(timer);
        }
        if self.runtime.port().now() >= self.until {
            return Poll::Ready(());
        }
        let timer = self.runtime.0.timers.set(self.until, context.waker().clone());
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.runtime.0.timers.cancel(timer);
        }
    }
}

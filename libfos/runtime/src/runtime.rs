//! The loop, a step at a time: responses first, then what has become ready, then requests from the own fleet, then
//! clients', and background work when there is nothing else.

use crate::calls::{Calls, Within};
use crate::port::{Class, Event, Port};
use crate::serve::{Begun, Services};
use crate::tasks::{Priority, Tasks};
use crate::timers::{Timer, Timers};
use crate::watches::{Ended, Watches};
use crate::{Instant, Load};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use fos_abi::Identity;
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

struct Inner {
    port: Rc<dyn Port>,
    tasks: Tasks,
    timers: Timers,
    calls: Calls,
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
    pub fn port(&self) -> &dyn Port {
        &*self.0.port
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.0.calls
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
        let inner = &*self.0;
        let now = inner.port.now();
        inner.timers.fire(now);
        inner.calls.expire(now);
        let is_ready = inner.tasks.is_ready(Priority::Normal);
        if let Some(work) = self.take(if is_ready { Class::Response } else { Class::External }, now) {
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

    /// Takes a message from the first mailbox up to the `last` that has one. A request runs up to where it first waits.
    #[inline(always)]
    fn take(&self, last: Class, now: Instant) -> Option<Work> {
        let Inner { port, services, tasks, .. } = &*self.0;
        // What the port keeps for itself is not shown.
        let mut begun = Begun::Dropped(last);
        let is_taken = port.take(last, &mut |class, incoming| {
            begun = match (class, incoming.event) {
                (Class::Response, event) => {
                    self.take_response(incoming.sender, event);
                    Begun::Heard
                }
                (_, Event::Message(bytes)) => services.begin(port, now, class, &incoming, bytes),
                (_, Event::Ended { .. }) => Begun::Dropped(class),
            };
        });
        if !is_taken {
            return None;
        }
        Some(match begun {
            Begun::Heard => Work::Response,
            Begun::Dropped(class) => Work::Garbage(class),
            Begun::Answered(class, interface, operation) => Work::Request(class, interface, operation),
            Begun::Task(class, interface, operation, request) => {
                tasks.spawn(Priority::Normal, request);
                tasks.run_one(Priority::Normal);
                Work::Request(class, interface, operation)
            }
        })
    }

    fn take_response(&self, sender: Identity, event: Event<'_>) {
        let (calls, watches) = (&self.0.calls, &self.0.watches);
        match event {
            Event::Message(bytes) => calls.answered(sender, bytes),
            Event::Ended { cookie } if watches.ended(cookie) => {}
            Event::Ended { cookie } => calls.peer_ended(cookie),
        }
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

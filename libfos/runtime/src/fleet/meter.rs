//! How loaded a member is, measured at its door: requests under way on average, the time that the member takes for each, and
//! how many took how long.
//!
//! The time for each is the time in which there was something to do, divided by the requests answered in it. So it is the
//! same however many wait, for a service that does one after the other, and small for one that does many at once; times the
//! requests under way it is what a new one waits (Little, "A proof for the queuing formula L = λW", 1961).
//! A request that waits for what others do is no load: another member would not have it sooner.

use crate::load::Histogram;
use crate::{Instant, Runtime};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use fos_messages::fleet::Figure;
use fos_messages::rpc::{AnswerBody, Served};

/// Counts requests from their beginning to their answer.
#[derive(Default)]
pub struct Meter {
    requests: Cell<u32>,
    /// Of those, how many wait for others.
    waiting: Cell<u32>,
    /// Up to when the next two are summed.
    until: Cell<Instant>,
    /// Requests under way times nanoseconds, since the last figure.
    area: Cell<u64>,
    /// Nanoseconds with any, since the last figure.
    busy: Cell<u64>,
    answered: Cell<u64>,
    figured: Cell<Instant>,
    service: Cell<u64>,
    last_arrival: Cell<Instant>,
    histogram: RefCell<Histogram>,
}

impl Meter {
    /// Requests under way.
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// When the last one came.
    pub fn last_arrival(&self) -> Instant {
        self.last_arrival.get()
    }

    /// How many took how long, since the member began.
    pub fn histogram(&self) -> Histogram {
        *self.histogram.borrow()
    }

    /// Counts a request that came at this time and that a server made this of.
    pub fn count(self: &Rc<Self>, runtime: &Runtime, came: Instant, served: Served) -> Served {
        self.last_arrival.set(came);
        match served {
            Served::Task(future) => {
                self.settle(came);
                self.requests.set(self.requests.get() + 1);
                let (meter, runtime) = (self.clone(), runtime.clone());
                Served::Task(Box::pin(Counted { future, meter, runtime, came }))
            }
            Served::Answer(body) => {
                let took = runtime.port().now().since(came);
                let nanoseconds = took.as_nanos() as u64;
                self.area.set(self.area.get() + nanoseconds);
                self.busy.set(self.busy.get() + nanoseconds);
                self.answered(took);
                Served::Answer(body)
            }
            other => other,
        }
    }

    /// A request waits for others: until the answer is dropped it is nothing that there is to do here.
    pub fn waits(self: &Rc<Self>, runtime: &Runtime) -> Waiting {
        self.settle(runtime.port().now());
        self.waiting.set(self.waiting.get() + 1);
        Waiting { meter: self.clone(), runtime: runtime.clone() }
    }

    fn answered(&self, took: Duration) {
        self.answered.set(self.answered.get() + 1);
        self.histogram.borrow_mut().record(took);
    }

    fn settle(&self, now: Instant) {
        let spent = now.since(self.until.replace(now)).as_nanos() as u64;
        let requests = u64::from(self.requests.get().saturating_sub(self.waiting.get()));
        self.area.set(self.area.get() + spent * requests);
        self.busy.set(self.busy.get() + if requests > 0 { spent } else { 0 });
    }

    /// The figure of the time since the last one. `lag` is how long a message lay before it was looked at.
    pub fn figure(&self, now: Instant, lag: Duration) -> Figure {
        self.settle(now);
        let time = (now.since(self.figured.replace(now)).as_nanos() as u64).max(1);
        let (area, busy, answered) = (self.area.take(), self.busy.take(), self.answered.take());
        let requests_permille = u64::min(area.saturating_mul(1000) / time, u32::MAX.into()) as u32;
        let before = self.service.get();
        let service_nanoseconds = match busy.checked_div(answered) {
            Some(each) if before == 0 => each,
            Some(each) => (before + each) / 2,
            // None was answered: each takes at least as long as there was something to do.
            None => before.max(busy),
        };
        self.service.set(service_nanoseconds);
        let queued = service_nanoseconds.saturating_mul(requests_permille.into()) / 1000;
        let wait_nanoseconds = queued.max(u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX));
        Figure { requests_permille, wait_nanoseconds, service_nanoseconds, ..Figure::default() }
    }
}

/// A request that waits for others.
pub struct Waiting {
    meter: Rc<Meter>,
    runtime: Runtime,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.meter.settle(self.runtime.port().now());
        self.meter.waiting.set(self.meter.waiting.get() - 1);
    }
}

/// A request under way.
struct Counted {
    future: fos_messages::rpc::Future,
    meter: Rc<Meter>,
    runtime: Runtime,
    came: Instant,
}

impl Future for Counted {
    type Output = AnswerBody;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AnswerBody> {
        let polled = self.future.as_mut().poll(context);
        if polled.is_ready() {
            self.meter.answered(self.runtime.port().now().since(self.came));
        }
        polled
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.meter.settle(self.runtime.port().now());
        self.meter.requests.set(self.meter.requests.get() - 1);
    }
}

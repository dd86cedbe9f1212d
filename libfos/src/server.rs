//! The main loop of a process that serves, or that only asks: its runtime, driven until there is nothing to do, then asleep
//! until a message comes or the next deadline.

use alloc::rc::Rc;
use core::cell::RefCell;

use fos_messages::start::Start;
use fos_runtime::{Priority, Runtime, Step};

use crate::memory::{Memory, MemoryError};
use crate::port::KernelPort;
use crate::port::thresholds::Thresholds;

/// One thread's runtime over the kernel.
#[derive(Clone)]
pub struct Server {
    /// What runs.
    pub runtime: Runtime,
    /// What it stands on.
    pub port: Rc<KernelPort>,
}

impl Server {
    /// A runtime with mailboxes of its own, for the calling thread.
    pub fn create(memory: &mut Memory, start: &Start) -> Result<Server, MemoryError> {
        Server::with_thresholds(memory, start, Thresholds::MACHINE)
    }

    /// As [`create`](Self::create), with thresholds of its own for when links are used.
    pub fn with_thresholds(
        memory: &mut Memory,
        start: &Start,
        thresholds: Thresholds,
    ) -> Result<Server, MemoryError> {
        let port = Rc::new(KernelPort::with_thresholds(memory, start, thresholds)?);
        Ok(Server { runtime: Runtime::new(port.clone()), port })
    }

    /// Serves for ever.
    pub fn run(&self) -> ! {
        loop {
            self.step_or_sleep();
        }
    }

    /// Serves until this is done, and gives its value.
    pub fn block_on<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let result = Rc::new(RefCell::new(None));
        let place = result.clone();
        self.runtime.spawn(Priority::Normal, async move {
            let value = task.await;
            *place.borrow_mut() = Some(value);
        });
        loop {
            if let Some(value) = result.take() {
                return value;
            }
            self.step_or_sleep();
        }
    }

    /// Does the next thing there is to do.
    pub fn step(&self) -> Step {
        self.runtime.step_on(&*self.port)
    }

    fn step_or_sleep(&self) {
        if let Step::Idle(until) = self.step() {
            self.port.sleep(until);
        }
    }
}

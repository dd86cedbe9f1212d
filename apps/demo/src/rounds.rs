//! What every load has: rounds, one after the other, until it is to end or one fails.

use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_runtime::Runtime;

use crate::fleet::{LOOK_EVERY, PATIENCE};

/// The rounds of a load.
#[derive(Default)]
pub(crate) struct Rounds {
    done: Cell<u64>,
    failure: RefCell<Option<String>>,
    is_over: Cell<bool>,
    has_ended: Cell<bool>,
}

impl Rounds {
    /// Does them, and pauses after each.
    pub(crate) async fn go_on(
        &self,
        runtime: &Runtime,
        pause: impl Fn() -> Duration,
        round: impl AsyncFn() -> Result<(), String>,
    ) {
        while !self.is_over.get() && self.failure.borrow().is_none() {
            match round().await {
                Ok(()) => self.done.set(self.done.get() + 1),
                Err(reason) => *self.failure.borrow_mut() = Some(reason),
            }
            runtime.sleep(pause()).await;
        }
        self.has_ended.set(true);
    }

    /// How many were done.
    pub(crate) fn done(&self) -> u64 {
        self.done.get()
    }

    /// What went wrong.
    pub(crate) fn failed(&self) -> Result<(), String> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// Waits for the end of the one under way, after which there is none.
    pub(crate) async fn end(&self, runtime: &Runtime) -> Result<(), String> {
        self.is_over.set(true);
        let deadline = runtime.port().now().after(PATIENCE);
        while !self.has_ended.get() {
            if runtime.port().now() > deadline {
                return Err("waited in vain for the last round of a load".into());
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        self.failed()
    }
}

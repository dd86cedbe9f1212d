//! Who is told when a mailbox ends. The kernel tells the response mailbox; this finds the task that waits for it.

use crate::Runtime;
use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Set in the cookies of this file; the others are those of calls' peers.
const MARK: u64 = 1 << 63;

enum State {
    Alive(Option<Waker>),
    Ended,
}

/// A runtime's watches.
#[derive(Default)]
pub struct Watches {
    last_cookie: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, State>>,
}

impl Watches {
    /// A notice came. Says whether it was for one of these.
    pub fn ended(&self, cookie: u64) -> bool {
        if cookie & MARK == 0 {
            return false;
        }
        if let Some(state) = self.waiting.borrow_mut().get_mut(&cookie)
            && let State::Alive(Some(waker)) = core::mem::replace(state, State::Ended)
        {
            waker.wake();
        }
        true
    }

    /// A place for a notice that is to come.
    pub(crate) fn begin(&self) -> u64 {
        let cookie = (self.last_cookie.get() | MARK) + 1;
        self.last_cookie.set(cookie);
        self.waiting.borrow_mut().insert(cookie, State::Alive(None));
        cookie
    }
}

/// Is over when a mailbox has ended. Dropping it ends the watch.
pub struct Ended {
    runtime: Runtime,
    cookie: u64,
}

impl Ended {
    pub(crate) fn new(runtime: Runtime, cookie: u64) -> Ended {
        Ended { runtime, cookie }
    }
    pub(crate) fn cookie(&self) -> u64 {
        self.cookie
    }
}

impl Future for Ended {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.runtime.watches().waiting.borrow_mut().get_mut(&self.cookie) {
            Some(State::Alive(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(State::Ended) | None => Poll::Ready(()),
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let state = self.runtime.watches().waiting.borrow_mut().remove(&self.cookie);
        if matches!(state, Some(State::Alive(_))) {
            self.runtime.port().unwatch(self.cookie);
        }
    }
}

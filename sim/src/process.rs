//! What the world knows of each process and of each core.

use crate::Random;
use fos_abi::Identity;
use fos_messages::rpc::Address;
use fos_runtime::Runtime;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A process: one runtime over three mailboxes on one core.
pub struct Member {
    pub name: Rc<str>,
    pub core: u32,
    pub identity: Identity,
    /// None once it has ended.
    pub runtime: Option<Runtime>,
    /// By class.
    pub addresses: [Address; 3],
    /// Whether it is in its core's queue, or runs.
    pub is_ready: bool,
    /// The earliest time at which it is woken anyway.
    pub wakes_at: Option<u64>,
    /// What it watches: mailboxes by cookie.
    pub watches: BTreeMap<u64, u64>,
    pub random: Random,
    /// A panic ends it, and not the run.
    pub may_panic: bool,
    /// The plan ended it, or its core.
    pub was_planned: bool,
    pub account: Account,
}

/// Where a process's time went, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Nanoseconds of its steps, with their messages.
    pub busy: u64,
    /// Of them, those that waking sleeping receivers took.
    pub waking: u64,
}

/// A core: does one step at a time.
#[derive(Clone, Debug)]
pub struct Core {
    /// Processes with something to do, in the order of their turns.
    pub ready: VecDeque<usize>,
    /// A step is due, or under way.
    pub is_scheduled: bool,
    /// When its last step ends.
    pub busy_until: u64,
    /// Whose step was the last.
    pub last: Option<usize>,
    /// How many times slower than it should be.
    pub slowness: u64,
    pub is_stopped: bool,
}

impl Default for Core {
    fn default() -> Core {
        let (ready, is_scheduled, busy_until, last, is_stopped) = Default::default();
        Core { ready, is_scheduled, busy_until, last, slowness: 1, is_stopped }
    }
}

impl Core {
    /// Whether it has given up polling, and halted.
    pub fn sleeps(&self, now: u64, poll: u64) -> bool {
        !self.is_scheduled && now > self.busy_until.saturating_add(poll)
    }
}

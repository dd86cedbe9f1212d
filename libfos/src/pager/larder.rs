//! Where a pager's frames come from. [`FromFleet`] asks the fleet `pages`, and waits: a thread that faulted has nothing else to do.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use fos_messages::names::Path;
use fos_messages::pages::{NAME, PagesError, Run};
use fos_messages::rpc::{Address, CallError};
use fos_messages::start::Start;

use crate::blocking::Blocking;
use crate::clock::Deadline;
use crate::memory::Memory;
use crate::naming;
use crate::pages::{LANE_OF_PAGER, Supply, SupplyError, give_up};
use crate::root::{Root, RootError};

/// How long one member may take, and all of it with its retries.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

/// Brings frames, and takes them back.
pub trait Larder: Debug {
    /// At most so many frames, at least one, that read as zeros, in runs of at most [`RUN_MAX`](super::store::RUN_MAX).
    fn fetch(&mut self, frames: u64) -> Result<Vec<Run>, SupplyError>;
    /// Takes runs back that nothing is made of any more.
    fn give_back(&mut self, runs: &[Run]) -> Result<(), SupplyError>;
}

/// The fleet `pages`, without a runtime.
#[derive(Debug)]
pub struct FromFleet {
    root: Root,
    /// For the mailboxes of look-ups.
    memory: Memory,
    blocking: Blocking,
    path: Path,
    member: Option<Address>,
    last_tag: u64,
    /// What was given up, and the fleet has not heard of.
    untold: Vec<Run>,
}

impl FromFleet {
    /// Looks nobody up before the first request. `memory` has a few hundred frames for mailboxes.
    pub fn new(start: &Start, mut memory: Memory) -> Result<FromFleet, RootError> {
        let root = Root::of_program(start)?;
        let blocking = Blocking::create(&mut memory, root.identity, root.clock)?;
        let last_tag = u64::from(LANE_OF_PAGER) << 48;
        let (path, untold) = (Path::new(NAME)?, Vec::new());
        Ok(FromFleet { root, memory, blocking, path, member: None, last_tag, untold })
    }

    fn member(&mut self, deadline: Deadline) -> Result<Address, SupplyError> {
        if let Some(member) = self.member {
            return Ok(member);
        }
        let found = naming::find(&self.root, &mut self.memory, &self.path, deadline);
        let member = found.map_err(|_| SupplyError::Unreachable(CallError::NotFound))?;
        self.member = Some(member);
        Ok(member)
    }

    fn tell(&mut self) -> Result<(), SupplyError> {
        let untold = core::mem::take(&mut self.untold);
        let told = self.ask(async |supply| supply.tell_given_up(&untold).await);
        if matches!(told, Err(SupplyError::Unreachable(_))) {
            self.untold = untold;
        }
        told
    }

    /// Asks a member, and another one when that one is not there any more or sends elsewhere; the same each time.
    fn ask<T>(
        &mut self,
        request: impl AsyncFn(&Supply<&Blocking>) -> Result<T, SupplyError>,
    ) -> Result<T, SupplyError> {
        let deadline = self.root.clock.after(PATIENCE);
        loop {
            let member = self.member(deadline)?;
            let supply = Supply::with_tag(&self.blocking, member, self.last_tag);
            let soon = self.root.clock.after(ANSWER_WITHIN).min(deadline);
            match self.blocking.wait(soon, request(&supply)) {
                Err(SupplyError::Unreachable(why)) if !deadline.has_passed() => {
                    self.member = match why {
                        CallError::Redirected(elsewhere) => Some(elsewhere),
                        _ => None,
                    };
                }
                answer => return answer,
            }
        }
    }
}

impl Larder for FromFleet {
    fn fetch(&mut self, frames: u64) -> Result<Vec<Run>, SupplyError> {
        if !self.untold.is_empty() {
            // What is not home yet counts against the quota. If nobody hears it now either, the answer to this says so.
            let _ = self.tell();
        }
        let mut frames = frames;
        loop {
            let fetched = self.ask(async |supply| supply.fetch(frames, 0).await);
            self.last_tag += 1;
            match fetched {
                Err(SupplyError::Refused(PagesError::OutOfMemory | PagesError::OverQuota)) if frames > 1 => {
                    frames /= 2;
                }
                fetched => return fetched,
            }
        }
    }

    fn give_back(&mut self, runs: &[Run]) -> Result<(), SupplyError> {
        // Whoever is asked, and however often: what is given up is given up once.
        give_up(runs)?;
        self.untold.extend_from_slice(runs);
        self.tell()
    }
}

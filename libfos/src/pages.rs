//! A program's memory from the fleet `pages`: whoever needs more than root gave it asks here, in batches, and gives back what it
//! does not use. Who is refused hears why ([`SupplyError`]), and nobody else notices.
//!
//! [`Supply`] is the conversation; a program with a runtime has its [`Memory`](crate::memory::Memory) and its heap grow by
//! [`Growing`]. Members of the fleet are found by its name: the closest is asked, and who is sent elsewhere goes there.

mod growing;

pub use growing::{BATCH, Growing};

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_messages::pages::{Account, Freed, PagesClient, PagesError, RUNS_MAX, Run, Statistics, Wanted};
use fos_messages::rpc::{Address, CallError, Caller, Never};

use crate::calls;
use crate::memory::MemoryError;

/// How often a request is made again of which it is not known whether it was done.
const TRIES: u32 = 3;

/// Why there is no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplyError {
    /// The fleet refused: out of memory, over the quota, or as it says.
    Refused(PagesError),
    /// No member of the fleet answered. What it may have given comes home when this process ends.
    Unreachable(CallError),
    /// Its answer is not what was asked for.
    BadAnswer,
    /// The frames were had, and can't be used.
    Memory(MemoryError),
}

impl From<MemoryError> for SupplyError {
    fn from(error: MemoryError) -> SupplyError {
        SupplyError::Memory(error)
    }
}

impl From<Error> for SupplyError {
    fn from(error: Error) -> SupplyError {
        SupplyError::Memory(error.into())
    }
}

impl core::fmt::Display for SupplyError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SupplyError::Refused(error) => write!(formatter, "{error}"),
            SupplyError::Unreachable(error) => write!(formatter, "the fleet pages does not answer: {error}"),
            SupplyError::BadAnswer => write!(formatter, "the fleet pages did not answer what was asked"),
            SupplyError::Memory(error) => write!(formatter, "{error}"),
        }
    }
}

impl core::error::Error for SupplyError {}

/// Frames of one block of this order, two to the order.
pub const fn block(order: u8) -> u64 {
    1 << order
}

/// The order of the smallest block with so many frames, at least one.
pub fn order_of(frames: u64) -> u8 {
    frames.max(1).next_power_of_two().ilog2() as u8
}

/// Asks the fleet for frames, and gives them back. One for each *lane* of a process: the number tells its requests apart from
/// those of the process's other supplies.
#[derive(Debug)]
pub struct Supply<C> {
    client: PagesClient<C>,
    last_tag: Cell<u64>,
    untold: RefCell<Vec<Run>>,
}

/// The lane of a program's own memory; a program numbers its further ones from 2 on.
pub const LANE_OF_MEMORY: u16 = 0;
/// The lane of its pager.
pub const LANE_OF_PAGER: u16 = 1;

impl<C: Caller> Supply<C> {
    /// By this way of calling, to a member that is there, or to whom the way itself leads.
    pub fn new(caller: C, member: Address, lane: u16) -> Supply<C> {
        Supply::with_tag(caller, member, u64::from(lane) << 48)
    }

    /// One that goes on after this tag, for who asks several members the same.
    pub(crate) fn with_tag(caller: C, member: Address, last_tag: u64) -> Supply<C> {
        let (last_tag, untold) = (Cell::new(last_tag), RefCell::default());
        Supply { client: PagesClient::new(caller, member), last_tag, untold }
    }

    /// How it asks.
    pub fn client(&self) -> &PagesClient<C> {
        &self.client
    }

    /// So many frames, all of them, in at most [`RUNS_MAX`] runs of blocks of this order. They read as zeros.
    pub async fn fetch(&self, frames: u64, order: u8) -> Result<Vec<Run>, SupplyError> {
        let refused = SupplyError::Refused(PagesError::BadRequest);
        let wanted = Wanted {
            tag: self.last_tag.get() + 1,
            frames: u32::try_from(frames).map_err(|_| refused)?,
            order,
        };
        self.last_tag.set(wanted.tag);
        // What is not home yet counts against the quota. If nobody hears it now either, the answer to this says so.
        let _ = self.tell().await;
        // The same tag: what was given already is not given twice.
        let answer = again(|| self.client.allocate(wanted)).await?;
        let count: u64 = answer.iter().map(|run| run.range.count).sum();
        if count == frames { Ok(answer) } else { Err(SupplyError::BadAnswer) }
    }

    /// At most so many frames, in blocks of this order, and one block at least: fewer are asked for when there are not as many.
    pub async fn fetch_some(&self, frames: u64, order: u8) -> Result<Vec<Run>, SupplyError> {
        let mut blocks = (frames / block(order)).max(1);
        loop {
            match self.fetch(blocks * block(order), order).await {
                Err(SupplyError::Refused(PagesError::OutOfMemory | PagesError::OverQuota)) if blocks > 1 => {
                    blocks /= 2;
                }
                answer => return answer,
            }
        }
    }

    /// Gives runs back, with all that was made of them. If the fleet can't be told, it is with the next request: they are not the
    /// program's any more.
    pub async fn give_back(&self, runs: &[Run]) -> Result<(), SupplyError> {
        give_up(runs)?;
        self.untold.borrow_mut().extend_from_slice(runs);
        self.tell().await
    }

    /// Tells the fleet of what was given up and it has not heard of.
    async fn tell(&self) -> Result<(), SupplyError> {
        loop {
            let runs: Vec<Run> = self.untold.borrow().iter().take(RUNS_MAX).copied().collect();
            if runs.is_empty() {
                return Ok(());
            }
            let told = self.tell_given_up(&runs).await;
            if !matches!(told, Err(SupplyError::Unreachable(_))) {
                self.untold.borrow_mut().retain(|run| !runs.contains(run));
            }
            told?;
        }
    }

    /// Says which runs were given up. Said twice is as said once.
    pub(crate) async fn tell_given_up(&self, runs: &[Run]) -> Result<(), SupplyError> {
        for runs in runs.chunks(RUNS_MAX) {
            let firsts: Vec<u64> = runs.iter().map(|run| run.range.first).collect();
            let freed = again(|| self.client.give_back(firsts.clone())).await?;
            // Not one's own any more: an earlier try did it, and its answer was lost.
            if freed.len() != firsts.len() || freed.contains(&Freed::InUse) {
                return Err(SupplyError::BadAnswer);
            }
        }
        Ok(())
    }

    /// What this process has of the fleet, and may have.
    pub async fn quota(&self) -> Result<Account, SupplyError> {
        again(|| async { self.client.quota().await.map_err(refused_by_nobody) }).await
    }

    /// How the member stands that is asked.
    pub async fn statistics(&self) -> Result<Statistics, SupplyError> {
        again(|| async { self.client.statistics().await.map_err(refused_by_nobody) }).await
    }
}

fn refused_by_nobody(error: CallError<Never>) -> CallError<PagesError> {
    error.map(|never| match never {})
}

/// Deletes the capabilities of runs with all mappings and all that was derived. Once: then they are not there any more.
pub(crate) fn give_up(runs: &[Run]) -> Result<(), Error> {
    for frames in runs.iter().map(|run| Handle(run.handle)) {
        calls::frames_unmap(frames)?;
        calls::cap_revoke(frames)?;
        calls::cap_delete(frames)?;
    }
    Ok(())
}

/// Makes a request again as long as it is not known whether it was done.
async fn again<T, F: Future<Output = Result<T, CallError<PagesError>>>>(
    request: impl Fn() -> F,
) -> Result<T, SupplyError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match request().await {
            Ok(value) => return Ok(value),
            Err(CallError::Refused(error)) => return Err(SupplyError::Refused(error)),
            Err(error) if error.nothing_was_done() || tries == TRIES => {
                return Err(SupplyError::Unreachable(
                    error.instead_of_refusal(|_| CallError::<Never>::BadAnswer),
                ));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;

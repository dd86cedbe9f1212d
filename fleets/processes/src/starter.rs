//! The seam below the fleet: who really starts and ends processes, and knows how they ended. On a machine that is root
//! ([`fos_messages::tickets`]), in the simulator a process of the scenario that is asked the same. It decides nothing and outlives
//! every member.
//!
//! Every operation takes a ticket and is safe to repeat: a start that was asked for twice, by two members, is one process.

use crate::record::Ticket;
use alloc::boxed::Box;
use core::time::Duration;
use fos_messages::processes::{Ended, ProcessError, SpawnOrder};
use fos_messages::rpc::{Address, CallError};
use fos_messages::tickets::{self, PART_MAX, SURVEYED_MAX, Survey, TicketsClient};
use fos_runtime::fleet::Coming;
use fos_runtime::{Runtime, Within};

/// What is to be done to a process that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It ends, as by this signal.
    End(u8),
    /// It stands still.
    Stop,
    /// It goes on.
    Resume,
}

/// Starts processes. A refusal is final; any other error says that it may or may not have been done: ask again.
pub trait Starter {
    /// Starts a process on a core, and says which identity it has.
    fn start(
        &self,
        ticket: Ticket,
        order: SpawnOrder,
        core: u16,
    ) -> Coming<'_, Result<u64, CallError<ProcessError>>>;

    /// Does this to it. Nothing, if it has ended.
    fn act(&self, ticket: Ticket, deed: Deed) -> Coming<'_, Result<(), CallError<ProcessError>>>;

    /// Waits for its end, and says how it came. Remembered until it is forgotten.
    fn outlive(&self, ticket: Ticket) -> Coming<'_, Result<Ended, CallError<ProcessError>>>;

    /// Forgets how it ended: the fleet knows.
    fn forget(&self, ticket: Ticket) -> Coming<'_, Result<(), CallError<ProcessError>>>;

    /// All starts that are not forgotten.
    fn known(&self) -> Coming<'_, Result<Survey, CallError<ProcessError>>>;
}

/// How long whoever starts processes may take, but for ends: it may be starting others, each of which takes milliseconds
/// where memory is emulated.
const WITHIN: Duration = Duration::from_secs(2);
/// How long a keeper waits for an end before it asks again.
const END_WITHIN: Duration = Duration::from_secs(5);

/// By the interface [`Tickets`](tickets::Tickets).
pub struct ByTickets {
    runtime: Runtime,
    at: Address,
}

impl ByTickets {
    /// Of whoever serves it there.
    pub fn new(runtime: Runtime, at: Address) -> ByTickets {
        ByTickets { runtime, at }
    }

    fn client(&self, time: Duration) -> TicketsClient<Within> {
        TicketsClient::new(self.runtime.within(time), self.at)
    }

    async fn send(
        &self,
        ticket: Ticket,
        order: &SpawnOrder,
        core: u16,
    ) -> Result<u64, CallError<ProcessError>> {
        let bytes = postcard::to_allocvec(order).map_err(|_| CallError::Refused(ProcessError::TooLong))?;
        let client = self.client(WITHIN);
        let first = bytes.len().saturating_sub(PART_MAX).next_multiple_of(PART_MAX);
        for (number, part) in bytes[..first].chunks(PART_MAX).enumerate() {
            plain(client.prepare(ticket.0, (number * PART_MAX) as u32, part.to_vec()).await)?;
        }
        client.start(ticket.0, core, first as u32, bytes[first..].to_vec()).await
    }
}

/// A call that is never refused, as one of calls that may be.
fn plain<T>(answer: Result<T, CallError>) -> Result<T, CallError<ProcessError>> {
    answer.map_err(|_| CallError::NotNow)
}

impl Starter for ByTickets {
    fn start(
        &self,
        ticket: Ticket,
        order: SpawnOrder,
        core: u16,
    ) -> Coming<'_, Result<u64, CallError<ProcessError>>> {
        Box::pin(async move { self.send(ticket, &order, core).await })
    }

    fn act(&self, ticket: Ticket, deed: Deed) -> Coming<'_, Result<(), CallError<ProcessError>>> {
        let (deed, signal) = match deed {
            Deed::End(signal) => (tickets::Deed::End, signal),
            Deed::Stop => (tickets::Deed::Stop, 0),
            Deed::Resume => (tickets::Deed::Resume, 0),
        };
        Box::pin(async move { plain(self.client(WITHIN).act(ticket.0, deed, signal).await) })
    }

    fn outlive(&self, ticket: Ticket) -> Coming<'_, Result<Ended, CallError<ProcessError>>> {
        Box::pin(async move { self.client(END_WITHIN).outlive(ticket.0).await })
    }

    fn forget(&self, ticket: Ticket) -> Coming<'_, Result<(), CallError<ProcessError>>> {
        Box::pin(async move { plain(self.client(WITHIN).forget(ticket.0).await) })
    }

    fn known(&self) -> Coming<'_, Result<Survey, CallError<ProcessError>>> {
        Box::pin(async move {
            let mut survey = Survey::default();
            loop {
                let above = survey.rows.last().map_or(0, |row| row.ticket);
                let Survey { last, rows } = plain(self.client(WITHIN).known(above).await)?;
                let is_all = rows.len() < SURVEYED_MAX;
                survey.last = last;
                survey.rows.extend(rows);
                if is_all {
                    return Ok(survey);
                }
            }
        })
    }
}

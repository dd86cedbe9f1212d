//! What a member answers: to clients, and to the other members. Who sends to it: everybody; whom it waits for: the
//! coordinator, for a time, and a child's start or end, for a time.

use crate::ledger::Ledger;
use crate::table::{Asker, Change, Done};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;
use fos_messages::names::{DirectoryKey, RequestNumber};
use fos_messages::processes::{
    Description, Elsewhere, LISTED_MAX, ORDER_BYTES_MAX, Pid, ProcessError, ProcessPeers, Processes,
    Progress, SpawnOrder, Spawned, Statistics, Target, WAIT_WITHIN, Waited, Whom,
};
use fos_messages::rpc::{Address, Context, Instead, Never};
use fos_runtime::Runtime;

/// How long a start may take before the client is told to ask again.
const START_WITHIN: Duration = Duration::from_secs(10);

type Answered<T> = Result<T, Instead<ProcessError>>;

/// What clients ask.
pub struct Clients {
    /// The member's runtime.
    pub runtime: Runtime,
    /// The table.
    pub ledger: Rc<Ledger>,
    /// The fleet's key.
    pub key: DirectoryKey,
}

fn asker(context: &Context, number: RequestNumber) -> Asker {
    Asker { identity: context.sender.0, number: number.0 }
}

impl Clients {
    async fn change(&self, change: Change) -> Answered<Done> {
        match self.ledger.change(change).await.ok_or(Instead::NotNow)?? {
            Done::NotYet => Err(Instead::NotNow),
            done => Ok(done),
        }
    }
}

impl Processes for Clients {
    async fn enroll(&self, context: Context, key: DirectoryKey, own: Address) -> Answered<Pid> {
        if !self.key.opens(&key) {
            return Err(ProcessError::BadKey.into());
        }
        if own.identity != context.sender {
            return Err(ProcessError::NotYours.into());
        }
        match self.change(Change::Enroll { identity: context.sender.0, own }).await? {
            Done::Process(pid) => Ok(pid),
            _ => Err(Instead::NotNow),
        }
    }

    async fn spawn(&self, context: Context, number: RequestNumber, order: SpawnOrder) -> Answered<Spawned> {
        // What waits to be told to all members has to fit their messages.
        if order.bytes() > ORDER_BYTES_MAX {
            return Err(ProcessError::TooLong.into());
        }
        let asker = asker(&context, number);
        let Done::Made(pid, ticket) = self.change(Change::Spawn(asker, order)).await? else {
            return Err(Instead::NotNow);
        };
        let deadline = self.runtime.port().now().after(START_WITHIN);
        while self.runtime.port().now() < deadline {
            let seen = self.ledger.count();
            let became = self.ledger.table().and_then(|table| table.became(asker, pid, ticket));
            if let Some(started) = became {
                return Ok(started?);
            }
            self.ledger.changed(seen, START_WITHIN).await;
        }
        Err(Instead::NotNow)
    }

    async fn wait(
        &self,
        context: Context,
        number: RequestNumber,
        whom: Whom,
        is_patient: bool,
    ) -> Answered<Waited> {
        let asker = asker(&context, number);
        let deadline = self.runtime.port().now().after(WAIT_WITHIN);
        loop {
            let mut seen = self.ledger.count();
            // Most waits come before the end, and are nothing that all members must know.
            while is_patient && !self.may_have_ended(asker, whom) {
                if self.runtime.port().now() >= deadline {
                    return Ok(Waited::NotYet);
                }
                seen = self.ledger.changed(seen, deadline.since(self.runtime.port().now())).await;
            }
            match self.change(Change::Wait(asker, whom)).await? {
                Done::Waited(Waited::NotYet) if is_patient => {}
                Done::Waited(waited) => return Ok(waited),
                _ => return Err(Instead::NotNow),
            }
            if self.runtime.port().now() >= deadline {
                return Ok(Waited::NotYet);
            }
        }
    }

    async fn kill(
        &self,
        context: Context,
        number: RequestNumber,
        target: Target,
        signal: u8,
    ) -> Answered<u32> {
        match self.change(Change::Kill(asker(&context, number), target, signal)).await? {
            Done::Signalled(count) => Ok(count),
            _ => Err(Instead::NotNow),
        }
    }

    async fn set_group(&self, context: Context, whom: Pid, group: Pid) -> Answered<()> {
        self.change(Change::SetGroup(context.sender.0, whom, group)).await.map(|_| ())
    }

    async fn begin_session(&self, context: Context) -> Answered<Pid> {
        match self.change(Change::BeginSession(context.sender.0)).await? {
            Done::Process(pid) => Ok(pid),
            _ => Err(Instead::NotNow),
        }
    }

    fn describe(&self, context: Context, pid: Option<Pid>) -> Answered<Description> {
        let table = self.ledger.table().ok_or(Instead::NotNow)?;
        let pid = match pid {
            Some(pid) => pid,
            None => table.process(context.sender.0).ok_or(ProcessError::Stranger)?,
        };
        let record = table.records().get(&pid).ok_or(ProcessError::NoSuchProcess)?;
        Ok(record.description(pid))
    }

    fn list(&self, _: Context, after: Pid) -> Result<Vec<Description>, Instead<Never>> {
        let table = self.ledger.table().ok_or(Instead::NotNow)?;
        let records = table.records().range((Bound::Excluded(after), Bound::Unbounded)).take(LISTED_MAX);
        Ok(records.map(|(pid, record)| record.description(*pid)).collect())
    }

    fn statistics(&self, _: Context) -> Result<Statistics, Instead<Never>> {
        Ok(self.ledger.table().ok_or(Instead::NotNow)?.statistics())
    }
}

impl Clients {
    /// Whether a wait may come to something else than that it is too early, as far as this member knows.
    fn may_have_ended(&self, asker: Asker, whom: Whom) -> bool {
        let Some(table) = self.ledger.table() else { return false };
        let Some(parent) = table.process(asker.identity) else { return true };
        let answers = table.records().get(&parent).map(|parent| parent.answers.find(asker.number));
        answers != Some(Ok(None)) || !matches!(table.ended_child(parent, whom), Ok(None))
    }
}

/// What the other members ask.
pub struct Members(pub Rc<Ledger>);

impl ProcessPeers for Members {
    fn progress(&self, _: Context) -> Result<Progress, Instead<Never>> {
        Ok(self.0.progress())
    }

    fn tell(&self, _: Context, after: u64, batch: Vec<u8>) -> Result<(), Instead<Elsewhere>> {
        Ok(self.0.hear(after, &batch)?)
    }

    fn settle(&self, _: Context, made: u64) -> Result<(), Instead<Elsewhere>> {
        Ok(self.0.hear_settled(made)?)
    }

    fn told(&self, _: Context, after: u64) -> Result<Vec<u8>, Instead<Elsewhere>> {
        Ok(self.0.batch(after)?)
    }

    async fn catch_up(&self, context: Context, made: u64) -> Result<(), Instead<Elsewhere>> {
        self.0.catch_up(context.sender, made).await.ok_or(Instead::NotNow)
    }

    fn piece(&self, _: Context, made: u64, after: Pid) -> Result<Vec<u8>, Instead<Elsewhere>> {
        Ok(self.0.piece(made, after)?)
    }

    async fn change(&self, _: Context, change: Vec<u8>) -> Result<Vec<u8>, Instead<Never>> {
        let change = postcard::from_bytes(&change).map_err(|_| Instead::NotNow)?;
        let outcome = self.0.ordered(change).await.ok_or(Instead::NotNow)?;
        postcard::to_allocvec(&outcome).map_err(|_| Instead::NotNow)
    }
}

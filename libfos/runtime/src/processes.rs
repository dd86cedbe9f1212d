//! A process's way to the fleet `processes`. Requests have numbers, and one that came to nothing is asked again under its
//! own, at whichever member answers: so it is done once, whoever dies meanwhile.

use crate::named::{Named, Names};
use crate::{Instant, Runtime};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use fos_messages::names::{DirectoryKey, Path, RequestNumber};
use fos_messages::processes::{
    Description, Ended, LISTED_MAX, Pid, ProcessError, ProcessesClient, SpawnOrder, Spawned, Statistics,
    Target, WAIT_WITHIN, Waited, Whom,
};
use fos_messages::rpc::{Address, CallError};

use crate::port::Class;

/// How long one call may take: a member may wait for an end, or for a start.
const CALL_WITHIN: Duration = WAIT_WITHIN.saturating_add(Duration::from_secs(14));
/// How long to wait before what came to nothing is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// What became of a request.
pub type Outcome<T> = Result<T, CallError<ProcessError>>;

/// One for each process. If it enrolled, and all members end at once, it enrolls again: it has no children then. The fleet would take a second one's numbers for repetitions.
pub struct Processes {
    runtime: Runtime,
    names: Rc<Names>,
    fleet: Path,
    patience: Duration,
    last_number: Cell<u64>,
    /// The fleet's key, if this process enrolled with it.
    key: Cell<Option<DirectoryKey>>,
}

impl Processes {
    /// A way to the fleet of this name. Each request but a patient wait may take `patience`, retries included.
    pub fn new(runtime: Runtime, names: Rc<Names>, fleet: Path, patience: Duration) -> Processes {
        Processes { runtime, names, fleet, patience, last_number: Cell::new(0), key: Cell::new(None) }
    }

    fn client(&self) -> ProcessesClient<Named> {
        let time = CALL_WITHIN.min(self.patience);
        ProcessesClient::new(self.names.at(self.fleet.clone(), time), Address::default())
    }

    fn number(&self) -> RequestNumber {
        self.last_number.set(self.last_number.get() + 1);
        RequestNumber(self.last_number.get())
    }

    /// Asks again until there is an answer, or this time has come.
    async fn until<T, F>(&self, deadline: Instant, ask: impl Fn(ProcessesClient<Named>) -> F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>>,
    {
        loop {
            match ask(self.client()).await {
                // A fleet all of whose members ended at once has lost its table, and who enrolled.
                Err(CallError::Refused(ProcessError::Stranger))
                    if self.enroll_again().await && self.runtime.port().now() < deadline => {}
                Err(error) if !is_final(&error) && self.runtime.port().now() < deadline => {
                    self.runtime.sleep(AGAIN_AFTER).await;
                }
                answer => return answer,
            }
        }
    }

    async fn ask<T, F>(&self, ask: impl Fn(ProcessesClient<Named>) -> F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>>,
    {
        self.until(self.runtime.port().now().after(self.patience), ask).await
    }

    /// Makes this process, whom somebody else has started, one of the fleet's.
    pub async fn enroll(&self, key: DirectoryKey) -> Outcome<Pid> {
        let own = self.runtime.port().address(Class::External);
        let enrolled = self.ask(|fleet| async move { fleet.enroll(key, own).await }).await;
        self.key.set(enrolled.is_ok().then_some(key));
        enrolled
    }

    /// Whether this process enrolled before, and has now done so again.
    async fn enroll_again(&self) -> bool {
        let Some(key) = self.key.get() else { return false };
        let own = self.runtime.port().address(Class::External);
        self.client().enroll(key, own).await.is_ok()
    }

    /// Has a program started, and waits until it runs.
    pub async fn spawn(&self, order: &SpawnOrder) -> Outcome<Spawned> {
        let number = self.number();
        self.ask(|fleet| async move { fleet.spawn(number, order).await }).await
    }

    /// Waits for the end of a child, for as long as it takes. An error: there is none to wait for, or no member answers.
    pub async fn wait(&self, whom: Whom) -> Outcome<(Pid, Ended)> {
        let number = self.number();
        loop {
            match self.ask(|fleet| async move { fleet.wait(number, whom, true).await }).await {
                Ok(Waited::Ended(pid, ended)) => return Ok((pid, ended)),
                // Somebody always waits: members that end meanwhile say nothing of the request.
                Ok(Waited::NotYet) | Err(CallError::Poisonous) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The end of a child, if one has ended.
    pub async fn try_wait(&self, whom: Whom) -> Outcome<Option<(Pid, Ended)>> {
        let number = self.number();
        let waited = self.ask(|fleet| async move { fleet.wait(number, whom, false).await }).await?;
        Ok(if let Waited::Ended(pid, ended) = waited { Some((pid, ended)) } else { None })
    }

    /// Sends a signal; says to how many.
    pub async fn kill(&self, target: Target, signal: u8) -> Outcome<u32> {
        let number = self.number();
        self.ask(|fleet| async move { fleet.kill(number, target, signal).await }).await
    }

    /// Puts this process, or a child of it, into a group.
    pub async fn set_group(&self, whom: Pid, group: Pid) -> Outcome<()> {
        self.ask(|fleet| async move { fleet.set_group(whom, group).await }).await
    }

    /// Begins a session.
    pub async fn begin_session(&self) -> Outcome<Pid> {
        self.ask(|fleet| async move { fleet.begin_session().await }).await
    }

    /// A process; none: this one.
    pub async fn describe(&self, pid: Option<Pid>) -> Outcome<Description> {
        self.ask(|fleet| async move { fleet.describe(pid).await }).await
    }

    /// All processes, by their numbers. They come in pieces, and the table may change between two.
    pub async fn list(&self) -> Outcome<Vec<Description>> {
        let mut all: Vec<Description> = Vec::new();
        loop {
            let after = all.last().map_or(Pid(0), |last| last.pid);
            let list = |fleet: ProcessesClient<Named>| async move {
                // Nothing is ever refused here.
                fleet.list(after).await.map_err(|_: CallError| CallError::NotNow)
            };
            let piece: Vec<Description> = self.ask(list).await?;
            let is_last = piece.len() < LISTED_MAX;
            all.extend(piece);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// How many there are, and were.
    pub async fn statistics(&self) -> Result<Statistics, CallError> {
        self.client().statistics().await
    }
}

/// Whether asking again would come to the same.
fn is_final(error: &CallError<ProcessError>) -> bool {
    use CallError::{Malformed, OtherVersion, Poisonous, Refused, Unknown};
    matches!(error, Refused(_) | OtherVersion(_) | Unknown | Malformed | Poisonous)
}

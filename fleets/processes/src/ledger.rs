//! The one order of all changes, whoever dies. The fleet's coordinator orders them in batches, one after the other; a batch is
//! *told* to every member of the epoch, and only when all know of it is it *made*, at the coordinator first, then everywhere.
//! So what a client was answered is known to every member that lives, and to two at least, and nobody acts on what might yet
//! be lost.
//!
//! When an epoch begins its coordinator *levels* the members: takes over the table of who has made most, has those catch up
//! who have made less, and tells again the batch that some were told of and nobody is known to have made. Each answer to that
//! comes from a living member of the epoch, or it is done again: so a batch that any client was answered about is found.
//! If nobody has a table, it is the fleet's first epoch, or all its members have ended at once. Then the starter is asked who
//! runs: those are found again, but not whose children they were, nor what was to be answered.
//!
//! Whom it waits for: the coordinator for every member of its epoch, and a member's end ends that wait.

use crate::limits::Limits;
use crate::record::Record;
use crate::starter::Starter;
use crate::table::{Change, Head, Outcome, Table};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, Ref, RefCell};
use core::future::poll_fn;
use core::ops::Bound;
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;
use fos_messages::processes::{Elsewhere, Pid, ProcessPeersClient, Progress};
use fos_messages::rpc::{Address, CallError, SendError, broadcast};
use fos_runtime::fleet::Member;
use fos_runtime::{Priority, Runtime, Within};

/// How long a member may take for what another asks, but for a change.
const PEER_WITHIN: Duration = Duration::from_millis(500);
/// How long a change may take, whoever dies meanwhile, before its client is told to ask again.
const CHANGE_WITHIN: Duration = Duration::from_secs(4);
/// How long to wait before something that came to nothing is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How often a member looks whether it coordinates.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Changes in a batch, and bytes of it beyond which nothing is added: a batch fits a long message.
const BATCH_MAX: usize = 32;
const BATCH_BYTES: usize = 40 * 1024;
/// Changes that wait at the coordinator.
const QUEUE_MAX: usize = 256;
/// Records in a piece of the table.
const PIECE_MAX: usize = 8;

/// What a change came to, for who waits.
#[derive(Default)]
struct Slot {
    outcome: Cell<Option<Outcome>>,
    is_over: Cell<bool>,
}

struct Waiting {
    change: Change,
    slot: Rc<Slot>,
}

/// One member's copy of the table, and its part in ordering what happens to it.
pub struct Ledger {
    runtime: Runtime,
    member: Rc<Member>,
    limits: Limits,
    starter: Rc<dyn Starter>,
    table: RefCell<Option<Table>>,
    made: Cell<u64>,
    /// The next batch, which others may not know of yet.
    told: RefCell<Option<Vec<Change>>>,
    /// Who waits for the changes of `told`, in its order; fewer if it came from others.
    asked: RefCell<Vec<Rc<Slot>>>,
    queue: RefCell<VecDeque<Waiting>>,
    /// All members have made so many.
    settled: Cell<u64>,
    bell: Bell,
}

impl Ledger {
    /// One that knows nothing yet.
    pub fn new(runtime: Runtime, member: Rc<Member>, limits: Limits, starter: Rc<dyn Starter>) -> Rc<Ledger> {
        let (table, made, told, asked, queue, settled, bell) = Default::default();
        Rc::new(Ledger { runtime, member, limits, starter, table, made, told, asked, queue, settled, bell })
    }

    /// Does its part from now on.
    pub fn begin(self: &Rc<Self>) {
        let ledger = self.clone();
        self.runtime.spawn(Priority::Normal, async move { ledger.lead().await });
    }

    /// The table as this member has it: a moment old at most, and never with what may be lost.
    pub fn table(&self) -> Option<Ref<'_, Table>> {
        Ref::filter_map(self.table.borrow(), Option::as_ref).ok()
    }

    /// Batches made here.
    pub fn made(&self) -> u64 {
        self.made.get()
    }

    /// Waits until the table may be another than when `seen` was counted, or for this long; answers with the count.
    pub async fn changed(&self, seen: u64, time: Duration) -> u64 {
        self.bell.wait(seen, &self.runtime, time).await
    }

    /// A count that is another after each change.
    pub fn count(&self) -> u64 {
        self.bell.count.get()
    }

    /// Has a change made, and says what it came to, when every member knows of it. None: it may or may not have been made.
    pub async fn change(&self, change: Change) -> Option<Outcome> {
        let deadline = self.runtime.port().now().after(CHANGE_WITHIN);
        while self.runtime.port().now() < deadline {
            let outcome = match self.leads() {
                Some(_) => self.ordered(change.clone()).await,
                None => self.forward(&change).await,
            };
            if outcome.is_some() {
                return outcome;
            }
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        None
    }

    async fn forward(&self, change: &Change) -> Option<Outcome> {
        let coordinator = self.member.standing().coordinator;
        let to = self.member.roster()?.find(fos_abi::Identity(coordinator))?.internal;
        let bytes = postcard::to_allocvec(change).ok()?;
        let peer = ProcessPeersClient::new(self.member.within(CHANGE_WITHIN), to);
        let answer = peer.change(bytes).await.ok()?;
        postcard::from_bytes(&answer).ok()
    }

    /// The same for who coordinates.
    pub async fn ordered(&self, change: Change) -> Option<Outcome> {
        if self.leads().is_none() || self.queue.borrow().len() >= QUEUE_MAX {
            return None;
        }
        let slot = Rc::<Slot>::default();
        self.queue.borrow_mut().push_back(Waiting { change, slot: slot.clone() });
        self.bell.ring();
        while !slot.is_over.get() {
            self.changed(self.count(), CHANGE_WITHIN).await;
        }
        slot.outcome.take()
    }

    /// The epoch that this member coordinates.
    fn leads(&self) -> Option<u32> {
        let standing = self.member.standing();
        let is_it = standing.epoch != 0 && standing.coordinator == self.runtime.port().identity().0;
        is_it.then_some(standing.epoch)
    }

    async fn lead(&self) {
        loop {
            match self.leads() {
                Some(epoch) if self.level(epoch).await.is_some() => self.order(epoch).await,
                Some(_) => self.runtime.sleep(AGAIN_AFTER).await,
                None => {
                    self.give_up();
                    self.changed(self.count(), LOOK_EVERY).await;
                }
            }
        }
    }

    /// Whoever waits here is told that it may or may not have been done.
    fn give_up(&self) {
        let queued = self.queue.borrow_mut().drain(..).map(|waiting| waiting.slot).collect::<Vec<_>>();
        let slots = queued.into_iter().chain(self.asked.take());
        let given_up = slots.map(|slot| slot.is_over.set(true)).count();
        if given_up > 0 {
            self.bell.ring();
        }
    }

    /// The other members of this epoch, and calls to them; none if it is another by now.
    fn others(&self, epoch: u32) -> Option<(Vec<Address>, Within)> {
        self.leads().filter(|now| *now == epoch)?;
        let (roster, me) = (self.member.roster()?, self.runtime.port().identity());
        let others = roster.seats().iter().filter(|seat| seat.identity() != me).map(|seat| seat.internal);
        Some((others.collect(), self.member.within(PEER_WITHIN)))
    }

    /// Has all members of the epoch be where the foremost is. None: it has to be done again.
    async fn level(&self, epoch: u32) -> Option<()> {
        let (others, caller) = self.others(epoch)?;
        let asked = broadcast(&others, |to| {
            let peer = ProcessPeersClient::new(caller.clone(), to);
            async move { peer.progress().await }
        });
        let mut answers: Vec<(Address, Progress)> = Vec::new();
        for (to, progress) in asked.await {
            answers.extend(unless_ended(progress)?.map(|progress| (to, progress)));
        }
        let with_table = answers.iter().filter(|(_, progress)| progress.has_table);
        let foremost = with_table.max_by_key(|(_, progress)| progress.made).copied();
        let mine = self.table.borrow().is_some().then(|| self.made.get());
        match foremost {
            Some((from, progress)) if mine.is_none_or(|mine| mine < progress.made) => {
                self.give_up();
                self.fetch(&caller, from, progress.made).await?;
            }
            None if mine.is_none() => {
                let survey = self.starter.known().await.ok()?;
                *self.table.borrow_mut() = Some(Table::found_again(self.limits, &survey));
            }
            _ => {}
        }
        let made = self.made.get();
        let is_told = |(_, progress): &&(Address, Progress)| progress.made == made && progress.is_told;
        if self.told.borrow().is_none()
            && let Some((from, _)) = answers.iter().find(is_told)
        {
            let batch = ProcessPeersClient::new(caller.clone(), *from).told(made).await.ok()?;
            *self.told.borrow_mut() = Some(postcard::from_bytes(&batch).ok()?);
        }
        for (to, _) in answers.iter().filter(|(_, progress)| !progress.has_table || progress.made != made) {
            unless_ended(ProcessPeersClient::new(caller.clone(), *to).catch_up(made).await)?;
        }
        self.others(epoch).map(|_| ())
    }

    /// Orders changes as long as this is the epoch.
    async fn order(&self, epoch: u32) {
        let mut is_quiet = false;
        while self.leads() == Some(epoch) {
            let seen = self.count();
            if self.told.borrow().is_none() && (core::mem::take(&mut is_quiet) || self.is_due()) {
                self.take_batch();
            }
            let is_done = if self.told.borrow().is_some() {
                self.tell(epoch).await
            } else if self.settled.get() < self.made.get() {
                self.settle(epoch).await
            } else {
                is_quiet = self.changed(seen, LOOK_EVERY).await == seen;
                Some(())
            };
            if is_done.is_none() {
                return;
            }
        }
    }

    /// Whether anything waits that should not wait for company, or a batch full of what may.
    fn is_due(&self) -> bool {
        let queue = self.queue.borrow();
        queue.len() >= BATCH_MAX || queue.iter().any(|waiting| !waiting.change.may_wait())
    }

    fn take_batch(&self) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut queue = self.queue.borrow_mut();
        while batch.len() < BATCH_MAX
            && bytes < BATCH_BYTES
            && let Some(waiting) = queue.pop_front()
        {
            bytes += postcard::to_allocvec(&waiting.change).map_or(0, |bytes| bytes.len());
            batch.push(waiting.change);
            self.asked.borrow_mut().push(waiting.slot);
        }
        *self.told.borrow_mut() = (!batch.is_empty()).then_some(batch);
    }

    /// Tells the batch to all, and makes it.
    async fn tell(&self, epoch: u32) -> Option<()> {
        let (others, caller) = self.others(epoch)?;
        let batch = postcard::to_allocvec(self.told.borrow().as_ref()?).ok()?;
        let after = self.made.get();
        let told = broadcast(&others, |to| {
            let (peer, batch) = (ProcessPeersClient::new(caller.clone(), to), batch.clone());
            async move { peer.tell(after, batch).await }
        });
        let mut keepers = 1;
        for (_, told) in told.await {
            keepers += unless_ended(told)?.iter().count();
        }
        // Alone, it waits for another: what one member knows is lost with it.
        if keepers < self.limits.keepers_min {
            self.runtime.sleep(LOOK_EVERY).await;
            return None;
        }
        self.make();
        Some(())
    }

    async fn settle(&self, epoch: u32) -> Option<()> {
        let (others, caller) = self.others(epoch)?;
        let made = self.made.get();
        let settled = broadcast(&others, |to| {
            let peer = ProcessPeersClient::new(caller.clone(), to);
            async move { peer.settle(made).await }
        });
        for (_, settled) in settled.await {
            unless_ended(settled)?;
        }
        self.settled.set(made);
        Some(())
    }

    /// Makes the batch that all know of, and answers who waits for it.
    fn make(&self) {
        let Some(batch) = self.told.take() else { return };
        let mut slots = self.asked.take().into_iter();
        {
            let mut table = self.table.borrow_mut();
            let Some(table) = &mut *table else { return };
            for change in &batch {
                let outcome = table.make(change);
                if let Some(slot) = slots.next() {
                    slot.outcome.set(Some(outcome));
                    slot.is_over.set(true);
                }
            }
        }
        self.made.set(self.made.get() + 1);
        self.bell.ring();
    }

    /// Takes over a table, piece by piece.
    async fn fetch(&self, caller: &Within, from: Address, made: u64) -> Option<()> {
        let mut table: Option<Table> = None;
        let mut after = Pid(0);
        loop {
            let piece = ProcessPeersClient::new(caller.clone(), from).piece(made, after).await.ok()?;
            let (head, records): (Head, Vec<(Pid, Record)>) = postcard::from_bytes(&piece).ok()?;
            let table = table.get_or_insert_with(|| Table::from_head(self.limits, head));
            let Some((last, _)) = records.last() else { break };
            after = *last;
            records.into_iter().for_each(|(pid, record)| table.take(pid, record));
        }
        *self.table.borrow_mut() = table;
        *self.told.borrow_mut() = None;
        self.made.set(made);
        self.bell.ring();
        Some(())
    }

    /// How far this member is.
    pub fn progress(&self) -> Progress {
        let (has_table, is_told) = (self.table.borrow().is_some(), self.told.borrow().is_some());
        Progress { has_table, made: self.made.get(), is_told }
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere { made: self.made.get() }
    }

    /// The coordinator tells the batch after so many.
    pub fn hear(&self, after: u64, batch: &[u8]) -> Result<(), Elsewhere> {
        let batch: Vec<Change> = postcard::from_bytes(batch).map_err(|_| self.elsewhere())?;
        self.hear_settled(after)?;
        *self.told.borrow_mut() = Some(batch);
        Ok(())
    }

    /// The coordinator has made so many, so that all know of them.
    pub fn hear_settled(&self, made: u64) -> Result<(), Elsewhere> {
        if self.table.borrow().is_none() {
            return Err(self.elsewhere());
        }
        if made == self.made.get() + 1 {
            self.make();
        }
        if made == self.made.get() { Ok(()) } else { Err(self.elsewhere()) }
    }

    /// The batch after so many that this member was told of.
    pub fn batch(&self, after: u64) -> Result<Vec<u8>, Elsewhere> {
        let told = self.told.borrow();
        let batch = told.as_ref().filter(|_| after == self.made.get()).ok_or(self.elsewhere())?;
        postcard::to_allocvec(batch).map_err(|_| self.elsewhere())
    }

    /// A piece of this member's table.
    pub fn piece(&self, made: u64, after: Pid) -> Result<Vec<u8>, Elsewhere> {
        let table = self.table().filter(|_| made == self.made.get()).ok_or(self.elsewhere())?;
        let records = table.records().range((Bound::Excluded(after), Bound::Unbounded)).take(PIECE_MAX);
        let records: Vec<(&Pid, &Record)> = records.collect();
        postcard::to_allocvec(&(table.head(), records)).map_err(|_| self.elsewhere())
    }

    /// Takes over the table of the coordinator, who asks for it.
    pub async fn catch_up(&self, sender: fos_abi::Identity, made: u64) -> Option<()> {
        let from = self.member.roster()?.find(sender)?.internal;
        self.fetch(&self.member.within(PEER_WITHIN), from, made).await
    }
}

/// What a member said; nothing if it has ended, which is as good. None: nobody knows.
fn unless_ended<T, E>(answer: Result<T, CallError<E>>) -> Option<Option<T>> {
    match answer {
        Ok(value) => Some(Some(value)),
        Err(CallError::PeerLost | CallError::NotSent(SendError::Closed)) => Some(None),
        Err(_) => None,
    }
}

/// Wakes whoever waits for something to change.
#[derive(Default)]
struct Bell {
    count: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

impl Bell {
    fn ring(&self) {
        self.count.set(self.count.get() + 1);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    async fn wait(&self, seen: u64, runtime: &Runtime, time: Duration) -> u64 {
        let mut sleep = pin!(runtime.sleep(time));
        poll_fn(|context| {
            if self.count.get() != seen || sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.count.get()
    }
}

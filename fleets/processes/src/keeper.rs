//! That what the table says comes true: each process has one member that keeps it, which one follows from the roster. The
//! keeper has it started, stopped and ended as the table says, and tells of its start and end. If it dies, the next epoch's
//! keeper goes on from the table, and since everything may be asked of the starter twice, it need not know how far it was.

use crate::ledger::Ledger;
use crate::record::{Life, Origin, Ticket};
use crate::starter::{Deed, Starter};
use crate::table::{Change, Table};
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_messages::processes::{Exit, ProcessError, SpawnOrder};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::fleet::Member;
use fos_runtime::{Priority, Runtime};

/// How long to wait before something that came to nothing is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(2);
/// How often the table is looked over though nothing changed: the roster may have.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a member keeps.
pub struct Keeper {
    runtime: Runtime,
    member: Rc<Member>,
    ledger: Rc<Ledger>,
    starter: Rc<dyn Starter>,
    /// Starts that have a task here.
    kept: RefCell<BTreeSet<Ticket>>,
    /// Enrolled processes that are watched here.
    watched: RefCell<BTreeSet<u64>>,
}

/// What the table wants of a process.
enum Wanted {
    Started(SpawnOrder, u16),
    Kept { doomed: Option<u8>, is_stopped: bool },
    Forgotten,
    Nothing,
}

impl Keeper {
    /// Begins to keep.
    pub fn begin(
        runtime: Runtime,
        member: Rc<Member>,
        ledger: Rc<Ledger>,
        starter: Rc<dyn Starter>,
    ) -> Rc<Keeper> {
        let (kept, watched) = Default::default();
        let keeper = Rc::new(Keeper { runtime: runtime.clone(), member, ledger, starter, kept, watched });
        let looking = keeper.clone();
        runtime.spawn(Priority::Normal, async move {
            loop {
                let seen = looking.ledger.count();
                looking.look();
                looking.ledger.changed(seen, LOOK_EVERY).await;
            }
        });
        keeper
    }

    fn is_mine(&self, number: u64) -> bool {
        let owner = self.member.roster().and_then(|roster| roster.owner(number).map(|seat| seat.identity()));
        owner == Some(self.runtime.port().identity())
    }

    /// Takes up what is to be kept here and is not yet.
    fn look(self: &Rc<Self>) {
        let (tickets, enrolled) = match self.ledger.table() {
            Some(table) => to_keep(&table),
            None => return,
        };
        for ticket in tickets {
            if self.is_mine(ticket.0) && self.kept.borrow_mut().insert(ticket) {
                let keeper = self.clone();
                self.runtime.spawn(Priority::Normal, async move {
                    keeper.tend(ticket).await;
                    keeper.kept.borrow_mut().remove(&ticket);
                });
            }
        }
        for (identity, own) in enrolled {
            if self.is_mine(identity) && self.watched.borrow_mut().insert(identity) {
                let keeper = self.clone();
                self.runtime.spawn(Priority::Normal, async move {
                    keeper.runtime.outlive(&own).await;
                    while keeper.ledger.change(Change::Left(identity)).await.is_none() {
                        keeper.runtime.sleep(AGAIN_AFTER).await;
                    }
                    keeper.watched.borrow_mut().remove(&identity);
                });
            }
        }
    }

    fn wanted(&self, ticket: Ticket) -> Wanted {
        let Some(table) = self.ledger.table() else { return Wanted::Nothing };
        if table.head().owed.contains(&ticket) {
            return Wanted::Forgotten;
        }
        let record = table.started_by(ticket).and_then(|pid| table.records().get(&pid));
        match record.map(|record| (&record.life, record)) {
            Some((Life::Starting { order, .. }, record)) => Wanted::Started(order.clone(), record.core),
            Some((Life::Running, record)) => {
                Wanted::Kept { doomed: record.doomed, is_stopped: record.is_stopped }
            }
            _ => Wanted::Nothing,
        }
    }

    /// Makes it so, until nothing is wanted any more or somebody else keeps it.
    async fn tend(self: &Rc<Self>, ticket: Ticket) {
        let is_awaited = Rc::new(Cell::new(false));
        let mut last_deed = None;
        while self.is_mine(ticket.0) {
            let seen = self.ledger.count();
            let went_well = match self.wanted(ticket) {
                Wanted::Nothing => return,
                Wanted::Started(order, core) => {
                    last_deed = Some(Deed::Resume);
                    self.start(ticket, order, core).await
                }
                Wanted::Forgotten => {
                    let forgotten = self.starter.forget(ticket).await.is_ok();
                    forgotten && self.ledger.change(Change::Forgotten(ticket)).await.is_some()
                }
                Wanted::Kept { doomed, is_stopped } => {
                    self.await_end(ticket, &is_awaited);
                    let deed = match (doomed, is_stopped) {
                        (Some(signal), _) => Deed::End(signal),
                        (None, true) => Deed::Stop,
                        (None, false) => Deed::Resume,
                    };
                    // Who has not started it does not know what the keeper before did, and does it again.
                    let is_new = last_deed != Some(deed);
                    let went_well = !is_new || self.starter.act(ticket, deed).await.is_ok();
                    last_deed = went_well.then_some(deed);
                    went_well
                }
            };
            match went_well {
                true => _ = self.ledger.changed(seen, LOOK_EVERY).await,
                false => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
    }

    async fn start(&self, ticket: Ticket, order: SpawnOrder, core: u16) -> bool {
        let change = match self.starter.start(ticket, order, core).await {
            Ok(identity) => Change::Started(ticket, identity),
            Err(CallError::Refused(why)) => Change::NotStarted(ticket, why),
            Err(CallError::Poisonous) => Change::NotStarted(ticket, ProcessError::NotStarted),
            Err(_) => return false,
        };
        self.ledger.change(change).await.is_some()
    }

    /// Tells of its end, whenever that comes. Told by two keepers, it is one end.
    fn await_end(self: &Rc<Self>, ticket: Ticket, is_awaited: &Rc<Cell<bool>>) {
        if is_awaited.replace(true) {
            return;
        }
        let (keeper, is_awaited) = (self.clone(), is_awaited.clone());
        self.runtime.spawn(Priority::Normal, async move {
            while keeper.is_mine(ticket.0) && matches!(keeper.wanted(ticket), Wanted::Kept { .. }) {
                let ended = match keeper.starter.outlive(ticket).await {
                    Ok(ended) => Some(ended),
                    // Only what is in the table as ended is ever forgotten, so this one was lost in some other way.
                    Err(CallError::Refused(_)) => Some(Exit::Unknown.into()),
                    Err(_) => None,
                };
                let told = match ended {
                    Some(ended) => keeper.ledger.change(Change::Ended(ticket, ended)).await.is_some(),
                    None => false,
                };
                if !told {
                    keeper.runtime.sleep(AGAIN_AFTER).await;
                }
            }
            is_awaited.set(false);
        });
    }
}

/// The tickets of processes about which something is to be done, and who was enrolled.
fn to_keep(table: &Table) -> (Vec<Ticket>, Vec<(u64, Address)>) {
    let lives = table.records().values().filter(|record| record.lives());
    let tickets = lives.clone().filter_map(|record| record.ticket());
    let enrolled = lives.filter_map(|record| match record.origin {
        Origin::Enrolled(own) => Some((record.identity, own)),
        _ => None,
    });
    (tickets.chain(table.head().owed.iter().copied()).collect(), enrolled.collect())
}

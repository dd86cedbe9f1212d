//! A member's work: takes beginnings, lengthens or tries them, and writes what became of them. And what it is asked meanwhile.

use crate::ledger::{Ledger, Open, Record};
use crate::member::Heard;
use crate::problem::{Beginning, NO_TRIP, Problem};
use crate::protocol::{Search, SearchError};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use fos_carrier::Switchboard;
use fos_dpool::{Policy, Scheme};
use fos_lending::{Hands, Lending};
use fos_messages::rpc::{Context, Instead};
use fos_runtime::fleet::{self, Event};
use fos_runtime::{Priority, Runtime};
use fos_sharded_map::{Consistency, MapError, Service};

/// The structures of a member, the same at all.
const POOL: u16 = 1;
const LEDGER: u16 = 2;
const SHORTEST: u16 = 3;
/// Beginnings in work at one member: while one is written another is tried.
const WORKERS: u32 = 2;
/// How long to wait when nothing is open, or something can't be done yet.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// A member's structures and work.
pub(crate) struct Searcher {
    runtime: Runtime,
    lending: Rc<Lending<Beginning>>,
    ledger: Rc<Ledger>,
    /// The shortest trip of each search so far, as far as has come here.
    shortest: Rc<Service<u16, u32>>,
    rest: Duration,
    hear: Rc<dyn Fn(Heard)>,
    is_leaving: Cell<bool>,
    /// It ends lest something is not looked for.
    is_spent: Cell<bool>,
    working: Cell<u32>,
}

impl Searcher {
    pub fn new(runtime: &Runtime, rest: Duration, hear: Rc<dyn Fn(Heard)>) -> Rc<Searcher> {
        let switchboard = Switchboard::new(runtime);
        let ledger = Ledger::new(&switchboard, LEDGER, runtime);
        let policy = Policy::distributed(Scheme::Estimate);
        let book = Rc::new(Open(ledger.clone()));
        let lending = Lending::new(&Hands::new(runtime), &switchboard, POOL, policy, book);
        let eventual = fos_sharded_map::Policy::new(Consistency::Eventual);
        let shortest = Service::new(&switchboard, SHORTEST, eventual);
        let (is_leaving, is_spent, working) = Default::default();
        let runtime = runtime.clone();
        Rc::new(Searcher { runtime, lending, ledger, shortest, rest, hear, is_leaving, is_spent, working })
    }

    /// Something has happened in the fleet.
    pub fn follow(self: &Rc<Self>, member: &fleet::Member, event: Event) {
        if event == Event::Leaves {
            let searcher = self.clone();
            self.is_leaving.set(true);
            return self.runtime.spawn(Priority::Normal, async move { searcher.leave().await });
        }
        self.ledger.map().carrier().follow(member, event);
        self.shortest.carrier().follow(member, event);
        self.lending.pool().carrier().follow(member, event);
        if self.has_stopped() {
            (self.hear)(Heard::Stopped);
        }
    }

    /// Finishes what is in hand, then hands on what is open, then what became of it all.
    async fn leave(&self) {
        while self.working.get() > 0 || !self.lending.is_empty_handed() {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        let pool = self.lending.pool().carrier();
        pool.leave();
        while !pool.has_left() {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.ledger.map().carrier().leave();
        self.shortest.carrier().leave();
    }

    /// Whether the others have everything.
    pub fn has_left(&self) -> bool {
        let maps = self.ledger.map().carrier().has_left() && self.shortest.carrier().has_left();
        maps && self.lending.pool().carrier().has_left()
    }

    /// Whether it is to end: the others have gone on without it, or do better without it.
    pub fn has_stopped(&self) -> bool {
        let maps = self.ledger.map().carrier().has_stopped() || self.shortest.carrier().has_stopped();
        self.is_spent.get() || maps || self.lending.pool().carrier().has_stopped()
    }

    /// Works from now on.
    pub fn begin_to_work(self: &Rc<Self>) {
        for _ in 0..WORKERS {
            let searcher = self.clone();
            self.working.set(self.working.get() + 1);
            self.runtime.spawn(Priority::Normal, async move {
                searcher.work().await;
                searcher.working.set(searcher.working.get() - 1);
            });
        }
    }

    async fn work(&self) {
        while !self.is_leaving.get() {
            let Ok(beginning) = self.lending.pool().remove_one().await else {
                self.runtime.sleep(AGAIN_AFTER).await;
                continue;
            };
            (self.hear)(Heard::Takes(beginning));
            if !self.rest.is_zero() {
                self.runtime.sleep(self.rest).await;
            }
            if self.settle(beginning).await.is_err() {
                // The others have gone on without this member, or are to: it ends, and they find what it had.
                return self.is_spent.set(true);
            }
        }
    }

    /// Lengthens a beginning, or tries it.
    async fn settle(&self, beginning: Beginning) -> Result<(), MapError> {
        let problem = self.ledger.problem(beginning.search).await?.ok_or(MapError::Interrupted)?;
        if problem.is_long_enough(beginning) {
            let length = self.try_all(problem, beginning).await?;
            self.ledger.write(beginning, Record::Tried(length)).await?;
            self.let_go(beginning);
            return Ok(());
        }
        let longer = beginning.longer(problem);
        self.lending.hold(&longer);
        self.ledger.write(beginning, Record::Lengthened).await?;
        self.let_go(beginning);
        self.put_in(longer).await
    }

    /// Writes the problem of a search, and puts the first beginning in unless another member has written it meanwhile.
    async fn begin(&self, search: u16, problem: Problem) -> Result<(), MapError> {
        let (first, looks) = (Beginning::of_all(search), self.lending.looks());
        self.lending.hold(&[first]);
        if self.ledger.begin(search, problem).await? {
            return self.put_in([first].into()).await;
        }
        self.lending.let_go(&[first]);
        if looks != self.lending.looks() {
            // Somebody has ended, perhaps that other member, and the beginning was not found since it was held here. When this
            // member ends, it is looked for again.
            self.is_spent.set(true);
            return Err(MapError::Interrupted);
        }
        Ok(())
    }

    fn let_go(&self, beginning: Beginning) {
        self.lending.let_go(&[beginning]);
        (self.hear)(Heard::Settled(beginning));
    }

    /// Into the pool. A member that leaves does so only when nothing is in its hands.
    async fn put_in(&self, mut beginnings: Vec<Beginning>) -> Result<(), MapError> {
        while let Err(refused) = self.lending.pool().add(beginnings).await {
            if self.has_stopped() {
                return Err(MapError::Interrupted);
            }
            beginnings = refused.0;
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        Ok(())
    }

    async fn try_all(&self, problem: Problem, beginning: Beginning) -> Result<u32, MapError> {
        // Not known is as if there were none: then more is tried.
        let known = self.shortest.get(beginning.search).await.ok().flatten().unwrap_or(NO_TRIP);
        let length = problem.shortest_from(beginning, known);
        if length < known && self.shortest.put(beginning.search, length).await == Err(MapError::Interrupted) {
            return Err(MapError::Interrupted);
        }
        Ok(length)
    }
}

/// What clients ask.
pub(crate) struct Clients(pub Rc<Searcher>);

impl Search for Clients {
    async fn begin(&self, _: Context, search: u16, problem: Problem) -> Result<(), Instead<SearchError>> {
        let searcher = &self.0;
        if !problem.is_one() {
            return Err(SearchError::NoProblem.into());
        }
        if searcher.is_leaving.get() {
            return Err(Instead::NotNow);
        }
        let known = searcher.ledger.problem(search).await.map_err(|_| Instead::NotNow)?;
        match known {
            Some(known) if known == problem => Ok(()),
            Some(_) => Err(SearchError::Taken.into()),
            None if searcher.is_leaving.get() => Err(Instead::NotNow),
            None => searcher.begin(search, problem).await.map_err(|_| Instead::NotNow),
        }
    }

    async fn outcome(&self, _: Context, search: u16) -> Result<Option<u32>, Instead<SearchError>> {
        let ledger = &self.0.ledger;
        let problem = ledger.problem(search).await.map_err(|_| Instead::NotNow)?;
        let problem = problem.ok_or(SearchError::NotBegun)?;
        let survey = ledger.survey(search, problem, 1).await.map_err(|_| Instead::NotNow)?;
        Ok(survey.shortest.filter(|_| survey.open.is_empty()))
    }
}

//! What became of each beginning. A beginning of which nothing stands here, and whose shorter ones were all lengthened, is open:
//! in the pool, in a member's hands, or with one that ended. So which are open follows from what stands here, and one write both
//! ends a beginning and makes its longer ones open.

use crate::problem::{Beginning, NO_TRIP, Problem};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use fos_carrier::Switchboard;
use fos_dpool::Coming;
use fos_lending::Book;
use fos_runtime::Runtime;
use fos_sharded_map::{Consistency, MapError, Policy, Service};
use serde::{Deserialize, Serialize};

/// How long to wait before a map that is busy, or not there yet, is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// Everybody has everything: it is small, and what is lost with all copies is lost to the search.
const POLICY: Policy =
    Policy { replicas: crate::charter::MARKS.members_max, shards: 16, ..Policy::new(Consistency::Strong) };

/// What stands at a beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Record {
    /// At path 0, which is none: the search's problem.
    Of(Problem),
    /// All that are longer by a city are open, or stand here.
    Lengthened,
    /// The length of the shortest trip that begins so, unless another was known that is not longer.
    Tried(u32),
}

/// What is known of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Beginnings that are open.
    pub open: Vec<Beginning>,
    /// The shortest trip so far.
    pub shortest: Option<u32>,
}

/// The ledger, as one member reads and writes it.
pub(crate) struct Ledger {
    runtime: Runtime,
    map: Rc<Service<Beginning, Record>>,
    /// What was read before: it never changes.
    known: RefCell<BTreeMap<Beginning, Record>>,
}

impl Ledger {
    pub fn new(switchboard: &Rc<Switchboard>, number: u16, runtime: &Runtime) -> Rc<Ledger> {
        let map = Service::new(switchboard, number, POLICY);
        Rc::new(Ledger { runtime: runtime.clone(), map, known: RefCell::default() })
    }

    pub fn map(&self) -> &Rc<Service<Beginning, Record>> {
        &self.map
    }

    /// What stands at a beginning.
    pub async fn read(&self, at: Beginning) -> Result<Option<Record>, MapError> {
        if let Some(record) = self.known.borrow().get(&at) {
            return Ok(Some(*record));
        }
        loop {
            match self.map.get(at).await {
                Err(MapError::Busy) => self.runtime.sleep(AGAIN_AFTER).await,
                other => {
                    let record = other?;
                    record.map(|record| self.known.borrow_mut().insert(at, record));
                    return Ok(record);
                }
            }
        }
    }

    /// Writes what becomes of a beginning. Answers what stood there before.
    pub async fn write(&self, at: Beginning, record: Record) -> Result<Option<Record>, MapError> {
        loop {
            match self.map.put(at, record).await {
                // Who leaves leaves this map last, when nothing is in its hands.
                Err(MapError::Busy | MapError::NotServing) => self.runtime.sleep(AGAIN_AFTER).await,
                other => return other,
            }
        }
    }

    /// The problem of a search.
    pub async fn problem(&self, search: u16) -> Result<Option<Problem>, MapError> {
        let record = self.read(problem_of(search)).await?;
        Ok(record.and_then(|record| if let Record::Of(problem) = record { Some(problem) } else { None }))
    }

    /// Writes the problem of a search. Answers whether this was the first time.
    pub async fn begin(&self, search: u16, problem: Problem) -> Result<bool, MapError> {
        let before = self.write(problem_of(search), Record::Of(problem)).await?;
        Ok(before.is_none())
    }

    /// What is known of a search; no more open beginnings than this.
    pub async fn survey(&self, search: u16, problem: Problem, open_max: usize) -> Result<Survey, MapError> {
        let mut survey = Survey::default();
        let mut rest: Vec<Beginning> = [Beginning::of_all(search)].into();
        while let Some(beginning) = rest.pop() {
            match self.read(beginning).await? {
                None => survey.open.push(beginning),
                Some(Record::Lengthened) => rest.extend(beginning.longer(problem)),
                Some(Record::Tried(length)) => {
                    survey.shortest = Some(length.min(survey.shortest.unwrap_or(NO_TRIP)));
                }
                Some(Record::Of(_)) => {}
            }
            if survey.open.len() >= open_max {
                break;
            }
        }
        Ok(survey)
    }

    /// All open beginnings of all searches.
    async fn open(&self) -> Result<Vec<Beginning>, MapError> {
        let mut open = Vec::new();
        for search in 0..=u16::MAX {
            let Some(problem) = self.problem(search).await? else { break };
            open.extend(self.survey(search, problem, usize::MAX).await?.open);
        }
        Ok(open)
    }
}

/// Where the problem of a search stands.
fn problem_of(search: u16) -> Beginning {
    Beginning { search, path: 0 }
}

/// What the pool's records read.
pub(crate) struct Open(pub Rc<Ledger>);

impl Book<Beginning> for Open {
    fn inside(&self) -> Coming<Option<Vec<Beginning>>> {
        let ledger = self.0.clone();
        Box::pin(async move { ledger.open().await.ok() })
    }
}

//! How a fleet has one more member started. On the machine and in the simulator by whoever serves `programs`; a fleet that
//! gets its processes elsewhere brings its own.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::pin::Pin;
use fos_abi::Identity;
use fos_messages::programs::{Order, ProgramsClient, Refusal};
use fos_messages::rpc::CallError;

use crate::Within;

/// Started processes whose numbers are remembered.
const STARTED_MAX: usize = 64;

/// What comes of something, later.
pub type Coming<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Starts members. Each of these ends in some time; the coordinator alone calls them.
pub trait Growth {
    /// Starts a process that will ask to join, on this core or on the best one; `taken` are the members' cores.
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>>;

    /// Waits until a process that was started has ended, or can't be waited for any longer.
    fn outlive(&self, started: Identity) -> Coming<'_, ()>;

    /// Ends a process that was started and did not come.
    fn give_up(&self, started: Identity) -> Coming<'_, ()>;
}

/// Members are programs, each on a core of its own while there are cores on which members come.
pub struct ByPrograms {
    root: ProgramsClient<Within>,
    order: Order,
    cores: Vec<u16>,
    /// The numbers of those that were started, and their cores, by process.
    started: RefCell<BTreeMap<u64, (u64, u16)>>,
    /// How many did not start or did not come, by core: perhaps something is wrong with it.
    failed: RefCell<BTreeMap<u16, usize>>,
}

impl ByPrograms {
    /// Has `order` started on one of these cores; its own core is not looked at. Without cores, nothing is started.
    pub fn new(root: ProgramsClient<Within>, order: Order, cores: Vec<u16>) -> Rc<ByPrograms> {
        Rc::new(ByPrograms { root, order, cores, started: RefCell::default(), failed: RefCell::default() })
    }

    fn has_failed_on(&self, core: u16) {
        *self.failed.borrow_mut().entry(core).or_default() += 1;
    }

    fn number(&self, started: Identity) -> Option<u64> {
        self.started.borrow().get(&started.0).map(|(number, _)| *number)
    }
}

impl Growth for ByPrograms {
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        Box::pin(async move {
            let members_on = |core: &u16| taken.iter().filter(|taken| *taken == core).count();
            let failed_on = |core: &u16| self.failed.borrow().get(core).copied();
            let best = || self.cores.iter().min_by_key(|core| (failed_on(core), members_on(core))).copied();
            let core = core.or_else(best).ok_or(CallError::Refused(Refusal::NotStarted))?;
            let started = self.root.start(&Order { core, ..self.order.clone() }).await;
            if started == Err(CallError::Refused(Refusal::NotStarted)) {
                // As on a core that has failed.
                self.has_failed_on(core);
            }
            let started = started?;
            let mut known = self.started.borrow_mut();
            if known.len() >= STARTED_MAX {
                known.pop_first();
            }
            known.insert(started.identity, (started.number, core));
            Ok(Identity(started.identity))
        })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            if let Some(number) = self.number(started) {
                let _ = self.root.end(number).await;
            }
        })
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        Box::pin(async move {
            let known = self.started.borrow_mut().remove(&started.0);
            if let Some((number, core)) = known {
                self.has_failed_on(core);
                // Refused only if it has ended, which is what is wanted.
                let _ = self.root.stop(number).await;
            }
        })
    }
}

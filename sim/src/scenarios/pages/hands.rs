//! The custodian's hands in the simulator: a note of who was given what, and of what is written in every frame.

use super::{Dress, FRAMES};
use crate::world::World;
use fos_messages::custody::{CustodyNewsClient, Range, Run};
use fos_messages::rpc::Address;
use fos_pages::cleaning::Cleaner;
use fos_root::custody::{Custodian, Hands, NotGiven};
use fos_runtime::Runtime;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Ranges that may be held at once, as root's table has room for some, those of them that are for leases, and what one process
/// may hold: few enough that one who takes all that it can comes to its share.
const GIVEN_MAX: usize = 400;
const LEASED: usize = 100;
pub const SHARE_MAX: usize = 60;

/// A capability that is out.
#[derive(Clone, Copy)]
struct Given {
    range: Range,
    process: u64,
}

/// What is true of all frames, whatever anybody remembers.
pub struct Ledger {
    world: World,
    dress: Dress,
    /// Capabilities that processes have.
    had: RefCell<BTreeMap<u32, Given>>,
    last: RefCell<u32>,
    running: RefCell<BTreeSet<u64>>,
    /// Those that the custodian believes processes to have: what one has deleted by itself is among them until the custodian was told.
    noted: RefCell<BTreeMap<u32, Given>>,
    /// Processes whose capabilities are for zeroing.
    members: RefCell<BTreeSet<u64>>,
    /// By process, the fewest frames that were free since its request began.
    fewest: RefCell<BTreeMap<u64, u64>>,
    /// Who wrote last to a frame that was not zeroed since.
    written: RefCell<BTreeMap<u64, u64>>,
}

impl Ledger {
    pub fn new(world: &World, dress: Dress) -> Rc<Ledger> {
        Rc::new(Ledger {
            world: world.clone(),
            dress,
            had: RefCell::default(),
            last: RefCell::default(),
            running: RefCell::default(),
            noted: RefCell::default(),
            members: RefCell::default(),
            fewest: RefCell::default(),
            written: RefCell::default(),
        })
    }

    /// What a process has now it has as a member of the fleet.
    pub fn is_member(&self, process: u64) {
        self.members.borrow_mut().insert(process);
    }

    /// Frames that by the custodian's notes no process holds, but members to zero them.
    fn free(&self) -> u64 {
        let (noted, members) = (self.noted.borrow(), self.members.borrow());
        let held = noted.values().filter(|given| !members.contains(&given.process));
        FRAMES.saturating_sub(held.map(|given| given.range.count).sum::<u64>())
    }

    /// A process's request begins.
    pub fn begins(&self, process: u64) {
        self.fewest.borrow_mut().insert(process, self.free());
    }

    /// A process was told that there is no memory for what fits any frames that are free: there were too few at some time since
    /// its request began.
    pub fn refused(&self, process: u64, frames: u64) {
        let fewest = self.fewest.borrow().get(&process).copied().unwrap_or(0);
        if fewest >= frames {
            self.world.broken(format!(
                "process {process} got none of {frames} frames, and {fewest} were free all the time"
            ));
        }
    }

    pub fn runs(&self, process: u64) {
        self.running.borrow_mut().insert(process);
    }

    /// A process has ended, and with it its capabilities.
    pub fn ended(&self, process: u64) {
        self.running.borrow_mut().remove(&process);
        self.had.borrow_mut().retain(|_, given| given.process != process);
    }

    /// A process uses what it was given: it must be its own, and must read as zeros.
    pub fn uses(&self, process: u64, run: &Run) {
        let given = self.had.borrow().get(&run.handle).copied();
        if given.is_none_or(|given| given.process != process || given.range != run.range) {
            self.world.broken(format!("process {process} was told of {run:?}, which it does not have"));
        }
        let mut written = self.written.borrow_mut();
        for frame in run.range.first..run.range.first + run.range.count {
            if let Some(by) = written.insert(frame, process) {
                self.world.broken(format!("process {process} reads in frame {frame} what {by} wrote"));
            }
        }
    }

    /// A process deletes a capability of its own.
    pub fn delete(&self, process: u64, handle: u32) {
        let mut had = self.had.borrow_mut();
        if had.get(&handle).is_some_and(|given| given.process == process) {
            had.remove(&handle);
        }
    }
}

/// The custodian's side of it.
pub struct SimulatedHands {
    pub ledger: Rc<Ledger>,
    pub runtime: Runtime,
}

impl std::fmt::Debug for SimulatedHands {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SimulatedHands")
    }
}

/// The custodian of the simulator.
pub type SimulatedCustodian = Rc<RefCell<Custodian<SimulatedHands>>>;

impl Hands for SimulatedHands {
    type Slot = u32;

    fn is_running(&self, process: u64) -> bool {
        self.ledger.running.borrow().contains(&process)
    }

    fn room(&self, is_lease: bool) -> usize {
        let kept = if is_lease { 0 } else { LEASED };
        (GIVEN_MAX - kept).saturating_sub(self.ledger.noted.borrow().len())
    }

    fn share(&self) -> usize {
        SHARE_MAX
    }

    fn give(&mut self, range: Range, process: u64) -> Result<(u32, u32), NotGiven> {
        // Two derivations, and what moves one to the process.
        self.ledger.world.charge("trap", 3);
        let mut had = self.ledger.had.borrow_mut();
        let meets = |given: &&Given| {
            given.range.first < range.first + range.count
                && range.first < given.range.first + given.range.count
        };
        if let Some(other) = had.values().find(meets) {
            self.ledger
                .world
                .broken(format!("{range:?} is given to {process} while {} has some of it", other.process));
        }
        let mut last = self.ledger.last.borrow_mut();
        *last += 1;
        had.insert(*last, Given { range, process });
        self.ledger.noted.borrow_mut().insert(*last, Given { range, process });
        let free = self.ledger.free();
        self.ledger.fewest.borrow_mut().values_mut().for_each(|fewest| *fewest = free.min(*fewest));
        Ok((*last, *last))
    }

    fn is_home(&self, slot: &u32) -> bool {
        self.ledger.dress.forgets_holders || !self.ledger.had.borrow().contains_key(slot)
    }

    fn take(&mut self, slot: &u32) -> bool {
        // A look whether it is home, and its deletion.
        self.ledger.world.charge("trap", 2);
        self.ledger.noted.borrow_mut().remove(slot);
        if !self.ledger.dress.forgets_holders {
            self.ledger.had.borrow_mut().remove(slot);
        }
        true
    }

    fn tell(&mut self, news: &Address) {
        // Who has no room looks by itself.
        let _ = CustodyNewsClient::new(self.runtime.within(Duration::ZERO), *news).orphans();
    }
}

/// Zeroes what its member was given.
pub struct SimulatedCleaner {
    pub ledger: Rc<Ledger>,
    pub member: u64,
}

impl Cleaner for SimulatedCleaner {
    fn clean(&self, run: &Run, from: u64, count: u64) -> bool {
        // Mapped, cleared, unmapped.
        self.ledger.world.charge("trap", 2);
        self.ledger.world.charge("zero_page", count);
        if !self.ledger.dress.forgets_to_clean {
            let mut written = self.ledger.written.borrow_mut();
            let first = run.range.first + from;
            (first..first + count).for_each(|frame| _ = written.remove(&frame));
        }
        true
    }

    fn give_up(&self, run: &Run) -> bool {
        self.ledger.world.charge("trap", 1);
        self.ledger.delete(self.member, run.handle);
        true
    }
}

//! A process that knows who is registered from nothing but what naming tells of changes, whichever member it asks.

use crate::world::World;
use fos_messages::names::{Change, NameError, Path};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Names, Priority, Runtime};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// How long it waits when nobody answered.
const PAUSE: Duration = Duration::from_micros(100);

/// What it has come to.
pub(super) struct Follower {
    names: Rc<Names>,
    runtime: Runtime,
    directory: Path,
    found: RefCell<BTreeSet<u64>>,
}

impl Follower {
    /// Begins to follow a directory.
    pub fn begin(world: &World, core: u32, naming: Vec<Address>, directory: Path) -> Rc<Follower> {
        let process = world.start("follower", core);
        let names = Names::new(process.runtime.clone(), naming, (0, core as u16));
        let (runtime, found) = (process.runtime.clone(), RefCell::default());
        let follower = Rc::new(Follower { names, runtime, directory, found });
        process.spawn(Priority::Normal, follower.clone().follow());
        follower
    }

    async fn follow(self: Rc<Self>) {
        let mut watch = self.names.watch(self.directory.clone());
        loop {
            match watch.next().await {
                Ok(news) if news.look_again => self.look().await,
                Ok(news) => news.changes.into_iter().for_each(|change| self.note(&change)),
                Err(_) => self.runtime.sleep(PAUSE).await,
            }
        }
    }

    async fn look(&self) {
        let found = loop {
            match self.names.describe(&self.directory).await {
                Ok(found) => break found.members,
                Err(CallError::Refused(NameError::NotFound)) => break Vec::new(),
                Err(_) => self.runtime.sleep(PAUSE).await,
            }
        };
        *self.found.borrow_mut() = found.iter().map(|(entry, _)| entry.address.identity.0).collect();
    }

    fn note(&self, change: &Change) {
        let mut found = self.found.borrow_mut();
        match change.member {
            Some(member) if change.is_there => drop(found.insert(member)),
            Some(member) => drop(found.remove(&member)),
            None => {}
        }
    }

    /// Whether it has come to these.
    pub fn check(&self, registered: &BTreeSet<u64>) -> Result<(), String> {
        let followed = self.found.borrow();
        if *followed == *registered {
            return Ok(());
        }
        Err(format!("who follows the directory has {followed:?} instead of {registered:?}"))
    }
}

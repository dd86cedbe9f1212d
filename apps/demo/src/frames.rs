//! A load of the fleet `pages`: frames that are held and must keep what was written, and others that are wanted, must read as
//! zeros, are written and given back, again and again.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::Ordering;
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;
use fos_messages::names::Path;
use fos_messages::pages::{Freed, NAME, PagesClient, Run, Wanted};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Named, Names, Priority, Runtime};
use libfos::frames::give_up;
use libfos::memory::Memory;

use crate::fleet::PATIENCE;
use crate::rounds::Rounds;

/// Frames that are held, and frames of one round.
const HELD: u32 = 64;
const WANTED: u32 = 16;
/// How long it waits after each round.
const ROUND_EVERY: Duration = Duration::from_millis(10);

/// The load.
pub struct Frames {
    runtime: Runtime,
    names: Rc<Names>,
    pages: PagesClient<Named>,
    memory: RefCell<Memory>,
    last_tag: Cell<u64>,
    held: RefCell<Vec<Run>>,
    /// In each, frames are had, written and given back.
    pub(crate) rounds: Rounds,
}

impl Frames {
    /// Takes what it holds, and begins. For a process that asks the fleet for nothing else.
    pub async fn begin(runtime: &Runtime, names: &Rc<Names>, memory: Memory) -> Result<Rc<Frames>, String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let frames = Rc::new(Frames {
            runtime: runtime.clone(),
            names: names.clone(),
            pages: PagesClient::new(names.at(path, PATIENCE), Address::default()),
            memory: RefCell::new(memory),
            last_tag: Cell::default(),
            held: RefCell::default(),
            rounds: Rounds::default(),
        });
        let held = frames.allocate(HELD).await?;
        held.iter().try_for_each(|run| frames.replace(run, 0, pattern(run)))?;
        *frames.held.borrow_mut() = held;
        let load = frames.clone();
        runtime.spawn(Priority::Normal, async move {
            load.rounds.go_on(&load.runtime, || ROUND_EVERY, async || load.round().await).await;
        });
        Ok(frames)
    }

    async fn round(&self) -> Result<(), String> {
        let runs = self.allocate(WANTED).await?;
        runs.iter().try_for_each(|run| self.replace(run, 0, pattern(run)))?;
        self.give_back(&runs).await?;
        self.check_held()
    }

    fn check_held(&self) -> Result<(), String> {
        self.held.borrow().iter().try_for_each(|run| self.replace(run, pattern(run), pattern(run)))
    }

    async fn allocate(&self, frames: u32) -> Result<Vec<Run>, String> {
        self.last_tag.set(self.last_tag.get() + 1);
        let wanted = Wanted { tag: self.last_tag.get(), frames, order: 0 };
        self.pages.allocate(wanted).await.map_err(|error| format!("{frames} frames are not had: {error}"))
    }

    /// Looks that each word of a run is the old one, and writes the new one.
    fn replace(&self, run: &Run, old: u64, new: u64) -> Result<(), String> {
        let mut memory = self.memory.borrow_mut();
        let mapped = memory.map(Handle(run.handle), 0, run.range.count as usize, MapFlags::WRITE);
        let mapping = mapped.map_err(|error| format!("{run:?} can't be mapped: {error}"))?;
        let wrong = mapping.words().iter().find(|word| word.swap(new, Ordering::Relaxed) != old).is_some();
        memory.unmap(mapping).map_err(|error| format!("{run:?} can't be unmapped: {error:?}"))?;
        if wrong { Err(format!("{run:?} has not what was written there")) } else { Ok(()) }
    }

    async fn give_back(&self, runs: &[Run]) -> Result<(), String> {
        for run in runs {
            give_up(Handle(run.handle)).map_err(|error| format!("{run:?} can't be given up: {error:?}"))?;
        }
        let firsts: Vec<u64> = runs.iter().map(|run| run.range.first).collect();
        let freed = loop {
            match self.pages.give_back(firsts.clone()).await {
                Ok(freed) => break freed,
                // It may have been done or not: another member says which.
                Err(CallError::PeerLost) => {}
                Err(error) => return Err(format!("{runs:?} are not given back: {error}")),
            }
        };
        // Not this process's any more, if the member that ended had done it.
        let is_well = |freed: &Freed| matches!(freed, Freed::Done | Freed::NotYours);
        if freed.iter().all(is_well) { Ok(()) } else { Err(format!("given back: {runs:?}, {freed:?}")) }
    }

    /// Ends the load, gives back what was held, and waits until the members together keep every frame once.
    pub async fn check(&self) -> Result<(), String> {
        self.rounds.end(&self.runtime).await?;
        self.check_held()?;
        let held = self.held.take();
        self.give_back(&held).await?;
        let deadline = self.runtime.port().now().after(PATIENCE);
        loop {
            let (frames, kept) = self.kept().await.map_err(|error| error.to_string())?;
            if kept == frames {
                return Ok(());
            }
            if self.runtime.port().now() > deadline {
                return Err(format!("members of pages keep {kept} of {frames} frames"));
            }
            self.runtime.sleep(ROUND_EVERY).await;
        }
    }

    /// All frames, and how many the members keep together.
    async fn kept(&self) -> Result<(u64, u64), CallError> {
        let frames = self.pages.statistics().await?.frames;
        let Ok(path) = Path::new(NAME) else { return Ok((frames, 0)) };
        let mut kept = 0;
        for member in self.names.members(&path).await.unwrap_or_default() {
            let pages = PagesClient::new(self.runtime.within(PATIENCE), member.address);
            kept += pages.statistics().await.map_or(0, |figures| figures.kept);
        }
        Ok((frames, kept))
    }
}

/// What is written to a run that nobody else writes to its frames.
fn pattern(run: &Run) -> u64 {
    !run.range.first
}

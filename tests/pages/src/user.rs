//! A process that uses memory of the fleet.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::Ordering;

use fos_abi::capability::Handle;
use fos_abi::space::MapFlags;
use fos_init::PATIENCE;
use fos_messages::names::Path;
use fos_messages::pages::{
    Freed, NAME, ORDER_HUGE, PagesClient, PagesError, Pressure, RUNS_MAX, Run, Wanted,
};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Named, Names, Runtime};
use libfos::frames::give_up;
use libfos::member::{Begun, serve};
use libfos::memory::{Memory, MemoryError};
use libfos::pages::Growing;
use libfos::{Start, println};

/// Frames that the holder holds.
pub const HELD: u64 = 1024;
/// Tells this program's own requests apart from those of its memory.
const OWN_LANE: u64 = 2;

/// A user of the fleet.
pub struct User {
    /// How it asks.
    pub pages: PagesClient<Named>,
    /// Its memory.
    pub growing: Rc<Growing>,
    last_tag: Cell<u64>,
}

impl User {
    /// A process's only one. `hear` is told of the pressure when `growing` listens.
    pub fn new(
        runtime: &Runtime,
        names: &Rc<Names>,
        memory: Memory,
        hear: impl Fn(Pressure) + 'static,
    ) -> Result<User, String> {
        let path = Path::new(NAME).map_err(|error| error.to_string())?;
        let pages = PagesClient::new(names.at(path, PATIENCE), Address::default());
        let growing = Growing::new(runtime, names, memory, hear).map_err(|error| error.to_string())?;
        Ok(User { pages, growing, last_tag: Cell::new(OWN_LANE << 48) })
    }

    /// Memory in blocks of this order.
    pub async fn allocate(&self, frames: u64, order: u8) -> Result<Vec<Run>, CallError<PagesError>> {
        self.last_tag.set(self.last_tag.get() + 1);
        self.pages.allocate(Wanted { tag: self.last_tag.get(), frames: frames as u32, order }).await
    }

    /// Maps a run, looks that all of it is zero, and writes to each of its pages.
    pub fn touch(&self, run: &Run) -> Result<(), String> {
        let mut memory = self.growing.memory();
        let mapped = memory.map(Handle(run.handle), 0, run.range.count as usize, MapFlags::WRITE);
        let mapping = mapped.map_err(|error| format!("{run:?} can't be mapped: {error}"))?;
        let is_zero = mapping.words().iter().all(|word| word.load(Ordering::Relaxed) == 0);
        mapping.words().iter().for_each(|word| word.store(run.range.first, Ordering::Relaxed));
        let unmapped = memory.unmap(mapping);
        unmapped.map_err(|error| MemoryError::from(error).to_string())?;
        if is_zero { Ok(()) } else { Err(format!("{run:?} does not read as zeros")) }
    }

    /// Deletes the capabilities, and gives the runs back.
    pub async fn give_back(&self, runs: &[Run]) -> Result<(), String> {
        for runs in runs.chunks(RUNS_MAX) {
            for run in runs {
                give_up(Handle(run.handle))
                    .map_err(|error| format!("{run:?} can't be given up: {error:?}"))?;
            }
            let firsts = runs.iter().map(|run| run.range.first).collect();
            let freed = self.pages.give_back(firsts).await.map_err(|error| error.to_string())?;
            if freed.iter().any(|freed| *freed != Freed::Done) {
                return Err(format!("{runs:?} were given back, and the answer was {freed:?}"));
            }
        }
        Ok(())
    }
}

/// Holds memory until it is ended: some of it, or all that it gets.
pub fn hold(start: &Start, is_hog: bool) -> Result<(), String> {
    serve(start, async move |begun| {
        let Begun { runtime, names, memory, core, .. } = begun;
        let user = User::new(&runtime, &names, memory, |_| ())?;
        if is_hog {
            let (frames, why) = user.take_all().await?;
            println!("pages-test: a hog on core {core} holds {frames} frames: {why}");
        } else {
            let runs = user.allocate(HELD, 0).await.map_err(|error| error.to_string())?;
            runs.iter().try_for_each(|run| user.touch(run))?;
            println!("pages-test: a program on core {core} holds {HELD} frames");
        }
        loop {
            runtime.sleep(PATIENCE).await;
        }
    })
}

impl User {
    /// Takes all that it gets, in huge pages; how many frames, and why no more. It has them until it ends.
    async fn take_all(&self) -> Result<(u64, PagesError), String> {
        let mut frames = 0;
        loop {
            match self.allocate(1 << ORDER_HUGE, ORDER_HUGE).await {
                Ok(runs) => frames += runs.iter().map(|run| run.range.count).sum::<u64>(),
                Err(CallError::Refused(why)) => return Ok((frames, why)),
                Err(error) => return Err(format!("a hog was not refused: {error}")),
            }
        }
    }
}

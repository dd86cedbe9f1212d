//! Memory that grows from the fleet: the program's [`Memory`] gets a further part when it has too little, and parts out of which
//! nothing is taken go back when they are many, or when little is free in the machine. So does the heap, one reserve at a time.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell, RefMut};
use core::time::Duration;

use fos_abi::capability::Handle;
use fos_messages::names::{Path, PathError};
use fos_messages::pages::{
    NAME, PagesError, PagesNews, PagesNewsDispatcher, Pressure, Run, SUBSCRIBED_SECONDS,
};
use fos_messages::rpc::{Address, Context};
use fos_runtime::port::Class;
use fos_runtime::{Named, Names, Priority, Runtime};

use super::{LANE_OF_MEMORY, Supply, SupplyError, block, order_of};
use crate::frames::Block;
use crate::heap;
use crate::memory::{Mapping, Memory, MemoryError};

/// Frames that are asked for at least, 1 MiB: the next requests need not ask. As many unused ones are kept.
pub const BATCH: u64 = 256;
/// How long an answer may take, ends of members included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Subscriptions are renewed well before they end.
const RENEW_EVERY: Duration = Duration::from_secs(SUBSCRIBED_SECONDS / 2);
/// How often is looked whether the heap has begun its reserve.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A program's memory, and where more of it comes from.
pub struct Growing {
    runtime: Runtime,
    memory: RefCell<Memory>,
    supply: Supply<Named>,
    /// What the fleet gave, by the handle.
    runs: RefCell<BTreeMap<u32, Run>>,
    level: Cell<Pressure>,
    hear: Box<dyn Fn(Pressure)>,
}

impl core::fmt::Debug for Growing {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Growing").field("memory", &self.memory).field("runs", &self.runs).finish()
    }
}

impl Growing {
    /// Has this memory grow. `hear` is told how little is free in the machine, from [`listen`](Self::listen) on, after what is
    /// unused was given back.
    pub fn new(
        runtime: &Runtime,
        names: &Rc<Names>,
        memory: Memory,
        hear: impl Fn(Pressure) + 'static,
    ) -> Result<Rc<Growing>, PathError> {
        let supply = Supply::new(names.at(Path::new(NAME)?, PATIENCE), Address::default(), LANE_OF_MEMORY);
        let (runs, level) = Default::default();
        let (memory, hear) = (RefCell::new(memory), Box::new(hear));
        Ok(Rc::new(Growing { runtime: runtime.clone(), memory, supply, runs, level, hear }))
    }

    /// The memory, for what needs no more than there is. Not to be held over an `await`.
    pub fn memory(&self) -> RefMut<'_, Memory> {
        self.memory.borrow_mut()
    }

    /// How the fleet is asked.
    pub fn supply(&self) -> &Supply<Named> {
        &self.supply
    }

    /// Frames that the fleet gave and that were not given back.
    pub fn frames(&self) -> u64 {
        self.runs.borrow().values().map(|run| run.range.count).sum()
    }

    /// Takes frames in a row, maps them and clears them.
    pub async fn allocate(&self, pages: usize) -> Result<(Block, Mapping), SupplyError> {
        loop {
            let had = self.memory.borrow_mut().allocate(pages);
            match had {
                Err(MemoryError::OutOfFrames) => self.grow(pages as u64).await?,
                had => return Ok(had?),
            }
        }
    }

    /// Unmaps and gives back what [`allocate`](Self::allocate) gave; what is then unused, beyond a batch, goes home.
    pub async fn free(&self, (frames, mapping): (Block, Mapping)) -> Result<(), SupplyError> {
        {
            let mut memory = self.memory.borrow_mut();
            memory.unmap(mapping)?;
            memory.frames.give_back(frames)?;
        }
        self.give_back_unused(BATCH).await
    }

    /// Gets frames of which at least so many are in a row; a batch if there is one.
    pub async fn grow(&self, in_a_row: u64) -> Result<(), SupplyError> {
        let order = order_of(in_a_row);
        let runs = match self.supply.fetch(block(order).max(BATCH), order).await {
            Err(SupplyError::Refused(PagesError::OutOfMemory | PagesError::OverQuota))
                if block(order) < BATCH =>
            {
                self.supply.fetch(block(order), order).await?
            }
            answer => answer?,
        };
        for run in runs {
            self.memory.borrow_mut().frames.add(Handle(run.handle))?;
            self.runs.borrow_mut().insert(run.handle, run);
        }
        Ok(())
    }

    /// Gives back parts out of which nothing is taken, as long as so many free frames stay.
    pub async fn give_back_unused(&self, stay: u64) -> Result<(), SupplyError> {
        while let Some(run) = self.take_unused(stay) {
            self.supply.give_back(&[run]).await?;
        }
        Ok(())
    }

    fn take_unused(&self, stay: u64) -> Option<Run> {
        let (mut memory, mut runs) = (self.memory.borrow_mut(), self.runs.borrow_mut());
        let beyond = memory.frames.free_frames().checked_sub(stay)?;
        let may_go = |part: Handle| runs.get(&part.0).is_some_and(|run| run.range.count <= beyond);
        let part = memory.frames.remove_unused(may_go)?;
        runs.remove(&part.0)
    }

    /// Has the heap grow: sets so many bytes aside for it, and again when it has begun them. What the heap has it keeps. When the
    /// fleet refuses, it has what it has, and is told again.
    pub async fn keep_heap(self: &Rc<Self>, reserve_bytes: usize) -> Result<(), SupplyError> {
        self.refill_heap(reserve_bytes).await?;
        let own = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            loop {
                own.runtime.sleep(LOOK_EVERY).await;
                if heap::wants_reserve() && own.refill_heap(reserve_bytes).await.is_err() {
                    own.runtime.sleep(RENEW_EVERY).await;
                }
            }
        });
        Ok(())
    }

    async fn refill_heap(&self, bytes: usize) -> Result<(), SupplyError> {
        let had = self.allocate(bytes.div_ceil(fos_abi::limits::PAGE_SIZE)).await?;
        match heap::set_aside(had) {
            None => Ok(()),
            Some(too_much) => self.free(too_much).await,
        }
    }

    /// From now on gives back what is unused when little is free in the machine, and tells whoever wants to hear.
    pub fn listen(self: &Rc<Self>) {
        self.runtime.serve(Class::External, PagesNewsDispatcher::new(Rc::new(News(self.clone()))));
        let own = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            loop {
                own.ask_pressure().await;
                own.runtime.sleep(RENEW_EVERY).await;
            }
        });
    }

    /// Renews the subscription, and acts on what is answered. Anybody may send news; only the fleet answers.
    async fn ask_pressure(&self) {
        let address = self.runtime.port().address(Class::External);
        let Ok(level) = self.supply.client().subscribe(address).await else { return };
        if level > Pressure::None {
            // What could not be given back now is tried again at the next renewal.
            let _ = self.give_back_unused(0).await;
        }
        if self.level.replace(level) != level {
            (self.hear)(level);
        }
    }
}

struct News(Rc<Growing>);

impl PagesNews for News {
    fn pressure(&self, _: Context, _: Pressure) {
        let own = self.0.clone();
        self.0.runtime.spawn(Priority::Normal, async move { own.ask_pressure().await });
    }
}

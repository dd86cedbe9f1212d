//! Handing out and taking back. What a member does is in its hands from before the map says it until the pool or the map has it, so
//! that the others neither lose nor find it when a member ends.

use crate::register::{Free, Register};
use crate::{Handle, Terms, Value};
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_carrier::Switchboard;
use fos_dpool::{Policy, RemoveError, Scheme};
use fos_lending::{Hands, Lending};
use fos_runtime::fleet::{self, Event};
use fos_runtime::{Priority, Runtime};
use fos_sharded_map::MapError;

/// How long to wait until something can be done.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Why there is no handle, or nothing behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// As many are out as there are.
    Exhausted,
    /// It was given back, or never handed out.
    Stale,
    /// This member is none yet, or leaves, or is just giving or taking that number: ask again. Nothing was done.
    NotServing,
    /// The others have gone on without this member: it may have been done.
    Interrupted,
}

impl core::fmt::Display for HandleError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            HandleError::Exhausted => "all handles are in use: give some back first",
            HandleError::Stale => "the handle was given back, or never handed out",
            HandleError::NotServing => "this member does not serve that now: ask again, or another",
            HandleError::Interrupted => "the fleet has gone on without this member: it may have been done",
        })
    }
}

impl core::error::Error for HandleError {}

impl From<MapError> for HandleError {
    fn from(error: MapError) -> HandleError {
        match error {
            MapError::Busy | MapError::NotServing => HandleError::NotServing,
            MapError::Interrupted => HandleError::Interrupted,
        }
    }
}

/// One member's handles.
pub struct Handles<V: Value> {
    runtime: Runtime,
    lending: Rc<Lending<u32>>,
    register: Rc<Register<V>>,
    /// Calls under way that may have something in their hands.
    working: Cell<u32>,
    /// Numbers of which one of them is at work: hands know of a number once.
    gripped: RefCell<BTreeSet<u32>>,
    is_leaving: Cell<bool>,
    /// It ends lest something is not looked for.
    is_spent: Cell<bool>,
}

impl<V: Value> Handles<V> {
    /// Handles over two structures whose numbers are their own in this process and the same at all members.
    pub fn new(
        runtime: &Runtime,
        hands: &Rc<Hands>,
        switchboard: &Rc<Switchboard>,
        (pool, map): (u16, u16),
        terms: Terms,
    ) -> Rc<Handles<V>> {
        let runtime = runtime.clone();
        let register = Register::new(switchboard, map, terms, &runtime);
        let book = Rc::new(Free(register.clone()));
        let policy = Policy::distributed(Scheme::Estimate);
        let lending = Lending::new(hands, switchboard, pool, policy, book);
        let (working, gripped, is_leaving, is_spent) = Default::default();
        Rc::new(Handles { runtime, lending, register, working, gripped, is_leaving, is_spent })
    }

    /// Hands one out for this. If its answer does not reach who asked, the handle is out nevertheless: [`Handles::survey`] has it.
    /// To be awaited to its end, as a request to a server is.
    pub async fn take(&self, value: V) -> Result<Handle, HandleError> {
        let _work = self.work();
        if self.is_leaving.get() {
            return Err(HandleError::NotServing);
        }
        let number = self.lending.pool().remove_one().await.map_err(|error| match error {
            RemoveError::Exhausted => HandleError::Exhausted,
            RemoveError::Busy | RemoveError::NotServing => HandleError::NotServing,
        })?;
        let Some(_grip) = self.grip(number) else {
            self.put_in([number].into()).await?;
            return Err(HandleError::NotServing);
        };
        // Whoever had it in its grip has let it go since.
        self.lending.hold(&[number]);
        let last = match self.register.last(number).await {
            Ok(last) => last,
            Err(error) => {
                self.put_in([number].into()).await?;
                return Err(error.into());
            }
        };
        // Without a next generation, which all copies of the map must have been lost for, it is handed out no more.
        let generation = last.and_then(|last| last.checked_add(1)).ok_or(HandleError::Interrupted)?;
        let handle = Handle { number, generation };
        self.register.hand_out(handle, value).await?;
        self.lending.let_go(&[number]);
        Ok(handle)
    }

    /// What stands behind a handle.
    pub async fn get(&self, handle: Handle) -> Result<V, HandleError> {
        self.register.value(handle).await?.ok_or(HandleError::Stale)
    }

    /// Takes one back, and answers what stood behind it. Of two who give the same back one is told so. To be awaited to its end.
    pub async fn give_back(&self, handle: Handle) -> Result<V, HandleError> {
        let _work = self.work();
        if self.is_leaving.get() {
            return Err(HandleError::NotServing);
        }
        let Some(_grip) = self.grip(handle.number) else { return Err(HandleError::NotServing) };
        self.get(handle).await?;
        let (number, looks) = ([handle.number], self.lending.looks());
        self.lending.hold(&number);
        let Some(value) = self.register.take_back(handle).await? else {
            self.held_in_vain(&number, looks)?;
            return Err(HandleError::Stale);
        };
        if handle.generation == u32::MAX {
            self.lending.let_go(&number);
        } else {
            self.put_in(number.into()).await?;
        }
        Ok(value)
    }

    /// Every handle that is out, with what stands behind it, for a server that looks whose holder has ended; one handed out or taken
    /// back meanwhile may be missing, or not.
    pub async fn survey(&self) -> Result<Vec<(Handle, V)>, HandleError> {
        Ok(self.register.survey().await?.0)
    }

    /// Parts of the register that this member began anew, empty: all that had them ended at once. Handles in them come again.
    pub fn lost(&self) -> u64 {
        self.register.map().carrier().container().lost()
    }

    /// Parts of the register of which this member has all, by their numbers.
    pub fn parts(&self) -> Vec<u16> {
        self.register.map().carrier().container().whole_shards().collect()
    }

    /// Whether it hands on what it has, or has.
    pub fn leaves(&self) -> bool {
        self.is_leaving.get()
    }

    /// The pool of numbers.
    pub fn lending(&self) -> &Rc<Lending<u32>> {
        &self.lending
    }

    /// Something has happened in the fleet.
    pub fn follow(self: &Rc<Self>, member: &fleet::Member, event: Event) {
        if event == Event::Leaves {
            let handles = self.clone();
            self.is_leaving.set(true);
            return self.runtime.spawn(Priority::Normal, async move { handles.leave().await });
        }
        self.register.map().carrier().follow(member, event);
        self.lending.pool().carrier().follow(member, event);
        if let Event::Began { coordinates: true, .. } = event {
            let handles = self.clone();
            // In vain if it has stopped: then another member coordinates.
            self.runtime.spawn(Priority::Normal, async move { _ = handles.found().await });
        }
    }

    /// Puts all numbers in, unless that was done. Whoever coordinates an epoch sees to it, so that no end prevents it.
    async fn found(&self) -> Result<(), HandleError> {
        let _work = self.work();
        if self.register.is_founded().await? {
            return Ok(());
        }
        let (numbers, looks) = (self.register.numbers().collect::<Vec<u32>>(), self.lending.looks());
        self.lending.hold(&numbers);
        match self.register.found().await? {
            true => self.put_in(numbers).await,
            false => self.held_in_vain(&numbers, looks),
        }
    }

    /// Finishes what is in hand, then hands on the numbers, then what stands behind handles.
    async fn leave(&self) {
        while self.working.get() > 0 && !self.has_stopped() {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        let pool = self.lending.pool().carrier();
        pool.leave();
        while !pool.has_left() {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.register.map().carrier().leave();
    }

    /// Whether the others have everything.
    pub fn has_left(&self) -> bool {
        self.register.map().carrier().has_left() && self.lending.pool().carrier().has_left()
    }

    /// Whether its process is to end: the others have gone on without it, or do better without it.
    pub fn has_stopped(&self) -> bool {
        let map = self.register.map().carrier().has_stopped();
        self.is_spent.get() || map || self.lending.pool().carrier().has_stopped()
    }

    /// Whether it ends lest something is not looked for: to the others it is one that was ended.
    pub fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    async fn put_in(&self, mut numbers: Vec<u32>) -> Result<(), HandleError> {
        while let Err(refused) = self.lending.pool().add(numbers).await {
            if self.has_stopped() {
                return Err(HandleError::Interrupted);
            }
            numbers = refused.0;
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// Another was quicker. If somebody looked meanwhile for what ended members had, it may have been that other, and these were not
    /// found since they were held here: when this member ends, they are looked for again.
    fn held_in_vain(&self, numbers: &[u32], looks: u64) -> Result<(), HandleError> {
        self.lending.let_go(numbers);
        if looks == self.lending.looks() {
            return Ok(());
        }
        self.is_spent.set(true);
        Err(HandleError::Interrupted)
    }

    /// None: another call here is at work on that number. Whoever waited for it would wait as long as that does, and be one more each
    /// time that its client asks again.
    fn grip(&self, number: u32) -> Option<Grip<'_>> {
        let is_first = self.gripped.borrow_mut().insert(number);
        is_first.then(|| Grip { gripped: &self.gripped, number })
    }

    fn work(&self) -> Work<'_> {
        self.working.set(self.working.get() + 1);
        Work(&self.working)
    }
}

/// A call under way.
struct Work<'a>(&'a Cell<u32>);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A call that is the only one at work on a number.
struct Grip<'a> {
    gripped: &'a RefCell<BTreeSet<u32>>,
    number: u32,
}

impl Drop for Grip<'_> {
    fn drop(&mut self) {
        self.gripped.borrow_mut().remove(&self.number);
    }
}

//! Frames that a process wrote are zeroed before another gets them: in idle time, so that nobody waits, and otherwise while
//! somebody does. To zero frames a member has them given to itself, a *lease*, and gives them back. At most two leases are under
//! way, one that is zeroed and one that comes or goes: who lacks frames then waits for one of them, and asks no other member.

use crate::server::Server;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::{Poll, Waker};
use core::time::Duration;
use fos_messages::custody::{Return, Run};
use fos_runtime::Priority;

/// Frames zeroed in one go, 1 MiB: the member answers nobody meanwhile.
pub const CHUNK: u64 = 256;
/// Frames that are had from the custodian to be zeroed at a time at most, 16 MiB: it is told twice for all of them.
pub(crate) const LEASE_MAX: u64 = 4096;
/// Frames that are kept clean beforehand, 64 MiB.
const CLEAN_MAX: u64 = 16 * 1024;
/// How long before dirty frames are looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Leases under way at most when somebody waits.
const LEASES_MAX: usize = 2;

/// Leases under way.
#[derive(Default)]
pub(crate) struct Leases {
    number: Cell<usize>,
    /// How many have ended.
    ended: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
    /// Frames of the next one if somebody waits for it.
    late: Cell<u64>,
}

impl Leases {
    fn begin(&self) -> Lease<'_> {
        self.number.set(self.number.get() + 1);
        Lease(self)
    }

    /// Until one of those under way has ended.
    async fn one_ends(&self) {
        let ended = self.ended.get();
        core::future::poll_fn(|context| {
            if self.ended.get() != ended {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One of them.
struct Lease<'a>(&'a Leases);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.number.set(self.0.number.get() - 1);
        self.0.ended.set(self.0.ended.get() + 1);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// Zeroes frames that this process was given.
pub trait Cleaner {
    /// Zeroes so many frames of a run, from one on. False: some may not read as zeros.
    fn clean(&self, run: &Run, from: u64, count: u64) -> bool;
    /// Deletes the capability of a run. False: that can't be done.
    fn give_up(&self, run: &Run) -> bool;
}

impl Server {
    /// Zeroes at most so many frames; answers how many.
    pub(crate) async fn clean_some(&self, most: u64) -> u64 {
        let _step = self.begin().await;
        let ranges = self.stock.borrow_mut().take_dirty(most);
        if ranges.is_empty() {
            return 0;
        }
        let _lease = self.leases.begin();
        let (me, tag) = (self.identity(), self.next_tag());
        let given = match self.custody.give(me, tag, ranges.clone(), u64::MAX).await {
            Ok(given) => given,
            Err(error) => {
                self.keep_unless_uncertain(&error, &ranges, false);
                return 0;
            }
        };
        let mut is_clean = true;
        for run in &given.runs {
            is_clean = self.clean_run(run).await && is_clean;
        }
        // What the cleaner could not delete is taken by force.
        let firsts = ranges.iter().map(|range| range.first).collect();
        let Ok(returned) = self.custody.take_home(me, firsts, !is_clean, is_clean).await else {
            self.doubt();
            return 0;
        };
        let mut stock = self.stock.borrow_mut();
        let home = returned.ranges.iter().map(|returned| match returned {
            Return::Home(range) => {
                stock.add(*range, is_clean);
                range.count
            }
            // It stays held, in this member's name, until that ends.
            Return::NotHeld | Return::StillOut => 0,
        });
        let frames: u64 = home.sum();
        if is_clean { frames } else { 0 }
    }

    /// Zeroes a run, and deletes its capability; others are answered between its chunks.
    async fn clean_run(&self, run: &Run) -> bool {
        let mut is_clean = true;
        for from in (0..run.range.count).step_by(CHUNK as usize) {
            if from > 0 {
                let_others_go_on().await;
            }
            is_clean = is_clean && self.cleaner.clean(run, from, CHUNK.min(run.range.count - from));
        }
        self.cleaner.give_up(run) && is_clean
    }

    /// Zeroes frames for somebody who waits: as few as will do, and the more the more often somebody had to wait since there was
    /// time to do it before. Or waits, so many times at most, for what is being zeroed. False: nothing here is to be zeroed.
    pub(crate) async fn clean_late(&self, wanted: u64, waits: &mut u32) -> bool {
        if self.leases.number.get() >= LEASES_MAX && self.waits(waits).await {
            return true;
        }
        let lease = self.leases.late.get().max(wanted.next_power_of_two()).clamp(CHUNK, LEASE_MAX);
        let cleaned = self.clean_some(lease).await;
        if cleaned == 0 {
            return self.leases.number.get() > 0 && self.waits(waits).await;
        }
        self.count(|figures| figures.zeroed_late += cleaned);
        self.leases.late.set((2 * lease).min(LEASE_MAX));
        true
    }

    /// Until a lease has ended. False: it was waited often enough.
    async fn waits(&self, waits: &mut u32) -> bool {
        let may_wait = *waits > 0;
        if may_wait {
            *waits -= 1;
            self.leases.one_ends().await;
        }
        may_wait
    }

    /// Prepares clean frames when there is nothing else to do, as long as this member is one.
    pub(crate) fn begin_cleaning(self: &Rc<Self>) {
        let server = self.clone();
        self.runtime.spawn(Priority::Idle, async move {
            loop {
                let has_enough = server.stock.borrow().clean_frames() >= CLEAN_MAX;
                server.leases.late.set(CHUNK);
                let cleaned = if has_enough { 0 } else { server.clean_some(LEASE_MAX).await };
                server.count(|figures| figures.zeroed_idle += cleaned);
                if cleaned == 0 {
                    server.runtime.sleep(LOOK_EVERY).await;
                }
            }
        });
    }
}

/// Lets messages be taken and other tasks run first.
async fn let_others_go_on() {
    let mut has_paused = false;
    core::future::poll_fn(|context| {
        if core::mem::replace(&mut has_paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

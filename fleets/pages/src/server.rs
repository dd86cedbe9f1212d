//! One member of `pages`: what it is asked for, and what it knows for certain.
//!
//! Who sends to it: processes that want memory, other members that lack it, the custodian. Whom it waits for: the custodian, for
//! each step; other members, when it has too little itself; never a process.
//!
//! A frame of this member's is in its stock, or in the hands of one *step*, which has taken it out and waits for the custodian to
//! say that it is somebody else's. A step whose answer is lost leaves its frames out and the member *in doubt*: then no step
//! begins until what is kept here was read in the custodian's table. So a lost answer loses no frame and gives none out twice.

use crate::buddy::{order_below, size};
use crate::cleaning::{Cleaner, LEASE_MAX, Leases};
use crate::pressure::Listeners;
use crate::stock::Stock;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::custody::{CustodyClient, Refusal, Return, Totals};
use fos_messages::names::DirectoryKey;
use fos_messages::pages::{Account, Freed, ORDER_MAX, PagesError, RUNS_MAX, Range, Run, Statistics, Wanted};
use fos_messages::rpc::{Address, CallError, Instead};
use fos_runtime::fleet::Member;
use fos_runtime::{Instant, Runtime, Within};

/// How long the custodian may take: it answers each message when it takes it.
const CUSTODIAN_WITHIN: Duration = Duration::from_secs(5);
/// How long a member looks for frames that are free and with nobody whom it asked, before the client is to ask another.
const GATHER_WITHIN: Duration = Duration::from_millis(200);
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How often one request has parts of blocks brought together that are divided among members: others may take them first.
const ASSEMBLES_MAX: u32 = 16;
/// How often one request waits for what is being zeroed for another one: that one may take it.
const WAITS_MAX: u32 = 16;

/// One member. See the module.
pub struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) member: Rc<Member>,
    pub(crate) custody: CustodyClient<Within>,
    custodian: Address,
    pub(crate) cleaner: Box<dyn Cleaner>,
    key: DirectoryKey,
    pub(crate) stock: RefCell<Stock>,
    pub(crate) totals: Cell<Totals>,
    pub(crate) listeners: Listeners,
    figures: Cell<Statistics>,
    last_tag: Cell<u64>,
    pub(crate) leases: Leases,
    /// Who lent this member something last.
    pub(crate) lender: Cell<Identity>,
    /// Steps under way.
    steps: Cell<usize>,
    /// Requests for which frames are gathered.
    gatherings: Cell<usize>,
    is_in_doubt: Cell<bool>,
    is_counting: Cell<bool>,
    /// How often was read what is kept here.
    counts: Cell<u64>,
    /// It adopts nothing any more.
    is_leaving: Cell<bool>,
}

/// The order of a block that answers what is wanted, or a part of it that is large enough to be one of its runs.
fn order_wanted(frames: u64, order: u8) -> u8 {
    order_below(frames / RUNS_MAX as u64 + 1).max(order)
}

/// A step under way.
pub(crate) struct Step<'a>(&'a Cell<usize>);

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A request for which frames are gathered.
struct Gathering<'a> {
    until: Instant,
    assembles: u32,
    all: &'a Cell<usize>,
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.all.set(self.all.get() - 1);
    }
}

impl Server {
    /// A member that keeps nothing yet. `key` is the fleet's.
    pub fn new(
        runtime: Runtime,
        member: Rc<Member>,
        custodian: Address,
        cleaner: Box<dyn Cleaner>,
        key: DirectoryKey,
    ) -> Rc<Server> {
        let custody = CustodyClient::new(runtime.within(CUSTODIAN_WITHIN), custodian);
        Rc::new(Server {
            runtime,
            member,
            custody,
            custodian,
            cleaner,
            key,
            stock: RefCell::default(),
            totals: Cell::default(),
            listeners: Listeners::default(),
            figures: Cell::default(),
            last_tag: Cell::default(),
            leases: Leases::default(),
            lender: Cell::default(),
            steps: Cell::default(),
            gatherings: Cell::default(),
            is_in_doubt: Cell::default(),
            is_counting: Cell::default(),
            counts: Cell::default(),
            is_leaving: Cell::default(),
        })
    }

    pub(crate) fn identity(&self) -> u64 {
        self.runtime.port().identity().0
    }

    pub(crate) fn custodian(&self) -> u64 {
        self.custodian.identity.0
    }

    pub(crate) fn next_tag(&self) -> u64 {
        self.last_tag.set(self.last_tag.get() + 1);
        self.last_tag.get()
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Statistics)) {
        let mut figures = self.figures.get();
        change(&mut figures);
        self.figures.set(figures);
    }

    /// Waits until a step may begin.
    pub(crate) async fn begin(&self) -> Step<'_> {
        while self.is_counting.get() || self.is_in_doubt.get() {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.steps.set(self.steps.get() + 1);
        Step(&self.steps)
    }

    /// What is kept here is to be counted again.
    pub(crate) fn doubt(&self) {
        self.is_in_doubt.set(true);
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.get()
    }

    pub(crate) fn counts(&self) -> u64 {
        self.counts.get()
    }

    /// Waits until no step is under way, and lets none begin.
    pub(crate) async fn begin_count(&self) {
        self.is_counting.set(true);
        while self.steps.get() > 0 {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.is_in_doubt.set(false);
        self.counts.set(self.counts.get() + 1);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }

    /// What it keeps is the others' from now on. If the custodian does not hear of it, from its end on.
    pub(crate) async fn leave(&self) {
        self.is_leaving.set(true);
        self.begin_count().await;
        let _ = self.custody.release().await;
    }

    pub(crate) fn end_count(&self) {
        self.is_counting.set(false);
    }

    /// After a request to the custodian that came to nothing: the frames are back in the stock, unless that is not certain.
    pub(crate) fn keep_unless_uncertain(&self, error: &CallError<Refusal>, ranges: &[Range], is_clean: bool) {
        let is_certain = match error {
            CallError::Refused(refusal) => *refusal != Refusal::NotKept,
            error => error.nothing_was_done(),
        };
        if !is_certain {
            return self.doubt();
        }
        let mut stock = self.stock.borrow_mut();
        ranges.iter().for_each(|range| stock.add(*range, is_clean));
    }

    /// Gives a process frames.
    pub(crate) async fn allocate(&self, asker: u64, wanted: Wanted) -> Result<Vec<Run>, Instead<PagesError>> {
        let Wanted { tag, frames, order } = wanted;
        let frames = u64::from(frames);
        if frames == 0 || order > ORDER_MAX || !frames.is_multiple_of(size(order)) {
            return Err(PagesError::BadRequest.into());
        }
        let (mut gathering, mut waits): (Option<Gathering<'_>>, u32) = (None, WAITS_MAX);
        // For who is refused anyway no more than a lease is zeroed.
        let is_large = frames > LEASE_MAX;
        loop {
            let step = self.begin().await;
            let taken = self.stock.borrow_mut().take(frames, order);
            if let Some(ranges) = taken {
                return self.give(asker, tag, ranges).await;
            }
            drop(step);
            if is_large && !self.is_within_quota(asker, frames).await? {
                return self.refuse(asker, tag, PagesError::OverQuota).await;
            }
            let until = gathering.as_ref().map(|gathering| gathering.until);
            let is_late = until.is_some_and(|until| self.runtime.port().now() > until);
            if !is_late && self.clean_late(self.lacks(frames), &mut waits).await {
                continue;
            }
            let _waiting = self.member.waits();
            if !is_large && !self.is_within_quota(asker, frames).await? {
                return self.refuse(asker, tag, PagesError::OverQuota).await;
            }
            let gathering = gathering.get_or_insert_with(|| self.begin_gathering());
            if !is_late
                && (self.gather(frames, order).await || self.assemble_for(gathering, frames, order).await)
            {
                continue;
            }
            if !self.custody.has_blocks(frames, order).await.unwrap_or(true) {
                return self.refuse(asker, tag, PagesError::OutOfMemory).await;
            }
            if is_late {
                // Whoever has them does not answer, or has ended and is not buried yet, or gathers itself.
                return Err(Instead::NotNow);
            }
            self.runtime.sleep(AGAIN_AFTER).await;
        }
    }

    fn begin_gathering(&self) -> Gathering<'_> {
        self.gatherings.set(self.gatherings.get() + 1);
        let until = self.runtime.port().now().after(GATHER_WITHIN);
        Gathering { until, assembles: ASSEMBLES_MAX, all: &self.gatherings }
    }

    /// Has more frames in the stock, clean or not, from elsewhere. False: none were found.
    async fn gather(&self, frames: u64, order: u8) -> bool {
        let lacks = self.lacks(frames);
        // Whole blocks: small ones make many runs of each request, here and where they come from.
        let (more, least) = (lacks.next_power_of_two().max(size(order)), order_wanted(lacks, order));
        self.adopt().await > 0 || self.borrow(more, least).await
    }

    /// Whether another member may have what is kept here: of two that both lack something, one goes first, or each would take
    /// from the other for ever what the other has just taken.
    pub(crate) fn yields_to(&self, to: Identity) -> bool {
        self.gatherings.get() == 0 || to.0 < self.identity()
    }

    async fn assemble_for(&self, gathering: &mut Gathering<'_>, frames: u64, order: u8) -> bool {
        let is_assembled = gathering.assembles > 0 && self.assemble(order_wanted(frames, order)).await;
        gathering.assembles -= u32::from(is_assembled);
        is_assembled
    }

    /// The most that a process may hold if nobody has said otherwise: an eighth is left for others.
    fn limit(&self) -> u64 {
        let frames = self.totals.get().frames;
        frames - frames / 8
    }

    async fn give(&self, asker: u64, tag: u64, ranges: Vec<Range>) -> Result<Vec<Run>, Instead<PagesError>> {
        match self.custody.give(asker, tag, ranges.clone(), self.limit()).await {
            Ok(given) => {
                self.know_free(given.free);
                if given.is_repeated {
                    let mut stock = self.stock.borrow_mut();
                    ranges.iter().for_each(|range| stock.add(*range, true));
                }
                self.count(|figures| figures.allocations += 1);
                Ok(given.runs)
            }
            Err(error) => {
                self.keep_unless_uncertain(&error, &ranges, true);
                Err(match error {
                    CallError::Refused(Refusal::OverLimit) => PagesError::OverQuota.into(),
                    CallError::Refused(Refusal::NoProcess | Refusal::NoRoom) => PagesError::NoProcess.into(),
                    CallError::Refused(Refusal::TooMany) => PagesError::TooManyRuns.into(),
                    _ => Instead::NotNow,
                })
            }
        }
    }

    /// The custodian, who knows of all frames and quotas, has not enough for it. Unless an earlier member gave it already, and its
    /// answer was lost.
    async fn refuse(&self, asker: u64, tag: u64, why: PagesError) -> Result<Vec<Run>, Instead<PagesError>> {
        match self.custody.give(asker, tag, Vec::new(), 0).await {
            Ok(given) => Ok(given.runs),
            Err(CallError::Refused(_)) => {
                self.count(|figures| figures.refused += 1);
                Err(why.into())
            }
            Err(_) => Err(Instead::NotNow),
        }
    }

    async fn is_within_quota(&self, asker: u64, frames: u64) -> Result<bool, Instead<PagesError>> {
        let Ok(account) = self.custody.account(asker).await else { return Err(Instead::NotNow) };
        let limit = if account.limit == u64::MAX { self.limit() } else { account.limit };
        Ok(account.frames.saturating_add(frames) <= limit)
    }

    /// Clean frames that are to be had for so many: all of them again if what is here is in too small blocks.
    fn lacks(&self, frames: u64) -> u64 {
        let has = self.stock.borrow().clean_frames();
        if has < frames { frames - has } else { frames }
    }

    /// Takes back what a process has given up.
    pub(crate) async fn give_back(
        &self,
        asker: u64,
        firsts: Vec<u64>,
    ) -> Result<Vec<Freed>, Instead<PagesError>> {
        if firsts.len() > RUNS_MAX {
            return Err(PagesError::BadRequest.into());
        }
        let _step = self.begin().await;
        let returned = match self.custody.take_home(asker, firsts, false, false).await {
            Ok(returned) => returned,
            Err(error) => {
                if !error.nothing_was_done() {
                    self.doubt();
                }
                return Err(Instead::NotNow);
            }
        };
        let freed = |returned: &Return| match returned {
            Return::Home(range) => {
                self.stock.borrow_mut().add(*range, false);
                Freed::Done
            }
            Return::NotHeld => Freed::NotYours,
            Return::StillOut => Freed::InUse,
        };
        let freed = returned.ranges.iter().map(freed).collect();
        self.know_free(returned.free);
        Ok(freed)
    }

    pub(crate) async fn quota(&self, asker: u64) -> Option<Account> {
        let account = self.custody.account(asker).await.ok()?;
        let limit = if account.limit == u64::MAX { self.limit() } else { account.limit };
        Some(Account { limit, ..account })
    }

    pub(crate) async fn set_quota(
        &self,
        key: DirectoryKey,
        process: u64,
        frames: u64,
    ) -> Result<(), Instead<PagesError>> {
        if !key.opens(&self.key) {
            return Err(PagesError::BadKey.into());
        }
        match self.custody.set_limit(process, frames).await {
            Ok(()) => Ok(()),
            Err(CallError::Refused(_)) => Err(PagesError::NoProcess.into()),
            Err(_) => Err(Instead::NotNow),
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let (totals, stock) = (self.totals.get(), self.stock.borrow());
        let (kept, zeroed) = (stock.frames(), stock.clean_frames());
        Statistics { frames: totals.frames, free: totals.free, kept, zeroed, ..self.figures.get() }
    }
}

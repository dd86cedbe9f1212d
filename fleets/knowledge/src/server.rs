//! One member of `knowledge`: what it knows, and how the others come to know it.
//!
//! Who sends to it: processes that ask or tell, other members. Whom it waits for: the other members, each until it has heard, has
//! left the roster, or the time is over; then whoever told is answered `NotNow` and tells again. Never a process.

use crate::arbiter::{Arbiter, Measure};
use crate::facts::Facts;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use fos_messages::arbiter::{
    Advice, ArbiterError, ArbiterPeersClient, Claim, GRANTS_MAX, Grant, Granted, Holding, Report,
};
use fos_messages::fleet::Seat;
use fos_messages::knowledge::{FACTS_MAX, Fact, KnowledgeError, KnowledgePeersClient, NEAR_MAX, Place};
use fos_messages::names::DirectoryKey;
use fos_messages::rpc::{CallError, Instead, Never};
use fos_runtime::fleet::Member;
use fos_runtime::{Priority, Runtime};

/// How long one try at another member may take, and all tries.
const TRY_WITHIN: Duration = Duration::from_millis(50);
const TELL_WITHIN: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How often the arbiter looks who is silent, and tells how loaded cores are.
const BEAT: Duration = Duration::from_millis(250);

/// One member. See the module.
pub struct Server {
    runtime: Runtime,
    member: Rc<Member>,
    key: DirectoryKey,
    pub(crate) facts: RefCell<Facts>,
    pub(crate) arbiter: RefCell<Arbiter>,
}

impl Server {
    /// A member that knows nothing yet. `key` is the fleet's.
    pub fn new(runtime: Runtime, member: Rc<Member>, key: DirectoryKey) -> Rc<Server> {
        Rc::new(Server { runtime, member, key, facts: RefCell::default(), arbiter: RefCell::default() })
    }

    /// Fetches what another member knows; who is alone begins with nothing.
    pub async fn fetch(&self) {
        for seat in self.member.others() {
            if self.fetch_from(&seat).await.is_ok() {
                return;
            }
        }
    }

    async fn fetch_from(&self, seat: &Seat) -> Result<(), CallError<Never>> {
        let caller = || self.member.within(TELL_WITHIN);
        let facts = KnowledgePeersClient::new(caller(), seat.internal);
        let mut known = 0;
        loop {
            let some = facts.copy(known).await?;
            if some.is_empty() {
                break;
            }
            known += some.len() as u32;
            self.learn(&some);
        }
        let grants = ArbiterPeersClient::new(caller(), seat.internal);
        let mut kept = 0;
        while let Some(granted) = grants.kept(kept).await? {
            kept += 1;
            self.keep(&granted, true);
        }
        Ok(())
    }

    /// Takes facts of another member. What has no room here has none there.
    pub(crate) fn learn(&self, facts: &[Fact]) {
        let _ = self.facts.borrow_mut().learn(facts);
    }

    pub(crate) fn keep(&self, granted: &Granted, is_granted: bool) {
        let now = self.runtime.port().now();
        self.arbiter.borrow_mut().keep(now, granted, is_granted);
    }

    /// Does something with every other member, again and again with one that does not answer.
    async fn with_others<E>(&self, each: impl AsyncFn(&Seat) -> Result<(), CallError<E>>) -> bool {
        let until = self.runtime.port().now().after(TELL_WITHIN);
        for seat in self.member.others() {
            while each(&seat).await.is_err() {
                let is_member = self.member.others().iter().any(|other| other.identity() == seat.identity());
                if !is_member {
                    break;
                }
                if self.runtime.port().now() >= until {
                    return false;
                }
                self.runtime.sleep(AGAIN_AFTER).await;
            }
        }
        true
    }

    /// Takes facts, and tells all members of them.
    pub(crate) async fn tell(
        &self,
        key: DirectoryKey,
        facts: Vec<Fact>,
    ) -> Result<(), Instead<KnowledgeError>> {
        if !key.opens(&self.key) {
            return Err(KnowledgeError::BadKey.into());
        }
        self.spread(facts).await
    }

    pub(crate) async fn spread(&self, facts: Vec<Fact>) -> Result<(), Instead<KnowledgeError>> {
        if facts.len() > FACTS_MAX {
            return Err(KnowledgeError::TooMany.into());
        }
        self.facts.borrow_mut().learn(&facts).map_err(|_| KnowledgeError::TooMany)?;
        let all_know = self
            .with_others(async |seat: &Seat| {
                let caller = self.member.within(TRY_WITHIN);
                KnowledgePeersClient::new(caller, seat.internal).learn(facts.clone()).await
            })
            .await;
        if all_know { Ok(()) } else { Err(Instead::NotNow) }
    }

    /// Tells all members of a grant, or that it is none any more.
    async fn have_kept(&self, granted: &Granted, is_granted: bool) -> bool {
        self.with_others(async |seat: &Seat| {
            let caller = self.member.within(TRY_WITHIN);
            ArbiterPeersClient::new(caller, seat.internal).keep(granted, is_granted).await
        })
        .await
    }

    /// Only the coordinator grants; whoever asks another is sent to it.
    fn arbitrates<E>(&self) -> Result<(), Instead<E>> {
        match self.member.coordinator() {
            Some(seat) if seat.identity() == self.runtime.port().identity() => Ok(()),
            Some(seat) => Err(Instead::Redirected(seat.external)),
            None => Err(Instead::NotNow),
        }
    }

    pub(crate) async fn ask(&self, claim: Claim) -> Result<Grant, Instead<ArbiterError>> {
        self.arbitrates()?;
        if claim.near.len() > NEAR_MAX {
            return Err(ArbiterError::TooMany.into());
        }
        let now = self.runtime.port().now();
        let ranked = self.facts.borrow().nearest(&claim.near, &[]);
        let grant = self.arbiter.borrow_mut().ask(now, &claim, &ranked)?;
        let Claim { owner, key, number, least, .. } = claim;
        let granted = Granted { owner, key, number, least, at: grant.at };
        if self.have_kept(&granted, true).await { Ok(grant) } else { Err(Instead::NotNow) }
    }

    pub(crate) async fn give_back(
        &self,
        owner: &str,
        key: DirectoryKey,
        at: Place,
    ) -> Result<(), Instead<ArbiterError>> {
        self.arbitrates()?;
        let now = self.runtime.port().now();
        let granted = self.arbiter.borrow_mut().give_back(now, owner, key, at)?;
        let Some(granted) = granted else { return Ok(()) };
        self.learn(&[Fact::Load { at, busy_permille: 0, wait_nanoseconds: 0 }]);
        // Who does not hear it now learns it when the owner is silent, or the core is granted again.
        self.have_kept(&granted, false).await;
        Ok(())
    }

    pub(crate) async fn report(&self, report: Report) -> Result<Advice, Instead<ArbiterError>> {
        self.arbitrates()?;
        let Report { owner, key, work_per_second, busy_permille, wait_nanoseconds, uses } = report;
        let now = self.runtime.port().now();
        let changes = self.arbiter.borrow_mut().reconcile(now, (&owner, key), &uses)?;
        for (granted, is_granted) in &changes {
            // Who does not hear it now hears it from the owner if it is the arbiter one day.
            self.have_kept(granted, *is_granted).await;
        }
        let ranked = self.facts.borrow().nearest(&[], &[]);
        let measure = Measure { work_per_second, busy_permille, wait_nanoseconds };
        let advice = self.arbiter.borrow_mut().report(now, (&owner, key), measure, &ranked)?;
        let wait_nanoseconds = u32::try_from(wait_nanoseconds).unwrap_or(u32::MAX);
        let loads: Vec<Fact> = self
            .arbiter
            .borrow()
            .cores_of(&owner)
            .into_iter()
            .map(|at| Fact::Load { at, busy_permille, wait_nanoseconds })
            .collect();
        self.learn(&loads);
        Ok(advice)
    }

    pub(crate) async fn grants(&self, from: Place) -> Result<Vec<Holding>, Instead<Never>> {
        self.arbitrates()?;
        Ok(self.arbiter.borrow().holdings(from, GRANTS_MAX))
    }

    /// Looks from time to time who is silent, and tells the others how loaded cores are, as long as it is the arbiter.
    pub fn begin_beating(self: &Rc<Self>) {
        let server = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            let mut was_arbiter = false;
            loop {
                server.runtime.sleep(BEAT).await;
                let is_arbiter = server.arbitrates::<Never>().is_ok();
                if is_arbiter && !was_arbiter {
                    let now = server.runtime.port().now();
                    server.arbiter.borrow_mut().begin(now);
                }
                if is_arbiter {
                    server.look().await;
                }
                was_arbiter = is_arbiter;
            }
        });
    }

    async fn look(&self) {
        let now = self.runtime.port().now();
        let freed = self.arbiter.borrow_mut().expire(now);
        for granted in &freed {
            self.learn(&[Fact::Load { at: granted.at, busy_permille: 0, wait_nanoseconds: 0 }]);
            self.have_kept(granted, false).await;
        }
        let loads = self.facts.borrow().loads();
        for some in loads.chunks(FACTS_MAX) {
            // The next beat brings newer ones.
            for seat in self.member.others() {
                let caller = self.member.within(TRY_WITHIN);
                let _ = KnowledgePeersClient::new(caller, seat.internal).learn(some.to_vec()).await;
            }
        }
    }
}

//! Being placed: a fleet asks the arbiter for a core before it has a member started, tells it how it does, and follows its advice.
//! By the policy [`Placement::BesideTraffic`] each member also looks for itself whether it would be better where its messages come from,
//! and has itself moved there. Without an arbiter a fleet grows as if there were none: repair does not wait for it.
//!
//! *Self-placement* does not swing: a core must save a quarter of what messages and waiting take here, in three looks in a row, and
//! after a move the member that came looks anew for as long.

use crate::fleet::{Coming, FleetMeasure, Growth, Member};
use crate::{Named, Names, Priority, Runtime};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::arbiter::{Advice, ArbiterClient, ArbiterError, Claim, Report, USES_MAX};
use fos_messages::knowledge::{KnowledgeClient, NEAR_MAX, Near, Place};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::Refusal;
use fos_messages::rpc::{Address, CallError};

/// How often a coordinator reports, and a member looks where it would be better.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row that must agree before a member has itself moved.
const LOOKS: u32 = 3;
/// Of what messages and waiting take here, what they may take there at most: in hundredths.
const WORTH_BELOW: u128 = 75;
/// What is not worth a move at all, in nanoseconds a second.
const WORTH_FROM: u64 = 1_000_000;
/// How long the arbiter may take.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
/// How long the start of a member may take that is to take another's place.
const MOVES_WITHIN: Duration = Duration::from_secs(5);

/// Where members of a fleet are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Where they were started.
    Stay,
    /// Where their messages and their waiting cost least.
    BesideTraffic,
}

/// A fleet, as it is known to the arbiter.
#[derive(Clone)]
pub struct Claimant {
    runtime: Runtime,
    names: Rc<Names>,
    knowledge: Path,
    owner: String,
    key: DirectoryKey,
    least: u16,
}

impl Claimant {
    /// The fleet of this name, of at least so many members; `key` is its own, `knowledge` the name of the fleet to ask.
    pub fn new(
        runtime: &Runtime,
        names: &Rc<Names>,
        knowledge: Path,
        (fleet, key): (&Path, DirectoryKey),
        least: u16,
    ) -> Claimant {
        let (runtime, names, owner) = (runtime.clone(), names.clone(), fleet.to_string());
        Claimant { runtime, names, knowledge, owner, key, least }
    }

    fn arbiter(&self) -> ArbiterClient<Named> {
        ArbiterClient::new(self.names.at(self.knowledge.clone(), ANSWERS_WITHIN), Address::default())
    }

    fn knowledge(&self) -> KnowledgeClient<Named> {
        KnowledgeClient::new(self.names.at(self.knowledge.clone(), ANSWERS_WITHIN), Address::default())
    }

    fn claim(&self, wanted: Option<Place>) -> Claim {
        // No two coordinators ask in the same nanosecond of four seconds.
        let number = self.runtime.port().now().since(crate::Instant::default()).as_nanos() as u32;
        let (owner, key, least, near) = (self.owner.clone(), self.key, self.least, Vec::new());
        Claim { owner, key, number, least, near, wanted }
    }

    fn report(&self, measure: FleetMeasure) -> Report {
        let FleetMeasure { work_per_second, busy_permille, wait_nanoseconds, places } = measure;
        let (owner, key) = (self.owner.clone(), self.key);
        let uses = places.into_iter().take(USES_MAX).map(|(machine, core)| Place { machine, core }).collect();
        Report { owner, key, work_per_second, busy_permille, wait_nanoseconds, uses }
    }
}

/// Growth on cores that the arbiter grants.
pub struct Granted {
    growth: Rc<dyn Growth>,
    claimant: Claimant,
}

impl Granted {
    /// Of this fleet.
    pub fn new(growth: Rc<dyn Growth>, claimant: Claimant) -> Rc<Granted> {
        Rc::new(Granted { growth, claimant })
    }
}

impl Growth for Granted {
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        Box::pin(async move {
            let wanted = core.map(|core| Place { machine: 0, core });
            match self.claimant.arbiter().ask(&self.claimant.claim(wanted)).await {
                Ok(grant) => self.growth.grow(Some(grant.at.core), taken).await,
                // It knows of no cores: then it knows no better.
                Err(CallError::Refused(ArbiterError::NoCore)) => self.growth.grow(core, taken).await,
                Err(CallError::Refused(_)) => Err(CallError::Refused(Refusal::NotStarted)),
                Err(_) => self.growth.grow(core, taken).await,
            }
        })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        self.growth.outlive(started)
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        self.growth.give_up(started)
    }
}

/// Tells the arbiter how a fleet does, and has it do what that says, as long as the process is a member.
pub struct Placed {
    member: Rc<Member>,
    claimant: Claimant,
    placement: Placement,
    /// Where this member would have been better in the last looks, and in how many.
    better: Cell<Option<(u16, u32)>>,
}

impl Placed {
    /// Begins to.
    pub fn begin(member: &Rc<Member>, claimant: Claimant, placement: Placement) {
        let placed = Placed { member: member.clone(), claimant, placement, better: Cell::default() };
        let runtime = placed.claimant.runtime.clone();
        runtime.spawn(Priority::Normal, async move {
            loop {
                placed.claimant.runtime.sleep(LOOK_EVERY).await;
                if let Some(measure) = placed.member.fleet_measure() {
                    placed.coordinate(measure).await;
                }
                if placed.placement == Placement::BesideTraffic && placed.member.is_open() {
                    placed.look().await;
                }
            }
        });
    }

    /// As coordinator: reports, and follows the advice. What can't be done now is advised again.
    async fn coordinate(&self, measure: FleetMeasure) {
        let report = self.claimant.report(measure);
        let Ok(advice) = self.claimant.arbiter().report(&report).await else { return };
        match advice {
            Advice::Keep => {}
            Advice::Undo(at) | Advice::Yield(at) => _ = self.member.give_up_core(at.core),
            Advice::Join(from, to) | Advice::Part(from, to) => {
                let _ = self.member.change_core(from.core, to.core).await;
            }
        }
    }

    /// Looks whether this member would be better elsewhere.
    async fn look(&self) {
        let mut traffic = self.member.take_traffic();
        traffic.sort_by_key(|(_, requests)| core::cmp::Reverse(*requests));
        traffic.truncate(NEAR_MAX);
        let per_second = |requests: u32| {
            // A request and its answer.
            u64::from(requests) * 2 * 1000 / (LOOK_EVERY.as_millis() as u64)
        };
        let near: Vec<Near> = traffic
            .into_iter()
            .map(|(process, requests)| Near {
                process: process.0,
                messages_per_second: u32::try_from(per_second(requests)).unwrap_or(u32::MAX),
            })
            .collect();
        let (machine, core) = self.member.place();
        let at = Place { machine, core };
        let taken = |seat: &fos_messages::fleet::Seat| Place { machine: seat.machine, core: seat.core };
        let avoid: Vec<Place> = self.member.others().iter().map(taken).collect();
        let Ok(comparison) = self.claimant.knowledge().compare(near, at, avoid).await else { return };
        let (now, then) = (comparison.now_nanoseconds, comparison.then_nanoseconds);
        let is_worth_it = u128::from(then) * 100 < u128::from(now) * WORTH_BELOW && now - then >= WORTH_FROM;
        let best = comparison.best.core;
        let is_possible = is_worth_it && comparison.best.machine == machine;
        let looks = match self.better.get() {
            _ if !is_possible => None,
            Some((core, looks)) if core == best => Some((best, looks + 1)),
            _ => Some((best, 1)),
        };
        self.better.set(looks);
        if looks.is_some_and(|(_, looks)| looks >= LOOKS) {
            self.better.set(None);
            // Refused while another is moved: then it looks again.
            let _ = self.member.go_to(best, MOVES_WITHIN).await;
        }
    }
}

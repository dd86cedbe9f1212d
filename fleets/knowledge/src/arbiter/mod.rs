//! Who has which cores: the arbiter's state, one step at a time, without messages or clock of its own.
//!
//! Space before time: while a core is free, it is given to one owner alone, the one that ranks best for it. When none is, whoever
//! can spare one most easily is told to yield it; if nobody can, the core with the fewest owners is shared in slices of time. A
//! core that nobody has rests until it is needed.
//!
//! | file | decides |
//! |---|---|
//! | `asking` | which core an owner gets, and who yields |
//! | `trial` | whether a core that was given helped |
//! | `reporting` | what an owner is told: to undo, to yield, to go together with another at low load, or apart |

mod asking;
mod reporting;
mod trial;

use self::trial::{Refusal, Trial};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::arbiter::{Claim, Granted, Holding, LEASE_SECONDS, OWNER_BYTES_MAX, OWNERS_MAX};
use fos_messages::knowledge::Place;
use fos_messages::names::DirectoryKey;
use fos_runtime::Instant;

/// How long an owner may be silent.
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);

/// A fleet or a program that has cores, or wants some.
#[derive(Clone, Debug)]
struct Owner {
    key: DirectoryKey,
    /// It never yields so many.
    least: u16,
    /// Its cores, by the numbers of its claims, and since when.
    grants: BTreeMap<u32, (Place, Instant)>,
    heard: Instant,
    /// What it said last; none before it did.
    last: Option<Measure>,
    trial: Option<Trial>,
    refusal: Option<Refusal>,
    /// It was told to give this one back, and has not yet.
    yields: Option<Place>,
}

/// How an owner does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// What it gets done.
    pub work_per_second: u64,
    /// How busy its cores are.
    pub busy_permille: u16,
    /// How long its work waits.
    pub wait_nanoseconds: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Arbiter {
    owners: BTreeMap<String, Owner>,
    /// No two owners are told to go together or apart sooner than this.
    not_before: Instant,
}

impl Owner {
    fn new(claim: &Claim, now: Instant) -> Owner {
        let (grants, last, trial, refusal, yields) = Default::default();
        Owner { key: claim.key, least: claim.least, grants, heard: now, last, trial, refusal, yields }
    }

    fn places(&self) -> impl DoubleEndedIterator<Item = Place> {
        self.grants.values().map(|(at, _)| *at)
    }

    fn has(&self, at: Place) -> bool {
        self.places().any(|place| place == at)
    }

    /// Cores beyond those that it never yields.
    fn spare(&self) -> usize {
        self.grants.len().saturating_sub(usize::from(self.least) + usize::from(self.yields.is_some()))
    }
}

/// Whether a name may be an owner's.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= OWNER_BYTES_MAX
}

impl Arbiter {
    /// Owners of a core.
    pub fn holders(&self, at: Place) -> usize {
        self.owners.values().filter(|owner| owner.has(at)).count()
    }

    /// Whether the owner is unknown, or the key is its own.
    fn is_key(&self, owner: &str, key: DirectoryKey) -> bool {
        self.owners.get(owner).is_none_or(|known| key.opens(&known.key))
    }

    fn has_room_for(&self, owner: &str) -> bool {
        is_name(owner) && (self.owners.contains_key(owner) || self.owners.len() < OWNERS_MAX)
    }

    /// What is granted, from this one on: for members that keep it.
    pub fn granted_from(&self, from: usize) -> Option<Granted> {
        let all = self.owners.iter().flat_map(|(name, owner)| {
            owner.grants.iter().map(move |(number, (at, _))| (name, owner, *number, *at))
        });
        let (name, owner, number, at) = all.into_iter().nth(from)?;
        Some(Granted { owner: name.clone(), key: owner.key, number, least: owner.least, at })
    }

    /// Writes down what another arbiter has granted, or taken back.
    pub fn keep(&mut self, now: Instant, granted: &Granted, is_granted: bool) {
        let Granted { owner, key, number, least, at } = granted;
        if !self.has_room_for(owner) || !self.is_key(owner, *key) {
            return;
        }
        if is_granted {
            let claim = Claim {
                owner: owner.clone(),
                key: *key,
                number: *number,
                least: *least,
                near: Vec::new(),
                wanted: None,
            };
            let known = self.owners.entry(owner.clone()).or_insert_with(|| Owner::new(&claim, now));
            known.heard = now;
            known.grants.insert(*number, (*at, now));
        } else {
            self.take(owner, *at);
        }
    }

    /// Who has which core, from this one on, in order of cores.
    pub fn holdings(&self, from: Place, most: usize) -> Vec<Holding> {
        let of_owner = |(name, owner): (&String, &Owner)| -> Vec<Holding> {
            let busy_permille = owner.last.map_or(0, |last| last.busy_permille);
            owner.places().map(|at| Holding { owner: name.clone(), at, busy_permille }).collect()
        };
        let mut all: Vec<Holding> = self.owners.iter().flat_map(of_owner).collect();
        all.retain(|holding| holding.at >= from);
        all.sort_by(|one, other| (one.at, &one.owner).cmp(&(other.at, &other.owner)));
        // All owners of one core, even if they are more: who asks goes on behind the last core.
        let last = all.get(most.saturating_sub(1)).map(|holding| holding.at);
        all.retain(|holding| last.is_none_or(|last| holding.at <= last));
        all.truncate(most);
        all
    }

    /// A core is not this owner's any more. What it was.
    fn take(&mut self, name: &str, at: Place) -> Option<Granted> {
        let owner = self.owners.get_mut(name)?;
        let number = owner.grants.iter().find(|(_, (place, _))| *place == at).map(|(number, _)| *number)?;
        owner.grants.remove(&number);
        owner.trial.take_if(|trial| trial.at == at);
        // Whoever asked may have another core by now; who has no more than it needs keeps it.
        let has_spare = owner.grants.len() > usize::from(owner.least);
        owner.yields.take_if(|place| *place == at || !has_spare);
        Some(Granted { owner: name.into(), key: owner.key, number, least: owner.least, at })
    }

    /// Another arbiter has ended: what owners said to it, nobody knows. Their leases begin anew.
    pub fn begin(&mut self, now: Instant) {
        self.owners.values_mut().for_each(|owner| owner.heard = now);
    }

    /// The cores of an owner.
    pub fn cores_of(&self, name: &str) -> Vec<Place> {
        self.owners.get(name).map(|owner| owner.places().collect()).unwrap_or_default()
    }

    /// Owners that were silent for too long have ended: what they had.
    pub fn expire(&mut self, now: Instant) -> Vec<Granted> {
        let is_silent = |owner: &Owner| now.since(owner.heard) > LEASE;
        let silent: Vec<String> =
            self.owners.iter().filter(|(_, owner)| is_silent(owner)).map(|(name, _)| name.clone()).collect();
        let mut freed = Vec::new();
        for name in silent {
            let places: Vec<Place> = self.owners[&name].places().collect();
            freed.extend(places.into_iter().filter_map(|at| self.take(&name, at)));
            self.owners.remove(&name);
        }
        freed
    }
}

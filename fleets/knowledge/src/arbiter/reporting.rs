//! What an owner that tells how it does is told. At low load two owners with hardly anything to do go together on one core, so that
//! the other can rest; they part when there is more. The two marks lie far apart, and after each change all wait for a while.

use super::{Arbiter, Measure, Owner};
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::arbiter::{Advice, ArbiterError, Granted, USES_MAX};
use fos_messages::knowledge::{Choice, Place};
use fos_messages::names::DirectoryKey;
use fos_runtime::Instant;

/// Two owners that are both less busy than this may share a core.
const JOINS_BELOW: u16 = 50;
/// Who shares a core and is busier than this gets one of its own, if one is free.
const PARTS_ABOVE: u16 = 400;
/// How long an owner may take to begin to use a core.
const COMES_WITHIN: Duration = Duration::from_secs(10);
/// What an owner never yields that has not said it.
const LEAST_ASSUMED: u16 = 1;
/// How long nobody else is told to go together or apart.
const REST: Duration = Duration::from_secs(2);

impl Arbiter {
    /// What an owner uses is its own, whoever gave it; what it was granted a while ago and does not use is free. Answers what
    /// changed: what was granted or taken, and which of the two.
    pub fn reconcile(
        &mut self,
        now: Instant,
        (name, key): (&str, DirectoryKey),
        uses: &[Place],
    ) -> Result<Vec<(Granted, bool)>, ArbiterError> {
        if !self.has_room_for(name) || uses.len() > USES_MAX {
            return Err(ArbiterError::TooMany);
        }
        if !self.is_key(name, key) {
            return Err(ArbiterError::BadKey);
        }
        let has = |arbiter: &Arbiter, at: Place| arbiter.owners.get(name).is_some_and(|owner| owner.has(at));
        let mut changes = Vec::new();
        for at in uses {
            if !has(self, *at) {
                changes.extend(self.adopt(now, (name, key), *at).map(|granted| (granted, true)));
            }
        }
        let unused = |(at, since): &(Place, Instant)| !uses.contains(at) && now.since(*since) > COMES_WITHIN;
        let granted = self.owners.get(name).map(|owner| owner.grants.values().copied().collect());
        let granted: Vec<(Place, Instant)> = granted.unwrap_or_default();
        for (at, _) in granted.into_iter().filter(unused) {
            changes.extend(self.take(name, at).map(|granted| (granted, false)));
        }
        Ok(changes)
    }

    /// A core that an owner uses without having asked: it was started there.
    fn adopt(&mut self, now: Instant, (name, key): (&str, DirectoryKey), at: Place) -> Option<Granted> {
        let number =
            self.owners.get(name).and_then(|owner| owner.grants.keys().last()).map_or(0, |last| last + 1);
        let granted = Granted { owner: name.into(), key, number, least: LEAST_ASSUMED, at };
        let granted = match self.owners.get(name) {
            Some(owner) => Granted { least: owner.least, ..granted },
            None => granted,
        };
        self.keep(now, &granted, true);
        Some(granted)
    }

    /// How an owner does, and what it should do. `ranked` are the cores that may be used, the best for it first.
    pub fn report(
        &mut self,
        now: Instant,
        (name, key): (&str, DirectoryKey),
        measure: Measure,
        ranked: &[Choice],
    ) -> Result<Advice, ArbiterError> {
        if !self.is_key(name, key) {
            return Err(ArbiterError::BadKey);
        }
        let owner = self.owners.get_mut(name).ok_or(ArbiterError::NoGrant)?;
        owner.heard = now;
        owner.last = Some(measure);
        if owner.grants.is_empty() {
            return Err(ArbiterError::NoGrant);
        }
        if let Some(at) = owner.yields {
            return Ok(Advice::Yield(at));
        }
        if let Some(advice) = self.judge(now, name, measure) {
            return Ok(advice);
        }
        if now < self.not_before {
            return Ok(Advice::Keep);
        }
        let advice = self.join(name, measure, ranked).or_else(|| self.part(name, measure, ranked));
        if advice.is_some() {
            self.not_before = now.after(REST);
        }
        Ok(advice.unwrap_or(Advice::Keep))
    }

    /// Cores of an owner that so many have.
    fn cores_with(&self, name: &str, holders: usize) -> impl Iterator<Item = Place> {
        let places = self.owners.get(name).map(Owner::places).into_iter().flatten();
        places.filter(move |at| self.holders(*at) == holders)
    }

    /// Where one of an owner with nearly nothing to do could go: to another like it.
    fn join(&self, name: &str, measure: Measure, ranked: &[Choice]) -> Option<Advice> {
        let is_quiet = |name: &str| {
            let owner = self.owners.get(name);
            owner.and_then(|owner| owner.last).is_some_and(|last| last.busy_permille < JOINS_BELOW)
        };
        if measure.busy_permille >= JOINS_BELOW {
            return None;
        }
        let owner = self.owners.get(name)?;
        let from = self.cores_with(name, 1).max()?;
        let hosts = self.owners.keys().filter(|other| *other != name && is_quiet(other));
        let places = hosts.flat_map(|other| self.cores_with(other, 1));
        // The lower of the two numbers stays, so that they do not change places. Two of one owner stay apart: a core may end.
        let may_host =
            |at: &Place| *at < from && !owner.has(*at) && ranked.iter().any(|choice| choice.at == *at);
        let to = places.filter(may_host).min()?;
        Some(Advice::Join(from, to))
    }

    /// Where an owner could go that shares a core and has too much to do.
    fn part(&self, name: &str, measure: Measure, ranked: &[Choice]) -> Option<Advice> {
        if measure.busy_permille <= PARTS_ABOVE {
            return None;
        }
        let from = self.owners.get(name)?.places().find(|at| self.holders(*at) > 1)?;
        let free = ranked.iter().map(|choice| choice.at).find(|at| self.holders(*at) == 0)?;
        Some(Advice::Part(from, free))
    }
}

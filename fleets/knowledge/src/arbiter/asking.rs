//! Which core an owner gets. A free one, the first by rank; else somebody yields one; else one is shared.

use super::trial::Trial;
use super::{Arbiter, Owner};
use alloc::string::String;
use fos_messages::arbiter::{ArbiterError, Claim, Grant};
use fos_messages::knowledge::{Choice, Place};
use fos_messages::names::DirectoryKey;
use fos_runtime::Instant;

/// An owner that would be less busy than this with one core less can spare it.
const SPARES_BELOW: u64 = 700;

impl Arbiter {
    /// Gives an owner a core. `ranked` are those that may be used, the best for this claim first.
    pub fn ask(&mut self, now: Instant, claim: &Claim, ranked: &[Choice]) -> Result<Grant, ArbiterError> {
        if !self.has_room_for(&claim.owner) {
            return Err(ArbiterError::TooMany);
        }
        if !self.is_key(&claim.owner, claim.key) {
            return Err(ArbiterError::BadKey);
        }
        if let Some((at, _)) = self.owners.get(&claim.owner).and_then(|owner| owner.grants.get(&claim.number))
        {
            return Ok(Grant { at: *at, is_alone: self.holders(*at) == 1 });
        }
        self.is_worth_it(now, claim)?;
        let own = |at: Place| self.owners.get(&claim.owner).is_some_and(|owner| owner.has(at));
        let mut candidates = ranked.iter().map(|choice| choice.at).filter(|at| !own(*at));
        let chosen = match claim.wanted {
            Some(wanted) => candidates.find(|at| *at == wanted),
            None => self.best(candidates),
        };
        let at = chosen.ok_or(ArbiterError::NoCore)?;
        if claim.wanted.is_none() && self.holders(at) > 0 && self.have_one_yielded(&claim.owner) {
            return Err(ArbiterError::Yielding);
        }
        self.grant(now, claim, at);
        Ok(Grant { at, is_alone: self.holders(at) == 1 })
    }

    /// Refused as long as the last core has not helped.
    fn is_worth_it(&mut self, now: Instant, claim: &Claim) -> Result<(), ArbiterError> {
        let Some(owner) = self.owners.get_mut(&claim.owner) else { return Ok(()) };
        owner.heard = now;
        let last = owner.last.unwrap_or_default();
        let is_short = owner.grants.len() < usize::from(owner.least);
        if owner.refusal.is_some_and(|refusal| refusal.holds(now, last))
            && !is_short
            && claim.wanted.is_none()
        {
            return Err(ArbiterError::DidNotHelp);
        }
        owner.refusal = None;
        Ok(())
    }

    /// The first of those with the fewest owners.
    fn best(&self, candidates: impl Iterator<Item = Place>) -> Option<Place> {
        candidates.min_by_key(|at| self.holders(*at))
    }

    fn grant(&mut self, now: Instant, claim: &Claim, at: Place) {
        let owner = self.owners.entry(claim.owner.clone()).or_insert_with(|| Owner::new(claim, now));
        (owner.heard, owner.least) = (now, claim.least);
        if let Some(before) = owner.last
            && !owner.grants.is_empty()
            && claim.wanted.is_none()
        {
            owner.trial = Some(Trial { at, before, cores: owner.grants.len() as u64, since: now });
        }
        owner.grants.insert(claim.number, (at, now));
    }

    /// Tells whoever can spare a core most easily to yield one, unless somebody was told already. False if nobody can.
    fn have_one_yielded(&mut self, asker: &str) -> bool {
        let yields_alone = |owner: &Owner| owner.yields.is_some_and(|at| self.holders(at) == 1);
        if self.owners.iter().any(|(name, owner)| name != asker && yields_alone(owner)) {
            return true;
        }
        let has = self.owners.get(asker).map_or(0, |owner| owner.grants.len());
        let candidates = self.owners.iter().filter(|(name, owner)| *name != asker && owner.spare() > 0);
        let fits = candidates.filter(|(_, owner)| owner.can_spare() || owner.grants.len() > has + 1);
        let chosen: Option<String> = fits.min_by_key(|(_, owner)| owner.busy()).map(|(name, _)| name.clone());
        let Some(name) = chosen else { return false };
        // The last that it got, if it has that alone.
        let last =
            self.owners.get(&name).and_then(|owner| owner.places().rev().find(|at| self.holders(*at) == 1));
        if let Some(owner) = self.owners.get_mut(&name) {
            owner.yields = last;
        }
        last.is_some()
    }

    /// An owner needs a core no more. Answers what it was.
    pub fn give_back(
        &mut self,
        now: Instant,
        owner: &str,
        key: DirectoryKey,
        at: Place,
    ) -> Result<Option<fos_messages::arbiter::Granted>, ArbiterError> {
        if !self.is_key(owner, key) {
            return Err(ArbiterError::BadKey);
        }
        self.owners.entry(owner.into()).and_modify(|known| known.heard = now);
        Ok(self.take(owner, at))
    }
}

impl Owner {
    pub(super) fn busy(&self) -> u16 {
        self.last.map_or(0, |last| last.busy_permille)
    }

    /// Whether the others of its cores could do its work.
    fn can_spare(&self) -> bool {
        let cores = self.grants.len() as u64;
        cores > 1 && u64::from(self.busy()) * cores / (cores - 1) < SPARES_BELOW
    }
}

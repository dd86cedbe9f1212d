//! Eventual: how it is forgotten that a key was removed. A removed key keeps a cell that says so, or an older value would come back;
//! it may go when nobody has anything older any more and nothing older is on its way to anybody:
//!
//! ```text
//!  begins            all others
//!    ├── Bury ──────────►│  takes the removal; sends nothing older from here on, and takes nothing older
//!    │◄──────── Buried ──┤
//!    ├── Forget ────────►│
//!    ├──────── Past ────►│  everybody to everybody: what comes after this is not older
//!    │◄─────── Past ─────┤  who has it of all others forgets
//! ```
//!
//! All of it happens in one epoch: when another begins it is given up, and begun again by whoever still has the cell. What was sent in
//! an earlier epoch has no effect, so who has forgotten was right to. Whoever comes with the cell after all, in a comparison that had begun
//! before, only makes it begin again.

use crate::fault::Fault;
use crate::place::shard_of;
use crate::share::{Doing, Map};
use crate::{Body, Cell, Key, Version};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use fos_container::Member;

/// Ticks after which another than the first of those that should have a shard begins, for each place that it has in the roster:
/// only when that first one does not know of a removal.
const TURN: u32 = 8;

/// Removals that are being forgotten, begun by one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Burial<K> {
    number: u64,
    removed: BTreeMap<K, Version>,
    /// At who began it: who has not confirmed.
    awaited: BTreeSet<Member>,
    /// From whom nothing older comes any more.
    past: BTreeSet<Member>,
}

/// What is being forgotten, by who began it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Burials<K> {
    under_way: BTreeMap<Member, Burial<K>>,
    /// Counts those that this member began.
    begun: u64,
    /// Ticks since there is something to forget that others should have begun to.
    waited: u32,
}

impl<K> Default for Burials<K> {
    fn default() -> Burials<K> {
        Burials { under_way: BTreeMap::new(), begun: 0, waited: 0 }
    }
}

impl<K: Key> Burials<K> {
    /// An epoch begins.
    pub fn give_up(&mut self) {
        self.under_way.clear();
        self.waited = 0;
    }

    /// Whether something that this member began is under way.
    pub fn has_begun(&self, member: Member) -> bool {
        self.under_way.contains_key(&member)
    }

    /// Whether this is older than a removal that is being forgotten.
    pub fn is_past(&self, key: &K, version: Version) -> bool {
        self.under_way
            .values()
            .any(|burial| burial.removed.get(key).is_some_and(|removed| version < *removed))
    }
}

impl<K: Key, V: Clone> Map<K, V> {
    /// Removed keys of which something is kept here.
    pub fn removed(&self) -> usize {
        self.eventual.shards.values().map(|cells| cells.removed.len()).sum()
    }

    pub(crate) fn has_removed(&self) -> bool {
        self.eventual.shards.values().any(|cells| !cells.removed.is_empty())
    }

    /// Begins to forget, if nothing of this member's is under way and it is its turn.
    pub(crate) fn bury(&mut self, effects: &mut Doing<K, V>) {
        if self.eventual.burials.has_begun(self.me) || !self.has_removed() {
            return;
        }
        let removed = self.next_to_forget();
        if removed.is_empty() {
            self.eventual.burials.waited += 1;
            return;
        }
        let burials = &mut self.eventual.burials;
        (burials.begun, burials.waited) = (burials.begun + 1, 0);
        let number = burials.begun;
        let awaited: BTreeSet<Member> = self.others().collect();
        let body = Body::Bury { number, removed: removed.clone() };
        let removed = removed.into_iter().collect();
        let burial = Burial { number, removed, awaited, past: BTreeSet::new() };
        self.eventual.burials.under_way.insert(self.me, burial);
        self.broadcast(&body, effects);
        self.forget_if_agreed(effects);
    }

    /// Some removals that are this member's to begin with.
    fn next_to_forget(&self) -> Vec<(K, Version)> {
        let place = self.members.iter().position(|member| *member == self.me).unwrap_or_default() as u32;
        let is_late = self.eventual.burials.waited >= TURN * (place + 1);
        let shards = self.eventual.shards.iter();
        let own = shards.filter(|(shard, _)| is_late || self.targets(**shard).first() == Some(&self.me));
        let removed = own.flat_map(|(_, cells)| {
            cells.removed.iter().filter_map(|key| Some((key.clone(), cells.cells.get(key)?.version)))
        });
        removed.take(self.policy.batch.max(1)).collect()
    }

    /// Another begins to forget these.
    pub(crate) fn buries(
        &mut self,
        from: Member,
        number: u64,
        removed: Vec<(K, Version)>,
        effects: &mut Doing<K, V>,
    ) {
        for (key, version) in &removed {
            self.eventual.clock = self.eventual.clock.max(version.counter);
            if self.eventual.shards.contains_key(&shard_of(key, self.policy)) {
                self.merge([(key.clone(), Cell { version: *version, value: None })].into());
            }
        }
        let (removed, awaited, past) = (removed.into_iter().collect(), BTreeSet::new(), BTreeSet::new());
        self.eventual.burials.under_way.insert(from, Burial { number, removed, awaited, past });
        self.say(from, Body::Buried { number }, effects);
    }

    pub(crate) fn buried(&mut self, from: Member, number: u64, effects: &mut Doing<K, V>) {
        let own = self.eventual.burials.under_way.get_mut(&self.me).filter(|own| own.number == number);
        if own.is_some_and(|own| own.awaited.remove(&from)) {
            self.forget_if_agreed(effects);
        }
    }

    /// When all have confirmed.
    fn forget_if_agreed(&mut self, effects: &mut Doing<K, V>) {
        let Some(own) = self.eventual.burials.under_way.get(&self.me) else { return };
        let is_agreed = own.awaited.is_empty() || self.faults.has(Fault::ForgetsUnagreed);
        let number = own.number;
        if is_agreed {
            self.broadcast(&Body::Forget { number }, effects);
            self.forget(self.me, number, effects);
        }
    }

    /// All have what the member `of` began to forget: tells everybody that nothing older comes from here.
    pub(crate) fn forget(&mut self, of: Member, number: u64, effects: &mut Doing<K, V>) {
        self.broadcast(&Body::Past { of, number }, effects);
        self.forget_if_past(of);
    }

    pub(crate) fn past(&mut self, from: Member, of: Member, number: u64) {
        let burial = self.eventual.burials.under_way.get_mut(&of);
        if burial.is_some_and(|burial| burial.number == number && burial.past.insert(from)) {
            self.forget_if_past(of);
        }
    }

    fn forget_if_past(&mut self, of: Member) {
        let Some(burial) = self.eventual.burials.under_way.get(&of) else { return };
        let is_past = self.others().all(|other| burial.past.contains(&other));
        if !is_past && !self.faults.has(Fault::ForgetsAtOnce) {
            return;
        }
        let Some(burial) = self.eventual.burials.under_way.remove(&of) else { return };
        for (key, version) in burial.removed {
            if let Some(cells) = self.eventual.shards.get_mut(&shard_of(&key, self.policy)) {
                cells.forget(&key, version);
            }
        }
        // A shard of an eventual map is nowhere until something is in it.
        self.eventual.shards.retain(|_, cells| !cells.cells.is_empty());
    }
}

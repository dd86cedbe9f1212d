//! What must hold in every state of a world.

use super::twin::Twin;
use super::world::{Action, Setup, TestReplica, Wish, World};
use crate::replica::Standing;
use crate::{Answer, Member, Update, Version};
use std::collections::BTreeMap;
use std::vec::Vec;

/// What a world may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// Two members applied different updates at one version, at any time, whoever died since.
    TwoHistories,
    /// A member's map is not what the updates up to its version make: a name is in two places, or lost.
    WrongMap,
    /// An update was acknowledged that a member of the epoch does not show.
    NotVisible,
    /// A member of the newest epoch lacks an acknowledged update.
    LostAcknowledged,
    /// A client was told something else than what came of its update in the one order of all.
    WrongOutcome,
    /// An update, or a read, was ordered before something acknowledged before it was asked.
    OutOfOrder,
    /// A client read an older version than it had seen.
    WentBack,
    /// Members complained about each other although none is faulty.
    FalseAlarm,
    /// Nothing can happen any more, and somebody still waits, or members differ.
    Unfinished,
}

impl World {
    /// Enters what a step applied into the one history, and compares the map with its twin.
    pub fn note_history(&mut self, member: Member, before: Version) {
        let replica = &self.replicas[&member];
        let now = replica.store().version();
        if !matches!(replica.standing, Standing::Member) || replica.membership().epoch.0 == 0 {
            return;
        }
        let applied: Vec<(Version, Update<u8, u8>)> = (before.0 + 1..=now.0)
            .filter_map(|version| Some((Version(version), replica.log.get(Version(version))?.update.clone())))
            .collect();
        for (version, update) in applied {
            match self.history.get(version.0 as usize - 1) {
                None => self.history.push(update),
                Some(known) if *known == update => {}
                Some(_) => return self.violate(Violation::TwoHistories),
            }
        }
        self.check_map(member);
    }

    fn check_map(&mut self, member: Member) {
        let store = self.replicas[&member].store();
        let Some(history) = self.history.get(..store.version().0 as usize) else {
            return self.violate(Violation::TwoHistories);
        };
        let rows = store.entries().iter();
        let map: BTreeMap<_, _> =
            rows.map(|(key, entry)| (*key, (entry.value, entry.owner, entry.version))).collect();
        if map != Twin::after(history).0.map {
            self.violate(Violation::WrongMap);
        }
    }

    pub fn check_answer(&mut self, setup: &Setup, member: Member, client: usize, answer: &Answer<u8>) {
        let asked = &self.clients[client];
        let floor = asked.floor.unwrap_or_default();
        match answer {
            Answer::Updated { version, outcome } => {
                let first = version.0 as usize;
                let (_, expected) = Twin::after(self.history.get(..first).unwrap_or_default());
                if expected != Some((*version, *outcome)) {
                    self.violate(Violation::WrongOutcome);
                }
                if *version <= floor {
                    self.violate(Violation::OutOfOrder);
                }
                let members = self.replicas[&member].membership().members.iter();
                // One that is being let in answers nobody yet.
                let answers = |replica: &&TestReplica| matches!(replica.standing, Standing::Member);
                let mut shown = members.filter_map(|other| self.replicas.get(other)).filter(answers);
                if shown.any(|replica| replica.store().version() < *version) {
                    self.violate(Violation::NotVisible);
                }
                self.acknowledged = self.acknowledged.max(*version);
            }
            Answer::Found { version, entry } => {
                let (went_back, old) = (*version < asked.seen, *version < floor);
                let Wish::Read(key) = setup.clients[client].1[asked.wish] else {
                    unreachable!("it asked to read")
                };
                let twin = Twin::after(&self.history[..version.0 as usize]).0;
                let row = entry.as_ref().map(|entry| (entry.value, entry.owner, entry.version));
                if went_back {
                    self.violate(Violation::WentBack);
                }
                if old {
                    self.violate(Violation::OutOfOrder);
                }
                if twin.map.get(&key).copied() != row {
                    self.violate(Violation::WrongMap);
                }
            }
            Answer::Refused(_) => {}
        }
    }

    /// Members of the newest epoch have everything that was acknowledged.
    pub fn check_acknowledged(&mut self) {
        let members =
            || self.replicas.values().filter(|replica| matches!(replica.standing, Standing::Member));
        let Some(newest) = members().max_by_key(|replica| replica.epoch()) else { return };
        let mut current = members().filter(|replica| newest.membership().contains(replica.me()));
        if current.any(|replica| replica.store().version() < self.acknowledged) {
            self.violate(Violation::LostAcknowledged);
        }
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.wires.is_empty() && self.notices.is_empty()
    }

    /// Whether everybody has what it wanted: clients whose member lives their answers, the joiner its place, and all
    /// members the same map in the same epoch.
    pub fn is_finished(&self) -> bool {
        let waits =
            self.clients.iter().any(|client| client.waiting && self.replicas.contains_key(&client.contact));
        let running =
            || self.replicas.values().filter(|replica| !matches!(replica.standing, Standing::Stopped));
        let state = |replica: &TestReplica| {
            (replica.epoch(), replica.store().version(), replica.store().digest(), replica.election.promised)
        };
        let first = running().next().map(state);
        let same = running().all(|replica| Some(state(replica)) == first);
        let idle = first.is_none_or(|(.., promised)| promised.is_none());
        let exact =
            running().all(|replica| replica.membership().members.iter().eq(running().map(|other| &other.me)));
        !waits && same && idle && exact
    }

    /// When nothing is on its way, everything is finished; where messages were lost, after some more ticks.
    pub fn ends_well(&self, setup: &Setup) -> bool {
        if !self.is_quiet() || self.is_finished() {
            return true;
        }
        // A joiner that was sent away asks again at a tick.
        let joins = !setup.joiners.is_empty();
        let ticks = joins || setup.ticks > 0 || setup.losses > 0 || setup.cut.is_some();
        let one_cut = self.cuts == 1;
        one_cut || ticks && self.clone().settles(setup)
    }

    /// Lets whatever is on its way arrive, oldest wire first, with ticks in between, until all is finished.
    pub fn settles(mut self, setup: &Setup) -> bool {
        for _ in 0..12 * setup.limits.lease_ticks.min(8) {
            self.drain(setup);
            if self.is_finished() {
                return true;
            }
            self.perform(setup, Action::Tick);
        }
        false
    }

    /// Delivers until nothing is on its way.
    pub fn drain(&mut self, setup: &Setup) {
        for _ in 0..100_000 {
            let wire = self.wires.keys().next().map(|(from, to)| Action::Deliver(*from, *to));
            let notice = self.notices.first().map(|(to, dead)| Action::Notice(*to, *dead));
            let Some(next) = wire.or(notice) else { return };
            self.perform(setup, next);
        }
        panic!("members never stop talking");
    }
}

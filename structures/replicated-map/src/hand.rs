//! Who proposes what clients ask. The member that won the last position of an epoch goes on to propose for all: the others
//! hand it what their clients ask, so that under load each position is filled with updates of all members, and nobody
//! proposes in vain. At the beginning of an epoch nobody has won yet, and whoever has an update proposes it; so the role is
//! nobody's in particular, and moves with whoever is first.
//!
//! What was handed over stays in the queue of its origin until it is applied. Whoever it was handed to may have died, and
//! its message may be lost: a new epoch, or a tick, hands it over again. That an update is then proposed twice changes
//! nothing (requests.rs), and its origin answers its client.

use crate::fault::Fault;
use crate::replica::{Outputs, Replica};
use crate::{Body, Identity, Key, Logged, Member, Request, Value};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// An update that waits to be proposed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Queued<K, V> {
    pub logged: Logged<K, V>,
    /// Another member was asked to propose it.
    pub handed: bool,
}

impl<K, V> Queued<K, V> {
    pub fn new(logged: Logged<K, V>) -> Queued<K, V> {
        Queued { logged, handed: false }
    }
}

impl<K, V> Logged<K, V> {
    pub(crate) fn is(&self, client: Identity, request: Request) -> bool {
        (self.update.client, self.update.request) == (client, request)
    }
}

impl<K: Key, V: Value> Replica<K, V> {
    /// Who proposes now: whose proposal is promised, or else who won the last position.
    pub(crate) fn proposer(&self) -> Option<Member> {
        self.promise.as_ref().map(|promise| promise.coordinator).or(self.last)
    }

    /// Hands over what waits here, as much as may be with another at once.
    pub(crate) fn hand_over(&mut self, to: Member, outputs: &mut Outputs<K, V>) {
        let handed = self.queue.iter().filter(|queued| queued.handed).count();
        let room = self.limits.handed_max.saturating_sub(handed);
        let waiting = self.queue.iter_mut().filter(|queued| !queued.handed).take(room);
        let updates: Vec<Logged<K, V>> = waiting
            .map(|queued| {
                queued.handed = true;
                queued.logged.clone()
            })
            .collect();
        if self.faults.has(Fault::DropsHanded) {
            self.queue.retain(|queued| !queued.handed);
        }
        if !updates.is_empty() {
            self.send(to, Body::Hand { updates }, outputs);
        }
    }

    /// Another member's updates are to be proposed here, or by whoever proposes now.
    pub(crate) fn take_over(&mut self, updates: Vec<Logged<K, V>>, outputs: &mut Outputs<K, V>) {
        for logged in updates {
            let (client, request) = (logged.update.client, logged.update.request);
            let is_same = |known: &Logged<K, V>| known.is(client, request);
            let promised = self.promise.as_ref().is_some_and(|promise| promise.updates.iter().any(is_same));
            match self.queue.iter_mut().find(|queued| is_same(&queued.logged)) {
                Some(queued) => queued.handed = false,
                None if promised => {}
                None => self.queue.push_back(Queued::new(logged)),
            }
        }
        self.propose(outputs);
    }

    /// A new epoch: everybody keeps what its own clients ask, and nobody was asked yet to propose it.
    pub(crate) fn take_back(&mut self) {
        let me = self.me;
        self.queue.retain(|queued| queued.logged.origin == me);
        self.hand_again();
        self.owed.clear();
    }

    /// What was handed over may be lost.
    pub(crate) fn hand_again(&mut self) {
        self.queue.iter_mut().for_each(|queued| queued.handed = false);
    }

    /// Takes an applied update off the queue. Says whether this member's client waits for it.
    pub(crate) fn is_awaited(&mut self, logged: &Logged<K, V>) -> bool {
        let (client, request) = (logged.update.client, logged.update.request);
        let at = self.queue.iter().position(|queued| queued.logged.is(client, request));
        let queued = at.and_then(|at| self.queue.remove(at));
        let origin = queued.map(|queued| queued.logged.origin);
        logged.origin == self.me || origin == Some(self.me)
    }

    /// Tells members whose updates this one committed that they are everywhere.
    pub(crate) fn tell_origins(&mut self, outputs: &mut Outputs<K, V>) {
        let mut origins = BTreeSet::new();
        let until = if self.faults.has(Fault::TellsEarly) { self.store.version } else { self.stable };
        while let Some((_, origin)) = self.owed.pop_front_if(|(version, _)| *version <= until) {
            origins.insert(origin);
        }
        for origin in origins {
            self.send(origin, Body::Stable { version: until }, outputs);
        }
    }
}

//! The replicated state: the map, whose entries are whose, what is remembered of requests. Members that applied the
//! same updates hold equal stores.
//!
//! An update changes it in one of two ways. `apply` judges its conditions; it needs a state that really was the
//! map's at some version. `replay` does again what an outcome says was done, in a copy that was read piece by piece
//! while the map changed: whatever is newer than the record stays. After all records since the first piece was read,
//! such a copy is the map again.

use crate::audit::Audited;
use crate::requests::{Known, Requests};
use crate::{
    Entry, Identity, Key, Limit, Limits, Operation, Outcome, Record, Request, Update, Value, Version,
};
use crate::{digest, fault::Fault, fault::Faults};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// A key that an update touched, and whether it has an entry afterwards.
pub(crate) type Touched<K> = (K, bool);

/// The map and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store<K: Key, V> {
    entries: BTreeMap<K, Entry<V>>,
    owned: BTreeMap<Identity, BTreeSet<K>>,
    pub(crate) requests: Requests,
    /// Owners that ended, oldest first, with the update that said so.
    pub(crate) ended: VecDeque<(Version, Identity)>,
    pub(crate) version: Version,
    digest: u64,
    /// How far an audit is.
    pub(crate) audited: Option<Audited<K>>,
}

impl<K: Key, V: Value> Store<K, V> {
    pub(crate) fn new() -> Store<K, V> {
        Store {
            entries: BTreeMap::new(),
            owned: BTreeMap::new(),
            requests: Requests::default(),
            ended: VecDeque::new(),
            version: Version(0),
            digest: 0,
            audited: None,
        }
    }

    /// The entry of a key.
    pub fn get(&self, key: &K) -> Option<&Entry<V>> {
        self.entries.get(key)
    }

    /// Every entry, in the order of the keys.
    pub fn entries(&self) -> &BTreeMap<K, Entry<V>> {
        &self.entries
    }

    /// How many updates it has seen.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A hash of every entry; equal maps have equal ones.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The next update: decides what comes of it and does it. Answers the version under which the request was
    /// first done, which is older when it is a repeated one.
    pub(crate) fn apply(
        &mut self,
        update: &Update<K, V>,
        limits: &Limits,
        faults: Faults,
        touched: &mut impl FnMut(Touched<K>),
    ) -> (Version, Outcome) {
        self.version = self.version.after(1);
        let (client, request) = (update.client, update.request);
        match self.requests.look(client, request) {
            Known::Done(version, outcome) if !faults.has(Fault::RepeatsRequests) => {
                return (version, outcome);
            }
            Known::Forgotten => return (self.version, Outcome::Forgotten),
            _ => {}
        }
        let outcome = self.judge(update, limits);
        self.perform(update, self.version, outcome, limits, touched);
        self.remember(client, request, self.version, outcome, limits);
        (self.version, outcome)
    }

    /// Does again what `record` says was done, where nothing newer is.
    pub(crate) fn replay(&mut self, record: &Record<K, V>, limits: &Limits) {
        self.version = self.version.after(1);
        let update = &record.update;
        if record.first != self.version {
            return;
        }
        self.perform(update, record.first, record.outcome, limits, &mut |_| ());
        if self.requests.look(update.client, update.request) == Known::New {
            self.remember(update.client, update.request, record.first, record.outcome, limits);
        }
    }

    fn judge(&self, update: &Update<K, V>, limits: &Limits) -> Outcome {
        if self.has_ended(update.client) {
            return Outcome::Ended;
        }
        if !self.requests.has_room(update.client, limits) {
            return Outcome::Full(Limit::Clients);
        }
        match &update.operation {
            Operation::Insert { owner, .. } if self.has_ended(*owner) => Outcome::Ended,
            Operation::Insert { key, owner, .. } => match self.get(key) {
                Some(entry) => Outcome::Exists(entry.version),
                None if self.entries.len() >= limits.entries_max => Outcome::Full(Limit::Entries),
                None if self.owned_by(*owner) >= limits.owned_max => Outcome::Full(Limit::Owned),
                None => Outcome::Done,
            },
            Operation::Replace { key, version, .. } => self.compare(key, Some(*version)),
            Operation::Remove { key, version } => self.compare(key, *version),
            Operation::RemoveOwner { .. } => Outcome::Done,
        }
    }

    fn compare(&self, key: &K, expected: Option<Version>) -> Outcome {
        match self.get(key) {
            None => Outcome::Absent,
            Some(entry) if expected.is_some_and(|version| version != entry.version) => {
                Outcome::Changed(entry.version)
            }
            Some(_) => Outcome::Done,
        }
    }

    fn perform(
        &mut self,
        update: &Update<K, V>,
        version: Version,
        outcome: Outcome,
        limits: &Limits,
        touched: &mut impl FnMut(Touched<K>),
    ) {
        if outcome != Outcome::Done {
            return;
        }
        match &update.operation {
            Operation::Insert { key, value, owner } => {
                self.put(key, Entry { value: value.clone(), owner: *owner, version });
                touched((key.clone(), true));
            }
            Operation::Replace { key, value, .. } => {
                if let Some(owner) = self.get(key).map(|entry| entry.owner) {
                    self.put(key, Entry { value: value.clone(), owner, version });
                    touched((key.clone(), true));
                }
            }
            Operation::Remove { key, .. } => {
                self.take(key, version);
                touched((key.clone(), false));
            }
            Operation::RemoveOwner { owner } => self.end(*owner, version, limits, touched),
        }
    }

    fn end(
        &mut self,
        owner: Identity,
        version: Version,
        limits: &Limits,
        touched: &mut impl FnMut(Touched<K>),
    ) {
        for key in self.owned.get(&owner).cloned().unwrap_or_default() {
            self.take(&key, version);
            touched((key, false));
        }
        self.requests.clients.remove(&owner);
        if self.ended.back().is_none_or(|(last, _)| *last < version) {
            self.ended.push_back((version, owner));
        }
        if self.ended.len() > limits.ended_kept {
            self.ended.pop_front();
        }
    }

    fn remember(
        &mut self,
        client: Identity,
        request: Request,
        at: Version,
        outcome: Outcome,
        limits: &Limits,
    ) {
        let is_kept = !matches!(outcome, Outcome::Full(Limit::Clients) | Outcome::Forgotten);
        if is_kept && !self.has_ended(client) {
            self.requests.remember(client, (request, at, outcome), limits);
        }
    }

    fn has_ended(&self, owner: Identity) -> bool {
        self.ended.iter().any(|(_, ended)| *ended == owner)
    }

    /// Whether any entry is this owner's.
    pub fn has_entries_of(&self, owner: Identity) -> bool {
        self.owned_by(owner) > 0
    }

    fn owned_by(&self, owner: Identity) -> usize {
        self.owned.get(&owner).map_or(0, BTreeSet::len)
    }

    /// Puts an entry unless a newer one is there.
    pub(crate) fn put(&mut self, key: &K, entry: Entry<V>) {
        if self.get(key).is_some_and(|present| present.version >= entry.version) {
            return;
        }
        self.take(key, entry.version);
        self.digest = self.digest.wrapping_add(digest::of(key, &entry));
        self.follow_audit(key, &entry, true);
        self.owned.entry(entry.owner).or_default().insert(key.clone());
        self.entries.insert(key.clone(), entry);
    }

    /// Takes an entry away unless it is newer than `version`.
    fn take(&mut self, key: &K, version: Version) {
        let older = |entry: &&Entry<V>| entry.version < version;
        let Some(entry) = self.entries.get(key).filter(older).cloned() else { return };
        self.digest = self.digest.wrapping_sub(digest::of(key, &entry));
        self.follow_audit(key, &entry, false);
        if let Some(keys) = self.owned.get_mut(&entry.owner) {
            keys.remove(key);
            if keys.is_empty() {
                let owner = entry.owner;
                self.owned.remove(&owner);
            }
        }
        self.entries.remove(key);
    }

    /// Changes a value behind the protocol's back: what a faulty member would hold.
    #[cfg(test)]
    pub(crate) fn corrupt(&mut self, key: &K, value: V) {
        self.entries.get_mut(key).expect("the key has an entry").value = value;
    }
}

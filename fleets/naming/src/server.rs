//! What naming answers. Look-ups come from the own copy of the map; changes are judged here as far as one member can, and
//! the rest by the map's own conditions, at the change's place in the one order of all.

use crate::changes::Changes;
use crate::choice::{Asker, Candidate, choose};
use crate::record::{Head, Map, Part, Place, Record, children, head, members};
use crate::replication::{Event, Replication};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use fos_messages::names::{
    Change, Description, DirectoryKey, Entry, Found, LISTED_MAX, LoadFigure, MEMBERS_LISTED_MAX, NEWS_WITHIN,
    NameError, News, Path, Policy, Query,
};
use fos_messages::rpc::Address;
use fos_replicated_map::{Identity, Operation, Outcome, Refusal, Request, Version};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Naming refuses.
    Refused(NameError),
    /// Not this member, not now: ask another, or again.
    NotNow,
}

impl From<NameError> for Unanswered {
    fn from(error: NameError) -> Unanswered {
        Unanswered::Refused(error)
    }
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Unanswered {
        match refusal {
            Refusal::Full(_) => Unanswered::Refused(NameError::Full),
            Refusal::Forgotten => Unanswered::Refused(NameError::Forgotten),
            Refusal::Behind(_) | Refusal::NotServing | Refusal::Stopped => Unanswered::NotNow,
        }
    }
}

/// Who asks, and what makes a repeated change the same change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its process, as stamped.
    pub identity: u64,
    /// The number it gave this change.
    pub request: u64,
}

/// How long messages take, for choosing.
#[derive(Clone, Copy, Debug)]
pub struct RoundTrips {
    /// On the same core.
    pub same_core_nanoseconds: u32,
    /// Between cores of a machine.
    pub same_machine_nanoseconds: u32,
    /// Between machines.
    pub other_machine_nanoseconds: u32,
}

/// Until somebody has measured: a switch of threads, a few cache lines, a network.
pub const ASSUMED: RoundTrips = RoundTrips {
    same_core_nanoseconds: 2_000,
    same_machine_nanoseconds: 1_000,
    other_machine_nanoseconds: 100_000,
};

/// A member of naming.
pub struct Server {
    pub(crate) replication: Rc<Replication>,
    round_trips: RoundTrips,
    /// What members told of their load, by process.
    loads: RefCell<BTreeMap<u64, LoadFigure>>,
    /// Choices made, by name.
    turns: RefCell<BTreeMap<Path, u64>>,
    changes: Rc<Changes>,
}

impl Server {
    /// A server over its replica.
    pub fn new(replication: Rc<Replication>, round_trips: RoundTrips) -> Rc<Server> {
        let (loads, turns, changes) = Default::default();
        Rc::new(Server { replication, round_trips, loads, turns, changes })
    }

    /// Makes the top of the tree, once, by the first member.
    pub async fn make_root(&self, lock: DirectoryKey) -> Result<Version, Unanswered> {
        let value = Record::Head { lock, policy: Policy::default(), owner: None };
        let key = Place::Name(Path::root(), Part::Head);
        let owner = Identity(0);
        done(self.replication.own_update(Operation::Insert { key, value, owner }).await?)
    }

    /// Answers one member of the fleet under a name, and the map's version.
    pub fn look_up(&self, path: &Path, query: &Query) -> Result<(Found, u64), Unanswered> {
        let map = self.replication.read(query.seen)?;
        let version = map.version().0;
        let Head { policy, .. } = head(&map, path).ok_or(NameError::NotFound)?;
        if let Policy::Ask(address) = policy {
            return Ok((Found::Ask(*address), version));
        }
        let loads = self.loads.borrow();
        let candidates: Vec<Candidate<'_>> = members(&map, path)
            .map(|entry| Candidate {
                entry,
                load: loads.get(&entry.address.identity.0).copied().unwrap_or_default(),
                round_trip_nanoseconds: self
                    .round_trip((query.machine, query.core), (entry.machine, entry.core)),
            })
            .collect();
        let turn = self.next_turn(path);
        let chosen =
            choose(policy, &candidates, &Asker { hash: query.hash }, turn).ok_or(NameError::NoMembers)?;
        Ok((Found::Member(candidates[chosen].entry.clone()), version))
    }

    fn round_trip(&self, (machine, core): (u16, u16), (its_machine, its_core): (u16, u16)) -> u32 {
        match (machine == its_machine, core == its_core) {
            (true, true) => self.round_trips.same_core_nanoseconds,
            (true, false) => self.round_trips.same_machine_nanoseconds,
            (false, _) => self.round_trips.other_machine_nanoseconds,
        }
    }

    fn next_turn(&self, path: &Path) -> u64 {
        let mut turns = self.turns.borrow_mut();
        if let Some(turn) = turns.get_mut(path) {
            *turn += 1;
            return *turn;
        }
        turns.insert(path.clone(), 0);
        0
    }

    /// The components directly below a name, after one of them, and the map's version.
    pub fn list(&self, path: &Path, after: &str, seen: u64) -> Result<(Vec<String>, u64), Unanswered> {
        let map = self.replication.read(seen)?;
        head(&map, path).ok_or(NameError::NotFound)?;
        let names =
            children(&map, path, after).filter_map(|name| name.step_below(path)).map(ToString::to_string);
        Ok((names.take(LISTED_MAX).collect(), map.version().0))
    }

    /// The members under a name whose processes come after `after`, and the map's version.
    pub fn list_members(&self, path: &Path, after: u64, seen: u64) -> Result<(Vec<Entry>, u64), Unanswered> {
        let map = self.replication.read(seen)?;
        head(&map, path).ok_or(NameError::NotFound)?;
        let entries = members(&map, path).filter(|entry| entry.address.identity.0 > after);
        Ok((entries.take(MEMBERS_LISTED_MAX).cloned().collect(), map.version().0))
    }

    /// A member tells how loaded it is. What a process says that has nothing here is not kept.
    pub fn report(&self, member: u64, load: LoadFigure) {
        if self.replication.read(0).is_ok_and(|map| map.has_entries_of(Identity(member))) {
            self.loads.borrow_mut().insert(member, load);
        }
    }

    /// Forgets what was kept of a registration or a name that is there no longer. A process that is registered elsewhere
    /// too tells its load again.
    pub(crate) fn hear(&self, event: Event<'_>) {
        match event {
            Event::Changed(Place::Name(_, Part::Member(member)), false, _) => {
                self.loads.borrow_mut().remove(member);
            }
            Event::Changed(Place::Name(path, Part::Head), false, _) => {
                self.turns.borrow_mut().remove(path);
            }
            Event::Stopped => self.changes.wake_all(),
            _ => {}
        }
        if let Event::Changed(Place::Name(path, part), is_there, version) = event {
            let member = if let Part::Member(member) = part { Some(*member) } else { None };
            self.changes.note(version.0, Change { path: path.clone(), member, is_there });
        }
    }

    /// What changed at a name and below it since a version; waits for it, but not for ever.
    pub async fn watch(&self, path: &Path, since: u64) -> Result<News, Unanswered> {
        let place = self.changes.wait(path).ok_or(Unanswered::NotNow)?;
        let mut patience = pin!(self.replication.runtime().sleep(NEWS_WITHIN));
        poll_fn(|context| {
            let now = match self.replication.read(since) {
                Ok(map) => map.version().0,
                Err(refusal) => return Poll::Ready(Err(refusal.into())),
            };
            if let Some(news) = self.changes.since(path, since, now) {
                return Poll::Ready(Ok(news));
            }
            place.wake(context.waker());
            patience
                .as_mut()
                .poll(context)
                .map(|()| Ok(News { until: now, look_again: false, changes: Vec::new() }))
        })
        .await
    }

    /// What is to be said of a name, with its members of processes after `after`, and the map's version.
    pub fn describe(&self, path: &Path, after: u64, seen: u64) -> Result<(Description, u64), Unanswered> {
        let map = self.replication.read(seen)?;
        let Head { policy, owner, version, .. } = head(&map, path).ok_or(NameError::NotFound)?;
        let loads = self.loads.borrow();
        let load = |entry: &Entry| loads.get(&entry.address.identity.0).copied().unwrap_or_default();
        let entries = members(&map, path).filter(|entry| entry.address.identity.0 > after);
        let members = entries.take(MEMBERS_LISTED_MAX).map(|entry| (entry.clone(), load(entry))).collect();
        let owner = owner.map(|owner| owner.identity.0);
        Ok((Description { policy: *policy, version: version.0, owner, members }, map.version().0))
    }

    /// Makes a name, with `key` that of the name above. It goes when its owner ends, who is the client or nobody.
    pub async fn make(
        &self,
        client: Client,
        path: &Path,
        key: DirectoryKey,
        lock: DirectoryKey,
        owner: Option<Address>,
    ) -> Result<Version, Unanswered> {
        if owner.is_some_and(|owner| owner.identity.0 != client.identity) {
            return Err(NameError::NotYours.into());
        }
        let above = path.parent().ok_or(NameError::Exists)?;
        self.check_key(&above, key)?;
        let value = Record::Head { lock, policy: Policy::default(), owner };
        let owner = owner.map_or_else(|| nobody_in(path), |owner| Identity(owner.identity.0));
        self.change(client, Operation::Insert { key: Place::Name(path.clone(), Part::Head), value, owner })
            .await
    }

    /// Removes a name that has neither members nor names below it.
    pub async fn remove(
        &self,
        client: Client,
        path: &Path,
        key: DirectoryKey,
    ) -> Result<Version, Unanswered> {
        self.check_key(path, key)?;
        let version = {
            let map = self.replication.read(0)?;
            if members(&map, path).next().is_some() || children(&map, path, "").next().is_some() {
                return Err(NameError::NotEmpty.into());
            }
            head(&map, path).map(|head| head.version)
        };
        self.change(client, Operation::Remove { key: Place::Name(path.clone(), Part::Head), version }).await
    }

    /// Sets by which rule look-ups choose.
    pub async fn set_policy(
        &self,
        client: Client,
        path: &Path,
        key: DirectoryKey,
        policy: Policy,
    ) -> Result<Version, Unanswered> {
        self.check_key(path, key)?;
        let (version, owner) = {
            let map = self.replication.read(0)?;
            let head = head(&map, path).ok_or(NameError::NotFound)?;
            (head.version, head.owner)
        };
        let value = Record::Head { lock: key, policy, owner };
        let place = Place::Name(path.clone(), Part::Head);
        self.change(client, Operation::Replace { key: place, value, version }).await
    }

    /// Registers the client under a name. It goes when the client ends.
    pub async fn register(
        &self,
        client: Client,
        path: &Path,
        key: DirectoryKey,
        entry: Entry,
    ) -> Result<Version, Unanswered> {
        if entry.address.identity.0 != client.identity {
            return Err(NameError::NotYours.into());
        }
        if !entry.is_within_bounds() {
            return Err(NameError::TooLong.into());
        }
        self.check_key(path, key)?;
        let owner = Identity(client.identity);
        let place = Place::Name(path.clone(), Part::Member(client.identity));
        self.change(client, Operation::Insert { key: place, value: Record::Member(entry), owner }).await
    }

    /// Takes the client's registration back.
    pub async fn unregister(&self, client: Client, path: &Path) -> Result<Version, Unanswered> {
        let place = Place::Name(path.clone(), Part::Member(client.identity));
        self.change(client, Operation::Remove { key: place, version: None }).await
    }

    fn check_key(&self, path: &Path, key: DirectoryKey) -> Result<(), Unanswered> {
        let map = self.replication.read(0)?;
        let Head { lock, .. } = head(&map, path).ok_or(NameError::NotFound)?;
        if key.opens(lock) { Ok(()) } else { Err(NameError::BadKey.into()) }
    }

    async fn change(
        &self,
        client: Client,
        operation: Operation<Place, Record>,
    ) -> Result<Version, Unanswered> {
        let who = (Identity(client.identity), Request(client.request));
        done(self.replication.update(who.0, who.1, operation).await?)
    }
}

/// Whose a name is that lasts: nobody's, but counted together with the others below the same name at the top, so that who
/// holds one directory's key can't take all the room there is.
pub(crate) fn nobody_in(path: &Path) -> Identity {
    let mut components = path.components();
    match (components.next(), components.next()) {
        (Some(top), Some(_)) => {
            // FNV-1a; no process's identity has the highest bit.
            let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            Identity(1 << 63 | top.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
        }
        _ => Identity(0),
    }
}

pub(crate) fn done((version, outcome): (Version, Outcome)) -> Result<Version, Unanswered> {
    let error = match outcome {
        Outcome::Done => return Ok(version),
        Outcome::Exists(_) => NameError::Exists,
        Outcome::Absent => NameError::NotFound,
        Outcome::Changed(_) => NameError::Changed,
        Outcome::Full(_) => NameError::Full,
        Outcome::Ended => NameError::Ended,
        Outcome::Forgotten => NameError::Forgotten,
    };
    Err(error.into())
}

/// Whose processes the records of a map stand for, with where each is reached: whoever watches one watches these.
pub fn owners(map: &Map) -> impl Iterator<Item = Address> + '_ {
    map.entries().values().filter_map(|entry| entry.value.owner())
}

//! What the replicated map holds: for each name a head, and beside it the members that registered. A registration is an
//! entry of its own, so two members that come at once do not wait for each other, and a dead one's goes with its owner.

use core::ops::Bound;
use fos_messages::names::{DirectoryKey, Entry, Path, Peer, Policy};
use fos_messages::rpc::Address;
use fos_replicated_map::{Store, Version};
use serde::{Deserialize, Serialize};

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The name itself: first among what belongs to it.
    Name(Path, Part),
    /// A member of naming, by its machine and number: where the other members write to it. No lookup shows these.
    Peer(u16, u32),
}

/// Which part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// Whose it is and how lookups choose.
    Head,
    /// The registration of this process.
    Member(u64),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// Under [`Part::Head`].
    Head {
        /// Who shows this key may register here and make names below.
        lock: DirectoryKey,
        /// How lookups choose.
        policy: Policy,
        /// With whose end it goes, and where that is watched.
        owner: Option<Address>,
    },
    /// Under [`Part::Member`].
    Member(Entry),
    /// Under [`Place::Peer`].
    Peer(Address),
}

impl Record {
    /// The process with whose end it goes, where that is watched.
    pub fn owner(&self) -> Option<Address> {
        match self {
            Record::Head { owner, .. } => *owner,
            Record::Member(entry) => Some(entry.address),
            Record::Peer(address) => Some(*address),
        }
    }
}

/// The map.
pub type Map = Store<Place, Record>;

/// What is at a name's head.
pub struct Head<'a> {
    /// See [`Record::Head`].
    pub lock: &'a DirectoryKey,
    /// The same.
    pub policy: &'a Policy,
    /// The same.
    pub owner: Option<Address>,
    /// When it was last changed.
    pub version: Version,
}

/// A name's head.
pub fn head<'a>(map: &'a Map, path: &Path) -> Option<Head<'a>> {
    let entry = map.get(&Place::Name(path.clone(), Part::Head))?;
    match &entry.value {
        Record::Head { lock, policy, owner } => {
            Some(Head { lock, policy, owner: *owner, version: entry.version })
        }
        _ => None,
    }
}

/// Who registered under a name, in a fixed order.
pub fn members<'a>(map: &'a Map, path: &Path) -> impl Iterator<Item = &'a Entry> + use<'a> {
    let first = Place::Name(path.clone(), Part::Member(0));
    let last = Place::Name(path.clone(), Part::Member(u64::MAX));
    map.entries().range(first..=last).filter_map(|(_, entry)| match &entry.value {
        Record::Member(entry) => Some(entry),
        _ => None,
    })
}

/// The names directly below a name that come after the component `after`. Whole subtrees are stepped over.
pub fn children<'a>(map: &'a Map, path: &Path, after: &str) -> impl Iterator<Item = &'a Path> + use<'a> {
    let (first, end) = path.subtree();
    let end = Bound::Excluded(Place::Name(end, Part::Head));
    let path = path.clone();
    let mut from = match path.child(after) {
        Ok(child) => Bound::Excluded(Place::Name(child, Part::Member(u64::MAX))),
        Err(_) => Bound::Included(Place::Name(first, Part::Head)),
    };
    core::iter::from_fn(move || {
        loop {
            let (Place::Name(name, _), _) = map.entries().range((from.clone(), end.clone())).next()? else {
                return None;
            };
            if name.parent().as_ref() == Some(&path) {
                from = Bound::Excluded(Place::Name(name.clone(), Part::Member(u64::MAX)));
                return Some(name);
            }
            let child = path.child(name.step_below(&path)?).ok()?;
            from = Bound::Included(Place::Name(child.subtree().1, Part::Head));
        }
    })
}

/// Where a member of naming is written to.
pub fn peer(map: &Map, machine: u16, number: u32) -> Option<Address> {
    match map.get(&Place::Peer(machine, number))?.value {
        Record::Peer(address) => Some(address),
        _ => None,
    }
}

/// Every member of naming that is in the map. There are few.
pub fn peers(map: &Map) -> impl Iterator<Item = Peer> + '_ {
    map.entries().range(Place::Peer(0, 0)..).filter_map(|(place, entry)| match (place, &entry.value) {
        (Place::Peer(machine, number), Record::Peer(address)) => {
            Some(Peer { machine: *machine, number: *number, address: *address })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use fos_replicated_map::{
        Identity, Input, Limits, Member, Membership, Operation, Replica, Request, Update,
    };
    use proptest::prelude::*;

    /// A replica whose map has these names.
    fn replica(names: &[&str]) -> Replica<Place, Record> {
        let me = Member::new(0, 1);
        let mut replica = Replica::new(me, Membership::first([me].into(), me.machine), Limits::DEFAULT);
        for (request, name) in names.iter().enumerate() {
            let key = Place::Name(Path::new(name).unwrap(), Part::Head);
            let value = Record::Head { lock: DirectoryKey([0; 2]), policy: Policy::default(), owner: None };
            let operation = Operation::Insert { key, value, owner: Identity(0) };
            let update = Update { client: Identity(1), request: Request(request as u64 + 1), operation };
            replica.step(Input::Update(update), &mut Vec::new());
        }
        replica
    }

    fn below<'a>(replica: &'a Replica<Place, Record>, path: &str, after: &str) -> Vec<&'a str> {
        children(replica.store(), &Path::new(path).unwrap(), after).map(Path::as_str).collect()
    }

    #[test]
    fn names_directly_below_are_listed_and_no_others() {
        let replica = replica(&[
            "/", "/sys", "/sys-x", "/sys.y", "/sys/a", "/sys/a/b", "/sys/a-b", "/sys/c/d", "/sys0", "/t",
        ]);
        assert_eq!(below(&replica, "/", ""), ["/sys", "/sys-x", "/sys.y", "/sys0", "/t"]);
        assert_eq!(below(&replica, "/", "sys.y"), ["/sys0", "/t"]);
        assert_eq!(below(&replica, "/sys", ""), ["/sys/a", "/sys/a-b"]);
        assert_eq!(below(&replica, "/sys", "a"), ["/sys/a-b"]);
        assert_eq!(below(&replica, "/nothing", ""), [""; 0]);
        assert!(head(replica.store(), &Path::root()).is_some());
        assert!(head(replica.store(), &Path::new("/sys/c").unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn a_listing_is_what_a_look_at_everything_finds(names in proptest::collection::btree_set("(/[a0.-]{1,2}[b0]){1,3}", 0..20), above in "(/[a0.-]{1,2}[b0]){0,2}") {
            let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| Path::new(name).is_ok()).collect();
            let above = if above.is_empty() { "/" } else { above.as_str() };
            let replica = replica(&names);
            let expected: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| Path::new(name).unwrap().parent().unwrap().as_str() == above)
                .collect();
            prop_assert_eq!(below(&replica, above, ""), expected);
        }
    }
}

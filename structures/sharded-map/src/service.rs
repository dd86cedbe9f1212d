//! A map in a fleet: what a member's server calls. The map itself is run by `fos-carrier`.

use crate::{Answer, Key, Map, Operation, Policy};
use alloc::rc::Rc;
use core::time::Duration;
use fos_carrier::{Carrier, Switchboard};
use fos_container::{Member, Statistics};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often what is uneven is looked after.
const PERIOD: Duration = Duration::from_millis(1);

/// Why a map did not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Too many requests of this member are under way; nothing was done.
    Busy,
    /// This member is none yet, or leaves: ask another. Nothing was done.
    NotServing,
    /// The others have gone on without this member: it may have been done.
    Interrupted,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            MapError::Busy => "too many requests of this member of the map are under way: try again",
            MapError::NotServing => "this member of the map does not serve: ask another",
            MapError::Interrupted => "the map has gone on without this member: it may have been done",
        })
    }
}

impl core::error::Error for MapError {}

/// One member's map.
pub struct Service<K: Key, V: Clone> {
    carrier: Rc<Carrier<Map<K, V>>>,
}

impl<K, V> Service<K, V>
where
    K: Key + Serialize + DeserializeOwned + 'static,
    V: Clone + Serialize + DeserializeOwned + 'static,
{
    /// A map under a number that is its own in this process and the same at all members.
    pub fn new(switchboard: &Rc<Switchboard>, number: u16, policy: Policy) -> Rc<Service<K, V>> {
        let map = Map::new(Member(switchboard.identity().0), policy);
        Rc::new(Service { carrier: Carrier::new(switchboard, number, PERIOD, map) })
    }

    /// What runs it: for its epochs, for leaving, for looking into it.
    pub fn carrier(&self) -> &Rc<Carrier<Map<K, V>>> {
        &self.carrier
    }

    /// What is at a key.
    pub async fn get(&self, key: K) -> Result<Option<V>, MapError> {
        self.ask(Operation::Get(key)).await
    }

    /// Puts something at a key. A strong map answers what was there.
    pub async fn put(&self, key: K, value: V) -> Result<Option<V>, MapError> {
        self.ask(Operation::Put(key, value)).await
    }

    /// Removes what is at a key. A strong map answers what was there.
    pub async fn remove(&self, key: K) -> Result<Option<V>, MapError> {
        self.ask(Operation::Remove(key)).await
    }

    async fn ask(&self, operation: Operation<K, V>) -> Result<Option<V>, MapError> {
        match self.carrier.ask(operation).await {
            Ok(Answer::Value(value) | Answer::Written(value)) => Ok(value),
            Ok(Answer::Busy) => Err(MapError::Busy),
            Ok(Answer::NotServing) => Err(MapError::NotServing),
            Ok(Answer::Interrupted) | Err(_) => Err(MapError::Interrupted),
        }
    }

    /// What this member's map has done so far.
    pub fn statistics(&self) -> Statistics {
        self.carrier.statistics()
    }
}

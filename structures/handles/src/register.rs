//! What the map says: how often each number was handed out, and what stands behind each handle that is out. Which numbers are free
//! follows from it.
//!
//! Two keys say that a number is out: its last generation, and that handle. They are written by whoever has the number in its hands,
//! one after the other, and the second is removed by who takes the handle back and has the number in its hands again. So whoever finds
//! the first and not the second knows that the number was free, or in hands, at that moment: the README of `fos-lending` says why that
//! is enough.

use crate::Handle;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_carrier::Switchboard;
use fos_dpool::Coming;
use fos_lending::Book;
use fos_runtime::Runtime;
use fos_sharded_map::{Consistency, MapError, Policy, Service};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How long to wait before a map that is busy, or not there yet, is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);
const SHARDS: u16 = 16;

/// How many handles there are, and how safe they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Handles that may be out at one time: their numbers are below this.
    pub count: u32,
    /// Members that have each entry of the map. When so many end at once, handles are lost; with as many as there may be members,
    /// none is until the fleet is.
    pub copies: usize,
    /// The generation before the first one. Drawn at random for each fleet's life, and far below the last one, it makes handles of an
    /// earlier life stale.
    pub first: u32,
}

/// What may stand behind a handle.
pub trait Value: Clone + Serialize + DeserializeOwned + 'static {}
impl<V: Clone + Serialize + DeserializeOwned + 'static> Value for V {}

/// A key of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    /// What the generation of every number was before it was handed out.
    First,
    /// The last generation of a number.
    Last(u32),
    /// A handle that is out.
    Out(Handle),
}

/// What stands there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Record<V> {
    Generation(u32),
    Value(V),
}

impl<V> Record<V> {
    fn generation(self) -> Option<u32> {
        if let Record::Generation(generation) = self { Some(generation) } else { None }
    }

    fn value(self) -> Option<V> {
        if let Record::Value(value) = self { Some(value) } else { None }
    }
}

/// The map, as one member reads and writes it.
pub(crate) struct Register<V: Value> {
    runtime: Runtime,
    map: Rc<Service<Place, Record<V>>>,
    terms: Terms,
}

impl<V: Value> Register<V> {
    pub fn new(switchboard: &Rc<Switchboard>, number: u16, terms: Terms, runtime: &Runtime) -> Rc<Self> {
        let policy = Policy { replicas: terms.copies, shards: SHARDS, ..Policy::new(Consistency::Strong) };
        let map = Service::new(switchboard, number, policy);
        Rc::new(Register { runtime: runtime.clone(), map, terms })
    }

    pub fn map(&self) -> &Rc<Service<Place, Record<V>>> {
        &self.map
    }

    pub fn numbers(&self) -> core::ops::Range<u32> {
        0..self.terms.count
    }

    /// What stands behind a handle. None: it is not out.
    pub async fn value(&self, handle: Handle) -> Result<Option<V>, MapError> {
        Ok(self.read(Place::Out(handle)).await?.and_then(Record::value))
    }

    /// The last generation of a number. None: nothing was founded.
    pub async fn last(&self, number: u32) -> Result<Option<u32>, MapError> {
        let own = self.read(Place::Last(number)).await?;
        let last = match own {
            None => self.read(Place::First).await?,
            own => own,
        };
        Ok(last.and_then(Record::generation))
    }

    /// Whether the numbers were put in once.
    pub async fn is_founded(&self) -> Result<bool, MapError> {
        Ok(self.read(Place::First).await?.is_some())
    }

    /// Writes that the numbers are put in. Answers whether this was the first time.
    pub async fn found(&self) -> Result<bool, MapError> {
        Ok(self.write(Place::First, Record::Generation(self.terms.first)).await?.is_none())
    }

    /// Hands a number out, which is in this member's hands.
    pub async fn hand_out(&self, handle: Handle, value: V) -> Result<(), MapError> {
        self.write(Place::Last(handle.number), Record::Generation(handle.generation)).await?;
        self.write(Place::Out(handle), Record::Value(value)).await?;
        Ok(())
    }

    /// Takes a handle back, whose number is in this member's hands. None: another has, or it was not out.
    pub async fn take_back(&self, handle: Handle) -> Result<Option<V>, MapError> {
        loop {
            match self.map.remove(Place::Out(handle)).await {
                Err(MapError::Busy | MapError::NotServing) => self.runtime.sleep(AGAIN_AFTER).await,
                other => return Ok(other?.and_then(Record::value)),
            }
        }
    }

    /// Every handle that is out, with what stands behind it; and every number that is free.
    pub async fn survey(&self) -> Result<(Vec<(Handle, V)>, Vec<u32>), MapError> {
        let (mut out, mut free) = (Vec::new(), Vec::new());
        for number in self.numbers() {
            let Some(generation) = self.last(number).await? else { continue };
            match self.value(Handle { number, generation }).await? {
                Some(value) => out.push((Handle { number, generation }, value)),
                // Its generations are used up.
                None if generation == u32::MAX => {}
                None => free.push(number),
            }
        }
        Ok((out, free))
    }

    async fn read(&self, place: Place) -> Result<Option<Record<V>>, MapError> {
        loop {
            match self.map.get(place).await {
                Err(MapError::Busy) => self.runtime.sleep(AGAIN_AFTER).await,
                other => return other,
            }
        }
    }

    async fn write(&self, place: Place, record: Record<V>) -> Result<Option<Record<V>>, MapError> {
        loop {
            match self.map.put(place, record.clone()).await {
                // Who leaves leaves this map last, when nothing is in its hands.
                Err(MapError::Busy | MapError::NotServing) => self.runtime.sleep(AGAIN_AFTER).await,
                other => return other,
            }
        }
    }
}

/// What the pool's records read.
pub(crate) struct Free<V: Value>(pub Rc<Register<V>>);

impl<V: Value> Book<u32> for Free<V> {
    fn inside(&self) -> Coming<Option<Vec<u32>>> {
        let register = self.0.clone();
        Box::pin(async move { register.survey().await.ok().map(|(_, free)| free) })
    }
}

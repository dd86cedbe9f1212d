//! What a member's server asks, and what it is answered.

use serde::{Deserialize, Serialize};

/// What a server asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation<K, V> {
    /// What is there?
    Get(K),
    /// This is there from now on.
    Put(K, V),
    /// Nothing is there from now on.
    Remove(K),
}

impl<K, V> Operation<K, V> {
    /// Of what.
    pub fn key(&self) -> &K {
        let (Operation::Get(key) | Operation::Put(key, _) | Operation::Remove(key)) = self;
        key
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Operation::Get(_))
    }

    /// What is to be there from now on.
    pub(crate) fn value(self) -> Option<V> {
        match self {
            Operation::Put(_, value) => Some(value),
            Operation::Get(_) | Operation::Remove(_) => None,
        }
    }
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer<V> {
    /// What is there.
    Value(Option<V>),
    /// It is done. In a strong map with what was there before; in an eventual one with nothing.
    Written(Option<V>),
    /// Too many requests are under way here ([`PENDING_MAX`](crate::PENDING_MAX)); nothing was done.
    Busy,
    /// This member is none yet, or leaves: ask another. Nothing was done.
    NotServing,
    /// The others have gone on without this member, or all leave and who had the key has gone: what was asked may have been done, or
    /// may yet be.
    Interrupted,
}

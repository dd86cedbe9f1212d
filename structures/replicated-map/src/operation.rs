//! What a client may ask for, and what comes of it. Every operation is atomic and every condition is judged at the
//! update's position in the one order of all updates, so every member comes to the same outcome.

use crate::{Identity, Limit, Request, Version};
use serde::{Deserialize, Serialize};

/// A change of the map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation<K, V> {
    /// Adds an entry if the key has none.
    Insert {
        /// Where.
        key: K,
        /// What.
        value: V,
        /// With whom the entry ends.
        owner: Identity,
    },
    /// Changes the value of an entry if nobody has changed it since `version`. The owner stays.
    Replace {
        /// Where.
        key: K,
        /// What.
        value: V,
        /// The entry's version as the client saw it.
        version: Version,
    },
    /// Removes an entry, if `version` is given only when nobody has changed it since.
    Remove {
        /// Where.
        key: K,
        /// The entry's version as the client saw it.
        version: Option<Version>,
    },
    /// The owner has ended: removes all its entries and forgets its requests. Later updates by it, or with it as the
    /// owner, are refused: one that was under way must not bring back what was removed.
    RemoveOwner {
        /// Who ended.
        owner: Identity,
    },
}

/// An operation and who asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Update<K, V> {
    /// Whose request.
    pub client: Identity,
    /// Which of its requests.
    pub request: Request,
    /// What is asked.
    pub operation: Operation<K, V>,
}

/// What an update did. Only `Done` changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It did what it says.
    Done,
    /// The key has an entry already, of this version.
    Exists(Version),
    /// The key has no entry.
    Absent,
    /// The entry has been changed since: it has this version now.
    Changed(Version),
    /// A bound of the map was met.
    Full(Limit),
    /// The client, or the owner named in the update, has ended.
    Ended,
    /// The request is older than what is remembered of this client: whether it was done before is not known.
    Forgotten,
}

/// What the map holds under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry<V> {
    /// The value.
    pub value: V,
    /// With whom it ends.
    pub owner: Identity,
    /// The update that wrote it.
    pub version: Version,
}

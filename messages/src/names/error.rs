//! Why naming refused.

use crate::rpc::wire::Scalar;
use serde::{Deserialize, Serialize};

/// Why an operation on a name was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar, Serialize, Deserialize)]
pub enum NameError {
    /// No such name.
    NotFound,
    /// The name has no member now.
    NoMembers,
    /// The key does not open the directory.
    BadKey,
    /// There is such a name, or such a registration, already.
    Exists,
    /// There are names below it, or members registered: remove them first.
    NotEmpty,
    /// The entry is about another process than the one that sent it.
    NotYours,
    /// The metadata is longer than it may be.
    TooLong,
    /// Somebody else changed it meanwhile: look again.
    Changed,
    /// A bound of naming is met: entries in all, of one owner, or clients.
    Full,
    /// The process that it belongs to has ended.
    Ended,
    /// The request is a repeated one from so long ago that what came of it is forgotten.
    Forgotten,
}

impl core::fmt::Display for NameError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            NameError::NotFound => "there is no such name",
            NameError::NoMembers => "nobody is registered under this name now",
            NameError::BadKey => "the key is not this directory's",
            NameError::Exists => "it is there already",
            NameError::NotEmpty => "there are names or members below it: remove them first",
            NameError::NotYours => "a process registers itself and nobody else",
            NameError::TooLong => "the metadata has at most 4 pairs of at most 32 bytes each",
            NameError::Changed => "somebody else changed it meanwhile: look again",
            NameError::Full => "naming has no room for more",
            NameError::Ended => "the process that it belongs to has ended",
            NameError::Forgotten => "the request is too old to be repeated",
        })
    }
}

impl core::error::Error for NameError {}

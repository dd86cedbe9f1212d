//! What all members of a fleet are told alike, and what a member tells of its fleet.
//!
//! A fleet has three names: `NAME`, under which those are registered who serve clients; `NAME/members`, under which
//! everybody is who is or wants to be a member; and `NAME/founder`, which one process has while it may found the fleet.

use super::regulator::{Marks, Regulator};
use super::roster::Epoch;
use crate::Names;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, NameError, Path, PathError};
use fos_messages::rpc::CallError;

/// The terms of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter {
    /// Its name.
    pub name: Path,
    /// The key of its name: who has it is one of the fleet.
    pub key: DirectoryKey,
    /// When it grows and shrinks.
    pub marks: Marks,
    /// A member with more wait than this sends clients to one that has less than half of it. [`Duration::MAX`]: never, for
    /// services where it matters which member is asked.
    pub redirect_above: Duration,
    /// How long a member that leaves may take for the requests that it has; and, if it is the last one and has something to hand on,
    /// how long it waits for another.
    pub drain_within: Duration,
}

/// What is wrong with a charter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharterError {
    /// The water marks touch, or the least size is zero or above the largest.
    Marks,
    /// The name is too long or too deep for the names below it.
    Name(PathError),
}

impl core::fmt::Display for CharterError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CharterError::Marks => formatter.write_str(
                "a fleet shrinks below a lower mark than it grows above, and has at least one member",
            ),
            CharterError::Name(error) => {
                write!(formatter, "the fleet's name leaves no room below it: {error}")
            }
        }
    }
}

impl core::error::Error for CharterError {}

/// The names and the regulator of a charter, checked.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub charter: Charter,
    pub regulator: Regulator,
    pub members: Path,
    pub founder: Path,
}

impl Terms {
    pub fn of(charter: Charter) -> Result<Terms, CharterError> {
        let regulator = Regulator::new(charter.marks).ok_or(CharterError::Marks)?;
        let child = |name| charter.name.child(name).map_err(CharterError::Name);
        let (members, founder) = (child("members")?, child("founder")?);
        Ok(Terms { charter, regulator, members, founder })
    }
}

/// Makes the names of a fleet that is to be. `above` is the key of the name above. Names that are there already are left.
pub async fn found(
    names: &Names,
    charter: &Charter,
    above: DirectoryKey,
) -> Result<(), CallError<NameError>> {
    make_names(names, &charter.name, charter.key, above).await
}

/// As [`found`], for who knows of the fleet's terms only its name and its key.
pub async fn make_names(
    names: &Names,
    name: &Path,
    key: DirectoryKey,
    above: DirectoryKey,
) -> Result<(), CallError<NameError>> {
    let members = name.child("members").map_err(|_| CallError::Refused(NameError::TooLong))?;
    for (path, above) in [(name, above), (&members, key)] {
        match names.make(path, above, key, true).await {
            Ok(()) | Err(CallError::Refused(NameError::Exists)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What happens in a fleet, as one member tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An epoch began with so many members; whether this one coordinates it.
    Began {
        /// Which.
        epoch: Epoch,
        /// How many.
        members: usize,
        /// Whether it is this member that does.
        coordinates: bool,
    },
    /// A member has ended that did not leave.
    Lost(Identity),
    /// The coordinator had a member started.
    Grows(Identity),
    /// The coordinator could not have a member started, or it did not come.
    DidNotGrow,
    /// The coordinator has a member leave.
    Shrinks(Identity),
    /// The coordinator has a member leave in whose place this other one serves.
    Moves {
        /// Who leaves.
        from: Identity,
        /// Who serves.
        to: Identity,
    },
    /// This member begins to leave.
    Leaves,
}

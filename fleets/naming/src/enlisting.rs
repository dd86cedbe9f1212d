//! A member of naming registers itself as members of other fleets do: under [`NAMING`], where clients find who has come since they
//! did, and below it, where the watchdog looks whether who wants to be looked after belongs there.
//!
//! It does so by its own replica. As a client of naming it would number its changes from one, as its replica has done already.

use crate::record::{Part, Place, Record};
use crate::server::{Server, Unanswered, done, nobody_in};
use fos_messages::names::{DirectoryKey, Entry, NAMING, NameError, Path, Policy};
use fos_replicated_map::{Identity, Operation};

impl Server {
    /// Registers this member, under names that are made if they are not there. Done twice is as once.
    pub async fn enlist(&self, lock: DirectoryKey, entry: &Entry) -> Result<(), Unanswered> {
        let naming = Path::new(NAMING).map_err(|_| NameError::TooLong)?;
        let members = naming.child("members").map_err(|_| NameError::TooLong)?;
        let identity = entry.address.identity.0;
        for path in [naming, members] {
            let head = Record::Head { lock, policy: Policy::default(), owner: None };
            self.insert(Place::Name(path.clone(), Part::Head), head, nobody_in(&path)).await?;
            let member = Record::Member(entry.clone());
            self.insert(Place::Name(path, Part::Member(identity)), member, Identity(identity)).await?;
        }
        Ok(())
    }

    async fn insert(&self, key: Place, value: Record, owner: Identity) -> Result<(), Unanswered> {
        match done(self.replication.own_update(Operation::Insert { key, value, owner }).await?) {
            Ok(_) | Err(Unanswered::Refused(NameError::Exists)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

//! The fleet's terms: three members, of whom those that end are replaced. How many there are does not depend on clients, who ask
//! little.

use core::time::Duration;
use fos_messages::names::{DirectoryKey, Path, PathError};
use fos_runtime::fleet::{Charter, Marks};

/// The fleet's name.
pub const FLEET: &str = "/search";
/// How many members.
pub const MEMBERS: usize = 3;
/// The water marks.
pub const MARKS: Marks = Marks {
    grow_above: Duration::from_secs(60),
    shrink_below: Duration::ZERO,
    looks: 3,
    rest: Duration::from_millis(20),
    members_min: MEMBERS,
    members_max: MEMBERS + 1,
};

/// The charter, with the fleet's key.
pub fn charter(key: DirectoryKey) -> Result<Charter, PathError> {
    Ok(Charter {
        name: Path::new(FLEET)?,
        key,
        marks: MARKS,
        redirect_above: Duration::MAX,
        drain_within: Duration::from_secs(5),
    })
}

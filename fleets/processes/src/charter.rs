//! The fleet's terms.

use core::time::Duration;
use fos_messages::names::{DirectoryKey, NameError, Path, PathError};
use fos_messages::processes::NAME;
use fos_messages::rpc::CallError;
use fos_runtime::Names;
use fos_runtime::fleet::{self, Charter, Marks};

/// What the image calls the program.
pub const PROGRAM: &str = "processes";
/// The water marks. Two keep the table whoever ends; more only keep more processes, as all changes pass the coordinator.
pub const MARKS: Marks = Marks {
    grow_above: Duration::from_millis(50),
    shrink_below: Duration::from_millis(1),
    looks: 3,
    rest: Duration::from_millis(200),
    members_min: 2,
    members_max: 4,
};
/// A member with more wait than this sends clients to one with less than half of it.
const REDIRECT_ABOVE: Duration = Duration::from_millis(20);
/// How long a member that leaves may take for what it has.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// The charter, with the fleet's key.
pub fn charter(key: DirectoryKey, marks: Marks) -> Result<Charter, PathError> {
    Ok(Charter {
        name: Path::new(NAME)?,
        key,
        marks,
        redirect_above: REDIRECT_ABOVE,
        drain_within: DRAIN_WITHIN,
    })
}

/// Makes the fleet's names below a name with this key. Done twice is as once.
pub async fn found(
    names: &Names,
    charter: &Charter,
    above: DirectoryKey,
) -> Result<(), CallError<NameError>> {
    fleet::found(names, charter, above).await
}

//! The fleet's terms.

use core::time::Duration;
use fos_messages::names::{DirectoryKey, NameError, Path, PathError, Policy};
use fos_messages::pages::NAME;
use fos_messages::rpc::CallError;
use fos_runtime::Names;
use fos_runtime::fleet::{self, Charter, Marks};

/// The water marks. A request takes tens of microseconds; what waits longer than this waits for others.
pub const MARKS: Marks = Marks {
    grow_above: Duration::from_millis(4),
    shrink_below: Duration::from_micros(500),
    looks: 3,
    rest: Duration::from_millis(200),
    members_min: 2,
    members_max: 8,
};
/// A member with more wait than this sends clients to one with less than half of it.
const REDIRECT_ABOVE: Duration = Duration::from_millis(2);
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

/// Makes the fleet's names below a name with this key, and has look-ups choose the closest member. Done twice is as once.
pub async fn found(
    names: &Names,
    charter: &Charter,
    above: DirectoryKey,
) -> Result<(), CallError<NameError>> {
    fleet::found(names, charter, above).await?;
    names.set_policy(&charter.name, charter.key, Policy::Closest).await
}

//! The demo fleet's terms. A member's device does one note after the other, so what a note waits for is known beforehand: sixteen
//! under way wait 40 ms in a fleet of two, 27 in one of three, and 20 in one of four, which is enough.

use core::time::Duration;
use fos_messages::names::{DirectoryKey, Path, PathError};
use fos_runtime::fleet::{Charter, Marks};

/// The fleet's name.
pub const FLEET: &str = "/demo";
/// Where its loaders are found.
pub const LOADERS: &str = "/demo/loaders";
/// How long a member's device takes for one note.
pub const DEVICE: Duration = Duration::from_millis(5);
/// The water marks.
pub const MARKS: Marks = Marks {
    grow_above: Duration::from_millis(23),
    shrink_below: Duration::from_millis(8),
    looks: 3,
    rest: Duration::from_millis(200),
    members_min: 2,
    members_max: 4,
};

/// The charter, with the fleet's key.
pub fn charter(key: DirectoryKey, marks: Marks) -> Result<Charter, PathError> {
    Ok(Charter {
        name: Path::new(FLEET)?,
        key,
        marks,
        redirect_above: Duration::from_millis(30),
        drain_within: Duration::from_secs(5),
    })
}

//! What the program that founded an image's fleets (`init`) tells those whom the image lets know: which fleets there are, and
//! their keys. Whoever has a fleet's key may be a member of it, or a process where the fleet is `processes`: so root tells only
//! programs with the capability `fleets` where to ask.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `fleets` | yes | never |

use crate::names::{DirectoryKey, Path};
use crate::rpc::interface;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The name at root under which the founder is found, by whom the image lets find it.
pub const FOUNDER: &str = "founder";

/// Fleets in one answer.
pub const FLEETS_PER_ANSWER: usize = 4;

/// A fleet that was founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundedFleet {
    /// Its name.
    pub name: Path,
    /// Its key.
    pub key: DirectoryKey,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How many fleets there will be.
    pub planned: u32,
    /// Some of those that there are.
    pub fleets: Vec<FoundedFleet>,
}

/// Who founded the fleets.
#[interface(id = 51, version = 1)]
pub trait Founder {
    /// Of those that were founded and have had as many members as they want, in this order, those after so many: at most
    /// [`FLEETS_PER_ANSWER`].
    #[operation(idempotent, answer_max = 640)]
    fn fleets(&self, after: u32) -> Progress;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{COMPONENT_BYTES_MAX, PATH_BYTES_MAX};
    use crate::rpc::Interface;
    use alloc::string::String;

    #[test]
    fn the_longest_answer_fits() {
        let mut name = String::new();
        while name.len() < PATH_BYTES_MAX {
            name.push('/');
            let room = (PATH_BYTES_MAX - name.len()).min(COMPONENT_BYTES_MAX);
            name.extend(core::iter::repeat_n('n', room));
        }
        let name = Path::new(&name).unwrap();
        let fleet = FoundedFleet { name, key: DirectoryKey([u64::MAX; 2]) };
        let progress = Progress { planned: u32::MAX, fleets: alloc::vec![fleet; FLEETS_PER_ANSWER] };
        let length = postcard::to_allocvec(&progress).unwrap().len();
        assert!(length <= FounderInterface::OPERATIONS[0].answer_max, "{length}");
    }
}

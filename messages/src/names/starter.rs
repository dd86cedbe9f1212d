//! What the members of one naming fleet and its clients ask of the program that starts the fleet: so they find each other
//! before there are names.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `enter`, `serves` | yes | never; a process that the starter did not start is told `NotNow` |
//! | `members` | yes | never |

use super::{DirectoryKey, Peer};
use crate::rpc::{Address, interface};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The name at root under which the starter is found.
pub const STARTER: &str = "names";
/// Members of a fleet that one starter starts.
pub const STARTED_MAX: usize = 16;

/// What a member begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Its number on its machine, which no other member ever has.
    pub number: u32,
    /// The key of `/`.
    pub root_key: DirectoryKey,
    /// Whom to join. Nobody: it is the first.
    pub sponsors: Vec<Peer>,
}

/// The starter of a naming fleet.
#[interface(id = 5, version = 1)]
pub trait NamesStarter {
    /// A process that was started as a member says where the other members write to it.
    #[operation(idempotent, answer_max = 1000)]
    fn enter(&self, internal: Address) -> Beginning;

    /// The member serves clients there.
    #[operation(idempotent)]
    fn serves(&self, external: Address);

    /// Where clients ask: the members that serve.
    #[operation(idempotent, answer_max = 800)]
    fn members(&self) -> Vec<Address>;
}

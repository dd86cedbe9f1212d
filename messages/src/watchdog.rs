//! What the watchdog is asked, what its members say to each other, and what it asks of those it looks after:
//! `fleets/watchdog` and `libfos/runtime/src/minded.rs` are the two sides.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `look_after` | yes | `NotYours`, `NoPolicy`, `NotRegistered`, `TooLong`, `Full` |
//! | `beat`, `poisoned` | posts | never: who is not looked after is not heard |
//! | `dismiss` | yes | never |
//! | `permit` | yes | `NotYet` |
//! | `state` | yes | `NoPolicy` |
//! | `keep`, `forget`, `page`, `ends` | yes | `Incomplete` |
//! | `ping` | yes | never |

use crate::names::Path;
use crate::programs::Order;
use crate::rpc::wire::Scalar;
use crate::rpc::{Address, interface};
use alloc::vec::Vec;
use fos_abi::Identity;
use serde::{Deserialize, Serialize};

/// The watchdog's own name at naming.
pub const WATCHDOG: &str = "/watchdog";
/// Processes that the watchdog looks after at most: each of its members watches all of them, and a process may watch 256.
pub const CHARGES_MAX: usize = 160;
/// Bytes that the words of a charge's order may have together.
pub const ORDER_BYTES_MAX: usize = 256;
/// Charges in one page.
pub const CHARGES_PER_PAGE: usize = 4;
/// Cores that a permit names at most.
pub const AVOIDED_MAX: usize = 32;
/// Ends of one fleet's members that are told to a newcomer at most: as many as a policy may count.
pub const ENDS_TOLD_MAX: usize = 100;

/// A process that is looked after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its fleet.
    pub fleet: Path,
    /// Its internal mailbox, where it is asked whether it lives.
    pub internal: Address,
    /// How it was started, and on which core: a first successor is started so when nobody of its fleet is left.
    pub order: Order,
}

impl Charge {
    /// Its process.
    pub fn identity(&self) -> Identity {
        self.internal.identity
    }
}

/// Why a process is not looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum WatchError {
    /// The mailbox is another process's.
    NotYours,
    /// The image has no such fleet.
    NoPolicy,
    /// It is not registered below the fleet's name.
    NotRegistered,
    /// The words of its order are too long together.
    TooLong,
    /// As many are looked after as may.
    Full,
}

impl core::fmt::Display for WatchError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            WatchError::NotYours => "a process is looked after at its own mailbox and nobody else's",
            WatchError::NoPolicy => "the image has no [[fleet]] of that name",
            WatchError::NotRegistered => "it is not registered as a member of that fleet",
            WatchError::TooLong => "its name and arguments have more bytes than the watchdog keeps",
            WatchError::Full => "the watchdog looks after as many processes as it may",
        })
    }
}

impl core::error::Error for WatchError {}

/// No member may be started now: too many have ended of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct NotYet {
    /// For how long not.
    pub for_ms: u32,
    /// Whether the fleet has reached its policy's limit.
    pub is_failing: bool,
}

/// A member may be started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Cores on which somebody was silent of late: the last ones to be tried. At most [`AVOIDED_MAX`].
    pub avoid: Vec<u16>,
}

/// How it is with a fleet, as one member of the watchdog counts since it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct FleetState {
    /// Members that are looked after.
    pub members: u32,
    /// Members that ended without having been dismissed, those that were fenced included.
    pub ended: u32,
    /// Members that this member of the watchdog fenced.
    pub fenced: u32,
    /// First members that it had started, when none was left.
    pub started: u32,
    /// How often its members told of requests that they refused because two members had ended at them.
    pub poisoned: u32,
    /// Whether the fleet has reached its policy's limit of restarts.
    pub is_failing: bool,
}

/// A member of the watchdog that came a moment ago does not know all charges yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Incomplete;

/// What the watchdog is asked.
#[interface(id = 32, version = 1)]
pub trait Watchdog {
    /// From now on the sender is looked after, until it ends or is dismissed. Answered when every member knows it.
    #[operation(idempotent)]
    async fn look_after(&self, charge: Charge) -> Result<(), WatchError>;

    /// The sender lives; a new request would wait for so long there, as far as it can tell. Goes to every member.
    #[operation(post)]
    fn beat(&self, wait_nanoseconds: u64);

    /// The sender ends soon, and that is as it should be.
    #[operation(idempotent)]
    async fn dismiss(&self);

    /// Whether one more member of a fleet may be started now.
    #[operation(idempotent, answer_max = 120)]
    fn permit(&self, fleet: Path) -> Result<Permit, NotYet>;

    /// The sender has refused requests, since it last said so, at which two members had ended. Goes to every member.
    #[operation(post)]
    fn poisoned(&self);

    /// How it is with a fleet.
    #[operation(idempotent)]
    fn state(&self, fleet: Path) -> Result<FleetState, WatchError>;
}

/// What its members say to each other, over internal mailboxes.
#[interface(id = 33, version = 1)]
pub trait WatchdogPeers {
    /// Keeps a charge.
    #[operation(idempotent)]
    fn keep(&self, charge: Charge);

    /// Forgets one that was dismissed.
    #[operation(idempotent)]
    fn forget(&self, identity: u64);

    /// The charges after this process, at most [`CHARGES_PER_PAGE`]. None are left when the page is empty.
    #[operation(idempotent, answer_max = 2048)]
    fn page(&self, after: u64) -> Result<Vec<Charge>, Incomplete>;

    /// How many milliseconds ago members of a fleet ended, by the fleet's place in the image; at most [`ENDS_TOLD_MAX`].
    #[operation(idempotent, answer_max = 600)]
    fn ends(&self, fleet: u32) -> Vec<u32>;
}

/// What the watchdog asks of those it looks after, at their internal mailboxes.
#[interface(id = 34, version = 1)]
pub trait Minded {
    /// Whether it lives.
    #[operation(idempotent)]
    fn ping(&self);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn longest() -> Charge {
        let order = Order {
            program: "p".repeat(ORDER_BYTES_MAX - 8),
            arguments: vec!["a".into(); 8],
            core: u16::MAX,
        };
        let fleet = Path::new(&"/abcdefghijklmnopqrstuvwxyz01234".repeat(4)).unwrap();
        Charge { fleet, internal: Address::default(), order }
    }

    #[test]
    fn answers_fit_what_they_are_promised_to() {
        let page = vec![longest(); CHARGES_PER_PAGE];
        assert!(postcard::to_allocvec(&page).unwrap().len() < 2048);
        let permit = Permit { avoid: vec![u16::MAX; AVOIDED_MAX] };
        assert!(postcard::to_allocvec(&permit).unwrap().len() < 120);
        assert!(postcard::to_allocvec(&vec![u32::MAX; ENDS_TOLD_MAX]).unwrap().len() < 600);
    }
}

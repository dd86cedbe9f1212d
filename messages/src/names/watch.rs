//! What changed among names, for those who follow them.

use super::Path;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Changes in one answer.
pub const CHANGES_TOLD_MAX: usize = 6;
/// How long a watch under which nothing changes goes without an answer.
pub const NEWS_WITHIN: Duration = Duration::from_secs(1);

/// What changed after one version and up to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Everything up to this version is told: ask on from here.
    pub until: u64,
    /// More changed than is remembered: look at the names again, they are of `until` or later.
    pub look_again: bool,
    /// In their order; none if nothing changed for [`NEWS_WITHIN`].
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The name.
    pub path: Path,
    /// The process whose registration under the name came or went; none if it is the name itself.
    pub member: Option<u64>,
    /// Whether it is there now. A name that was there before has another policy.
    pub is_there: bool,
}

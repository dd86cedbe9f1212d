//! Which way a pool works. All members of one pool are given the same policy.

use crate::Thresholds;

/// Where the elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// All with the eldest member: the others send it what they get and ask it for what they need. For few requests, and as
    /// what the others are compared with.
    Single,
    /// Each member has some, and they are rebalanced in this way.
    Distributed(Scheme),
}

/// How elements get from members that have many to those that need some. In every scheme a remove that finds too little asks
/// the others; the schemes differ in what is done so that this is rare. After "dPool", fos's final report (MIT, 2012), 4.8.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Nothing: exactly what is missing is asked for when it is missing.
    OnDemand,
    /// Who asks gets a block.
    Bulk,
    /// Who runs low asks for a block in the background.
    Pull,
    /// Who has a surplus sends blocks to the others in turn, whether they need them or not.
    Push,
    /// Who has more than another, as far as it knows, sends it half of the difference. What it knows came with other messages,
    /// or was told when it had changed by much.
    Estimate,
}

/// A pool's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Where the elements are.
    pub placement: Placement,
    /// The numbers.
    pub thresholds: Thresholds,
}

impl Policy {
    /// This scheme with the numbers that were measured.
    pub const fn distributed(scheme: Scheme) -> Policy {
        Policy { placement: Placement::Distributed(scheme), thresholds: Thresholds::DEFAULT }
    }

    /// Everything in one place.
    pub const SINGLE: Policy = Policy { placement: Placement::Single, thresholds: Thresholds::DEFAULT };

    pub(crate) fn scheme(&self) -> Option<Scheme> {
        match self.placement {
            Placement::Single => None,
            Placement::Distributed(scheme) => Some(scheme),
        }
    }
}

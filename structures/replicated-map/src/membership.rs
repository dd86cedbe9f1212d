//! Who belongs to an epoch, and whose votes make the next one.
//!
//! Votes are counted in machines. A machine has voted when all its members have that are not known to be dead: inside
//! a machine death notices are exact, so those are all that could ever say something else. Of two sides of a cut, at
//! most one has more than half of the machines; of two halves, the one with the founder goes on. A machine all of
//! whose members are known to be dead is on no side and does not count.

use crate::fault::{Fault, Faults};
use crate::{Epoch, Machine, Member};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An epoch's members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The epoch.
    pub epoch: Epoch,
    /// Its members, in order.
    pub members: Vec<Member>,
    /// The machine whose side goes on after a tie. It changes only as part of an epoch that was agreed.
    pub founder: Machine,
}

impl Membership {
    /// The first epoch of a map.
    pub fn first(mut members: Vec<Member>, founder: Machine) -> Membership {
        members.sort();
        members.dedup();
        Membership { epoch: Epoch(1), members, founder }
    }

    /// No epoch: what a joiner has.
    pub(crate) fn none() -> Membership {
        Membership { epoch: Epoch(0), members: Vec::new(), founder: Machine(0) }
    }

    /// Whether `member` belongs to it.
    pub fn contains(&self, member: Member) -> bool {
        self.members.binary_search(&member).is_ok()
    }

    /// Every machine with a member.
    pub fn machines(&self) -> BTreeSet<Machine> {
        self.members.iter().map(|member| member.machine).collect()
    }

    /// Whether `alive` may decide what follows this epoch.
    pub(crate) fn is_quorum(
        &self,
        alive: &BTreeSet<Member>,
        dead: &BTreeSet<Member>,
        faults: Faults,
    ) -> bool {
        let living = || self.members.iter().filter(|member| !dead.contains(member));
        let counted: BTreeSet<Machine> = living().map(|member| member.machine).collect();
        let silent: BTreeSet<Machine> =
            living().filter(|member| !alive.contains(member)).map(|member| member.machine).collect();
        let votes = counted.len() - silent.len();
        let tie = 2 * votes == counted.len();
        let with_founder = counted.contains(&self.founder) && !silent.contains(&self.founder);
        2 * votes > counted.len() || tie && (with_founder || faults.has(Fault::IgnoresFounder))
    }

    /// How far `member` stands behind in the order of precedence for the next position: members take turns, whoever
    /// won the last position comes last. 0 is first.
    pub(crate) fn turn(&self, member: Member, last: Option<Member>) -> usize {
        let place = |who: Member| self.members.binary_search(&who).ok();
        let count = self.members.len();
        let place_of_member = place(member).unwrap_or(count);
        match last.and_then(place) {
            None => place_of_member,
            Some(last) => (place_of_member + count - last - 1) % count,
        }
    }
}

//! What a message between two cores takes. What was measured between the two counts; else what pairs as far from each other take on
//! average; else what is assumed, growing with the distance.

use crate::facts::{Core, Facts};
use crate::limits::assumed;
use alloc::collections::BTreeMap;
use fos_messages::knowledge::{DISTANCE_LOCAL, Place, Route, Way};

/// How far two cores are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Far {
    /// They are one.
    SameCore,
    /// Threads of one physical core.
    SamePhysical,
    /// They share a package.
    SamePackage,
    /// Packages whose nodes are so far from each other by SLIT.
    Nodes(u8),
    /// On two machines.
    Machines,
}

/// Means of what was measured, by distance and way: the sum, and of how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimates(BTreeMap<(Far, Way), (u64, u64)>);

impl Estimates {
    /// Of everything that was measured.
    pub fn of(facts: &Facts) -> Estimates {
        let mut means = BTreeMap::<(Far, Way), (u64, u64)>::new();
        for (&(from, to, way), &nanoseconds) in &facts.costs {
            let (sum, count) = means.entry((facts.far(from, to), way)).or_default();
            (*sum, *count) = (*sum + u64::from(nanoseconds), *count + 1);
        }
        Estimates(means)
    }

    fn mean(&self, far: Far, way: Way) -> Option<u32> {
        let (sum, count) = self.0.get(&(far, way))?;
        u32::try_from(sum / count).ok()
    }
}

impl Facts {
    /// How far two cores are from each other. Of a core that nobody knows it is assumed that it is in another package.
    pub fn far(&self, from: Place, to: Place) -> Far {
        if from.machine != to.machine {
            return Far::Machines;
        }
        if from == to {
            return Far::SameCore;
        }
        let core = |at| self.cores.get(&at).copied();
        match (core(from), core(to)) {
            (Some(one), Some(other)) => self.far_on_machine(from.machine, one, other),
            _ => Far::Nodes(crate::limits::DISTANCE_ASSUMED),
        }
    }

    fn far_on_machine(&self, machine: u16, one: Core, other: Core) -> Far {
        let same_package = one.package == other.package;
        if same_package && one.physical == other.physical {
            Far::SamePhysical
        } else if same_package && one.node == other.node {
            Far::SamePackage
        } else {
            Far::Nodes(self.distance(machine, one.node, other.node))
        }
    }

    /// What one message takes in this way, in nanoseconds, and whether it was measured between these two.
    pub fn cost(&self, from: Place, to: Place, way: Way) -> (u32, bool) {
        if let Some(measured) = self.costs.get(&(from.min(to), from.max(to), way)) {
            return (*measured, true);
        }
        let far = self.far(from, to);
        let scale = match far {
            Far::SameCore | Far::SamePhysical | Far::SamePackage | Far::Machines => DISTANCE_LOCAL,
            Far::Nodes(distance) => distance.max(DISTANCE_LOCAL),
        };
        let by_distance = assumed(way).saturating_mul(scale.into()) / u32::from(DISTANCE_LOCAL);
        (self.estimates().mean(far, way).unwrap_or(by_distance), false)
    }

    /// How messages go best between two cores.
    pub fn route(&self, from: Place, to: Place) -> Route {
        let way = match self.far(from, to) {
            Far::Machines => Way::Network,
            // On one core the two take turns, and the kernel does that in the same step.
            Far::SameCore => Way::Kernel,
            _ => Way::Channel,
        };
        let (nanoseconds, is_measured) = self.cost(from, to, way);
        Route { way, nanoseconds, is_measured }
    }
}

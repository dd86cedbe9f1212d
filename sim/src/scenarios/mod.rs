//! The scenarios: what runs, what may go wrong in it, and what must hold whatever does. One file each.

use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::World;

mod buddy;
mod copies;
mod crew;
pub mod dpool;
mod echo;
mod fates;
mod fleet;
pub(crate) mod handles;
mod hostile;
mod naming;
mod naming_follower;
mod naming_members;
mod naming_open;
pub mod naming_reads;
mod pages;
pub(crate) mod placement;
#[cfg(test)]
pub(crate) mod planted;
#[cfg(test)]
pub(crate) mod planted_fleet;
#[cfg(test)]
pub(crate) mod planted_hostile;
#[cfg(test)]
pub(crate) mod planted_naming;
#[cfg(test)]
pub(crate) mod planted_pages;
#[cfg(test)]
pub(crate) mod planted_placement;
#[cfg(test)]
pub(crate) mod planted_processes;
#[cfg(test)]
pub(crate) mod planted_watchdog;
mod poison;
mod processes;
pub(crate) mod replaced;
mod search;
mod sharded_map;
mod watchdog;

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// What users type.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// Cores, unless said otherwise.
    pub cores: u32,
    /// About how many messages, unless said otherwise.
    pub messages: u64,
    /// Starts its processes.
    pub begin: fn(&World, u64) -> Box<dyn Course>,
}

/// A scenario under way.
pub trait Course {
    /// What a seed may break.
    fn dangers(&self) -> Dangers;
    /// Whether it has come to its end. Asked between any two events.
    fn is_over(&self) -> bool;
    /// What must hold at the end. What must hold all the time is said by [`World::broken`] when it does not.
    fn end(&self) -> Result<(), String>;
    /// What it found.
    fn figures(&self, world: &World) -> Vec<Figure>;
}

/// Every scenario, but for those that only differ in numbers: [`dpool::rates`].
pub const SCENARIOS: &[Scenario] = &[
    echo::SCENARIO,
    naming::SCENARIO,
    fleet::SCENARIO,
    pages::SCENARIO,
    placement::SCENARIO,
    pages::rates::SCENARIO,
    dpool::SCENARIO,
    processes::SCENARIO,
    buddy::SCENARIO,
    sharded_map::SCENARIO,
    search::SCENARIO,
    handles::SCENARIO,
    hostile::SCENARIO,
    poison::SCENARIO,
    watchdog::SCENARIO,
    replaced::SCENARIO,
    naming_reads::RARE,
    naming_reads::SOME,
    naming_reads::MANY,
    naming_reads::CHANGES,
    naming_open::SCENARIO,
];

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    let all = SCENARIOS.iter().chain(dpool::rates::SCENARIOS.iter().flatten());
    all.into_iter().find(|scenario| scenario.name == name)
}

//! What is known. Facts come from outside in any order, some of them again; the later one about a thing counts. What does not fit
//! is refused, but for places of processes, of which the oldest are forgotten: they were numbered first.

use crate::estimate::Estimates;
use crate::limits::{CORES_MAX, COSTS_MAX, PROCESSES_MAX, RANGES_MAX};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use fos_messages::knowledge::{CHOICES_MAX, CoreView, FACTS_MAX, Fact, NearMemory, Place, Way};

use crate::limits::DISTANCE_ASSUMED;

/// A core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// Its package.
    pub package: u16,
    /// Its physical core there.
    pub physical: u16,
    /// The node of the memory next to it.
    pub node: u16,
    /// The image keeps it.
    pub is_reserved: bool,
    /// It has ended.
    pub is_gone: bool,
    /// Of a thousand moments, those in which it had something to do.
    pub busy_permille: u16,
    /// How long what comes there waits.
    pub wait_nanoseconds: u32,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub(crate) cores: BTreeMap<Place, Core>,
    memory: BTreeMap<(u16, u16, u64), u64>,
    distances: BTreeMap<(u16, u16, u16), u8>,
    pub(crate) costs: BTreeMap<(Place, Place, Way), u32>,
    processes: BTreeMap<u64, Place>,
    estimates: Estimates,
}

/// There is no room for a fact of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Writes down what is about this key, if it is known or there is room.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, max: usize) -> Result<(), Full> {
    if map.len() >= max && !map.contains_key(&key) {
        return Err(Full);
    }
    map.insert(key, value);
    Ok(())
}

impl Facts {
    /// Takes these. Those before one that does not fit are taken.
    pub fn learn(&mut self, facts: &[Fact]) -> Result<(), Full> {
        let learnt = facts.iter().try_for_each(|fact| self.learn_one(*fact));
        let is_distant = |fact: &Fact| !matches!(fact, Fact::Load { .. } | Fact::Process { .. });
        if facts.iter().any(is_distant) {
            self.estimates = Estimates::of(self);
        }
        learnt
    }

    fn learn_one(&mut self, fact: Fact) -> Result<(), Full> {
        match fact {
            Fact::Core { at, package, physical, node, is_reserved } => {
                let before = self.cores.get(&at).copied().unwrap_or_default();
                let core = Core { package, physical, node, is_reserved, is_gone: false, ..before };
                put(&mut self.cores, at, core, CORES_MAX)
            }
            Fact::Gone { at } => {
                self.cores.entry(at).and_modify(|core| *core = Core { is_gone: true, ..*core });
                Ok(())
            }
            Fact::Memory { machine, node, first, frames } => {
                put(&mut self.memory, (machine, node, first), frames, RANGES_MAX)
            }
            Fact::Distance { machine, from, to, distance } => {
                put(&mut self.distances, (machine, from, to), distance, RANGES_MAX)
            }
            Fact::Cost { from, to, way, nanoseconds } => {
                put(&mut self.costs, (from.min(to), from.max(to), way), nanoseconds, COSTS_MAX)
            }
            Fact::Load { at, busy_permille, wait_nanoseconds } => {
                let busy_permille = busy_permille.min(1000);
                let change = |core: &mut Core| *core = Core { busy_permille, wait_nanoseconds, ..*core };
                self.cores.entry(at).and_modify(change);
                Ok(())
            }
            Fact::Process { process, at } => {
                self.processes.insert(process, at);
                if self.processes.len() > PROCESSES_MAX {
                    self.processes.pop_first();
                }
                Ok(())
            }
        }
    }

    /// Some of all facts, from this number on. That a fact is added or forgotten meanwhile may make one be missed or come twice.
    pub fn some_from(&self, from: usize) -> Vec<Fact> {
        let cores = self.cores.iter().map(|(at, core)| {
            let Core { package, physical, node, is_reserved, .. } = *core;
            Fact::Core { at: *at, package, physical, node, is_reserved }
        });
        let gone = self.cores.iter().filter(|(_, core)| core.is_gone).map(|(at, _)| Fact::Gone { at: *at });
        let loads = self.cores.iter().map(|(at, core)| {
            let Core { busy_permille, wait_nanoseconds, .. } = *core;
            Fact::Load { at: *at, busy_permille, wait_nanoseconds }
        });
        let memory = self.memory.iter();
        let memory =
            memory.map(|(&(machine, node, first), &frames)| Fact::Memory { machine, node, first, frames });
        let distances = self.distances.iter();
        let distances =
            distances.map(|(&(machine, from, to), &distance)| Fact::Distance { machine, from, to, distance });
        let costs = self.costs.iter();
        let costs = costs.map(|(&(from, to, way), &nanoseconds)| Fact::Cost { from, to, way, nanoseconds });
        let processes = self.processes.iter().map(|(&process, &at)| Fact::Process { process, at });
        let all = cores.chain(gone).chain(loads).chain(memory).chain(distances).chain(costs).chain(processes);
        all.skip(from).take(FACTS_MAX).collect()
    }

    /// How loaded the usable cores are.
    pub fn loads(&self) -> Vec<Fact> {
        let load = |(at, core): (Place, &Core)| {
            let Core { busy_permille, wait_nanoseconds, .. } = *core;
            Fact::Load { at, busy_permille, wait_nanoseconds }
        };
        self.usable().map(load).collect()
    }

    /// Where a process runs.
    pub fn place_of(&self, process: u64) -> Option<Place> {
        self.processes.get(&process).copied()
    }

    /// Cores on which something may be placed.
    pub fn usable(&self) -> impl Iterator<Item = (Place, &Core)> {
        let usable = self.cores.iter().filter(|(_, core)| !core.is_gone && !core.is_reserved);
        usable.map(|(at, core)| (*at, core))
    }

    /// Processes that are known to run there.
    pub fn processes_at(&self, at: Place) -> usize {
        self.processes.values().filter(|place| **place == at).count()
    }

    /// SLIT's number for two nodes of a machine.
    pub(crate) fn distance(&self, machine: u16, from: u16, to: u16) -> u8 {
        let known = |from, to| self.distances.get(&(machine, from, to)).copied();
        match from == to {
            true => fos_messages::knowledge::DISTANCE_LOCAL,
            false => known(from, to).or(known(to, from)).unwrap_or(DISTANCE_ASSUMED),
        }
    }

    pub(crate) fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    /// The memory of a core's machine, the closest first.
    pub fn memory_near(&self, at: Place) -> Vec<NearMemory> {
        let here = self.cores.get(&at).map_or(0, |core| core.node);
        let of_machine = self.memory.iter().filter(|((machine, ..), _)| *machine == at.machine);
        let mut near: Vec<NearMemory> = of_machine
            .map(|(&(machine, node, first), &frames)| NearMemory {
                node,
                first,
                frames,
                distance: self.distance(machine, here, node),
            })
            .collect();
        near.sort_by_key(|memory| (memory.distance, memory.node, memory.first));
        near.truncate(CHOICES_MAX);
        near
    }

    /// Cores from this one on.
    pub fn views(&self, from: Place) -> Vec<CoreView> {
        let cores = self.cores.range(from..).filter(|(_, core)| !core.is_gone);
        let view = |(at, core): (&Place, &Core)| {
            let Core { package, node, busy_permille, is_reserved, .. } = *core;
            CoreView { at: *at, package, node, busy_permille, is_reserved }
        };
        cores.map(view).take(CHOICES_MAX).collect()
    }
}

//! On which core a process runs, as long as nobody moves it: one of its own while there is any, then the least loaded. Of
//! equal ones the nearest, or the lowest. A policy of its own file, because it is what people will want to replace.

use crate::table::Table;
use alloc::vec;
use alloc::vec::Vec;
use fos_messages::processes::{Pid, Place};

/// The machine of this table.
const MACHINE: u16 = Pid::INIT.machine();

/// The core; none if there is no such place.
pub fn choose(table: &Table, place: Place) -> Option<u16> {
    let cores = table.limits.cores;
    let near = match place {
        Place::Core(core) => return (core < cores).then_some(core),
        Place::Machine(machine) if machine != MACHINE => return None,
        Place::Near(pid) => {
            table.records.get(&pid).filter(|record| record.lives()).map(|record| record.core)?
        }
        Place::Anywhere | Place::Machine(_) => 0,
    };
    let load = load(table);
    (0..cores).min_by_key(|core| (load[usize::from(*core)], core.abs_diff(near)))
}

/// Spawned processes that live, by core.
pub fn load(table: &Table) -> Vec<u32> {
    let mut load = vec![0; usize::from(table.limits.cores)];
    for record in table.records.values().filter(|record| record.lives() && record.ticket().is_some()) {
        if let Some(load) = load.get_mut(usize::from(record.core)) {
            *load += 1;
        }
    }
    load
}

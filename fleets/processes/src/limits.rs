//! Every bound of the table, in one place. Who would go over one gets an error that names it.
//!
//! How they depend on each other: a process and its zombie count in both; `children_max` keeps one process that spawns
//! without end from taking what all have, so it is well below `processes_max`.

/// Bytes of a member's heap. Most of a full table are zombies, which take a few hundred bytes each; of those that run, each may
/// have 32 answers remembered and an order.
pub const HEAP_BYTES: usize = 8 << 20;

/// The bounds, the same for every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes in the table, zombies and init included. At most 65,535, which is how many numbers a machine has.
    pub processes_max: usize,
    /// Children of one process, those included for whose end it has not waited.
    pub children_max: usize,
    /// Cores on which processes are placed: those from 0.
    pub cores: u16,
    /// Members that must know of a change before it is answered. With two, no single end loses one.
    pub keepers_min: usize,
}

impl Limits {
    /// For a machine of so many cores.
    pub const fn of_cores(cores: u16) -> Limits {
        Limits { processes_max: 4096, children_max: 512, cores, keepers_min: 2 }
    }
}

//! How much is kept, and what is taken for true until it is measured.

use fos_messages::knowledge::Way;

/// Cores of all machines.
pub const CORES_MAX: usize = 4096;
/// Ranges of memory, and distances between nodes.
pub const RANGES_MAX: usize = 1024;
/// Measured costs.
pub const COSTS_MAX: usize = 8192;
/// Processes whose place is known. Beyond that the oldest is forgotten.
pub const PROCESSES_MAX: usize = 4096;

/// What one message takes that nobody has measured, in nanoseconds: a transfer of a few cache lines and what is around it
/// (docs/performance.md, "Messages"), and a local network.
pub const fn assumed(way: Way) -> u32 {
    match way {
        Way::Kernel => 1_000,
        Way::Channel => 300,
        Way::Network => 100_000,
    }
}

/// What two nodes are from each other when no table says.
pub const DISTANCE_ASSUMED: u8 = 20;
/// As many messages a second between two processes make them open a channel (libfos/src/channel).
pub const CHANNEL_FROM: u32 = 1_000;

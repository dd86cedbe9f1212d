//! A program's way to the fleet `processes`: from its start block to [`Processes`], by which it spawns others, waits for them,
//! signals, and asks who there is. The operations and their errors are in [`fos_messages::processes`].
//!
//! ```ignore
//! let starter = processes::starter(start, &mut memory, PATIENCE)?;
//! server.block_on(async move {
//!     let processes = processes::reach(&runtime, starter, core, PATIENCE).await?;
//!     let child = processes.spawn(&SpawnOrder::of("hello", &["first"])).await?;
//!     let (pid, ended) = processes.wait(Whom::Child(child.pid)).await?;
//! })
//! ```
//!
//! A process that the fleet spawned may ask at once. Another has to [`enroll`](Processes::enroll) first, with the fleet's key.

use core::time::Duration;

use fos_messages::names::{NamesStarterClient, Path, PathError, STARTER};
use fos_messages::processes::NAME;
use fos_messages::rpc::{Address, CallError};
use fos_messages::start::Start;
use fos_runtime::{Names, Runtime};

pub use fos_messages::processes::{
    Description, Ended, Exit, Grouping, Pid, Place, ProcessError, SpawnOrder, Spawned, State, Statistics,
    Target, Usage, Waited, Whom,
};
pub use fos_runtime::processes::{Outcome, Processes};

use crate::clock::Clock;
use crate::memory::Memory;
use crate::root::{Root, RootError};

/// Signals by number, as Linux has them on x86-64. Those that are not here end a process too, or do nothing (17, 23, 28).
pub mod signal {
    /// Tries whether one may.
    pub const PROBE: u8 = 0;
    /// Ends.
    pub const INTERRUPT: u8 = 2;
    /// Ends.
    pub const KILL: u8 = 9;
    /// Ends.
    pub const TERMINATE: u8 = 15;
    /// Goes on.
    pub const CONTINUE: u8 = 18;
    /// Stands still.
    pub const STOP: u8 = 19;
}

/// Why the fleet was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachError {
    /// The starter of naming did not say where naming is.
    Starter(CallError),
    /// The fleet's name is none.
    Name(PathError),
}

impl core::fmt::Display for ReachError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ReachError::Starter(error) => write!(formatter, "asking where naming is: {error}"),
            ReachError::Name(error) => write!(formatter, "the fleet's name: {error}"),
        }
    }
}

impl core::error::Error for ReachError {}

/// Where to ask for members of naming. Waits until somebody has started them; for before the program's runtime begins.
pub fn starter(start: &Start, memory: &mut Memory, patience: Duration) -> Result<Address, RootError> {
    let deadline = Clock::new(start.tsc_hz).after(patience);
    Root::of_program(start)?.find(memory, STARTER, deadline)
}

/// The way to the fleet, for a process on this core, each of whose requests may take so long. One for each process: the
/// fleet would take the requests of a second one for repetitions of the first one's.
pub async fn reach(
    runtime: &Runtime,
    starter: Address,
    core: u16,
    patience: Duration,
) -> Result<Processes, ReachError> {
    let starter = NamesStarterClient::new(runtime.within(patience), starter);
    let naming = starter.members().await.map_err(ReachError::Starter)?;
    let names = Names::new(runtime.clone(), naming, (0, core));
    let fleet = Path::new(NAME).map_err(ReachError::Name)?;
    Ok(Processes::new(runtime.clone(), names, fleet, patience))
}

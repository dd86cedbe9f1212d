//! What the program stands on: its own addresses and frames, frames for children and mappings, and its core.

use core::sync::atomic::{AtomicU64, Ordering};

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_messages::start::handle_name;
use libfos::Start;
use libfos::calls;
use libfos::clock::{Clock, Deadline};
use libfos::frames::Pool;
use libfos::memory::Memory;
use libfos::spawn::Frames;

pub use libfos::step::{Broken, During, refused};

/// Frames kept for page tables and the copied program.
const TABLE_FRAMES: u64 = 1024;

/// Frames that are taken and never given back: the program ends with its last number.
#[derive(Debug)]
pub struct Supply(Pool);

impl Frames for Supply {
    fn take(&mut self, count: u64) -> Result<Handle, Error> {
        self.0.take(count).map(|block| block.handle).map_err(refused)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Ground {
    /// Free addresses, and frames for what the program itself maps.
    pub memory: Memory,
    /// Frames for children, threads, and pages to map.
    pub supply: Supply,
    /// Frames for the own space's page tables where libfos asks for a second source.
    pub tables: Supply,
    /// All cores.
    pub cores: Handle,
    /// How many cores there are.
    pub core_count: u64,
    /// The core that the program runs on.
    pub core: u64,
    /// Ticks as time.
    pub clock: Clock,
}

impl Ground {
    /// What a start block grants.
    pub fn new(start: &Start) -> Result<Ground, Broken> {
        let granted = |name| start.handle(name).ok_or(Error::BadCapability);
        let frames = granted(handle_name::FRAMES).during("finding frames: name them in the image; they")?;
        let mut supply = Supply(Pool::new(frames).during("reading the frames given")?);
        let tables = supply.take(TABLE_FRAMES).during("taking frames for page tables")?;
        Ok(Ground {
            memory: Memory::of_program(start).during("finding the program's own frames")?,
            tables: Supply(Pool::new(tables).during("reading the frames for page tables")?),
            supply,
            cores: granted(handle_name::CORES).during("finding cores: name them in the image; they")?,
            core_count: u64::from(start.cores.max(1)),
            core: u64::from(start.core),
            clock: Clock::new(start.tsc_hz),
        })
    }

    /// Makes a call that may lack page tables in the own space, and gives it some as often as it does.
    pub fn with_tables(&mut self, mut call: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        loop {
            match call() {
                Err(Error::NoTables) => self.memory.donate(Handle::SELF).map_err(refused)?,
                answer => return answer,
            }
        }
    }

    /// Gives a space a capability for `count` frames; answers with its handle there.
    pub fn give_frames(&mut self, space: Handle, count: u64) -> Result<Handle, Error> {
        let frames = self.supply.take(count)?;
        calls::cap_give(space, frames)
    }
}

/// Lets a partner process run until it says in this word of its block that it is ready: 1, or 2 more than the number of the
/// error that keeps it from that.
pub fn wait_until_ready(state: &AtomicU64, deadline: Deadline) -> Result<(), Error> {
    loop {
        match state.load(Ordering::Acquire) {
            0 if deadline.has_passed() => return Err(Error::TimedOut),
            0 => calls::thread_yield(),
            1 => return Ok(()),
            error => return Err(Error::from_number(error as u32 - 2).unwrap_or(Error::BadCall)),
        }
    }
}

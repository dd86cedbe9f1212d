//! What the program stands on: its frames, cores and devices, and plots of frames on which a case builds what it
//! likes. A plot is one capability with everything derived from it, so clearing it ends whatever was left there; the
//! audit that follows finds what the kernel forgot.

use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Error;
use fos_abi::calls::Call;
use fos_abi::capability::{Handle, Rights};
use fos_abi::space::MapFlags;
use libfos::calls;
use libfos::clock::{Clock, Deadline};
use libfos::frames::{Block, Pool};
use libfos::memory::MemoryError;
use libfos::spawn::{self, Frames};

use crate::kernel::{Broken, During, call, word};

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// Frames kept for page tables of the program's own space, which last as long as it does.
const PERMANENT_FRAMES: u64 = 256;
/// First address of windows that cases map things in.
const WINDOWS: u64 = 0x5000_0000_0000;
/// Bytes between windows; a window never shares a page table with another.
pub const WINDOW_BYTES: u64 = 16 << 20;

/// First of the addresses at which the own space's last page tables are used up.
const FAR: u64 = 0x6000_0000_0000;
/// Bytes that one page table of each level covers, from the top.
const FAR_SPANS: [u64; 3] = [1 << 39, 1 << 30, 1 << 21];
/// An address that needs three new page tables, and that no window or far address shares any with.
pub const UNTABLED: u64 = 0x4f80_0000_0000;

/// What a program here was given.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// Memory: a few MiB at least.
    pub frames: Handle,
    /// All cores.
    pub cores: Handle,
    /// How many cores there are.
    pub core_count: u64,
    /// The core that this program's first thread runs on.
    pub core: u64,
    /// The clock chip's ports, or `NONE`.
    pub ports: Handle,
    /// The clock chip's line, or `NONE`.
    pub interrupts: Handle,
    /// Ticks per second.
    pub tsc_hz: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Ground {
    /// What it was made of.
    pub grant: Grant,
    /// Durations in ticks.
    pub clock: Clock,
    /// Frames that stay with the program.
    pub permanent: Plot,
    pool: Pool,
    /// The pieces of the pool under every plot; the first is the permanent one's.
    blocks: Vec<Block>,
    next_window: u64,
    far: Option<Handle>,
    far_pages: [u64; 3],
}

/// Frames of one case.
#[derive(Debug)]
pub struct Plot {
    /// The capability from which everything of the case is derived.
    pub whole: Handle,
    rights: Rights,
    next: u64,
    count: u64,
    /// How many pieces it was cut into.
    pub pieces: usize,
}

impl Frames for Plot {
    fn take(&mut self, count: u64) -> Result<Handle, Error> {
        self.piece(count, self.rights).map(|(handle, _)| handle)
    }
}

impl Plot {
    fn new(whole: Handle) -> Result<Plot, Error> {
        let info = calls::cap_read(whole)?;
        Ok(Plot { whole, rights: Rights(info.rights as u8), next: 0, count: info.length, pieces: 0 })
    }

    /// A piece with some rights, and where it begins in the plot.
    pub fn piece(&mut self, count: u64, rights: Rights) -> Result<(Handle, u64), Error> {
        if self.next + count > self.count {
            return Err(Error::NoSlot);
        }
        let first = self.next;
        let handle = calls::cap_derive(self.whole, Rights(rights.0 & self.rights.0), first, count)?;
        self.next += count;
        self.pieces += 1;
        Ok((handle, first))
    }

    /// A piece whose first frame's number is a multiple of `alignment`.
    pub fn aligned_piece(&mut self, count: u64, alignment: u64) -> Result<Handle, Error> {
        let base = calls::cap_read(self.whole)?.base;
        self.next = (base + self.next).next_multiple_of(alignment) - base;
        self.piece(count, Rights::ALL).map(|(handle, _)| handle)
    }

    /// Whether every frame of the plot is mapped nowhere; else the first that is, and how often.
    pub fn mapped_frame(&self) -> Result<Option<(u64, u64)>, Error> {
        for index in 0..self.count {
            let mappings = calls::frame_read(self.whole, index)?;
            if mappings != 0 {
                return Ok(Some((index, mappings)));
            }
        }
        Ok(None)
    }
}

/// What an audit found wrong.
#[derive(Clone, Debug)]
pub enum Imbalance {
    /// A call that the audit needs was refused.
    Refused(Broken),
    /// A frame is still mapped after everything was revoked.
    Mapped { frame: u64, mappings: u64 },
    /// Something is still derived from the plot.
    Children(u64),
    /// The capability table has fewer free slots than before.
    Slots { before: usize, after: usize },
}

impl core::fmt::Display for Imbalance {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Imbalance::Refused(broken) => write!(formatter, "audit: {broken}"),
            Imbalance::Mapped { frame, mappings } => {
                write!(
                    formatter,
                    "audit: frame {frame} of the plot is mapped {mappings} times after the revocation"
                )
            }
            Imbalance::Children(count) => {
                write!(formatter, "audit: {count} capabilities outlived the revocation")
            }
            Imbalance::Slots { before, after } => {
                write!(formatter, "audit: {after} capability slots are free, {before} were before")
            }
        }
    }
}

impl From<Broken> for Imbalance {
    fn from(broken: Broken) -> Imbalance {
        Imbalance::Refused(broken)
    }
}

impl Ground {
    /// Splits the frames of a grant into permanent ones and plots.
    pub fn new(grant: Grant) -> Result<Ground, Broken> {
        let mut pool = Pool::new(grant.frames).during("reading the frames given")?;
        let block = pool.take(PERMANENT_FRAMES).map_err(refused).during("taking permanent frames")?;
        Ok(Ground {
            grant,
            clock: Clock::new(grant.tsc_hz),
            permanent: Plot::new(block.handle).during("taking permanent frames")?,
            pool,
            blocks: alloc::vec![block],
            next_window: WINDOWS,
            far: None,
            far_pages: [0; 3],
        })
    }

    /// Frames for a case.
    pub fn plot(&mut self, frames: u64) -> Result<Plot, Broken> {
        self.aligned_plot(frames, 1)
    }

    /// As [`Ground::plot`], the plot's first frame a multiple of `alignment` within the ground's.
    pub fn aligned_plot(&mut self, frames: u64, alignment: u64) -> Result<Plot, Broken> {
        let block = self.pool.take_aligned(frames, alignment).map_err(refused).during("taking a plot")?;
        let plot = Plot::new(block.handle).during("taking a plot");
        self.blocks.push(block);
        plot
    }

    /// Ends whatever stands on a plot, looks whether it is all gone, and takes the frames back.
    pub fn clear(&mut self, plot: Plot) -> Result<(), Imbalance> {
        calls::cap_revoke(plot.whole).during("revoking a plot")?;
        let left = calls::cap_read(plot.whole).during("reading a cleared plot")?;
        if left.children != 0 {
            return Err(Imbalance::Children(left.children));
        }
        if let Some((frame, mappings)) = plot.mapped_frame().during("reading a cleared frame")? {
            return Err(Imbalance::Mapped { frame, mappings });
        }
        self.give_back(plot.whole).during("giving a plot back").map_err(Imbalance::from)
    }

    fn give_back(&mut self, whole: Handle) -> Result<(), Error> {
        match self.blocks.iter().position(|block| block.handle == whole) {
            Some(index) => self.pool.give_back(self.blocks.swap_remove(index)),
            None => Err(Error::BadCapability),
        }
    }

    /// Ends whatever stands on any plot: after a case that failed halfway.
    pub fn abandon(&mut self) -> Result<(), Broken> {
        while self.blocks.len() > 1 {
            let Some(block) = self.blocks.pop() else { break };
            self.pool.give_back(block).during("giving an abandoned plot back")?;
        }
        Ok(())
    }

    /// Addresses that nothing else uses: [`WINDOW_BYTES`] of them.
    pub fn window(&mut self) -> u64 {
        let window = self.next_window;
        self.next_window += WINDOW_BYTES;
        window
    }

    /// Maps frames in the program's own space.
    pub fn map(&mut self, piece: Handle, pages: u64, address: u64, flags: MapFlags) -> Result<(), Error> {
        spawn::map(Handle::SELF, &mut self.permanent, piece, 0, pages, address, flags)
    }

    /// Gives the own space page tables for a window, by mapping and unmapping a page in it.
    pub fn prepare_window(&mut self, window: u64) -> Result<(), Broken> {
        let plot = self.plot(1)?;
        self.map(plot.whole, 1, window, MapFlags::WRITE).during("mapping in a new window")?;
        calls::space_unmap(Handle::SELF, window, 1).during("unmapping in a new window")?;
        self.clear(plot).map_err(|_| Broken { step: "clearing a window's plot", error: Error::StillMapped })
    }

    /// Maps one permanent frame at far addresses until the own space has no page table left, so that every call that
    /// needs a new one meets `NoTables`.
    pub fn use_up_tables(&mut self) -> Result<(), Broken> {
        let frame = match self.far {
            Some(frame) => frame,
            None => self.first_far_page().during("a frame for far addresses")?,
        };
        for level in 0..FAR_SPANS.len() {
            loop {
                let address = self.far_address(level);
                match calls::space_map(Handle::SELF, frame, 0, 1, address, MapFlags::READ) {
                    Ok(_) => self.far_pages[level] += 1,
                    Err(Error::NoTables) => break,
                    Err(error) => return Err(Broken { step: "using up page tables", error }),
                }
            }
        }
        Ok(())
    }

    /// Maps the first far page, beside which further ones need fewer page tables.
    fn first_far_page(&mut self) -> Result<Handle, Error> {
        let frame = self.permanent.take(1)?;
        spawn::map(Handle::SELF, &mut self.permanent, frame, 0, 1, FAR, MapFlags::READ)?;
        self.far = Some(frame);
        Ok(frame)
    }

    /// The next far address that needs three, two or one new page tables (level 0, 1, 2).
    fn far_address(&self, level: usize) -> u64 {
        FAR + (self.far_pages[level] + 1) * FAR_SPANS[level]
    }

    /// The deadline so many milliseconds from now.
    pub fn after(&self, milliseconds: u64) -> Deadline {
        self.clock.after(Duration::from_millis(milliseconds))
    }

    /// Another core than the program's own, if there is one.
    pub fn other_core(&self) -> Option<u64> {
        (self.grant.core_count > 1).then(|| (self.grant.core + 1) % self.grant.core_count)
    }

    /// Slots of the program's capability table that are free or hold what stays with the program, by taking them all:
    /// the same number whenever nothing else is left.
    pub fn free_slots(&self) -> usize {
        let taken = fill_table(self.permanent.whole);
        let count = taken.len();
        empty_table(&taken);
        count + self.permanent.pieces
    }
}

/// Derives from frames until the table is full.
pub fn fill_table(frames: Handle) -> Vec<Handle> {
    let mut taken = Vec::new();
    let arguments = [word(frames), u64::from(Rights::READ.0), 0, 1, 0, 0];
    while let Ok(handle) = call(Call::cap_derive, arguments) {
        taken.push(Handle(handle as u32));
    }
    taken
}

/// Undoes [`fill_table`].
pub fn empty_table(taken: &[Handle]) {
    for handle in taken {
        let deleted = calls::cap_delete(*handle);
        debug_assert!(deleted.is_ok());
    }
}

/// A pool's troubles as an error of the kernel's list.
fn refused(error: MemoryError) -> Error {
    match error {
        MemoryError::Refused(error) => error,
        MemoryError::OutOfFrames | MemoryError::OutOfAddresses => Error::NoSlot,
    }
}

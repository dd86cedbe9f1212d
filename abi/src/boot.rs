//! What the kernel tells the root program: one read-only page, and where its capabilities are.

use crate::limits::TABLE_FRAMES_MAX;

/// Where the kernel maps [`BootFacts`] in the root program.
pub const FACTS_ADDRESS: u64 = 0x1000_0000_0000;
/// Where the boot archive (cpio, "newc") is mapped, read only.
pub const ARCHIVE_ADDRESS: u64 = 0x1000_4000_0000;
/// Where the root program's stack ends (its highest address); 64 KiB below it are mapped.
pub const ROOT_STACK_TOP: u64 = 0x1000_2000_0000;
/// Bytes of that stack.
pub const ROOT_STACK_SIZE: u64 = 64 * 1024;
/// Frames of its capability table: as many as a table may have.
pub const ROOT_TABLE_FRAMES: usize = TABLE_FRAMES_MAX;
/// "fos facts", little endian.
pub const FACTS_MAGIC: u64 = 0x7374_6361_6620_736f;
/// Changes with every change of the layouts in this crate.
pub const ABI_VERSION: u32 = 1;

/// Slots of the root program's capability table at its start; epochs are 0.
pub mod root_slot {
    /// Its own space.
    pub const SPACE: usize = 0;
    /// Its own thread.
    pub const THREAD: usize = 1;
    /// All cores.
    pub const CORES: usize = 2;
    /// All I/O ports.
    pub const PORTS: usize = 3;
    /// All interrupt lines.
    pub const INTERRUPTS: usize = 4;
    /// All device memory (a range that holds no RAM).
    pub const DEVICE: usize = 5;
    /// The machine.
    pub const MACHINE: usize = 6;
    /// Device memory above 4 GiB and above all RAM.
    pub const DEVICE_HIGH: usize = 7;
    /// The first of `memory_ranges` ranges of free frames.
    pub const FRAMES: usize = 8;
}

/// Facts that do not change after boot.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct BootFacts {
    /// [`FACTS_MAGIC`].
    pub magic: u64,
    /// [`ABI_VERSION`].
    pub version: u32,
    /// Cores that run a kernel; they are numbered from 0.
    pub cores: u32,
    /// Ticks of the time stamp counter per second.
    pub tsc_hz: u64,
    /// Bytes of the boot archive.
    pub archive_length: u64,
    /// Ranges of free frames in the capability table.
    pub memory_ranges: u32,
    /// Bytes of the command line below.
    pub command_line_length: u32,
    /// First and number of frames of the archive itself, for the record.
    pub archive_frame: u64,
    /// The kernel's command line.
    pub command_line: CommandLine,
}

/// Up to 512 bytes of command line.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct CommandLine(pub [u8; 512]);

impl Default for CommandLine {
    fn default() -> Self {
        CommandLine([0; 512])
    }
}
const _: () = assert!(size_of::<BootFacts>() <= 4096);

//! Where things are in a native program's address space, and how many frames one program takes: all of them in one
//! piece, so that ending the program is giving back one capability.

use crate::executable::{Executable, Segment};
use core::ops::Range;
use fos_abi::boot::{FACTS_ADDRESS, ROOT_STACK_TOP};
use fos_abi::limits::PAGE_SIZE;
use fos_abi::space::SPACE_FRAMES;
use fos_abi::thread::THREAD_FRAMES;
use fos_messages::start::STACK_SIZE;

/// Where the start block is mapped: where root itself finds its boot facts.
pub const BLOCK_ADDRESS: u64 = FACTS_ADDRESS;
/// The highest address of the first stack.
pub const STACK_TOP: u64 = ROOT_STACK_TOP;
/// Pages of the first stack.
pub const STACK_PAGES: u64 = (STACK_SIZE / PAGE_SIZE) as u64;
/// Pages for the start block: arguments, environment, keys and handles of one program.
pub const BLOCK_PAGES: u64 = 32;
/// Frames of a capability table, 64 slots each.
pub const TABLE_FRAMES: u64 = 8;
/// Page tables for everything but the image's own pages: three regions, each with up to three tables.
const TABLES_BASE: u64 = 12;
/// Pages that one page table maps.
const PAGES_PER_TABLE: u64 = 512;

/// Parts of a program's frames, as ranges within its piece, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The space and its capability table.
    pub space: Range<u64>,
    /// The thread.
    pub thread: Range<u64>,
    /// Page tables.
    pub tables: Range<u64>,
    /// The start block.
    pub block: Range<u64>,
    /// The first stack.
    pub stack: Range<u64>,
    /// The images' segments that can be written, in order. The others are shared.
    pub image: Range<u64>,
    /// The program's own frames.
    pub own: Range<u64>,
    /// Frames that the image grants beside those.
    pub granted: Range<u64>,
}

impl Layout {
    /// The parts for programs loaded together, with this many frames of their own and granted.
    pub fn new(executables: &[&Executable], own: u64, granted: u64) -> Layout {
        let mut next = 0;
        let mut part = |count: u64| {
            let start = next;
            next += count;
            start..next
        };
        let image = executables.iter().map(|executable| pages(executable, Segment::is_writable)).sum();
        Layout {
            space: part(SPACE_FRAMES as u64 + TABLE_FRAMES),
            thread: part(THREAD_FRAMES as u64),
            tables: part(TABLES_BASE + executables.iter().map(|executable| tables(executable)).sum::<u64>()),
            block: part(BLOCK_PAGES),
            stack: part(STACK_PAGES),
            image: part(image),
            own: part(own),
            granted: part(granted),
        }
    }

    /// Frames in all.
    pub fn frames(&self) -> u64 {
        self.granted.end
    }
}

/// Pages of an executable's segments that are so.
pub fn pages(executable: &Executable, is_so: impl Fn(&Segment) -> bool) -> u64 {
    let segments = executable.segments.iter().filter(|segment| is_so(segment));
    segments.map(|segment| segment.pages.end - segment.pages.start).sum()
}

/// Page tables that an executable's segments may need: one per begun 2 MiB, and two above for each segment.
fn tables(executable: &Executable) -> u64 {
    let of_segment =
        |pages: &Range<u64>| pages.end.div_ceil(PAGES_PER_TABLE) - pages.start / PAGES_PER_TABLE + 2;
    executable.segments.iter().map(|segment| of_segment(&segment.pages)).sum()
}

//! The page-table format (Intel SDM vol. 3, 4.5) and the kernel's own half of every space.
//!
//! ```text
//!  0000_0000_0001_0000 .. 0000_7fff_ffff_f000   the program
//!  ffff_8000_0000_0000 ..                       all RAM, never executable (the direct map)
//!  ffff_c000_0000_0000 ..                       kernel stacks, a guard page below each
//!  ffff_c080_0000_0000 ..                       interrupt controllers, uncached
//!  ffff_ffff_8010_0000 ..                       the kernel image: text, constants, data
//! ```
//! The upper half is built once at boot and its top entries are copied into each new space.

use super::features;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where RAM is mapped. Tests on a host have their RAM where a program may have memory.
pub const DIRECT_MAP: u64 = if cfg!(test) { 0x2000_0000_0000 } else { 0xffff_8000_0000_0000 };
/// Where kernel stacks are.
pub const STACKS: u64 = DIRECT_MAP + 0x4000_0000_0000;
/// Where device registers of the kernel's own are.
pub const DEVICES: u64 = STACKS + 0x80_0000_0000;
/// What the image's addresses have above their physical ones.
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

/// Entries of a table.
pub const ENTRIES: usize = 512;
/// Levels of tables; the top one is level 3, pages hang on level 0.
pub const LEVELS: usize = 4;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const UNCACHED: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const HUGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
/// Bits that the CPU ignores: how far `space_protect` may go, and whether the frame table counts the page.
const MAY_WRITE: u64 = 1 << 9;
const MAY_EXECUTE: u64 = 1 << 10;
const UNCOUNTED: u64 = 1 << 11;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// One entry of a page table, as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(pub u64);

/// What a page may be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Writable now.
    pub write: bool,
    /// Executable now.
    pub execute: bool,
    /// Whether `space_protect` may make it writable.
    pub may_write: bool,
    /// Whether `space_protect` may make it executable.
    pub may_execute: bool,
    /// Device memory: uncached.
    pub uncached: bool,
    /// No frame's mappings are counted: device memory, and a kernel object's own pages.
    pub uncounted: bool,
}

impl Entry {
    /// Nothing there.
    pub const EMPTY: Entry = Entry(0);

    /// A user page.
    #[inline(always)]
    pub fn page(frame: u64, access: Access, huge: bool) -> Entry {
        let when = |on: bool, bits: u64| if on { bits } else { 0 };
        Entry(
            frame << 12
                | PRESENT
                | USER
                | when(access.write, WRITABLE)
                | when(!access.execute && features::get().no_execute, NO_EXECUTE)
                | when(access.may_write, MAY_WRITE)
                | when(access.may_execute, MAY_EXECUTE)
                | when(access.uncounted, UNCOUNTED)
                | when(access.uncached, UNCACHED | WRITE_THROUGH)
                | when(huge, HUGE),
        )
    }
    /// The same page at another frame; this one's is 0.
    #[inline(always)]
    pub fn at(self, frame: u64) -> Entry {
        Entry(self.0 | frame << 12)
    }
    /// A lower table.
    pub fn table(frame: u64) -> Entry {
        Entry(frame << 12 | PRESENT | WRITABLE | USER)
    }
    /// Whether something is there.
    #[inline(always)]
    pub fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }
    /// Whether it is a huge page (at level 1).
    #[inline(always)]
    pub fn is_huge(self) -> bool {
        self.0 & HUGE != 0
    }
    /// Whether the frame table counts this mapping.
    #[inline(always)]
    pub fn is_counted(self) -> bool {
        self.0 & UNCOUNTED == 0
    }
    /// Whether it was written since the bit was last cleared.
    pub fn is_dirty(self) -> bool {
        self.0 & DIRTY != 0
    }
    /// The frame it points to.
    #[inline(always)]
    pub fn frame(self) -> u64 {
        (self.0 & ADDRESS) >> 12
    }
    /// How it may be used.
    pub fn access(self) -> Access {
        Access {
            write: self.0 & WRITABLE != 0,
            execute: self.0 & NO_EXECUTE == 0,
            may_write: self.0 & MAY_WRITE != 0,
            may_execute: self.0 & MAY_EXECUTE != 0,
            uncached: self.0 & UNCACHED != 0,
            uncounted: !self.is_counted(),
        }
    }
}

/// The dirty bit, for clearing it while the CPU may set it.
pub const DIRTY_BIT: u64 = DIRTY;

/// A page table in memory. Entries are atomic: the CPU's walker reads them, and sets accessed and dirty
/// bits, at any time.
#[repr(C, align(4096))]
pub struct Table([AtomicU64; ENTRIES]);

impl Table {
    /// The entry now.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Entry {
        Entry(self.0[index & (ENTRIES - 1)].load(Ordering::Relaxed))
    }
    /// Replaces an entry. Release: a new table's contents are visible before the table is.
    #[inline(always)]
    pub fn set(&self, index: usize, entry: Entry) {
        self.0[index & (ENTRIES - 1)].store(entry.0, Ordering::Release);
    }
    /// Replaces an entry, and says what was there: no dirty bit set in between is lost.
    pub fn swap(&self, index: usize, entry: Entry) -> Entry {
        Entry(self.0[index & (ENTRIES - 1)].swap(entry.0, Ordering::AcqRel))
    }
    /// Sets bits.
    pub fn set_bits(&self, index: usize, bits: u64) {
        self.0[index & (ENTRIES - 1)].fetch_or(bits, Ordering::AcqRel);
    }
    /// Clears bits, and says what was there.
    pub fn clear_bits(&self, index: usize, bits: u64) -> Entry {
        Entry(self.0[index & (ENTRIES - 1)].fetch_and(!bits, Ordering::AcqRel))
    }
}

/// The index that an address has in the table of a level.
#[inline(always)]
pub const fn index_at(address: u64, level: usize) -> usize {
    (address >> (12 + 9 * level)) as usize & (ENTRIES - 1)
}

/// The table in a frame, through the direct map.
///
/// # Safety
/// The frame must be a page table, kept as long as the reference is used.
#[inline(always)]
pub unsafe fn table_at<'a>(frame: u64) -> &'a Table {
    // SAFETY: the direct map covers all RAM; the caller says what the frame is.
    unsafe { &*((DIRECT_MAP + (frame << 12)) as *const Table) }
}

/// Copies the kernel's half from one top table to another.
pub fn share_kernel_half(from: &Table, to: &Table) {
    for index in ENTRIES / 2..ENTRIES {
        to.set(index, from.get(index));
    }
}

/// How the kernel maps its own pages.
#[derive(Clone, Copy)]
pub enum KernelPage {
    /// Text.
    Code,
    /// Constants.
    Constant,
    /// Data, stacks, the direct map.
    Data,
    /// Device registers.
    Registers,
}

impl KernelPage {
    fn bits(self) -> u64 {
        let no_execute = if features::get().no_execute { NO_EXECUTE } else { 0 };
        let global = if features::get().global_pages { GLOBAL } else { 0 };
        let bits = match self {
            KernelPage::Code => 0,
            KernelPage::Constant => no_execute,
            KernelPage::Data => WRITABLE | no_execute,
            KernelPage::Registers => WRITABLE | UNCACHED | WRITE_THROUGH | no_execute,
        };
        bits | PRESENT | global | ACCESSED | DIRTY
    }
}

static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// The physical address of the kernel's own top table, which maps no program.
pub fn kernel_root() -> u64 {
    KERNEL_ROOT.load(Ordering::Relaxed)
}

/// Sets it, at boot.
pub fn set_kernel_root(root: u64) {
    KERNEL_ROOT.store(root, Ordering::Release);
}

/// Builds the kernel's half at boot, taking table frames from `allocate` (zeroed).
pub struct KernelMap<A: FnMut() -> u64> {
    /// The top table's frame.
    pub root: u64,
    /// Gives one zeroed frame.
    pub allocate: A,
}

impl<A: FnMut() -> u64> KernelMap<A> {
    /// Maps one page (4 KiB at level 0, 2 MiB at level 1).
    pub fn map(&mut self, address: u64, frame: u64, kind: KernelPage, level: usize) {
        let mut table = self.root;
        for upper in (level + 1..LEVELS).rev() {
            // SAFETY: `table` is the root or a table that this function made; only the first core runs.
            let entries = unsafe { table_at(table) };
            let index = index_at(address, upper);
            if !entries.get(index).is_present() {
                entries.set(index, Entry((self.allocate)() << 12 | PRESENT | WRITABLE));
            }
            table = entries.get(index).frame();
        }
        let size = if level > 0 { HUGE } else { 0 };
        // SAFETY: as above.
        unsafe { table_at(table) }.set(index_at(address, level), Entry(frame << 12 | kind.bits() | size));
    }
}

/// Stack of the first core, before its own is mapped, lies in the image.
pub fn is_kernel_stack(address: u64) -> bool {
    (STACKS..DEVICES).contains(&address) || (IMAGE_BASE..IMAGE_BASE + (1 << 30)).contains(&address)
}

/// The kernel pointer to a frame's memory.
#[inline(always)]
pub fn frame_pointer(frame: u64) -> *mut u8 {
    (DIRECT_MAP + (frame << 12)) as *mut u8
}

/// The frame behind a direct-map pointer.
#[inline(always)]
pub fn pointer_frame(pointer: *const u8) -> u64 {
    (pointer as u64 - DIRECT_MAP) >> 12
}

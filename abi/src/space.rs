//! Address spaces: the flags of a mapping, and how many frames a space is built in.

/// How a page is mapped. A set of bits; readable always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct MapFlags(pub u32);

impl MapFlags {
    /// Readable only.
    pub const READ: MapFlags = MapFlags(0);
    /// Writable.
    pub const WRITE: MapFlags = MapFlags(2);
    /// Executable.
    pub const EXECUTE: MapFlags = MapFlags(4);
    /// 2 MiB pages: address, first frame and count must be multiples of 512 pages.
    pub const HUGE: MapFlags = MapFlags(8);
    /// All bits that a call takes.
    pub const ALL: MapFlags = MapFlags(14);

    /// Whether every bit of `other` is in `self`.
    pub const fn contains(self, other: MapFlags) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both sets together.
    pub const fn with(self, other: MapFlags) -> MapFlags {
        MapFlags(self.0 | other.0)
    }
}

/// Frames of a space beside its capability table: the object with its name cache, and the top page table.
pub const SPACE_FRAMES: usize = 3;

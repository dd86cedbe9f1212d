//! Limits that both sides know, and how they depend on each other.

/// Bytes in a page and in a frame.
pub const PAGE_SIZE: usize = 4096;
/// Pages in a huge page (2 MiB).
pub const HUGE_PAGES: usize = 512;
/// Cores one kernel image drives. xAPIC ids have 8 bits and 255 is broadcast. Formats have 16 bits.
pub const CORES_MAX: usize = 255;
/// First address that is not a user address. The last user page stays unmapped, so that the address after
/// a `syscall` instruction is always canonical (AMD APM vol. 2, "SYSRET").
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
/// First user address: null pointers with small offsets always fault.
pub const USER_START: u64 = 0x1_0000;
/// Steps a kernel entry takes of a long operation before it looks at interrupts again.
pub const CHUNK_STEPS: usize = 64;
/// Depth of a chain of derivations, so that checking one is bounded.
pub const DERIVATION_DEPTH: usize = 8;
/// Mailboxes in one wait: a mask of 32 bits comes back.
pub const WAIT_MAX: usize = 32;
/// Pages in one map or unmap call; longer ranges are several calls.
pub const MAP_MAX: usize = 512;
/// Pages whose dirty bits one call reads: a mask of 64 bits comes back.
pub const DIRTY_MAX: usize = 64;
/// Calls that one thread may have under way beside its own blocking one.
pub const PIPELINE_MAX: usize = 4;
/// Frames of 64 slots in a capability table; with the rest of a space they fit one chunk of steps.
pub const TABLE_FRAMES_MAX: usize = 60;
/// Capability slots in a frame.
pub const SLOTS_PER_FRAME: usize = 64;
/// Entries of a space's name cache.
pub const NAMES_MAX: usize = 64;

const _: () = assert!(TABLE_FRAMES_MAX * SLOTS_PER_FRAME <= 1 << 16);
const _: () = assert!(MAP_MAX.is_multiple_of(CHUNK_STEPS));

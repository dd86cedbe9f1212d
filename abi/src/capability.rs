//! Kernel objects as capabilities: handles, kinds, rights. They live in a table per process that only the
//! kernel writes; a program names them by handle, and moves them by attaching them to a message.

/// Names a slot of the caller's capability table: index (low 16 bits) and the low 16 bits of the slot's
/// epoch, so that a handle kept too long is refused instead of naming its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// In calls that take a space or thread: the caller's own.
    pub const SELF: Handle = Handle(u32::MAX);
    /// No capability.
    pub const NONE: Handle = Handle(u32::MAX - 1);

    /// The slot.
    pub const fn index(self) -> usize {
        (self.0 & 0xffff) as usize
    }
    /// The handle of `index` in its `epoch`.
    pub const fn new(index: usize, epoch: u32) -> Handle {
        Handle((index as u32 & 0xffff) | epoch << 16)
    }
}

/// What a capability names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An empty slot.
    Empty = 0,
    /// A range of page frames of ordinary memory.
    Frames = 1,
    /// A range of page frames of device memory (mapped uncached).
    Device = 2,
    /// A range of I/O ports.
    Ports = 3,
    /// A range of interrupt lines.
    Interrupts = 4,
    /// A range of cores: the right to create threads there.
    Cores = 5,
    /// The machine itself: power off.
    Machine = 6,
    /// An address space with its capability table: a process.
    Space = 7,
    /// A thread.
    Thread = 8,
    /// A mailbox, for its creator: receive, make keys.
    Mailbox = 9,
    /// A watch on something's end.
    Watch = 10,
    /// One interrupt line bound to a mailbox.
    Interrupt = 11,
    /// Frames given to a space as page tables; reclaimable when it has ended.
    Tables = 12,
}

/// Every kind, in the order of its number.
pub const KINDS: [Kind; 13] = [
    Kind::Empty,
    Kind::Frames,
    Kind::Device,
    Kind::Ports,
    Kind::Interrupts,
    Kind::Cores,
    Kind::Machine,
    Kind::Space,
    Kind::Thread,
    Kind::Mailbox,
    Kind::Watch,
    Kind::Interrupt,
    Kind::Tables,
];

/// What a capability allows. A set of bits; a derived capability never has a bit that its parent lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Rights(pub u8);

impl Rights {
    /// None of them.
    pub const NONE: Rights = Rights(0);
    /// Map readable; read registers, dirty bits, state.
    pub const READ: Rights = Rights(1);
    /// Map writable; write registers; build objects in these frames.
    pub const WRITE: Rights = Rights(2);
    /// Map executable.
    pub const EXECUTE: Rights = Rights(4);
    /// Derive weaker capabilities.
    pub const DERIVE: Rights = Rights(8);
    /// Move it to another process (attached to a message, or given to a new space).
    pub const MOVE: Rights = Rights(16);
    /// Control: map into a space, give to it, start and stop a thread, use a core.
    pub const CONTROL: Rights = Rights(32);
    /// Destroy the object.
    pub const DESTROY: Rights = Rights(64);
    /// Be told when it ends.
    pub const WATCH: Rights = Rights(128);
    /// All of them.
    pub const ALL: Rights = Rights(255);

    /// Whether every bit of `other` is in `self`.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both sets together.
    pub const fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

/// What `cap_read` tells about a capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CapabilityInfo {
    /// [`Kind`] as a number.
    pub kind: u32,
    /// [`Rights`] as a number.
    pub rights: u32,
    /// First frame, port, line or core of a range; the object's reference otherwise.
    pub base: u64,
    /// How many frames, ports, lines or cores; 0 for objects.
    pub length: u64,
    /// Capabilities derived from this one that still exist.
    pub children: u64,
    /// For spaces and threads: the process identity. Else 0.
    pub identity: u64,
}
const _: () = assert!(size_of::<CapabilityInfo>() == 40);

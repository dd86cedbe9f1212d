//! Mailbox keys and process identities: plain data that may travel in messages and between machines.
//!
//! There are two kinds of capability, because there are two kinds of journey. A *kernel object*
//! ([`crate::capability`]) never leaves its machine, so it can be an index into a table that only the
//! kernel writes, and nothing can be forged. A *mailbox key* must travel as bytes through programs,
//! proxies and networks, so it is 128 random bits that the mailbox's kernel compares in constant time.
//! A key says what you may reach; the identity that the kernel stamps on each message says who you are.

/// Names one incarnation of a mailbox on this machine: frame of the object and its generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct MailboxId(pub u64);

/// What one key allows. A set of bits; a derived key never has a bit that its parent lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct KeyRights(pub u32);

impl KeyRights {
    /// Send messages.
    pub const SEND: KeyRights = KeyRights(1);
    /// Attach a capability to a message.
    pub const ATTACH: KeyRights = KeyRights(2);
    /// Ring the mailbox's bells (a wake-up without a message; channels use it).
    pub const RING: KeyRights = KeyRights(4);
    /// Derive weaker keys.
    pub const DERIVE: KeyRights = KeyRights(8);
    /// Be told when the mailbox ends.
    pub const WATCH: KeyRights = KeyRights(16);
    /// All of them.
    pub const ALL: KeyRights = KeyRights(31);

    /// Whether every bit of `other` is in `self`.
    pub const fn contains(self, other: KeyRights) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both sets together.
    pub const fn with(self, other: KeyRights) -> KeyRights {
        KeyRights(self.0 | other.0)
    }
}

/// The right to reach one mailbox, as 32 bytes of plain data. All zero is no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Key {
    /// The mailbox it opens.
    pub mailbox: MailboxId,
    /// Which entry of that mailbox's key table; saves the search, protects nothing.
    pub entry: u32,
    /// Always zero; the machine's number when keys travel.
    pub machine: u32,
    /// 128 random bits.
    pub secret: [u64; 2],
}
const _: () = assert!(size_of::<Key>() == 32 && align_of::<Key>() == 8);

/// Who sent a message: machine (16 bits), core that made the process (8 bits), count (40 bits).
/// Never reused. Zero is the kernel itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Identity(pub u64);

impl Identity {
    /// The kernel, as sender of notices.
    pub const KERNEL: Identity = Identity(0);
}

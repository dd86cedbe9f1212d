//! The one list of errors that a kernel call can end with. Each variant has one meaning, so that a log
//! line greps to its cause; `docs/calls.md` says which call can give which.

/// Why a kernel call was refused. Nothing else changed when a call answers with one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Error {
    /// No call has this number.
    BadCall = 1,
    /// A pointer does not name memory of the caller, or memory it may not use that way.
    BadAddress = 2,
    /// A length, flag, alignment or range is not one that this call takes.
    BadArgument = 3,
    /// The handle names no capability of the caller: empty, out of range, or from before it was reused.
    BadCapability = 4,
    /// The capability is of another kind than this call works on.
    WrongKind = 5,
    /// The capability or key does not carry the right that this needs.
    NoRights = 6,
    /// The key is forged, was revoked, or belongs to another mailbox: these are not told apart.
    BadKey = 7,
    /// The mailbox, thread or space has ended.
    Closed = 8,
    /// The mailbox has no free slot for this sender (all taken, or the sender holds its 1/8).
    Full = 9,
    /// The message is longer than the kernel or the mailbox's share for one sender allows.
    TooLong = 10,
    /// The deadline passed first.
    TimedOut = 11,
    /// No free slot in a capability table, key table, name cache or request table.
    NoSlot = 12,
    /// The frames are still mapped somewhere.
    StillMapped = 13,
    /// Other capabilities are derived from this one: revoke them first.
    HasChildren = 14,
    /// The space has too few page-table frames: donate some, then repeat the call.
    NoTables = 15,
    /// Nothing is mapped there.
    NotMapped = 16,
    /// Something is mapped there.
    AlreadyMapped = 17,
    /// The frames hold kernel objects, or an object that is alive.
    InUse = 18,
    /// The object belongs to another core's kernel, and this call can't act across cores.
    WrongCore = 19,
    /// The thread is not in a state that allows this (for instance: writing registers while it runs).
    WrongState = 20,
    /// The name cache's entry points to something that has ended; the entry was removed.
    Stale = 21,
    /// The core that had to act was fenced after a failure.
    CoreFailed = 22,
    /// The chain of derivations would exceed `limits::DERIVATION_DEPTH`.
    TooDeep = 23,
    /// The wait was ended by a stop of the thread.
    Interrupted = 24,
}

/// Every error, in the order of its number.
pub const ERRORS: [Error; 24] = [
    Error::BadCall,
    Error::BadAddress,
    Error::BadArgument,
    Error::BadCapability,
    Error::WrongKind,
    Error::NoRights,
    Error::BadKey,
    Error::Closed,
    Error::Full,
    Error::TooLong,
    Error::TimedOut,
    Error::NoSlot,
    Error::StillMapped,
    Error::HasChildren,
    Error::NoTables,
    Error::NotMapped,
    Error::AlreadyMapped,
    Error::InUse,
    Error::WrongCore,
    Error::WrongState,
    Error::Stale,
    Error::CoreFailed,
    Error::TooDeep,
    Error::Interrupted,
];

impl Error {
    /// The error with this number, if there is one. Zero is success and so none.
    pub fn from_number(number: u32) -> Option<Error> {
        ERRORS.get(number.checked_sub(1)? as usize).copied()
    }
}

//! What each function answers: 0, an error of the kernel by its number in `fos_abi`, or one of the library's own above them.

use core::ffi::{CStr, c_char};

use fos_abi::Error;
use libfos::memory::MemoryError;
use libfos::root::RootError;

/// `fos_status`: 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(pub u32);

impl Status {
    /// It was done.
    pub const DONE: Status = Status(0);
    /// The program's frames are used up.
    pub const NO_FRAMES: Status = Status(64);
    /// No range of free addresses is that long.
    pub const NO_ADDRESSES: Status = Status(65);
    /// The image gave the program no key of root, so it can neither register nor look up.
    pub const NO_ROOT: Status = Status(66);
    /// Longer than 64 bytes, or no UTF-8.
    pub const BAD_NAME: Status = Status(67);

    /// What a function answers that has no value but through pointers.
    pub(crate) fn of<T, E: Into<Status>>(outcome: Result<T, E>) -> Status {
        outcome.map_or_else(Into::into, |_| Status::DONE)
    }

    /// Puts a value where the caller wants it; `BadAddress` if that is nowhere.
    pub(crate) fn give<T, E: Into<Status>>(outcome: Result<T, E>, place: Option<&mut T>) -> Status {
        match (outcome, place) {
            (Err(error), _) => error.into(),
            (Ok(_), None) => Error::BadAddress.into(),
            (Ok(value), Some(place)) => {
                *place = value;
                Status::DONE
            }
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        Status(error as u32)
    }
}

impl From<MemoryError> for Status {
    fn from(error: MemoryError) -> Status {
        match error {
            MemoryError::OutOfFrames => Status::NO_FRAMES,
            MemoryError::OutOfAddresses => Status::NO_ADDRESSES,
            MemoryError::Refused(error) => error.into(),
        }
    }
}

impl From<RootError> for Status {
    fn from(error: RootError) -> Status {
        match error {
            RootError::NoKey => Status::NO_ROOT,
            // Names are measured before they are asked for, and nothing else of a question can be too long.
            RootError::Codec(_) | RootError::Path(_) => Status::BAD_NAME,
            RootError::Refused(error) => error.into(),
            RootError::Memory(error) => error.into(),
        }
    }
}

/// Every name, by number: first what is no error, then the kernel's, in their order.
pub(crate) const NAMES: [&CStr; 25] = [
    c"Done",
    c"BadCall",
    c"BadAddress",
    c"BadArgument",
    c"BadCapability",
    c"WrongKind",
    c"NoRights",
    c"BadKey",
    c"Closed",
    c"Full",
    c"TooLong",
    c"TimedOut",
    c"NoSlot",
    c"StillMapped",
    c"HasChildren",
    c"NoTables",
    c"NotMapped",
    c"AlreadyMapped",
    c"InUse",
    c"WrongCore",
    c"WrongState",
    c"Stale",
    c"CoreFailed",
    c"TooDeep",
    c"Interrupted",
];
/// The library's own, from [`Status::NO_FRAMES`] on.
pub(crate) const OWN_NAMES: [&CStr; 4] = [c"NoFrames", c"NoAddresses", c"NoRoot", c"BadName"];

/// The name of a status, for people; "Unknown" for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn fos_status_name(status: Status) -> *const c_char {
    let number = status.0 as usize;
    let own = number.checked_sub(Status::NO_FRAMES.0 as usize).and_then(|place| OWN_NAMES.get(place));
    NAMES.get(number).or(own).map_or(c"Unknown", |name| *name).as_ptr()
}

//! Linux error numbers as a type of their own, so that no handler can answer one as a value by mistake.

use linux_raw_sys::errno;

/// Why a call failed: the positive number that C programs read from `errno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

macro_rules! errors {
    ($($name:ident $summary:literal)*) => {
        impl Errno {
            $(#[doc = $summary] pub const $name: Errno = Errno(errno::$name as u16);)*
        }
    };
}

errors! {
    EPERM "Not for this caller, whatever the arguments."
    ENOENT "No file has this name."
    EIO "The sink of the output has ended."
    EACCES "The permission bits do not allow it."
    EDEADLK "Nobody could ever end this wait."
    ETIMEDOUT "The time is over."
    EBADF "No such descriptor, or not open for this."
    EAGAIN "Not now."
    ENOMEM "No memory, or addresses outside what may be mapped."
    EFAULT "A pointer names memory that cannot be used so."
    EEXIST "Something is there already."
    EINVAL "An argument has no meaning here."
    EMFILE "Too many open descriptors."
    ENOTTY "Not a terminal."
    ESPIPE "A stream has no position."
    ENOTDIR "A directory is needed here."
    ERANGE "The buffer is too short for the answer."
    ENAMETOOLONG "A path is longer than PATH_MAX."
    ENOSYS "No such call here."
    ENODEV "No such device, or it cannot be mapped."
    ESRCH "No such process."
}

impl Errno {
    /// What `rax` holds for it.
    pub fn to_register(self) -> u64 {
        (-i64::from(self.0)) as u64
    }
}

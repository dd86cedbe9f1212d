//! Being found under a name, and finding others.

use core::ffi::{CStr, c_char};

use fos_abi::{Error, Key};
use fos_messages::rpc::Address;
use fos_messages::start::NAME_MAX;
use libfos::clock::Deadline;

use crate::process::{Process, of};
use crate::status::Status;

/// `struct fos_address`: where to send, and who receives there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Found {
    /// What to send with.
    pub key: Key,
    /// The process that registered the name: what its messages are stamped with.
    pub identity: u64,
}
const _: () = assert!(size_of::<Found>() == 40);

impl From<Address> for Found {
    fn from(address: Address) -> Found {
        Found { key: address.key, identity: address.identity.0 }
    }
}

/// A name as root takes it.
///
/// # Safety
/// `name`, if it is not null, must be a string that ends with a zero and that nobody writes while the result is used.
unsafe fn text<'a>(name: *const c_char) -> Result<&'a str, Status> {
    if name.is_null() {
        return Err(Error::BadAddress.into());
    }
    // SAFETY: the caller's promise; not null.
    let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| Status::BAD_NAME)?;
    if name.is_empty() || name.len() > NAME_MAX { Err(Status::BAD_NAME) } else { Ok(name) }
}

/// Has whoever looks up `name` be given `key`.
///
/// # Safety
/// `name` must be a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_register(
    fos: Option<&mut Process>,
    name: *const c_char,
    key: Option<&Key>,
    deadline: u64,
) -> Status {
    let Some(key) = key else { return Error::BadAddress.into() };
    // SAFETY: the caller's promise; the text is gone when this returns.
    let name = unsafe { text(name) };
    Status::of(of(fos).and_then(|fos| Ok(fos.root?.register(name?, *key, Deadline(deadline))?)))
}

/// Finds who registered `name`, and waits until somebody has.
///
/// # Safety
/// `name` must be a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_look_up(
    fos: Option<&mut Process>,
    name: *const c_char,
    address: Option<&mut Found>,
    deadline: u64,
) -> Status {
    // SAFETY: the caller's promise; the text is gone when this returns.
    let name = unsafe { text(name) };
    let found = of(fos).and_then(|fos| {
        let found = fos.root?.find(&mut fos.memory, name?, Deadline(deadline))?;
        Ok::<Found, Status>(found.into())
    });
    Status::give(found, address)
}

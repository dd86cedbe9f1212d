//! Being found under a name, and finding others.

use core::ffi::{CStr, c_char};

use alloc::boxed::Box;

use fos_abi::{Error, Key};
use fos_messages::names::PATH_BYTES_MAX;
use fos_messages::rpc::Address;
use fos_messages::start::NAME_MAX;
use libfos::clock::Deadline;
use libfos::named::{ByRoot, NamedError, NamedSender};

use crate::process::{Process, of};
use crate::send::message;
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

/// A name as root takes it, or as naming does if it begins with `/`.
///
/// # Safety
/// `name`, if it is not null, must be a string that ends with a zero and that nobody writes while the result is used.
unsafe fn text<'a>(name: *const c_char) -> Result<&'a str, Status> {
    if name.is_null() {
        return Err(Error::BadAddress.into());
    }
    // SAFETY: the caller's promise; not null.
    let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| Status::BAD_NAME)?;
    let longest = if name.starts_with('/') { PATH_BYTES_MAX } else { NAME_MAX };
    if name.is_empty() || name.len() > longest { Err(Status::BAD_NAME) } else { Ok(name) }
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
    let name = unsafe { text(name) }.and_then(|name| match name.starts_with('/') {
        true => Err(Status::BAD_NAME),
        false => Ok(name),
    });
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

impl From<NamedError> for Status {
    fn from(error: NamedError) -> Status {
        match error {
            NamedError::Name(error) => error.into(),
            NamedError::Send(error) => error.into(),
        }
    }
}

/// Makes a sender to whoever has a name. Looks nothing up yet.
///
/// # Safety
/// `name` must be a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_sender_create(
    name: *const c_char,
    sender: Option<&mut *mut NamedSender>,
) -> Status {
    if sender.is_none() {
        return Error::BadAddress.into();
    }
    // SAFETY: the caller's promise; the text is copied.
    let name = unsafe { text(name) };
    Status::give(name.map(|name| Box::into_raw(Box::new(NamedSender::new(name)))), sender)
}

/// Ends a sender.
///
/// # Safety
/// `sender` must be null or come from `fos_sender_create`, and not be used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_sender_destroy(sender: *mut NamedSender) {
    if !sender.is_null() {
        // SAFETY: the caller's promise: it is of `Box::into_raw`, and nobody else has it.
        drop(unsafe { Box::from_raw(sender) });
    }
}

/// Sends to whoever has the name.
///
/// # Safety
/// `length` bytes from `bytes` must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_sender_send(
    fos: Option<&mut Process>,
    sender: Option<&mut NamedSender>,
    bytes: *const u8,
    length: usize,
    deadline: u64,
) -> Status {
    let (Some(fos), Some(sender)) = (fos, sender) else { return Error::BadAddress.into() };
    // SAFETY: the caller's promise; the slice is gone when this returns.
    let message = match unsafe { message(bytes, length) } {
        Ok(message) => message,
        Err(error) => return error.into(),
    };
    let sent = fos.root.map_err(Status::from).and_then(|root| {
        let mut ground = ByRoot { root, memory: &mut fos.memory, clock: fos.clock };
        Ok(sender.send(&mut ground, message, Deadline(deadline))?)
    });
    Status::of(sent)
}

//! Mailboxes for C: made, keyed, waited for, received from, watched with, ended.

use alloc::boxed::Box;
use core::ptr;

use fos_abi::key::KeyRights;
use fos_abi::limits::WAIT_MAX;
use fos_abi::mailbox::MessageKind;
use fos_abi::{Error, Key};
use libfos::calls;
use libfos::clock::Deadline;
use libfos::mailbox::{Event, Mailbox, select};

use crate::process::{Process, of};
use crate::status::Status;

/// Kind of a message that this library does not know: `FOS_MESSAGE_OTHER`.
pub const OTHER: u32 = 255;

/// `struct fos_message`: what is known of a message beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Received {
    /// Bytes of its payload.
    pub length: usize,
    /// Who sent it, as the kernel stamped it; 0 is the kernel.
    pub sender: u64,
    /// The badge of the key it was sent with; the cookie of a watch.
    pub badge: u64,
    /// [`MessageKind`] as a number, or [`OTHER`].
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<Received>() == 32);

/// Makes a mailbox.
#[unsafe(no_mangle)]
pub extern "C" fn fos_mailbox_create(
    fos: Option<&mut Process>,
    slots: usize,
    keys: usize,
    mailbox: Option<&mut *mut Mailbox>,
) -> Status {
    if mailbox.is_none() {
        return Error::BadAddress.into();
    }
    let made = of(fos).and_then(|fos| Mailbox::create(&mut fos.memory, slots, keys).map_err(Status::from));
    Status::give(made.map(|mailbox| Box::into_raw(Box::new(mailbox))), mailbox)
}

/// Ends a mailbox: what was sent to it and not received is gone. Its memory is the process's again.
///
/// # Safety
/// `mailbox` must come from `fos_mailbox_create` with this `fos`, and not be used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_mailbox_destroy(fos: Option<&mut Process>, mailbox: *mut Mailbox) -> Status {
    if mailbox.is_null() {
        return Error::BadAddress.into();
    }
    Status::of(of(fos).and_then(|fos| {
        // SAFETY: the caller's promise: it is of `Box::into_raw`, and nobody else has it.
        let mailbox = unsafe { Box::from_raw(mailbox) };
        mailbox.destroy(&mut fos.memory).map_err(Status::from)
    }))
}

/// Makes a key to a mailbox.
#[unsafe(no_mangle)]
pub extern "C" fn fos_mailbox_key(
    mailbox: Option<&Mailbox>,
    rights: u32,
    badge: u64,
    key: Option<&mut Key>,
) -> Status {
    let Some(mailbox) = mailbox else { return Error::BadAddress.into() };
    Status::give(mailbox.key(KeyRights(rights), badge), key)
}

/// Ends a key to one's own mailbox, and all that were derived from it.
#[unsafe(no_mangle)]
pub extern "C" fn fos_key_revoke(mailbox: Option<&Mailbox>, key: Option<&Key>) -> Status {
    let (Some(mailbox), Some(key)) = (mailbox, key) else { return Error::BadAddress.into() };
    Status::of(calls::key_revoke(mailbox.handle(), key))
}

/// Copies the next message out and frees its room; waits for it until the deadline.
///
/// # Safety
/// `capacity` bytes from `buffer` must be writable, and nobody else may use them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_receive(
    mailbox: Option<&mut Mailbox>,
    buffer: *mut u8,
    capacity: usize,
    message: Option<&mut Received>,
    deadline: u64,
) -> Status {
    let (Some(mailbox), Some(received)) = (mailbox, message) else { return Error::BadAddress.into() };
    if buffer.is_null() && capacity > 0 {
        return Error::BadAddress.into();
    }
    if let Err(error) = mailbox.wait_for_message(Deadline(deadline)) {
        return error.into();
    }
    let Some(length) = mailbox.next_from().map(|waiting| waiting.length) else {
        return Error::TimedOut.into();
    };
    *received = Received { length, ..Received::default() };
    if length > capacity {
        return Error::TooLong.into();
    }
    let Some(message) = mailbox.take() else { return Error::TimedOut.into() };
    let kind = match message.event() {
        Event::Data(_) => MessageKind::Data as u32,
        Event::Ended { .. } => MessageKind::Ended as u32,
        Event::Interrupt { .. } => MessageKind::Interrupt as u32,
        Event::Fault(_) => MessageKind::Fault as u32,
        Event::Unknown => OTHER,
    };
    *received = Received { length, sender: message.sender().0, badge: message.badge(), kind, reserved: 0 };
    if length > 0 {
        // SAFETY: `length` is at most `capacity`, for which the caller promises; a ring is none of its buffers.
        unsafe { ptr::copy_nonoverlapping(message.bytes().as_ptr(), buffer, length) };
    }
    Status::DONE
}

/// Sleeps until one of the mailboxes may have something.
///
/// # Safety
/// `count` pointers from `mailboxes` must be readable, each of a mailbox of the calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fos_select(
    mailboxes: *const Option<&Mailbox>,
    count: usize,
    deadline: u64,
    ready: Option<&mut u32>,
) -> Status {
    if mailboxes.is_null() {
        return Error::BadAddress.into();
    }
    if count == 0 || count > WAIT_MAX {
        return Error::BadArgument.into();
    }
    // SAFETY: the caller's promise; not null, and `count` is small.
    let given = unsafe { core::slice::from_raw_parts(mailboxes, count) };
    let Some(Some(first)) = given.first() else { return Error::BadAddress.into() };
    let mut known = [*first; WAIT_MAX];
    for (place, mailbox) in known.iter_mut().zip(given) {
        let Some(mailbox) = mailbox else { return Error::BadAddress.into() };
        *place = mailbox;
    }
    let selected = select(&known[..count], Deadline(deadline));
    given.iter().flatten().for_each(|mailbox| _ = mailbox.take_bells());
    Status::give(selected, ready)
}

/// Asks for one message of kind `Ended`, with the cookie as its badge, when the mailbox that a key opens ends.
#[unsafe(no_mangle)]
pub extern "C" fn fos_watch(mailbox: Option<&Mailbox>, key: Option<&Key>, cookie: u64) -> Status {
    let (Some(mailbox), Some(key)) = (mailbox, key) else { return Error::BadAddress.into() };
    Status::of(calls::watch_mailbox(key, mailbox.handle(), cookie))
}

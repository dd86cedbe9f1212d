//! What the code names that the interface macro makes. Not for use by hand: it changes with the macro.

use super::wire::{self, OwnCodec, Unwritable};
use super::{AnswerBody, Answered, CallError, Instead, Outgoing};
use core::marker::PhantomData;
use serde::{Serialize, de::DeserializeOwned};

pub use alloc::boxed::Box;
pub use alloc::rc::Rc;
pub use alloc::string::String;
pub use alloc::vec::Vec;

/// How a `T` is written and read. Its own functions are those of types that bring their codec; where those do not apply,
/// the ones of [`ByPostcard`] have the same names. Only for types that are known where this is named: behind a type
/// parameter it is always postcard.
pub struct Field<T: ?Sized>(PhantomData<T>);

impl<T: OwnCodec> Field<T> {
    /// The most bytes it takes, if there is a bound.
    pub const SIZE_MAX: Option<usize> = T::SIZE_MAX;

    /// Writes it at the end.
    #[inline]
    pub fn write(value: &T, bytes: &mut Vec<u8>) -> Result<(), Unwritable> {
        value.write(bytes);
        Ok(())
    }

    /// Takes it off the front.
    #[inline]
    pub fn read(bytes: &mut &[u8]) -> Option<T> {
        T::read(bytes)
    }
}

/// What applies where [`OwnCodec`] does not.
pub trait ByPostcard<T: ?Sized> {
    /// Postcard knows no bound.
    const SIZE_MAX: Option<usize> = None;

    /// Writes it at the end.
    fn write(value: &T, bytes: &mut Vec<u8>) -> Result<(), Unwritable>
    where
        T: Serialize,
    {
        wire::write(value, bytes)
    }

    /// Takes it off the front.
    fn read(bytes: &mut &[u8]) -> Option<T>
    where
        T: DeserializeOwned,
    {
        wire::read(bytes)
    }
}

impl<T: ?Sized> ByPostcard<T> for Field<T> {}

/// Takes a value off the front. As a function of its reader, because the compiler then blames the reader, which has the
/// place of the type, for a type that can't be read.
#[inline]
pub fn read<T>(bytes: &mut &[u8], read: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<T> {
    read(bytes)
}

/// Writes a value at the end. See [`read`].
#[inline]
pub fn write<T: ?Sized>(
    value: &T,
    bytes: &mut Vec<u8>,
    write: impl FnOnce(&T, &mut Vec<u8>) -> Result<(), Unwritable>,
) -> Result<(), Unwritable> {
    write(value, bytes)
}

/// The most bytes of an answer that is one or the other.
pub const fn longer(value: Option<usize>, error: Option<usize>) -> Option<usize> {
    match (value, error) {
        (Some(value), Some(error)) => Some(if value > error { value } else { error }),
        _ => None,
    }
}

/// What a server says, as an answer's body, which is written into `room`.
#[inline(always)]
pub fn answer<T, E>(
    said: Result<T, Instead<E>>,
    answer_max: usize,
    room: Outgoing,
    write_value: impl FnOnce(&T, &mut Vec<u8>) -> Result<(), Unwritable>,
    write_error: impl FnOnce(&E, &mut Vec<u8>) -> Result<(), Unwritable>,
) -> AnswerBody {
    let (body, is_value) = match said {
        Ok(value) => (body(&value, answer_max, room, write_value), true),
        Err(Instead::Refused(error)) => (body(&error, answer_max, room, write_error), false),
        Err(Instead::Redirected(address)) => return AnswerBody::Redirected(address),
        Err(Instead::NotNow) => return AnswerBody::NotNow,
    };
    match body {
        Some(body) if is_value => AnswerBody::Done(body),
        Some(body) => AnswerBody::Refused(body),
        None => AnswerBody::Unsendable,
    }
}

/// A value as a body, if it can be written and is no longer than promised.
#[inline(always)]
fn body<T>(
    value: &T,
    answer_max: usize,
    mut body: Outgoing,
    write: impl FnOnce(&T, &mut Vec<u8>) -> Result<(), Unwritable>,
) -> Option<Outgoing> {
    write(value, body.end()).ok()?;
    (body.body_len() <= answer_max).then_some(body)
}

/// What an answer says.
#[inline]
pub fn outcome<T, E>(
    answer: Answered<'_>,
    read_value: impl FnOnce(&mut &[u8]) -> Option<T>,
    read_error: impl FnOnce(&mut &[u8]) -> Option<E>,
) -> Result<T, CallError<E>> {
    match answer {
        Ok(body) => wire::whole(body, read_value).ok_or(CallError::BadAnswer),
        Err(error) => Err(error.instead_of_refusal(|body| {
            wire::whole(body, read_error).map_or(CallError::BadAnswer, CallError::Refused)
        })),
    }
}

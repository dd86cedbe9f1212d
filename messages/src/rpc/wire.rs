//! How arguments and results become bytes: scalars in a fixed layout, little endian, one after the other; everything
//! else by postcard. Which of the two an operation uses is decided by its types when the interface is compiled, so both
//! sides agree. A body with bytes left over is refused like one that is too short.

use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// A value with a fixed number of bytes.
pub trait Scalar: Copy {
    /// Its bytes.
    const SIZE: usize;
    /// Writes it at the end.
    fn write(self, bytes: &mut Vec<u8>);
    /// Takes it off the front.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($type:ty)*) => {$(
        impl Scalar for $type {
            const SIZE: usize = size_of::<$type>();
            #[inline]
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let (value, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$type>::from_le_bytes(*value))
            }
        }
    )*};
}

scalars!(u8 u16 u32 u64 i8 i16 i32 i64);

impl Scalar for bool {
    const SIZE: usize = 1;
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
    fn read(bytes: &mut &[u8]) -> Option<bool> {
        match u8::read(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Scalar for () {
    const SIZE: usize = 0;
    fn write(self, _: &mut Vec<u8>) {}
    fn read(_: &mut &[u8]) -> Option<()> {
        Some(())
    }
}

/// Writes a value by postcard at the end. A value that postcard can't write (none of ours) gives nothing, which the
/// other side refuses as malformed.
pub fn write<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    let before = bytes.len();
    match postcard::to_extend(value, core::mem::take(bytes)) {
        Ok(whole) => *bytes = whole,
        Err(_) => bytes.truncate(before),
    }
}

/// Reads a value by postcard from all of the bytes.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

/// Reads one scalar from all of the bytes.
#[inline]
pub fn read_scalar<T: Scalar>(mut bytes: &[u8]) -> Option<T> {
    let value = T::read(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

//! How arguments and results become bytes. A type that brings its own codec ([`OwnCodec`]) uses it; scalars do, with a
//! fixed layout, little endian, one after the other. Everything else is written by postcard. Which of the two it is
//! follows from the type alone, so both sides agree. A body with bytes left over is refused like one that is too short.

use alloc::vec::Vec;
use fos_abi::Identity;
use serde::{Serialize, de::DeserializeOwned};

pub use fos_macros::Scalar;

/// A value that can not be written, by its own `Serialize`. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable;

/// A value with a fixed number of bytes. `#[derive(Scalar)]` makes one of a struct of scalars, and of an enum without
/// fields (one byte, numbered from 0 in the order of its variants).
pub trait Scalar: Copy {
    /// Its bytes.
    const SIZE: usize;
    /// Writes it at the end.
    fn write(self, bytes: &mut Vec<u8>);
    /// Takes it off the front.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// A type that says itself how it becomes bytes, instead of leaving it to postcard.
pub trait OwnCodec: Sized {
    /// The most bytes it takes, if there is a bound: then operations that answer with it need no `answer_max`.
    const SIZE_MAX: Option<usize>;
    /// Writes it at the end.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Takes it off the front: bytes that [`OwnCodec::write`] does not write give `None`.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

impl<T: Scalar> OwnCodec for T {
    const SIZE_MAX: Option<usize> = Some(T::SIZE);
    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) {
        Scalar::write(*self, bytes);
    }
    #[inline]
    fn read(bytes: &mut &[u8]) -> Option<T> {
        <T as Scalar>::read(bytes)
    }
}

impl<T: OwnCodec> OwnCodec for Option<T> {
    const SIZE_MAX: Option<usize> = match T::SIZE_MAX {
        Some(size) => Some(1 + size),
        None => None,
    };
    fn write(&self, bytes: &mut Vec<u8>) {
        Scalar::write(self.is_some(), bytes);
        if let Some(value) = self {
            value.write(bytes);
        }
    }
    fn read(bytes: &mut &[u8]) -> Option<Option<T>> {
        match <bool as Scalar>::read(bytes)? {
            true => T::read(bytes).map(Some),
            false => Some(None),
        }
    }
}

macro_rules! integers {
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

integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

impl Scalar for bool {
    const SIZE: usize = 1;
    #[inline]
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
    #[inline]
    fn read(bytes: &mut &[u8]) -> Option<bool> {
        match <u8 as Scalar>::read(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Scalar for () {
    const SIZE: usize = 0;
    #[inline]
    fn write(self, _: &mut Vec<u8>) {}
    #[inline]
    fn read(_: &mut &[u8]) -> Option<()> {
        Some(())
    }
}

impl Scalar for Identity {
    const SIZE: usize = 8;
    #[inline]
    fn write(self, bytes: &mut Vec<u8>) {
        Scalar::write(self.0, bytes);
    }
    #[inline]
    fn read(bytes: &mut &[u8]) -> Option<Identity> {
        <u64 as Scalar>::read(bytes).map(Identity)
    }
}

/// Postcard's output at the end of a buffer that it does not own.
struct End<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for End<'_> {
    type Output = ();
    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Writes a value by postcard at the end. What is there already stays, also when the value can't be written.
pub fn write<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Unwritable> {
    let before = bytes.len();
    postcard::serialize_with_flavor(value, End(bytes)).map_err(|_| {
        bytes.truncate(before);
        Unwritable
    })
}

/// Takes a value that postcard wrote off the front.
pub fn read<T: DeserializeOwned>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

/// Reads by `read` from all of the bytes: `None` if any are left over.
#[inline]
pub fn whole<T>(mut bytes: &[u8], read: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<T> {
    let value = read(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    /// Writes a little and then fails.
    struct Halfway;

    impl Serialize for Halfway {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeTuple};
            let mut tuple = serializer.serialize_tuple(2)?;
            tuple.serialize_element("some of it")?;
            Err(S::Error::custom("and no more"))
        }
    }

    #[test]
    fn a_value_that_can_not_be_written_leaves_what_was_there() {
        let mut bytes = alloc::vec![1, 2, 3];
        assert_eq!(write(&Halfway, &mut bytes), Err(Unwritable));
        assert_eq!(bytes, [1, 2, 3]);
        assert_eq!(write("a", &mut bytes), Ok(()));
        assert_eq!(bytes, [1, 2, 3, 1, b'a']);
    }

    #[test]
    fn bytes_left_over_are_refused_like_missing_ones() {
        let bytes = [1, b'a', 7];
        assert_eq!(whole(&bytes[..2], read::<String>), Some(String::from("a")));
        assert_eq!(whole(&bytes, read::<String>), None);
        assert_eq!(whole(&bytes[..1], read::<String>), None);
        assert_eq!(whole(&bytes, <u16 as Scalar>::read), None);
        assert_eq!(whole(&bytes[..2], <u16 as Scalar>::read), Some(0x6101));
    }

    #[derive(Clone, Copy, Debug, PartialEq, Scalar)]
    struct Point {
        x: i16,
        y: (),
        is_far: bool,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Scalar)]
    struct Pair(u8, Colour);

    #[derive(Clone, Copy, Debug, PartialEq, Scalar)]
    enum Colour {
        Red,
        Blue = 7,
    }

    #[test]
    fn derived_scalars_are_their_parts_one_after_the_other() {
        let mut bytes = Vec::new();
        let (point, pair) = (Point { x: -2, y: (), is_far: true }, Pair(9, Colour::Blue));
        Scalar::write(point, &mut bytes);
        Scalar::write(pair, &mut bytes);
        assert_eq!(bytes, [0xfe, 0xff, 1, 9, 1]);
        assert_eq!((Point::SIZE, Pair::SIZE, Colour::SIZE), (3, 2, 1));
        let mut rest = &bytes[..];
        assert_eq!(<Point as Scalar>::read(&mut rest), Some(point));
        assert_eq!(<Pair as Scalar>::read(&mut rest), Some(pair));
        assert_eq!(whole(&[0], <Colour as Scalar>::read), Some(Colour::Red));
        assert_eq!(whole(&[2], <Colour as Scalar>::read), None);
    }
}

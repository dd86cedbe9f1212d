//! Preparations of many calls, none of which should be refused, for programs that test or measure: which of them was, said in
//! a sentence.

use core::fmt;

use fos_abi::Error;

use crate::memory::MemoryError;

/// A step that should always work did not.
#[derive(Clone, Copy, Debug)]
pub struct Broken {
    /// What was being done.
    pub step: &'static str,
    /// What the kernel said.
    pub error: Error,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} was refused: {:?}", self.step, self.error)
    }
}

/// Names the step of a longer preparation in its error.
pub trait During<T> {
    /// `Err` becomes a sentence with `step`.
    fn during(self, step: &'static str) -> Result<T, Broken>;
}

impl<T> During<T> for Result<T, Error> {
    fn during(self, step: &'static str) -> Result<T, Broken> {
        self.map_err(|error| Broken { step, error })
    }
}

impl<T> During<T> for Result<T, MemoryError> {
    fn during(self, step: &'static str) -> Result<T, Broken> {
        self.map_err(refused).during(step)
    }
}

/// A lack of memory as the kernel's error that is nearest.
pub fn refused(error: MemoryError) -> Error {
    match error {
        MemoryError::Refused(error) => error,
        MemoryError::OutOfFrames | MemoryError::OutOfAddresses => Error::NoSlot,
    }
}

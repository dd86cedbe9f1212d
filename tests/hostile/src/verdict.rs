//! What a case says: nothing, or one sentence about what went otherwise than documented.

use alloc::string::String;
use core::fmt::{Debug, Display};

use fos_abi::Error;

use crate::ground::Imbalance;
use crate::kernel::{Answer, Broken};

/// The sentence.
#[derive(Debug)]
pub struct Failure(pub String);

/// `Ok` when all was as documented.
pub type Verdict = Result<(), Failure>;

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Failure {
        Failure(alloc::format!("preparation: {broken}"))
    }
}

impl From<Imbalance> for Failure {
    fn from(imbalance: Imbalance) -> Failure {
        Failure(alloc::format!("{imbalance}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(alloc::format!("a call that had to succeed was refused: {error:?}"))
    }
}

/// Fails the case with a sentence unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)*) => {
        if !$condition {
            return Err($crate::verdict::Failure(alloc::format!($($sentence)*)));
        }
    };
}

/// Fails unless the call ended in exactly this error.
pub fn refused(what: &str, answer: Answer, error: Error) -> Verdict {
    match answer {
        Err(found) if found == error => Ok(()),
        other => Err(Failure(alloc::format!("{what}: {other:?} instead of {error:?}"))),
    }
}

/// Fails unless both are equal.
pub fn same<T: PartialEq + Debug>(what: impl Display, found: T, expected: T) -> Verdict {
    if found == expected {
        return Ok(());
    }
    Err(Failure(alloc::format!("{what}: {found:?} instead of {expected:?}")))
}

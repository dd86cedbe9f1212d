//! Why a call or a send did not do what it was for. What the server refused, what never left, and what may or may not
//! have been done are told apart, since only the caller knows which of them it may repeat.

use super::address::Address;
use super::envelope::Status;
use super::wire::{OwnCodec, Scalar, Unwritable, whole};
use alloc::vec::Vec;

/// The error of an operation that its server never refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Never {}

impl OwnCodec for Never {
    const SIZE_MAX: Option<usize> = Some(0);
    fn write(&self, _: &mut Vec<u8>) {
        match *self {}
    }
    fn read(_: &mut &[u8]) -> Option<Never> {
        None
    }
}

impl core::fmt::Display for Never {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {}
    }
}

/// Why a message was not accepted. Nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No free slot for this sender at the destination now.
    Full,
    /// Longer than a message may be.
    TooLong,
    /// The destination has ended, or the key was revoked or forged: look the name up again.
    Closed,
    /// An argument refuses to be written.
    Unwritable,
}

impl From<Unwritable> for SendError {
    fn from(_: Unwritable) -> SendError {
        SendError::Unwritable
    }
}

impl core::fmt::Display for SendError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            SendError::Full => "the destination has no room for this sender now: try again later",
            SendError::TooLong => "the message is longer than a message may be: send larger data as pages",
            SendError::Closed => "the destination has ended: look its name up again",
            SendError::Unwritable => "an argument of the request can not be written",
        })
    }
}

impl core::error::Error for SendError {}

/// Why a call has no value. `E` is the operation's own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<E = Never> {
    /// The server understood and refused.
    Refused(E),
    /// The request was not sent.
    NotSent(SendError),
    /// This process has as many calls under way as it may. The request was not sent.
    TooManyCalls,
    /// The server takes no more requests now. It was not done.
    Overloaded,
    /// The server is not the one for this now. It was not done.
    NotNow,
    /// The name that it was for means nothing. It was not sent.
    NotFound,
    /// The server sends its clients elsewhere, again and again. It was not done.
    Redirected(Address),
    /// The server has no such operation.
    Unknown,
    /// The server could not read the request: the two sides differ.
    Malformed,
    /// The server speaks this version of the interface. It was not done.
    OtherVersion(u8),
    /// Two members in a row ended while they did this request; it is not tried again.
    Poisonous,
    /// The answer is no answer of this operation. It may have been done.
    BadAnswer,
    /// The server ended before it answered. It may have been done.
    PeerLost,
    /// The deadline passed. It may have been done, or be done yet.
    TimedOut,
}

impl<E> CallError<E> {
    /// Whether it is certain that the server did nothing, so that any request may be repeated elsewhere.
    pub fn nothing_was_done(&self) -> bool {
        !matches!(
            self,
            CallError::BadAnswer | CallError::PeerLost | CallError::TimedOut | CallError::Poisonous
        )
    }

    /// The same failure of an operation with another error of its own; `refused` turns the server's.
    pub fn map<F>(self, refused: impl FnOnce(E) -> F) -> CallError<F> {
        self.instead_of_refusal(|error| CallError::Refused(refused(error)))
    }

    /// The same failure, but another if the server refused.
    pub fn instead_of_refusal<F>(self, refused: impl FnOnce(E) -> CallError<F>) -> CallError<F> {
        match self {
            CallError::Refused(error) => refused(error),
            CallError::NotSent(error) => CallError::NotSent(error),
            CallError::TooManyCalls => CallError::TooManyCalls,
            CallError::Overloaded => CallError::Overloaded,
            CallError::NotNow => CallError::NotNow,
            CallError::NotFound => CallError::NotFound,
            CallError::Redirected(address) => CallError::Redirected(address),
            CallError::Unknown => CallError::Unknown,
            CallError::Malformed => CallError::Malformed,
            CallError::OtherVersion(version) => CallError::OtherVersion(version),
            CallError::Poisonous => CallError::Poisonous,
            CallError::BadAnswer => CallError::BadAnswer,
            CallError::PeerLost => CallError::PeerLost,
            CallError::TimedOut => CallError::TimedOut,
        }
    }
}

impl<'a> CallError<&'a [u8]> {
    /// Why an answer with this status, version and body has no value.
    pub fn of_answer(status: Status, version: u8, body: &'a [u8]) -> CallError<&'a [u8]> {
        match status {
            Status::Refused => CallError::Refused(body),
            Status::Unknown => CallError::Unknown,
            Status::Malformed => CallError::Malformed,
            Status::OtherVersion => CallError::OtherVersion(version),
            Status::Redirected => {
                whole(body, Scalar::read).map_or(CallError::BadAnswer, CallError::Redirected)
            }
            Status::Overloaded => CallError::Overloaded,
            Status::Poisonous => CallError::Poisonous,
            Status::NotNow => CallError::NotNow,
            // What was done has a value.
            Status::Unsendable | Status::Done => CallError::BadAnswer,
        }
    }
}

impl<E: core::fmt::Display> core::fmt::Display for CallError<E> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CallError::Refused(error) => write!(formatter, "{error}"),
            CallError::NotSent(error) => write!(formatter, "the request was not sent: {error}"),
            CallError::TooManyCalls => write!(formatter, "too many calls are under way: wait for one to end"),
            CallError::Overloaded => write!(formatter, "the server is overloaded: try again later"),
            CallError::NotNow => write!(formatter, "the server is not the one for this now: try again"),
            CallError::NotFound => write!(formatter, "there is no such name"),
            CallError::Redirected(_) => write!(formatter, "the servers send this request in a circle"),
            CallError::Unknown => write!(formatter, "the server has no such operation"),
            CallError::Malformed => write!(formatter, "the server could not read the request"),
            CallError::OtherVersion(version) => write!(formatter, "the server speaks version {version}"),
            CallError::Poisonous => write!(formatter, "two members ended while they did this request"),
            CallError::BadAnswer => write!(formatter, "the answer is not one of this operation"),
            CallError::PeerLost => write!(formatter, "the server ended before it answered"),
            CallError::TimedOut => write!(formatter, "no answer came before the deadline"),
        }
    }
}

impl<E: core::fmt::Display + core::fmt::Debug> core::error::Error for CallError<E> {}

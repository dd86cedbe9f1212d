//! How a service is asked and answers, whatever carries the bytes: the envelope before each message, the names of what
//! went wrong, and the traits that generated code stands on. A client's stub needs a [`Caller`]; a server's dispatcher
//! is a [`Serve`]. `libfos/runtime` supplies both sides on the machine, in the simulator and in tests. [`interface`]
//! makes stub, dispatcher and codec of a trait.

mod address;
mod caller;
mod envelope;
mod error;
#[doc(hidden)]
pub mod generated;
mod served;
pub mod wire;

pub use address::{ADDRESS_SIZE, Address};
pub use caller::{Answered, Caller, Description, Interface, Operation, Part, WriteBody, broadcast};
pub use envelope::{ENVELOPE_SIZE, Envelope, Kind, Outgoing, REPLY_FOLLOWS, Received, Status};
pub use error::{CallError, Never, SendError};
pub use fos_macros::{interface, operation};
pub use served::{AnswerBody, Context, Future, Instead, Serve, Served};

//! How a service is asked and answers, whatever carries the bytes: the envelope before each message, the names of what
//! went wrong, and the two traits that generated code stands on. A client's stub needs a [`Caller`]; a server's
//! dispatcher gives [`Served`]. `libfos::runtime` supplies both sides on the machine, in the simulator and in tests.

mod address;
mod caller;
mod envelope;
mod error;
mod served;
pub mod wire;

pub use address::{ADDRESS_SIZE, Address};
pub use caller::{Answer, Caller, Interface, Operation};
pub use envelope::{ENVELOPE_SIZE, Envelope, Kind, REPLY_FOLLOWS, Status};
pub use error::{CallError, Never, SendError};
pub use served::{AnswerBody, Context, Future, Served};

//! One door to the kernel for everything here: any call, any arguments, an answer. What a wrong call may do to the
//! caller's own memory is the point of this program, so the door is safe to name; what goes through it is picked so
//! that the program's own code, stacks and tables are never among the targets.

use fos_abi::Error;
use fos_abi::calls::{CALLS, Call, CallInfo};
use fos_abi::capability::Handle;

pub use libfos::step::{Broken, During};

/// What a call answered.
pub type Answer = Result<u64, Error>;
/// A call's arguments, in register order.
pub type Arguments = [u64; 6];

/// Makes a call. Unknown error numbers read as `BadCall`, which no known call documents.
#[inline(always)]
pub fn call(call: Call, arguments: Arguments) -> Answer {
    numbered(call as u32, arguments)
}

/// As [`call`], by number: also numbers of no call, and those with the bits of a pipelined call.
#[inline(always)]
pub fn numbered(number: u32, arguments: Arguments) -> Answer {
    // SAFETY: callers pass only pointers to memory that is theirs to be overwritten (scratch pages, blocks), or that
    // the kernel has to refuse; see the module's words.
    let (status, value) = unsafe { libfos::calls::raw(number, arguments) };
    match status {
        0 => Ok(value),
        _ => Err(Error::from_number(status as u32).unwrap_or(Error::BadCall)),
    }
}

/// The table's line of a call.
pub fn info(call: Call) -> &'static CallInfo {
    &CALLS[call as usize]
}

/// Whether the table says that the call may end so. `CoreFailed` needs no line of its own.
pub fn is_documented(call: Call, error: Error) -> bool {
    error == Error::CoreFailed || info(call).errors.contains(&error)
}

/// A handle as an argument.
pub const fn word(handle: Handle) -> u64 {
    handle.0 as u64
}

//! The one place where libfos picks its machine. Everything that names a register or an instruction is below.

mod x86_64;

pub use x86_64::*;

//! The one place that names a machine.

mod x86_64;

pub use x86_64::undefined;

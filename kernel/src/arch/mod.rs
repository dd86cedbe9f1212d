//! The one seam where the machine is chosen: everything above names `arch`, nothing above names a CPU.

pub mod x86_64;
pub use x86_64 as machine;

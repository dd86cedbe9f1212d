//! Archives, executables and layouts: what the host really makes, and what nobody should.

mod archive;
mod executable;
mod small;
mod succession;
mod tickets;

//! Founding fleets where there is nothing yet: naming first, whose members only their starter can introduce to each other, then
//! any other by its names, a key, and a first member, which makes itself as many as its fleet wants. For `init`, which
//! founds all fleets of an image, and for programs that found some to try or to show them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod founding;
pub mod legacy;
mod waiting;

pub use founding::{Founded, Founder};
pub use waiting::{LOOK_EVERY, PATIENCE, wait_for_members, wait_until};

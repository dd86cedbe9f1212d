//! Numbers that a fleet hands out for something it keeps, such as open files: any member hands some out, answers what stands behind
//! one, and takes it back. The numbers are few and come again; a *generation* goes with each, so that whoever still has a handle that
//! was given back is refused, also when its number is another's by now.
//!
//! Free numbers are in a pool; what stands behind each handle is in a strong map that every member has. Who sends here: the member's
//! own server. Whom it waits for: the members that have a key of the map, and those that have free numbers, for each until it answers
//! or has ended. What an ended member had of the free numbers is found again by what the map says (`fos-lending`).
//!
//! | file | decides |
//! |---|---|
//! | `handle` | what a handle is |
//! | `register` | what the map says, and which numbers are free by it |
//! | `handles` | handing out and taking back, and what a member has in its hands meanwhile |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod handle;
mod handles;
mod register;

pub use handle::Handle;
pub use handles::{HandleError, Handles};
pub use register::{Terms, Value};

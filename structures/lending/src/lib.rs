//! Records of what a pool has handed out, kept by the members together: see the README. Who sends here: the member's own server
//! (what is in its hands), and the member that looks for what ended members had. Whom it waits for: all members of the epoch and
//! the book, while it looks; if one of them ends meanwhile, the next epoch's eldest begins again.
//!
//! | file | decides |
//! |---|---|
//! | `hand` | what is in a member's hands, and how the others ask |
//! | `lending` | a pool whose records are the members' hands and a book |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod hand;
mod lending;

pub use hand::Hands;
pub use lending::{Book, Lending};

#[cfg(test)]
mod tests;

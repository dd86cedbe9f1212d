//! What every fleet needs beside its service: who belongs to it, who coordinates what, when to grow and to shrink.
//! Decisions only; the messages are the fleet's own.

mod regulator;
mod rendezvous;
mod roster;

pub use regulator::{Advice, Marks, Regulator};
pub use rendezvous::weight;
pub use roster::{Epoch, Member, Roster};

//! What every fleet needs beside its service. A process becomes a [`Member`] by the fleet's name alone; the members agree on
//! who they are, one coordinates without being chosen for good, and the fleet grows, shrinks and moves under it.
//!
//! ```text
//!  agreement, roster, rendezvous              decisions, without messages and clock: who belongs to it
//!  regulator, leavers                         how many there are to be, and who goes
//!  meter, admission, gate                     at the doors: how loaded; whom to send elsewhere; whom not to hear
//!  member, entering, changing, regulating,
//!  moving, leaving, service                   a member's life, over the runtime
//!  growth, arguments                          how one more is started, and what it is told
//! ```

mod admission;
mod agreement;
mod arguments;
mod changing;
mod charter;
mod entering;
mod gate;
mod growth;
mod leavers;
mod leaving;
mod member;
mod meter;
mod moving;
mod placing;
mod regulating;
mod regulator;
mod rendezvous;
mod roster;
mod service;

pub use agreement::Agreement;
pub use arguments::{MEMBER, arguments, key};
pub use charter::{Charter, CharterError, Event, found, make_names};
pub use entering::EnterError;
pub use fos_messages::fleet::{Figure, Seat};
pub use growth::{ByPrograms, Coming, Growth};
pub use member::Member;
pub use placing::FleetMeasure;
pub use regulator::{Advice, Marks, Regulator};
pub use rendezvous::weight;
pub use roster::{Epoch, Roster};

#[cfg(test)]
mod tests;

//! What every distributed data structure of fos has in common: [`Container`], one member's share of it as a state machine
//! without input, output, clock or randomness of its own. A server, the simulator and tests drive the same code.
//!
//! Who tells a container something: whoever knows the members of its fleet ([`Container::epoch`], [`Container::died`]), the
//! other members ([`Container::hear`]), its own server ([`Container::ask`], [`Container::leave`]), a timer. Whom it waits
//! for: nobody, inside a step; what it wants done it appends to a list of [`Effect`]s.
//!
//! | file | decides |
//! |---|---|
//! | `roll` | whose messages are heard now, later, or never |
//! | `statistics` | what every container counts |
//! | `world` | how tests let everything happen in any order (feature `world`) |
//! | `town` | how tests try a world with clients: to closure, at random, with an end at every message (the same) |
//!
//! `docs/structures.md` says how to add one. `fos-carrier` runs any of them in a fleet.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "world")]
extern crate std;

mod roll;
mod statistics;
#[cfg(feature = "world")]
pub mod town;
#[cfg(feature = "world")]
pub mod world;

pub use roll::{EARLY_MAX, Heard, Roll};
pub use statistics::Statistics;

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A member: one incarnation of one server, by its process identity. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member(pub u64);

/// A period with one membership. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

/// Which of its server's requests an answer is for. The server gives each another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One member's share of a data structure. Whoever drives it keeps these promises:
///
/// - Epochs come in rising order, perhaps not all of them. Everybody is told the same members of an epoch, in the same order.
/// - Messages between two members come in the order in which they were sent, and none is lost while both live.
/// - Nothing is heard from who is not in the epoch, nor what was sent in a later epoch than the own: [`Roll`] sees to it. So
///   who hears a message has every end behind it that its sender knew of.
/// - Who is missing in an epoch has ended or will end, and never comes back.
pub trait Container: Sized {
    /// What its server asks.
    type Request;
    /// What comes of that.
    type Answer;
    /// What members say to each other.
    type Message;
    /// What only the owner of its contents knows. The answer is a request.
    type Question;

    /// Which member this is.
    fn me(&self) -> Member;

    /// An epoch has begun, with these members, whoever has been one longest first. The first that has this member in it is how
    /// it joins; the first without it is how it hears that it is none any more.
    fn epoch(&mut self, epoch: Epoch, members: &[Member], effects: &mut Effects<Self>);

    /// A member has ended. The next epoch does without it; until that begins, what it sent may still come.
    fn died(&mut self, member: Member, effects: &mut Effects<Self>);

    /// Messages to a member find no room any more and wait, or all have gone out again. They wait without bound, and none is
    /// dropped; so to who is crowded nothing is said that may be left out: what is said again later, or looked after
    /// when there is room. All else a container bounds itself, by how much it lets be unanswered.
    fn crowded(&mut self, member: Member, is_crowded: bool, effects: &mut Effects<Self>);

    /// This member is to give up what it has. [`Effect::Left`] says when nothing of it is missed any more.
    fn leave(&mut self, effects: &mut Effects<Self>);

    /// Its server asks for something.
    fn ask(&mut self, ticket: Ticket, request: Self::Request, effects: &mut Effects<Self>);

    /// Another member says something.
    fn hear(&mut self, from: Member, message: Self::Message, effects: &mut Effects<Self>);

    /// A period of the timer is over.
    fn tick(&mut self, effects: &mut Effects<Self>);

    /// Whether ticks are of use now. A change of this is looked for after each step.
    fn wants_ticks(&self) -> bool;

    /// What it has done so far.
    fn statistics(&self) -> Statistics;
}

/// What a container wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<M, A, Q> {
    /// Send a message: now, or in order as soon as there is room.
    Send {
        /// To whom.
        to: Member,
        /// What.
        message: M,
    },
    /// Answer a request.
    Answer {
        /// Which.
        ticket: Ticket,
        /// With what.
        answer: A,
    },
    /// Ask the owner of the contents.
    Question(Q),
    /// It has left: nothing here is missed when the process ends.
    Left,
    /// It has left no more: when it had, nobody stayed to whom it could hand on what it still has, and now somebody does.
    Returned,
    /// It can't go on, or the others went on without it: the process ends.
    Stopped,
}

/// What one container's steps want done.
pub type Effects<C> =
    Vec<Effect<<C as Container>::Message, <C as Container>::Answer, <C as Container>::Question>>;

//! What is said in the demo.

use alloc::vec::Vec;
use fos_messages::rpc::interface;
use fos_messages::rpc::wire::Scalar;
use serde::{Deserialize, Serialize};

/// Adds.
#[interface(id = 0x7f01, version = 1)]
pub trait Adder {
    /// The sum of two numbers of 64 bits, around the end.
    #[operation(idempotent)]
    fn add(&self, one: u64, other: u64) -> u64;

    /// Never answers.
    #[operation(idempotent)]
    async fn hang(&self);
}

/// Notes. Each client has its own, by number.
#[interface(id = 0x7f02, version = 1)]
pub trait Notes {
    /// Keeps a note. When this is answered at least two members have it, and all who are members have.
    #[operation(idempotent)]
    async fn write(&self, number: u64, text: u64);

    /// A note.
    #[operation(idempotent)]
    fn read(&self, number: u64) -> Option<u64>;
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whose: a process.
    pub of: u64,
    /// Its number there.
    pub number: u64,
    /// What it says.
    pub text: u64,
}

/// This member does not have all notes yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Incomplete;

/// Notes in a page.
pub const PAGE: usize = 24;

/// What members say to each other.
#[interface(id = 0x7f03, version = 1)]
pub trait NotesPeers {
    /// Keeps a copy. Answers whether this member has all other notes too.
    #[operation(idempotent, answer_max = 1)]
    fn copy(&self, note: Note) -> bool;

    /// The notes after this one, at most [`PAGE`]. None are left when the page is empty.
    #[operation(idempotent, answer_max = 900)]
    fn page(&self, of: u64, number: u64) -> Result<Vec<Note>, Incomplete>;
}

/// A member that can be made to hang, where the image has its fleet looked after.
#[interface(id = 0x7f05, version = 1)]
pub trait Hanging {
    /// From now on the member uses its core and does nothing.
    #[operation(post)]
    fn hang(&self);
}

/// How far a loader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Progress {
    /// Notes that were acknowledged.
    pub written: u64,
    /// Calls that came to nothing and were made again.
    pub failed: u64,
    /// Tasks that still write.
    pub busy: u64,
    /// Notes that were acknowledged and are gone, or say something else.
    pub lost: u64,
}

/// What a loader is told.
#[interface(id = 0x7f04, version = 1)]
pub trait Loader {
    /// So many notes at once from now on, each task pausing so long after each.
    #[operation(idempotent)]
    fn load(&self, tasks: u32, pause_us: u64);

    /// How far it is.
    #[operation(idempotent)]
    fn progress(&self) -> Progress;

    /// Reads all its notes, by the fleet's name and from each of its members.
    #[operation(idempotent)]
    async fn check(&self) -> Progress;
}

//! What the fleet `knowledge` is told and asked: where cores and memory are, how far from each other, what messages cost, how
//! loaded cores are. Facts are told by whoever has the fleet's key; a process tells where it runs itself.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `tell` | yes: the later of two facts about one thing counts | `BadKey`, `TooMany` |
//! | `here` | yes | `TooMany` |
//! | `nearest`, `compare`, `memory_near`, `route`, `cores` | yes | never |
//! | `learn`, `copy` | yes | never |
//!
//! Facts are about a running machine: whoever asks may be told what was so a moment ago. Nobody may depend on more than that a
//! placement is a good one.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::names::DirectoryKey;
use crate::rpc::interface;
use crate::rpc::wire::Scalar;

/// Where the fleet is found.
pub const NAME: &str = "/knowledge";
/// Facts in one message.
pub const FACTS_MAX: usize = 8;
/// Processes in one question.
pub const NEAR_MAX: usize = 16;
/// Cores in one answer.
pub const CHOICES_MAX: usize = 16;
/// SLIT's number for the distance of a node to itself (ACPI 6.5, 5.2.17).
pub const DISTANCE_LOCAL: u8 = 10;

/// A core of a machine.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Scalar, Serialize, Deserialize,
)]
pub struct Place {
    /// The machine.
    pub machine: u16,
    /// The core there.
    pub core: u16,
}

/// How a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Scalar, Serialize, Deserialize)]
pub enum Way {
    /// By the kernel, from mailbox to mailbox.
    Kernel,
    /// Over a shared page.
    Channel,
    /// To another machine.
    Network,
}

/// Something that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A core is there (MADT), and where (CPUID leaves 0x1F and 0x0B, SRAT).
    Core {
        /// Which.
        at: Place,
        /// Its package.
        package: u16,
        /// Its physical core there, of which it is one thread.
        physical: u16,
        /// The node of the memory next to it.
        node: u16,
        /// The image keeps it for what it names itself: nothing is placed there.
        is_reserved: bool,
    },
    /// A core has ended.
    Gone {
        /// Which.
        at: Place,
    },
    /// Memory (SRAT).
    Memory {
        /// Its machine.
        machine: u16,
        /// Its node.
        node: u16,
        /// Its first frame.
        first: u64,
        /// How many.
        frames: u64,
    },
    /// How far two nodes are from each other (SLIT).
    Distance {
        /// Their machine.
        machine: u16,
        /// One.
        from: u16,
        /// The other.
        to: u16,
        /// [`DISTANCE_LOCAL`] is none.
        distance: u8,
    },
    /// What a message was measured to take.
    Cost {
        /// Between this core
        from: Place,
        /// and that,
        to: Place,
        /// in this way.
        way: Way,
        /// One message, one way.
        nanoseconds: u32,
    },
    /// How loaded a core is.
    Load {
        /// Which.
        at: Place,
        /// Of a thousand moments, those in which it had something to do.
        busy_permille: u16,
        /// How long what comes there waits.
        wait_nanoseconds: u32,
    },
    /// A process runs somewhere.
    Process {
        /// Its identity.
        process: u64,
        /// Where.
        at: Place,
    },
}

/// Somebody with whom messages are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// The process that has the mailbox.
    pub process: u64,
    /// How many, both ways.
    pub messages_per_second: u32,
}

/// A core, as it looks for what was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Which.
    pub at: Place,
    /// What messages and waiting there would take, in each second.
    pub nanoseconds_per_second: u64,
    /// Whether nothing is known to run there.
    pub is_idle: bool,
}

/// Whether another core would be better, and by how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Comparison {
    /// The best core; the same one if none is better.
    pub best: Place,
    /// What messages and waiting take now, in each second.
    pub now_nanoseconds: u64,
    /// What they would take there.
    pub then_nanoseconds: u64,
}

/// Memory, as seen from a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMemory {
    /// Its node.
    pub node: u16,
    /// Its first frame.
    pub first: u64,
    /// How many.
    pub frames: u64,
    /// [`DISTANCE_LOCAL`] is none.
    pub distance: u8,
}

/// How messages between two cores go best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Route {
    /// The cheapest way for many messages.
    pub way: Way,
    /// What one takes.
    pub nanoseconds: u32,
    /// Whether it was measured between these two; else it is what pairs as far from each other take.
    pub is_measured: bool,
}

/// A core, for those who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreView {
    /// Which.
    pub at: Place,
    /// Its package.
    pub package: u16,
    /// The node of the memory next to it.
    pub node: u16,
    /// Of a thousand moments, those in which it had something to do.
    pub busy_permille: u16,
    /// The image keeps it.
    pub is_reserved: bool,
}

/// Why a fact is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum KnowledgeError {
    /// The key is not the fleet's.
    BadKey,
    /// More than [`FACTS_MAX`] in one message, or more about things of this kind than are kept.
    TooMany,
}

impl core::fmt::Display for KnowledgeError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            KnowledgeError::BadKey => "the key is not the fleet's",
            KnowledgeError::TooMany => "more facts than fit a message, or than are kept",
        })
    }
}

impl core::error::Error for KnowledgeError {}

/// What everybody may ask.
#[interface(id = 40, version = 1)]
pub trait Knowledge {
    /// These things are so. `key` is the fleet's. Answered when every member knows.
    #[operation(idempotent)]
    async fn tell(&self, key: DirectoryKey, facts: Vec<Fact>) -> Result<(), KnowledgeError>;

    /// Where the asker runs.
    #[operation(idempotent)]
    async fn here(&self, at: Place) -> Result<(), KnowledgeError>;

    /// At most `count` cores, the best first, for a process that exchanges so many messages with these; none of `avoid`.
    /// Processes that nobody knows count nothing.
    #[operation(idempotent, answer_max = 340)]
    fn nearest(&self, near: Vec<Near>, avoid: Vec<Place>, count: u16) -> Vec<Choice>;

    /// How a core compares with the best one, but for `avoid`, for a process that exchanges so many messages with these.
    #[operation(idempotent)]
    fn compare(&self, near: Vec<Near>, at: Place, avoid: Vec<Place>) -> Comparison;

    /// The memory of a core's machine, the closest first; at most [`CHOICES_MAX`].
    #[operation(idempotent, answer_max = 420)]
    fn memory_near(&self, at: Place) -> Vec<NearMemory>;

    /// How messages go best between two cores.
    #[operation(idempotent)]
    fn route(&self, from: Place, to: Place) -> Route;

    /// Cores from this one on, in order; at most [`CHOICES_MAX`].
    #[operation(idempotent, answer_max = 260)]
    fn cores(&self, from: Place) -> Vec<CoreView>;
}

/// What members say to each other.
#[interface(id = 41, version = 1)]
pub trait KnowledgePeers {
    /// These things are so.
    #[operation(idempotent)]
    fn learn(&self, facts: Vec<Fact>);

    /// Facts that the member keeps, from the first, which is 0, or a later one on; none: that is all. A newcomer asks this.
    #[operation(idempotent, answer_max = 300)]
    fn copy(&self, from: u32) -> Vec<Fact>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{ENVELOPE_SIZE, Interface};
    use alloc::vec;
    use fos_abi::mailbox::MESSAGE_MAX;

    const FAR: Place = Place { machine: u16::MAX, core: u16::MAX };

    fn answer_max(name: &str) -> usize {
        let operations = KnowledgeInterface::OPERATIONS.iter().chain(KnowledgePeersInterface::OPERATIONS);
        operations.into_iter().find(|operation| operation.name == name).unwrap().answer_max
    }

    #[test]
    fn the_longest_answers_fit() {
        let choice = Choice { at: FAR, nanoseconds_per_second: u64::MAX, is_idle: true };
        let memory = NearMemory { node: u16::MAX, first: u64::MAX, frames: u64::MAX, distance: u8::MAX };
        let core = CoreView {
            at: FAR,
            package: u16::MAX,
            node: u16::MAX,
            busy_permille: u16::MAX,
            is_reserved: true,
        };
        let fact = Fact::Memory { machine: u16::MAX, node: u16::MAX, first: u64::MAX, frames: u64::MAX };
        let cost = Fact::Cost { from: FAR, to: FAR, way: Way::Network, nanoseconds: u32::MAX };
        let lengths = [
            ("nearest", postcard::to_allocvec(&vec![choice; CHOICES_MAX]).unwrap().len()),
            ("memory_near", postcard::to_allocvec(&vec![memory; CHOICES_MAX]).unwrap().len()),
            ("cores", postcard::to_allocvec(&vec![core; CHOICES_MAX]).unwrap().len()),
            ("copy", postcard::to_allocvec(&vec![fact; FACTS_MAX]).unwrap().len()),
            ("copy", postcard::to_allocvec(&vec![cost; FACTS_MAX]).unwrap().len()),
        ];
        for (name, length) in lengths {
            assert!(length <= answer_max(name), "{name}: {length}");
            assert!(ENVELOPE_SIZE + answer_max(name) <= MESSAGE_MAX, "{name}");
        }
    }

    #[test]
    fn the_longest_question_fits() {
        let near = Near { process: u64::MAX, messages_per_second: u32::MAX };
        let question = (vec![near; NEAR_MAX], vec![FAR; CHOICES_MAX], u16::MAX);
        let length = postcard::to_allocvec(&question).unwrap().len();
        assert!(ENVELOPE_SIZE + crate::rpc::ADDRESS_SIZE + length <= MESSAGE_MAX, "{length}");
    }
}

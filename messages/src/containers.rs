//! Between members of a fleet that share data structures, over internal mailboxes: `structures/carrier` puts what the structures
//! say to each other into fragments, and sends those.

use crate::rpc::interface;
use alloc::vec::Vec;

/// What the data structures of two members say to each other.
#[interface(id = 18, version = 1)]
pub trait ContainerPeers {
    /// A fragment of a message of one of them.
    #[operation(post)]
    fn say(&self, fragment: Vec<u8>);
}

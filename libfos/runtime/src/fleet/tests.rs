//! What the tests of this folder share, and the agreement under every order of messages and ends.

mod agreement;
mod doors;

use fos_abi::Identity;
use fos_messages::fleet::Seat;
use fos_messages::rpc::Address;

/// A seat that differs from others by its process.
pub fn seat(identity: u64, since: u32) -> Seat {
    let address = Address { identity: Identity(identity), ..Address::default() };
    Seat { internal: address, external: address, since, ..Seat::default() }
}

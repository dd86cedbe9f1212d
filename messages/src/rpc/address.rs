//! Where a mailbox is and what opens it, as plain data: what names answer, what requests carry for their answer.

use super::wire::Scalar;
use alloc::vec::Vec;
use fos_abi::key::MailboxId;
use fos_abi::{Identity, Key};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of an address in a message.
pub const ADDRESS_SIZE: usize = 40;

/// A key, and who answers behind it. An answer counts only if this identity was stamped on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Opens the mailbox.
    pub key: Key,
    /// The process that receives there.
    pub identity: Identity,
}

impl Address {
    /// As bytes, each word little endian.
    pub fn to_bytes(&self) -> [u8; ADDRESS_SIZE] {
        let place = u64::from(self.key.entry) | u64::from(self.key.machine) << 32;
        let words = [self.key.mailbox.0, place, self.key.secret[0], self.key.secret[1], self.identity.0];
        let mut bytes = [0; ADDRESS_SIZE];
        for (target, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *target = word.to_le_bytes();
        }
        bytes
    }

    /// From the bytes of [`Address::to_bytes`]: any 40 bytes are some address, most of which open nothing.
    pub fn from_bytes(bytes: &[u8; ADDRESS_SIZE]) -> Address {
        let word = |index: usize| u64::from_le_bytes(bytes.as_chunks::<8>().0[index]);
        let key = Key {
            mailbox: MailboxId(word(0)),
            entry: word(1) as u32,
            machine: (word(1) >> 32) as u32,
            secret: [word(2), word(3)],
        };
        Address { key, identity: Identity(word(4)) }
    }
}

impl core::hash::Hash for Address {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}

impl Scalar for Address {
    const SIZE: usize = ADDRESS_SIZE;
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Address> {
        let (address, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(Address::from_bytes(address))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.to_bytes();
        let (first, last) = bytes.split_at(32);
        (<[u8; 32]>::try_from(first).unwrap_or_default(), <[u8; 8]>::try_from(last).unwrap_or_default())
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let (first, last) = <([u8; 32], [u8; 8])>::deserialize(deserializer)?;
        let mut bytes = [0; ADDRESS_SIZE];
        bytes[..32].copy_from_slice(&first);
        bytes[32..].copy_from_slice(&last);
        Ok(Address::from_bytes(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_its_bytes() {
        let key = Key { mailbox: MailboxId(1 << 40 | 7), entry: 3, machine: 9, secret: [u64::MAX, 5] };
        let address = Address { key, identity: Identity(1 << 63 | 2) };
        assert_eq!(Address::from_bytes(&address.to_bytes()), address);
        let bytes = postcard::to_allocvec(&address).unwrap();
        assert_eq!(bytes.len(), ADDRESS_SIZE);
        assert_eq!(postcard::from_bytes::<Address>(&bytes).unwrap(), address);
        let mut scalar = Vec::new();
        Scalar::write(address, &mut scalar);
        assert_eq!(scalar, bytes, "an address has the same bytes alone and inside of other values");
    }
}

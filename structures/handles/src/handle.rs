//! A handle: a number of which there are few, and how often it had been handed out when it was.

use serde::{Deserialize, Serialize};

/// What a client is given. No two are equal, ever, in one life of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Handle {
    /// Below the fleet's count.
    pub number: u32,
    /// Which of those that had the number.
    pub generation: u32,
}

impl Handle {
    /// As one word, for messages and for clients that want a number.
    pub const fn bits(self) -> u64 {
        (self.generation as u64) << 32 | self.number as u64
    }

    /// What a client says is a handle. Whether it is one is seen when it is used.
    pub const fn from_bits(bits: u64) -> Handle {
        Handle { number: bits as u32, generation: (bits >> 32) as u32 }
    }
}

impl core::fmt::Display for Handle {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}.{}", self.number, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::Handle;

    #[test]
    fn bits_are_the_handle_and_back() {
        for (number, generation) in [(0, 0), (7, u32::MAX), (u32::MAX, 1)] {
            let handle = Handle { number, generation };
            assert_eq!(Handle::from_bits(handle.bits()), handle);
        }
        assert_ne!(Handle { number: 1, generation: 2 }.bits(), Handle { number: 2, generation: 1 }.bits());
    }
}

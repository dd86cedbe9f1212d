//! Structures that Linux programs read, written field by field at the offsets that Linux's own headers give. No
//! structure of ours is ever copied out, so no padding can carry old bytes along.

/// The bytes of one structure, zero where nothing was put.
pub struct Bytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Bytes<N> {
    /// All zero.
    pub const fn new() -> Self {
        Bytes([0; N])
    }

    /// Puts a field's bytes at its offset. Both come from constants, so a field outside the structure is a bug of
    /// ours and stops the tests.
    pub fn put(mut self, offset: usize, field: &[u8]) -> Self {
        self.0[offset..offset + field.len()].copy_from_slice(field);
        self
    }

    /// A 32-bit field.
    pub fn u32(self, offset: usize, value: u32) -> Self {
        self.put(offset, &value.to_le_bytes())
    }

    /// A 64-bit field.
    pub fn u64(self, offset: usize, value: u64) -> Self {
        self.put(offset, &value.to_le_bytes())
    }
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self::new()
    }
}

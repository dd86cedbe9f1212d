//! Pages of shared words, as channels get them.

use std::sync::atomic::AtomicU64;

/// Words of a page.
const WORDS: usize = 512;
/// Words of a line.
pub const LINE_WORDS: usize = 8;

/// A page.
#[derive(Debug)]
#[repr(align(4096))]
pub struct Page([AtomicU64; WORDS]);

impl Page {
    /// A zeroed page.
    pub fn new() -> Box<Page> {
        Box::new(Page([const { AtomicU64::new(0) }; WORDS]))
    }

    /// All its words.
    pub fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    /// The first word of a line.
    pub fn line(&self, line: usize) -> &AtomicU64 {
        &self.0[line * LINE_WORDS]
    }
}

//! What is said of names: as a tree, and as a document.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod document;
pub mod tree;
pub mod walk;

use alloc::vec::Vec;
use fos_messages::names::{Description, Path};

/// Names in the order of a walk: each before those below it, and those in the order of their names.
pub type Names = Vec<(Path, Description)>;

/// Exit status: everything was listed.
pub const LISTED: u8 = 0;
/// Exit status: naming did not answer.
pub const FAILED: u8 = 1;
/// Exit status: the command line is not valid.
pub const USAGE: u8 = 2;
/// Exit status: there is no such name, or no naming fleet.
pub const NOT_FOUND: u8 = 3;

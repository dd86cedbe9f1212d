//! Names: what `fleets/naming` is asked and answers.

mod entry;
mod path;

pub use entry::{DirectoryKey, Entry, LoadFigure, METADATA_BYTES_MAX, METADATA_PAIRS_MAX, Owner, Policy};
pub use path::{COMPONENT_BYTES_MAX, COMPONENTS_MAX, PATH_BYTES_MAX, Path, PathError};

//! Where things are: the tree that this `fos` was built from, what cargo builds, and what is kept between runs.
//!
//! ```text
//! ROOT/.fos/             kept between runs, never committed, safe to delete
//!   packages/NAME/       Debian packages, unpacked, unmodified
//!   images/NAME.cpio     boot archives
//!   console.log          the console of the last `fos run`
//!   machines/PID-N       sockets of machines that run, for other commands of fos
//!   accelerator.toml     whether KVM boots our kernel on this machine
//! ```

use crate::failure::{Context, Result};
use std::path::{Path, PathBuf};

/// The root of the tree: `FOS_ROOT`, or the tree this program was compiled in.
pub fn root() -> PathBuf {
    let compiled_in = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = std::env::var_os("FOS_ROOT").map_or_else(compiled_in, PathBuf::from);
    root.canonicalize().unwrap_or(root)
}

/// What is kept between runs. Made when missing.
pub fn cache(below: &str) -> Result<PathBuf> {
    let path = root().join(".fos").join(below);
    std::fs::create_dir_all(&path).doing(format_args!("making {}", path.display()))?;
    Ok(path)
}

/// Where cargo puts what it builds for the host: `CARGO_TARGET_DIR` as cargo reads it, or `target/`.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => std::path::absolute(&path).unwrap_or_else(|_| PathBuf::from(path)),
        None => root().join("target"),
    }
}

/// Writes a file so that nobody ever sees half of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let doing = format!("writing {}", path.display());
    std::fs::create_dir_all(folder).doing(&doing)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).doing(&doing)?;
    std::io::Write::write_all(&mut file, bytes).doing(&doing)?;
    file.persist(path).doing(&doing)?;
    Ok(())
}

//! What the guest runs: `bench/linux` as one static program, packed as the only file of an initramfs.

use super::succeed;
use crate::failure::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Passed explicitly, so that the flags reach the program and not the build's own helpers.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Links the C library in: an initramfs of one file has no loader.
const STATIC: &str = "target.x86_64-unknown-linux-gnu.rustflags=[\"-C\",\"target-feature=+crt-static\"]";

/// Building two small dependencies and the program, on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// A regular file that everybody may read and execute.
const EXECUTABLE: u32 = 0o100_755;

/// Builds the benchmark program of `workspace` into `target_dir`; returns its path.
///
/// # Errors
/// Host lacks something (6) without cargo, timed out (4), or failed (1) with the compiler's words.
pub fn program(workspace: &Path, target_dir: &Path) -> Result<PathBuf> {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--release", "--package", "fos-bench-linux", "--target", TARGET]);
    build.args(["--config", STATIC, "--target-dir"]).arg(target_dir).current_dir(workspace);
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"); // they would replace ours
    succeed("building bench/linux", &mut build, BUILD_LIMIT)?;
    Ok(target_dir.join(TARGET).join("release/fos-bench-linux"))
}

/// Packs `program` as `/init` of an initramfs (cpio, newc, not compressed) and writes it to `output`.
///
/// The device of the console comes from the kernel's own initramfs, which it unpacks before this one.
///
/// # Errors
/// Failed (1) if the program can't be read or the output not written.
pub fn initramfs(program: &Path, output: &Path) -> Result<()> {
    let bytes = fs::read(program).doing(format!("reading {}", program.display()))?;
    let file = File::create(output).doing(format!("creating {}", output.display()))?;
    write_archive(&bytes, file).doing(format!("writing {}", output.display()))
}

fn write_archive(program: &[u8], output: impl Write) -> std::io::Result<()> {
    let length = u32::try_from(program.len()).map_err(std::io::Error::other)?;
    let mut entry = cpio::newc::Builder::new("init").mode(EXECUTABLE).write(output, length);
    entry.write_all(program)?;
    cpio::newc::trailer(entry.finish()?)?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_archive_holds_one_executable_init() {
        let mut archive = Vec::new();
        write_archive(b"a program", &mut archive).unwrap();
        let mut reader = cpio::newc::Reader::new(archive.as_slice()).unwrap();
        assert_eq!((reader.entry().name(), reader.entry().mode()), ("init", EXECUTABLE));
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"a program");
        let next = cpio::newc::Reader::new(reader.finish().unwrap()).unwrap();
        assert!(next.entry().is_trailer());
    }
}

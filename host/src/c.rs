//! Programs in C: the static library that they are linked with, made of `libfos/c`, and the programs, each from the C files
//! of one folder. What a program outside of this tree needs is left in one place:
//!
//! ```text
//! TARGET/c/libfos.a     libfos with start-up, heap, and the functions of fos.h
//! TARGET/c/fos.h        the header
//! TARGET/c/link.ld      where a program lies in its address space
//! TARGET/c/bin/NAME     the programs of images, by the names of their folders
//! ```

use crate::cargo::{self, GUEST_PROFILE, TARGET, guest_target};
use crate::children::collect;
use crate::failure::{Code, Context, Failure, Result};
use crate::guests::{Kind, flags};
use crate::packages;
use crate::repository::{self, root};
use crate::talk::Talk;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The crate that the library is made of.
pub const PACKAGE: &str = "fos-c";
/// Start-up, heap and panic handler: on where the library is made, as cargo is told it.
pub const FEATURE: &str = "fos-c/start";
/// What cargo calls it.
const MADE_AS: &str = "libfos_c.a";
const COMPILED_WITHIN: Duration = Duration::from_secs(120);
/// As guest code in Rust is compiled: static, at fixed addresses, with frame pointers, and calling nothing that is not there.
const FLAGS: [&str; 12] = [
    "-std=c11",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-omit-frame-pointer",
    "-ffunction-sections",
];

/// Sees to it that the compiler is there.
pub fn ensure_compiler(talk: &Talk) -> Result<()> {
    packages::ensure(&[packages::CC, packages::AR], talk)
}

fn folder() -> PathBuf {
    repository::target().join("c")
}

/// Where the program of a folder is, once built.
pub fn binary(source: &str) -> PathBuf {
    let name = source.rsplit('/').next().unwrap_or(source);
    folder().join("bin").join(name)
}

/// Builds the library, and the programs of these folders of the tree. Nothing, if there are none.
pub fn build(sources: &[&str]) -> Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    build_library()?;
    sources.iter().try_for_each(|source| build_program(source))
}

fn build_library() -> Result<()> {
    let mut command = cargo::guest(Kind::User, "rustc");
    command.args(["--profile", GUEST_PROFILE, "-p", PACKAGE, "--lib"]);
    command.args(["--crate-type", "staticlib", "--features", FEATURE]);
    cargo::run(&mut command, "building libfos for C")?;
    let library = guest_target(Kind::User).join(TARGET).join(GUEST_PROFILE).join(MADE_AS);
    let header = root().join("libfos").join("c").join("include").join("fos.h");
    let script = root().join("libfos").join("link.ld");
    for (from, name) in [(library, "libfos.a"), (header, "fos.h"), (script, "link.ld")] {
        let bytes = std::fs::read(&from).doing(format_args!("reading {}", from.display()))?;
        repository::write_whole(&folder().join(name), &bytes)?;
    }
    Ok(())
}

fn build_program(source: &str) -> Result<()> {
    let doing = format!("building {source}");
    let files = c_files(&root().join(source))?;
    if files.is_empty() {
        return Err(Failure::new(Code::NotFound, format!("{source} holds no C files")));
    }
    let binary = binary(source);
    let programs = binary.parent().unwrap_or(&binary);
    std::fs::create_dir_all(programs).doing(&doing)?;
    let scratch = tempfile::tempdir_in(programs).doing(&doing)?;
    let objects = files.iter().map(|file| compile(file, scratch.path())).collect::<Result<Vec<_>>>()?;
    let program = scratch.path().join("program");
    let mut link = Command::new("cc");
    link.args(link_flags()).arg("-Wl,--gc-sections").arg("-o").arg(&program);
    run(link.args(objects).arg(folder().join("libfos.a")), &doing)?;
    // Another fos may be building the same: whoever is last has the same to put there.
    std::fs::rename(&program, &binary).doing(&doing)
}

fn c_files(source: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(source)
        .map_err(|error| Failure::new(Code::NotFound, format!("reading {}: {error}", source.display())))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    files.sort();
    Ok(files)
}

/// Compiles a file; answers where the object is.
fn compile(file: &Path, into: &Path) -> Result<PathBuf> {
    let object = into.join(file.file_stem().unwrap_or_default()).with_extension("o");
    let include = root().join("libfos").join("c").join("include");
    let mut compiler = Command::new("cc");
    compiler.args(FLAGS).arg("-I").arg(include).arg("-c").arg(file).arg("-o").arg(&object);
    run(&mut compiler, &format!("compiling {}", file.display()))?;
    Ok(object)
}

/// The linker's arguments of guest programs, as cargo is given them.
fn link_flags() -> Vec<String> {
    let flags = flags(Kind::User, &root());
    flags.iter().filter_map(|flag| flag.strip_prefix("-Clink-arg=")).map(str::to_owned).collect()
}

fn run(command: &mut Command, doing: &str) -> Result<()> {
    let said = collect(command, COMPILED_WITHIN)?;
    if said.status.success() {
        return Ok(());
    }
    Err(Failure::new(Code::Failed, format!("{doing} failed\n{}", said.errors.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_linked_as_those_in_rust_are() {
        let flags = link_flags();
        assert!(flags.contains(&"-nostdlib".to_owned()));
        assert!(flags.iter().any(|flag| flag.starts_with("-T") && flag.ends_with("libfos/link.ld")));
        let all = super::flags(Kind::User, &root());
        let compiled: Vec<_> = all.iter().filter(|flag| !flag.starts_with("-Clink-arg=")).collect();
        assert_eq!(
            compiled,
            ["-Crelocation-model=static"],
            "what else guest code is compiled with, C needs too"
        );
    }

    #[test]
    fn a_folder_without_c_files_is_named() {
        let failure = build_program("docs").unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.message.contains("docs"), "{failure}");
        assert_eq!(build_program("no/such").unwrap_err().code, Code::NotFound);
    }
}

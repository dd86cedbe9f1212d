//! The rules that the compiler checks: format, lints, and that no guest crate reaches `std`.
//!
//! On a hosted target `std` sneaks into a graph unseen: one dependency with a wrong feature is enough. So guest crates
//! are checked against a sysroot that holds only `core`, `alloc` and what those need; a crate that wants `std` does
//! not compile there, and the compiler names it.

use crate::c;
use crate::cargo::{self, GUEST_PROFILE, TARGET};
use crate::children::collect;
use crate::failure::{Code, Context, Failure, Result};
use crate::guests::{HOST_CRATES, KINDS, Kind, flags, of_kind};
use crate::repository;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Libraries of the toolchain that a guest may link.
const GUEST_LIBRARIES: [&str; 4] = ["core", "alloc", "compiler_builtins", "rustc_std_workspace_core"];

/// `cargo fmt --check` over the workspace.
pub fn format() -> Result<()> {
    let mut command = cargo::cargo(&["fmt", "--all", "--check", "--", "--files-with-diff"]);
    cargo::run_with(&mut command, "the format check (run: cargo fmt --all)").map(drop)
}

/// Clippy, warnings denied, over the host's crates and over the tests of the guest's libraries.
pub fn lints_of_the_host() -> Result<()> {
    let mut host = cargo::cargo(&["clippy", "--all-targets"]);
    HOST_CRATES.iter().for_each(|package| {
        host.args(["-p", package]);
    });
    deny_warnings(&mut host, "clippy over the host's crates")?;
    // Guest binaries have no test build: their crates turn it off.
    let mut guests = cargo::cargo(&["clippy", "--workspace", "--lib", "--tests"]);
    HOST_CRATES.iter().for_each(|package| {
        guests.args(["--exclude", package]);
    });
    deny_warnings(&mut guests, "clippy over the guest libraries' tests")
}

/// Clippy, warnings denied, over guest code as it is built for the guest.
pub fn lints_of_the_guest() -> Result<()> {
    for kind in KINDS {
        let mut command = guest_command(kind, "clippy", None)?;
        deny_warnings(&mut command, "clippy over guest crates")?;
    }
    Ok(())
}

/// Guest crates compile where there is no `std`.
pub fn no_std() -> Result<()> {
    let sysroot = sysroot_without_std()?;
    for kind in KINDS {
        let mut command = guest_command(kind, "check", Some(&sysroot))?;
        cargo::run(&mut command, "compiling guest crates without std")?;
    }
    Ok(())
}

/// A cargo command over the libraries and binaries of one kind of guest, in a target folder of the checks' own: other
/// flags than the build's must not undo what it built.
fn guest_command(kind: Kind, subcommand: &str, sysroot: Option<&Path>) -> Result<Command> {
    let mut flags = flags(kind, &repository::root());
    let mut folder = "guest-check";
    if let Some(sysroot) = sysroot {
        flags.push(format!("--sysroot={}", sysroot.display()));
        folder = "guest-check-no-std";
    }
    // The linker's arguments do not matter where nothing is linked, and without them the kinds share their crates.
    flags.retain(|flag| !flag.starts_with("-Clink-arg"));
    let mut command = cargo::guest(kind, subcommand);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    command.env("CARGO_TARGET_DIR", repository::target().join(folder));
    command.args(["--profile", GUEST_PROFILE, "--lib", "--bins"]);
    of_kind(kind).for_each(|package| {
        command.args(["-p", package]);
    });
    if kind == Kind::User {
        command.args(["-p", c::PACKAGE, "--features", c::FEATURE]);
    }
    Ok(command)
}

fn deny_warnings(command: &mut Command, doing: &str) -> Result<()> {
    // `--quiet` must stand before the lints' own arguments.
    cargo::run_with(command.arg("--quiet").args(["--", "-D", "warnings"]), doing).map(drop)
}

/// A sysroot below the target folder that links only [`GUEST_LIBRARIES`] of the toolchain's.
fn sysroot_without_std() -> Result<PathBuf> {
    let sysroot = rustc(&["--print", "sysroot"])?;
    let libraries = |root: &Path| root.join("lib/rustlib").join(TARGET).join("lib");
    let from = libraries(Path::new(&sysroot));
    let made = repository::target().join("sysroot-without-std");
    let to = libraries(&made);
    let doing = format!("making {}", made.display());
    // Made anew each time: the toolchain may have changed.
    let _ = std::fs::remove_dir_all(&made);
    std::fs::create_dir_all(&to).doing(&doing)?;
    let mut linked = 0;
    for entry in std::fs::read_dir(&from).doing(&doing)? {
        let name = entry.doing(&doing)?.file_name();
        let text = name.to_string_lossy();
        let wanted = GUEST_LIBRARIES.iter().any(|library| text.starts_with(&format!("lib{library}-")));
        if wanted {
            std::os::unix::fs::symlink(from.join(&name), to.join(&name)).doing(&doing)?;
            linked += 1;
        }
    }
    if linked < GUEST_LIBRARIES.len() - 1 {
        let message = format!("{} lacks the precompiled core libraries of {TARGET}", from.display());
        return Err(Failure::new(Code::HostLacks, message).hint(format!("run: rustup target add {TARGET}")));
    }
    Ok(made)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = collect(Command::new(program).args(arguments), Duration::from_secs(30))?;
    if said.status.success() {
        return Ok(said.output.trim().to_owned());
    }
    Err(Failure::new(Code::Failed, format!("asking rustc failed: {}", said.errors.trim())))
}

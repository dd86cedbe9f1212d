//! How cargo is called: with which flags, into which target folder, and what it said when it failed. Guest crates of
//! one kind are built by one call into one folder of their own, so that their flags never rebuild the host's crates.
//!
//! The target is always named: without `--target` the guest's flags would also reach build scripts and macros.

use crate::failure::{Code, Context, Failure, Result};
use crate::guests::{Kind, flags};
use crate::repository;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The only target.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The cargo profile of guest binaries.
pub const GUEST_PROFILE: &str = "guest";
/// The longest a build may take; a cold one of everything takes minutes on two cores.
pub const BUILD_WITHIN: Duration = Duration::from_secs(20 * 60);

/// A cargo command in the tree, without the flags that the environment would add to guests.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository::root()).args(arguments).env("CARGO_TERM_COLOR", "never");
    command
}

/// The target folder of one kind of guest.
pub fn guest_target(kind: Kind) -> PathBuf {
    repository::target().join(match kind {
        Kind::Kernel => "guest-kernel",
        Kind::User => "guest-user",
        Kind::Personality => "guest-posix",
    })
}

/// A cargo command whose crates are built for the guest.
pub fn guest(kind: Kind, subcommand: &str) -> Command {
    let mut command = cargo(&[subcommand, "--target", TARGET, "--target-dir"]);
    command.arg(guest_target(kind));
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(kind, &repository::root()).join("\u{1f}"));
    command.env_remove("RUSTFLAGS");
    command
}

/// Builds the binaries of these guest crates.
pub fn build_guests(kind: Kind, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let mut command = guest(kind, "build");
    command.args(["--profile", GUEST_PROFILE, "--bins"]);
    packages.iter().for_each(|package| {
        command.args(["-p", package]);
    });
    run(&mut command, &format!("building {}", packages.join(", ")))?;
    let missing = packages.iter().find(|package| !guest_binary(kind, package).is_file());
    match missing {
        Some(package) => {
            Err(Failure::new(Code::NotFound, format!("crate {package} has no binary of its name")))
        }
        None => Ok(()),
    }
}

/// Where the binary of a guest crate is, once built.
pub fn guest_binary(kind: Kind, package: &str) -> PathBuf {
    guest_target(kind).join(TARGET).join(GUEST_PROFILE).join(package)
}

/// Runs cargo to its end. Answers its standard output; a failure carries what it said.
pub fn run(command: &mut Command, doing: &str) -> Result<String> {
    run_with(command.arg("--quiet"), doing)
}

/// The same for a command whose arguments are complete.
pub fn run_with(command: &mut Command, doing: &str) -> Result<String> {
    let said = crate::children::collect(command, BUILD_WITHIN)?;
    if said.status.success() {
        return Ok(said.output);
    }
    let words = format!("{}\n{}", said.output.trim_end(), said.errors.trim_end());
    Err(Failure::new(Code::Failed, format!("{doing} failed\n{}", words.trim())))
}

/// What cargo knows of the workspace, `cargo metadata`'s document.
pub fn metadata(with_dependencies: bool) -> Result<serde_json::Value> {
    let mut command = cargo(&["metadata", "--format-version", "1", "--filter-platform", TARGET]);
    if !with_dependencies {
        command.arg("--no-deps");
    }
    let text = run(&mut command, "reading the workspace")?;
    serde_json::from_str(&text).doing("reading cargo's metadata")
}

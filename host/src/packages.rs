//! Debian packages: what the host needs installed, and what images take from packages without installing them.
//!
//! What is missing is installed with apt when that may be (root, or sudo that asks for no password, and `FOS_NO_INSTALL`
//! unset); otherwise the failure is one sentence that names the command.

use crate::children::collect;
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use crate::talk::Talk;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const INSTALL_WITHIN: Duration = Duration::from_secs(8 * 60);
const QUERY_WITHIN: Duration = Duration::from_secs(30);

/// A program that the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What is run.
    pub program: &'static str,
    /// The Debian package that holds it.
    pub package: &'static str,
    /// What needs it, for `fos doctor`.
    pub needed_for: &'static str,
}

/// The machine.
pub const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
    needed_for: "run, test, bench, gdb: the machine",
};
/// The debugger.
pub const GDB: Tool = Tool { program: "gdb", package: "gdb", needed_for: "gdb: the debugger" };
/// Makes programs in boot archives small.
pub const STRIP: Tool =
    Tool { program: "strip", package: "binutils", needed_for: "build: smaller boot archives" };
/// Builds programs in C.
pub const CC: Tool = Tool { program: "cc", package: "gcc", needed_for: "build: programs in C, and linking" };
/// Puts libfos for C together.
pub const AR: Tool = Tool { program: "ar", package: "binutils", needed_for: "build: libfos for C" };
/// Makes disk images.
pub const MKE2FS: Tool = Tool { program: "mke2fs", package: "e2fsprogs", needed_for: "disk images" };

/// Everything that `fos doctor` looks for and that apt can install.
pub const TOOLS: &[Tool] = &[QEMU, STRIP, CC, AR, MKE2FS, GDB];

/// Where a program is: on `PATH`, or in the folders for administrators that users' `PATH` often lacks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// The first line of `PROGRAM --version`, or where the program is when it tells none.
pub fn version(program: &str) -> Option<String> {
    let path = find(program)?;
    let said = collect(Command::new(&path).arg("--version"), QUERY_WITHIN).ok();
    let line = said.and_then(|said| said.output.lines().next().map(str::to_owned));
    Some(line.filter(|line| !line.is_empty()).unwrap_or_else(|| path.display().to_string()))
}

/// Sees to it that these tools are there.
pub fn ensure(tools: &[Tool], talk: &Talk) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let lacking = || {
        let names: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
        Failure::new(Code::HostLacks, format!("{} is not installed", names.join(", ")))
            .hint(format!("run: {}", install_command(&packages)))
    };
    let Some(prefix) = administrator() else { return Err(lacking()) };
    let stage = talk.stage(format!("installing {}", packages.join(", ")));
    install(&prefix, &packages).map_err(|failure| lacking_because(lacking(), &failure))?;
    stage.done();
    if tools.iter().all(|tool| find(tool.program).is_some()) { Ok(()) } else { Err(lacking()) }
}

fn lacking_because(mut lacking: Failure, failure: &Failure) -> Failure {
    lacking.message = format!("{}, and installing failed ({})", lacking.message, failure.message);
    lacking
}

/// What a person types to install packages.
pub fn install_command(packages: &[&str]) -> String {
    let sudo = if rustix::process::geteuid().is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get install --yes --no-install-recommends {}", packages.join(" "))
}

/// The words before a command that needs an administrator, or nothing when this process must not or cannot be one.
fn administrator() -> Option<Vec<&'static str>> {
    if std::env::var_os("FOS_NO_INSTALL").is_some() || find("apt-get").is_none() {
        return None;
    }
    if rustix::process::geteuid().is_root() {
        return Some(vec![]);
    }
    let asks_nothing = collect(Command::new("sudo").args(["-n", "true"]), QUERY_WITHIN)
        .is_ok_and(|said| said.status.success());
    asks_nothing.then(|| vec!["sudo", "-n"])
}

fn install(prefix: &[&str], packages: &[&str]) -> Result<()> {
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    if apt(prefix, &arguments).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists yet.
    apt(prefix, &["update"])?;
    apt(prefix, &arguments)
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    let mut words = prefix.to_vec();
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    words.extend(arguments);
    let said = collect(Command::new(words[0]).args(&words[1..]), INSTALL_WITHIN)?;
    if said.status.success() {
        return Ok(());
    }
    let reason = said.errors.lines().next_back().unwrap_or("no reason given").to_owned();
    Err(Failure::new(Code::HostLacks, format!("apt-get {}: {reason}", arguments[0])))
}

/// A file of a Debian package: the installed one when the package is installed, else from the package, downloaded
/// and unpacked below `.fos/packages` without installing it.
pub fn file(package: &str, path: &str, talk: &Talk) -> Result<PathBuf> {
    if installed(package) && Path::new(path).is_file() {
        return Ok(PathBuf::from(path));
    }
    let folder = unpacked(package, talk)?;
    let file = folder.join(path.trim_start_matches('/'));
    if file.is_file() {
        return Ok(file);
    }
    Err(Failure::new(Code::NotFound, format!("package {package} holds no file {path}")))
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    collect(query.args(["-W", "-f", "${Status}", package]), QUERY_WITHIN)
        .is_ok_and(|said| said.output.ends_with("install ok installed"))
}

/// The folder into which a package is unpacked, downloaded once.
pub fn unpacked(package: &str, talk: &Talk) -> Result<PathBuf> {
    let folder = repository::cache("packages")?;
    let finished = folder.join(package);
    if finished.is_dir() {
        return Ok(finished);
    }
    let stage = talk.stage(format!("downloading Debian's {package}"));
    let doing = format!("unpacking {package}");
    let scratch = tempfile::tempdir_in(&folder).doing(&doing)?;
    download(package, scratch.path())?;
    let archive = only_file(scratch.path()).doing(&doing)?;
    let content = scratch.path().join("content");
    let said = collect(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&content), INSTALL_WITHIN)?;
    if !said.status.success() {
        return Err(Failure::new(Code::Failed, format!("{doing}: {}", said.errors.trim())));
    }
    // Another fos may have been faster; its result is the same.
    let _ = std::fs::rename(&content, &finished);
    stage.done();
    if finished.is_dir() { Ok(finished) } else { Err(Failure::new(Code::Failed, doing)) }
}

fn download(package: &str, into: &Path) -> Result<()> {
    let attempt = || {
        let mut apt = Command::new("apt-get");
        collect(apt.args(["--quiet", "download", package]).current_dir(into), INSTALL_WITHIN)
    };
    let mut said = attempt()?;
    if !said.status.success()
        && let Some(prefix) = administrator()
    {
        apt(&prefix, &["update"])?;
        said = attempt()?;
    }
    if said.status.success() {
        return Ok(());
    }
    let reason = said.errors.lines().next_back().unwrap_or("no reason given").to_owned();
    Err(Failure::new(Code::HostLacks, format!("downloading Debian's {package} failed ({reason})"))
        .hint("run: apt-get update, and look at the network"))
}

fn only_file(folder: &Path) -> std::io::Result<PathBuf> {
    let mut files = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "apt-get download left no package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-here"), None);
    }
}

//! Obtaining Debian's cloud kernel: downloaded by apt, unpacked beside the build, never installed.
//!
//! ```text
//! <cache>/linux/current                              names the folder in use; written last
//! <cache>/linux/<package>_<version>/vmlinuz, config
//! ```
//! A kernel that is there is used again without asking apt, so numbers stay comparable; removing
//! `<cache>/linux` fetches the newest.

use super::succeed;
use crate::children::collect;
use crate::failure::{Code, Context, Failure, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Debian's package that depends on the newest cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// Reading apt's lists, or unpacking 30 MB.
const LOCAL_LIMIT: Duration = Duration::from_secs(60);

/// Fetching the lists or the package.
const NETWORK_LIMIT: Duration = Duration::from_secs(240);

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The compressed kernel, as Debian ships it.
    pub vmlinuz: PathBuf,
    /// Debian's package: `linux-image-6.1.0-56-cloud-amd64`.
    pub package: String,
    /// Debian's version of it: `6.1.192-2`.
    pub version: String,
}

/// The kernel in `cache_dir`/linux, fetched first if there is none.
///
/// # Errors
/// Host lacks something (6) if apt knows no such package or can't fetch it, timed out (4) if apt took minutes,
/// failed (1) if `cache_dir` can't be written.
pub fn kernel(cache_dir: &Path) -> Result<Kernel> {
    let folder = cache_dir.join("linux");
    if let Some(kernel) = cached(&folder) {
        return Ok(kernel);
    }
    let (package, version) = newest()?;
    let scratch = folder.join(format!("unpacking-{}", std::process::id()));
    fs::create_dir_all(&scratch).doing(format!("making the folder {}", scratch.display()))?;
    let fetched =
        fetch(&scratch, &package, &version).and_then(|()| keep(&folder, &scratch, &package, &version));
    // Whatever happened, 100 MB of unpacked modules are of no use; what is left over harms nothing.
    let _ = fs::remove_dir_all(&scratch);
    fetched
}

fn cached(folder: &Path) -> Option<Kernel> {
    let current = fs::read_to_string(folder.join("current")).ok()?;
    let (package, version) = current.trim().split_once('_')?;
    let vmlinuz = folder.join(current.trim()).join("vmlinuz");
    vmlinuz.is_file().then(|| Kernel { vmlinuz, package: package.to_owned(), version: version.to_owned() })
}

/// Package and version that the meta package depends on; fetches apt's lists once if they are empty.
fn newest() -> Result<(String, String)> {
    if let Some(found) = look_up()? {
        return Ok(found);
    }
    let mut update = Command::new("apt-get");
    update.args(["-q", "-o", "Acquire::Retries=2", "update"]);
    let update = collect(&mut update, NETWORK_LIMIT)?;
    let complaint = update.errors.lines().last().unwrap_or("no complaint");
    look_up()?.ok_or_else(|| {
        Failure::new(
            Code::HostLacks,
            format!("apt knows no {META_PACKAGE} (apt-get update: {}, {complaint})", update.status),
        )
        .hint("run as root: apt-get update (on a Debian whose sources include main)")
    })
}

fn look_up() -> Result<Option<(String, String)>> {
    let mut show = Command::new("apt-cache");
    show.args(["--no-all-versions", "show", META_PACKAGE]).env("LC_ALL", "C");
    Ok(dependency(&collect(&mut show, LOCAL_LIMIT)?.output))
}

/// The `Depends: NAME (= VERSION)` of a package's record.
fn dependency(record: &str) -> Option<(String, String)> {
    let depends = record.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    let kernel = depends.split(',').map(str::trim).find(|name| name.starts_with("linux-image-"))?;
    let (package, version) = kernel.split_once(" (= ")?;
    Some((package.to_owned(), version.strip_suffix(')')?.to_owned()))
}

/// Downloads the package into `scratch` and unpacks it there.
fn fetch(scratch: &Path, package: &str, version: &str) -> Result<()> {
    let mut download = Command::new("apt-get");
    download.args(["-q", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "download"]);
    download.arg(format!("{package}={version}")).current_dir(scratch);
    let ended = collect(&mut download, NETWORK_LIMIT)?;
    let archive =
        files_in(scratch)?.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let archive = archive.filter(|_| ended.status.success()).ok_or_else(|| {
        let complaint = ended.errors.trim();
        Failure::new(Code::HostLacks, format!("apt can't download {package} {version}: {complaint}"))
            .hint("run as root: apt-get update; and look at the network")
    })?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(archive).arg(scratch);
    succeed(&format!("unpacking {package}"), &mut unpack, LOCAL_LIMIT).map(|_| ())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).doing(format!("listing {}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// Moves kernel and configuration out of `scratch` to their place, and names the place as current.
fn keep(folder: &Path, scratch: &Path, package: &str, version: &str) -> Result<Kernel> {
    let name = format!("{package}_{version}");
    let place = folder.join(&name);
    fs::create_dir_all(&place).doing(format!("making the folder {}", place.display()))?;
    let release = package.trim_start_matches("linux-image-");
    for file in ["vmlinuz", "config"] {
        let unpacked = scratch.join("boot").join(format!("{file}-{release}"));
        fs::rename(&unpacked, place.join(file)).doing(format!("moving {}", unpacked.display()))?;
    }
    let (written, current) = (scratch.join("current"), folder.join("current"));
    fs::write(&written, &name).doing(format!("writing {}", written.display()))?;
    fs::rename(&written, &current).doing(format!("moving {}", current.display()))?;
    cached(folder).ok_or_else(|| Failure::new(Code::Failed, format!("{name} vanished while it was unpacked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meta_package_names_kernel_and_version() {
        let record = "Package: linux-image-cloud-amd64\nVersion: 6.1.192-2\n\
                      Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\nDescription: Linux\n";
        let expected = ("linux-image-6.1.0-56-cloud-amd64".to_owned(), "6.1.192-2".to_owned());
        assert_eq!(dependency(record), Some(expected));
    }

    #[test]
    fn other_dependencies_are_passed_over_and_none_is_none() {
        let record = "Depends: initramfs-tools (>= 0.1), linux-image-7-cloud-amd64 (= 7.0-1)\n";
        assert_eq!(dependency(record), Some(("linux-image-7-cloud-amd64".to_owned(), "7.0-1".to_owned())));
        assert_eq!(dependency(""), None);
        assert_eq!(dependency("Depends: linux-image-7-cloud-amd64\n"), None);
    }

    #[test]
    fn a_kept_kernel_is_found_again_and_a_removed_one_is_not() {
        let folder = std::env::temp_dir().join(format!("fos-linux-{}", std::process::id()));
        let scratch = folder.join("unpacking");
        fs::create_dir_all(scratch.join("boot")).unwrap();
        for file in ["vmlinuz-7-cloud-amd64", "config-7-cloud-amd64"] {
            fs::write(scratch.join("boot").join(file), "x").unwrap();
        }
        let kept = keep(&folder, &scratch, "linux-image-7-cloud-amd64", "7.0-1").unwrap();
        assert_eq!(cached(&folder), Some(kept.clone()));
        fs::remove_file(&kept.vmlinuz).unwrap();
        assert_eq!(cached(&folder), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}

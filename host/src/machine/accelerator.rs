//! How instructions run: by KVM where it works, by TCG everywhere. `/dev/kvm` may exist and be unusable (a nested
//! hypervisor that emulates ring 0 slowly, or lacks instructions), so `auto` tries a real boot of our kernel with a
//! time limit, and remembers the answer below `.fos/` for this host kernel and processor.

use super::{Machine, Options};
use crate::failure::{Code, Failure, Result};
use crate::image::Built;
use crate::repository;
use crate::talk::Talk;
use std::path::Path;
use std::time::Duration;

/// How instructions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Translated by QEMU: slower, everywhere the same.
    Tcg,
    /// By the processor itself.
    Kvm,
}

impl Accelerator {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Accelerator::Tcg => "tcg",
            Accelerator::Kvm => "kvm",
        }
    }
}

/// What a user may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// KVM if it boots our kernel here, else TCG.
    #[default]
    Auto,
    /// TCG.
    Tcg,
    /// KVM, without trying it first.
    Kvm,
}

/// Ready is there within 0.3 s where KVM works; where it takes this long it is of no use.
const TRIAL_WITHIN: Duration = Duration::from_secs(8);

/// Decides for this image and host.
pub fn choose(choice: Choice, built: &Built, talk: &Talk) -> Result<Accelerator> {
    match choice {
        Choice::Tcg => Ok(Accelerator::Tcg),
        Choice::Kvm if kvm_is_open() => Ok(Accelerator::Kvm),
        Choice::Kvm => Err(Failure::new(Code::HostLacks, "/dev/kvm cannot be opened for writing")
            .hint("use --accel tcg, or join the group that owns /dev/kvm")),
        Choice::Auto if !kvm_is_open() => Ok(Accelerator::Tcg),
        Choice::Auto => {
            let memory = repository::root().join(".fos/accelerator.toml");
            decide(&memory, &host_key(), talk, || try_boot(built, Accelerator::Kvm, TRIAL_WITHIN))
        }
    }
}

/// What is remembered for this host, if anything.
pub fn remembered() -> Option<Accelerator> {
    recall(&repository::root().join(".fos/accelerator.toml"), &host_key())
}

/// Whether this process may use `/dev/kvm`.
pub fn kvm_is_open() -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

fn decide(memory: &Path, host: &str, talk: &Talk, trial: impl FnOnce() -> Result<()>) -> Result<Accelerator> {
    if let Some(known) = recall(memory, host) {
        return Ok(known);
    }
    let stage = talk.stage("tried KVM");
    let accelerator = match trial() {
        Ok(()) => Accelerator::Kvm,
        Err(failure) if failure.code == Code::Interrupted => return Err(failure),
        Err(failure) => {
            let reason = failure.message.lines().next().unwrap_or_default();
            talk.say(format_args!("KVM does not boot fos on this host ({reason}); using TCG from now on"));
            Accelerator::Tcg
        }
    };
    stage.done();
    let text = format!("host = {}\nuse = {:?}\n", toml::Value::from(host), accelerator.name());
    repository::write_whole(memory, text.as_bytes())?;
    Ok(accelerator)
}

fn recall(memory: &Path, host: &str) -> Option<Accelerator> {
    let table: toml::Table = std::fs::read_to_string(memory).ok()?.parse().ok()?;
    if table.get("host")?.as_str()? != host {
        return None;
    }
    match table.get("use")?.as_str()? {
        "kvm" => Some(Accelerator::Kvm),
        "tcg" => Some(Accelerator::Tcg),
        _ => None,
    }
}

/// The host's kernel release and processor model: what decides whether KVM works.
fn host_key() -> String {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    format!("{release}, {}", processor())
}

/// The processor's name, for keys and benchmark documents.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

fn try_boot(built: &Built, accelerator: Accelerator, within: Duration) -> Result<()> {
    let mut machine = Machine::start(&Options::of(built, accelerator), None)?;
    machine.wait_ready(within)?;
    machine.power_off().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_remembered_for_this_host_alone() {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("accelerator.toml");
        let fails = || Err(Failure::new(Code::TimedOut, "the boot stalled"));
        let host = "6.1.0, \"Quoted\" CPU";
        let first = decide(&memory, host, &Talk::SILENT, fails).unwrap();
        let again = decide(&memory, host, &Talk::SILENT, || panic!("tried again")).unwrap();
        let elsewhere = decide(&memory, "6.2.0", &Talk::SILENT, || Ok(())).unwrap();
        assert_eq!((first, again, elsewhere), (Accelerator::Tcg, Accelerator::Tcg, Accelerator::Kvm));
    }

    #[test]
    fn a_damaged_memory_is_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("accelerator.toml");
        std::fs::write(&memory, "host = 3\nuse").unwrap();
        assert_eq!(recall(&memory, "x"), None);
    }
}

//! Processes on the host, seen from `/proc`: whether a command left any behind.

use std::time::{Duration, Instant};

/// The children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|process| parent_of(*process) == Some(parent)).collect()
}

/// Whether a process runs; a zombie does not.
pub fn runs(process: u32) -> bool {
    stat(process).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
}

/// Waits until none of these runs; answers those that still do.
pub fn wait_gone(processes: &[u32], within: Duration) -> Vec<u32> {
    let deadline = Instant::now() + within;
    loop {
        let left: Vec<u32> = processes.iter().copied().filter(|process| runs(*process)).collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn parent_of(process: u32) -> Option<u32> {
    stat(process)?.get(1)?.parse().ok()
}

/// The fields of `/proc/PID/stat` after the name in parentheses: state, parent, ... (proc(5)).
fn stat(process: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_seen_while_it_runs() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        assert!(runs(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(wait_gone(&[child.id()], Duration::from_secs(2)).is_empty());
    }
}

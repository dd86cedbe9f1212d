//! Nothing that `fos` starts outlives it. Three layers: a [`Child`] kills its process when dropped; a thread waiting
//! for SIGINT, SIGTERM and SIGHUP kills all of them and exits; and the kernel kills them should `fos` itself be killed
//! (PR_SET_PDEATHSIG, prctl(2)).
//!
//! PR_SET_PDEATHSIG acts when the *thread* that started the child ends, so start children from a thread that stays:
//! the main thread, or one that waits for the child.

use crate::failure::{Code, Context, Failure, Result};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Every process group that is ours to end.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn running() -> std::sync::MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Makes a signal end every child before `fos` ends with [`Code::Interrupted`]. Call once, from `main`.
pub fn end_with_signals() -> Result<()> {
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).doing("watching signals")?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // The lock is kept to the end, so that no child starts between the kill and the exit.
            let children = running();
            children.iter().for_each(|group| kill_group(*group));
            std::process::exit(Code::Interrupted as i32);
        }
    });
    Ok(())
}

fn kill_group(group: Pid) {
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
}

/// A process of ours in a group of its own; killed, with whatever it started, when dropped.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    group: Pid,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command`, and lets it inherit `descriptors` at their present numbers.
    pub fn start(command: &mut Command, descriptors: &[&OwnedFd]) -> Result<Child> {
        let name = command.get_program().to_string_lossy().into_owned();
        let inherited: Vec<i32> = descriptors.iter().map(|descriptor| descriptor.as_raw_fd()).collect();
        let parent = rustix::process::getpid();
        command.process_group(0);
        // SAFETY: between fork and exec the closure makes only system calls (prctl, getppid, fcntl), which are
        // async-signal-safe; it allocates nothing and takes no lock. The descriptors in `inherited` are borrowed
        // from the caller across `spawn`, so they are open in the child.
        unsafe {
            command.pre_exec(move || prepare(parent, &inherited));
        }
        let mut children = running();
        let process = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(Code::HostLacks, format!("{name} is not installed")).hint("run: ./fos doctor")
            }
            _ => Failure::new(Code::Failed, format!("starting {name}: {error}")),
        })?;
        let group = Pid::from_child(&process);
        children.push(group);
        Ok(Child { process, group, ended: None })
    }

    /// The process, for its pipes and its number.
    pub fn process(&mut self) -> &mut std::process::Child {
        &mut self.process
    }

    /// Its exit status, once it has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits until it ends, at most until `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            let ended = self.try_wait();
            if ended.is_some() || Instant::now() >= deadline {
                return ended;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Not reaped yet, so the group's number is still ours even when the process has ended.
        if self.ended.is_none() {
            kill_group(self.group);
            let _ = self.process.wait();
        }
        running().retain(|group| *group != self.group);
    }
}

/// Runs in the child before exec.
fn prepare(parent: Pid, inherited: &[i32]) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        return Err(std::io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
    }
    for descriptor in inherited {
        // SAFETY: the caller of `Child::start` holds the descriptor open across the fork, and this process does not
        // close it before exec.
        let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(*descriptor) };
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())?;
    }
    Ok(())
}

/// What a finished command said.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// Runs a command to its end, its output collected, with a deadline. It reads nothing.
pub fn collect(command: &mut Command, within: Duration) -> Result<Said> {
    collect_with(command, Vec::new(), within)
}

/// The same for a command that reads this.
pub fn collect_with(command: &mut Command, input: Vec<u8>, within: Duration) -> Result<Said> {
    use std::process::Stdio;
    let name = command.get_program().to_string_lossy().into_owned();
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = Child::start(command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()), &[])?;
    if let Some(mut pipe) = child.process().stdin.take() {
        // A command that ends before it has read all is not for this to judge.
        std::thread::spawn(move || drop(std::io::Write::write_all(&mut pipe, &input)));
    }
    let output = child.process().stdout.take().map(reader);
    let errors = child.process().stderr.take().map(reader);
    let Some(status) = child.wait_until(Instant::now() + within) else {
        let seconds = within.as_secs();
        return Err(Failure::new(Code::TimedOut, format!("{name} did not end within {seconds} s")));
    };
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Said { status, output: text(output), errors: text(errors) })
}

fn reader(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: Pid) -> bool {
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn a_dropped_child_and_what_it_started_are_gone() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & echo $!; wait"]).stdout(std::process::Stdio::piped());
        let mut child = Child::start(&mut shell, &[]).unwrap();
        let mut line = String::new();
        let pipe = child.process().stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(pipe), &mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        assert!(alive(grandchild));
        drop(child);
        let deadline = Instant::now() + Duration::from_secs(5);
        // A killed grandchild may stay as a zombie until init reaps it: look at its state, not its number.
        let dead = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", grandchild.as_raw_nonzero()));
            state.map_or(true, |text| text.contains(") Z "))
        };
        while !dead() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(dead());
    }

    #[test]
    fn a_command_past_its_deadline_is_ended_and_named() {
        let failure = collect(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(failure.code, Code::TimedOut);
        assert!(failure.message.contains("sleep"));
    }

    #[test]
    fn a_missing_program_is_the_host_lacking_something() {
        let failure = collect(&mut Command::new("no-such-program-here"), Duration::from_secs(1)).unwrap_err();
        assert_eq!(failure.code, Code::HostLacks);
    }
}

//! What the commands do.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_messages::founder::FoundedFleet;
use fos_messages::names::Path;
use fos_messages::processes::NAME;
use fos_messages::rpc::CallError;
use fos_messages::start::{KeyBytes, key_name};
use fos_names::{NOT_FOUND, tree, walk};
use fos_runtime::{Names, Runtime};
use fos_shell::command::{Command, HELP, Mistake};
use fos_shell::status::{DONE, FAILED, UNKNOWN, USAGE};
use fos_shell::table;
use libfos::member::Begun;
use libfos::processes::{
    Description, Ended, Exit, Pid, ProcessError, Processes, SpawnOrder, State, Target, Whom,
};
use libfos::{Start, eprintln, println};

use libfos::founder::{PATIENCE, fleets, founder};

/// What the fleet calls the program of a process that was enrolled.
const UNKNOWN_PROGRAM: &str = "-";

/// What the shell has.
pub struct Shell {
    pub runtime: Runtime,
    pub names: Rc<Names>,
    pub fleets: Vec<FoundedFleet>,
    pub processes: Processes,
    /// Where its text goes, and that of what it starts.
    streams: Vec<(String, KeyBytes)>,
}

/// What comes after a command.
pub enum Next {
    /// The next command; this is the status of the last.
    GoOn(u8),
    /// The end, with this status.
    End(u8),
}

impl Shell {
    /// Becomes a process.
    pub async fn begin(begun: Begun, start: &Start) -> Result<Shell, String> {
        let Begun { runtime, names, mut memory, .. } = begun;
        let fleets = fleets(&runtime, founder(start, &mut memory)?).await?;
        let fleet = Path::new(NAME).map_err(|error| error.to_string())?;
        let key = fleets.iter().find(|founded| founded.name == fleet).map(|founded| founded.key);
        let key = key.ok_or("the image founds no fleet named \"/processes\"")?;
        let processes = Processes::new(runtime.clone(), names.clone(), fleet, PATIENCE);
        let enrolled = processes.enroll(key).await;
        enrolled.map_err(|error| format!("the shell is no process of the fleet: {error}"))?;
        let is_stream = |name: &&String| [key_name::OUT, key_name::ERROR].contains(&name.as_str());
        let streams = start.keys.iter().filter(|(name, _)| is_stream(&name)).cloned().collect();
        Ok(Shell { runtime, names, fleets, processes, streams })
    }

    /// Does a command, or says why it is none.
    pub async fn command(&self, command: Result<Command, Mistake>, last: u8) -> Next {
        let status = match command {
            Err(mistake) => {
                eprintln!("shell: {mistake}");
                if let Mistake::Unknown(_) = mistake { UNKNOWN } else { USAGE }
            }
            Ok(Command::Run { words, goes_on }) => self.run(words, goes_on).await,
            Ok(Command::List) => self.list().await,
            Ok(Command::Kill(pid, signal)) => self.kill(pid, signal).await,
            Ok(Command::Names(path)) => self.names(&path).await,
            Ok(Command::Stats) => self.stats().await,
            Ok(Command::Help) => {
                println!("{HELP}");
                DONE
            }
            Ok(Command::Exit(status)) => return Next::End(status.unwrap_or(last)),
        };
        Next::GoOn(status)
    }

    async fn run(&self, mut words: Vec<String>, goes_on: bool) -> u8 {
        let program = words.remove(0);
        let order =
            SpawnOrder { program, arguments: words, keys: self.streams.clone(), ..SpawnOrder::default() };
        let child = match self.processes.spawn(&order).await {
            Ok(child) => child,
            Err(error) => {
                eprintln!("run: {}: {error}", order.program);
                let is_unknown = error == CallError::Refused(ProcessError::NoProgram);
                return if is_unknown { UNKNOWN } else { FAILED };
            }
        };
        if goes_on {
            println!("{} runs on core {} as process {}", order.program, child.core, child.pid);
            return DONE;
        }
        match self.processes.wait(Whom::Child(child.pid)).await {
            Ok((_, Ended { exit: Exit::Status(status), .. })) => status,
            Ok((_, Ended { exit: Exit::Unknown, .. })) => {
                eprintln!("run: nobody knows how process {} ended", child.pid);
                FAILED
            }
            Err(error) => {
                eprintln!("run: waiting for process {}: {error}", child.pid);
                FAILED
            }
        }
    }

    /// Tells of children that have ended meanwhile.
    pub async fn tell_ends(&self) {
        while let Ok(Some((pid, ended))) = self.processes.try_wait(Whom::Any).await {
            match ended.exit {
                Exit::Status(status) => println!("process {pid} has ended with status {status}"),
                Exit::Unknown => println!("process {pid} has ended, and nobody knows how"),
            }
        }
    }

    async fn list(&self) -> u8 {
        match self.processes.list().await {
            Ok(all) => {
                let rows: Vec<[String; 7]> = all.iter().map(row).collect();
                let names = ["PID", "PARENT", "GROUP", "SESSION", "CORE", "STATE", "PROGRAM"];
                table::lines(names, &rows).iter().for_each(|line| println!("{line}"));
                DONE
            }
            Err(error) => failed("list", error),
        }
    }

    async fn kill(&self, pid: Pid, signal: u8) -> u8 {
        match self.processes.kill(Target::Process(pid), signal).await {
            Ok(_) => DONE,
            Err(error) => failed("kill", format!("process {pid}: {error}")),
        }
    }

    async fn names(&self, path: &Path) -> u8 {
        match walk::read(&self.names, path).await {
            Ok(names) => {
                tree::draw(&names).iter().for_each(|line| println!("{line}"));
                DONE
            }
            Err((status, reason)) => {
                eprintln!("names: {reason}");
                if status == NOT_FOUND { FAILED } else { status }
            }
        }
    }
}

pub fn failed(command: &str, why: impl core::fmt::Display) -> u8 {
    eprintln!("{command}: {why}");
    FAILED
}

fn row(process: &Description) -> [String; 7] {
    let state = match process.state {
        State::Starting => "starting".to_string(),
        State::Running => "running".to_string(),
        State::Stopped => "stopped".to_string(),
        State::Zombie(Exit::Status(status)) => format!("ended:{status}"),
        State::Zombie(Exit::Unknown) => "ended".to_string(),
    };
    let Description { pid, parent, group, session, core, program, .. } = process;
    // Where one runs who was enrolled the fleet does not know; init is a record and no program.
    let is_spawned = program != UNKNOWN_PROGRAM && *pid != Pid::INIT;
    [
        pid.to_string(),
        parent.to_string(),
        group.to_string(),
        session.to_string(),
        if is_spawned { core.to_string() } else { "-".to_string() },
        state,
        program.escape_debug().to_string(),
    ]
}

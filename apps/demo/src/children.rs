//! A load of the fleet `processes`: programs that are spawned one after the other and end with a status of their own, and a few that
//! run all the while. Each end is told once and as it was, and who was spawned is known, whoever ends meanwhile.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::rpc::CallError;
use fos_runtime::{Priority, Runtime};
use libfos::println;
use libfos::processes::{Exit, Pid, ProcessError, Processes, SpawnOrder, Target, Whom, signal};

use crate::rounds::Rounds;
use crate::system::CHILD;

/// Those that run all the while.
const STANDING: usize = 3;
/// How long it waits after each round.
const ROUND_EVERY: Duration = Duration::from_millis(10);
/// The status of a process that is killed.
const KILLED: u8 = 128 + signal::KILL;

/// The load.
pub(crate) struct Children {
    runtime: Runtime,
    processes: Processes,
    own: Pid,
    standing: Vec<Pid>,
    /// In each, one is spawned, ends and is told of.
    pub(crate) rounds: Rounds,
}

impl Children {
    /// For a process of the fleet, which has no other children.
    pub(crate) async fn begin(runtime: &Runtime, processes: Processes) -> Result<Rc<Children>, String> {
        let own = processes.describe(None).await.map_err(|error| format!("it is no process: {error}"))?.pid;
        let mut standing = Vec::new();
        while standing.len() < STANDING {
            let child = processes.spawn(&SpawnOrder::of(CHILD, &["stands"])).await;
            standing.push(child.map_err(|error| format!("{CHILD} is not spawned: {error}"))?.pid);
        }
        let (runtime, rounds) = (runtime.clone(), Rounds::default());
        let load = Rc::new(Children { runtime, processes, own, standing, rounds });
        let working = load.clone();
        load.runtime.spawn(Priority::Normal, async move {
            working.rounds.go_on(&working.runtime, || ROUND_EVERY, async || working.round().await).await;
        });
        Ok(load)
    }

    async fn round(&self) -> Result<(), String> {
        let status = (self.rounds.done() % 100) as u8;
        let order = SpawnOrder::of(CHILD, &["ends", &status.to_string()]);
        let child =
            self.processes.spawn(&order).await.map_err(|error| format!("{CHILD} is not spawned: {error}"))?;
        self.await_end(child.pid, status).await
    }

    /// Its end is told as it was, and not again.
    async fn await_end(&self, pid: Pid, status: u8) -> Result<(), String> {
        let (told, ended) = self
            .processes
            .wait(Whom::Child(pid))
            .await
            .map_err(|error| format!("the end of process {pid} is not told: {error}"))?;
        if (told, ended.exit) != (pid, Exit::Status(status)) {
            return Err(format!(
                "process {pid} ended with {status}, and was told as {told}: {:?}",
                ended.exit
            ));
        }
        match self.processes.try_wait(Whom::Child(pid)).await {
            Err(CallError::Refused(ProcessError::NoChildren)) => Ok(()),
            again => Err(format!("the end of process {pid} was told, and then: {again:?}")),
        }
    }

    /// Ends the load, and looks who there is: those that stand, and none of the others.
    pub(crate) async fn check(&self) -> Result<(), String> {
        self.rounds.end(&self.runtime).await?;
        let all = self.processes.list().await.map_err(|error| format!("nobody lists: {error}"))?;
        let listed: BTreeSet<Pid> =
            all.iter().filter(|one| one.parent == self.own).map(|one| one.pid).collect();
        if listed != self.standing.iter().copied().collect() {
            return Err(format!("processes {:?} run, and those listed are {listed:?}", self.standing));
        }
        for pid in &self.standing {
            let killed = self.processes.kill(Target::Process(*pid), signal::KILL).await;
            killed.map_err(|error| format!("process {pid} is not ended: {error}"))?;
            self.await_end(*pid, KILLED).await?;
        }
        let rounds = self.rounds.done();
        println!(
            "fleet: {rounds} processes spawned, every end told once and as it was, and {STANDING} still known"
        );
        Ok(())
    }
}

//! A client that spawns, waits, stops, kills and spawns too many, and knows what it must be told of each child: its end, once,
//! as it was.

use super::{ABSENT, CHILDREN_MAX, LONG, Ledger, PARENT, SHORT};
use crate::Random;
use crate::world::World;
use fos_messages::processes::{Exit, Grouping, Pid, ProcessError, SpawnOrder, Target, Whom};
use fos_messages::rpc::CallError;
use fos_runtime::Runtime;
use fos_runtime::processes::Processes;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const PAUSE: Duration = Duration::from_micros(100);
const KILL: u8 = 9;
const STOP: u8 = 19;
const CONTINUE: u8 = 18;

pub struct Client {
    pub name: String,
    pub runtime: Runtime,
    pub world: World,
    pub processes: Processes,
    pub random: Random,
    pub ledger: Rc<Ledger>,
    /// What must be told of each child.
    pub children: BTreeMap<Pid, Exit>,
    /// A spawn came to nothing that is known: there may be a child more.
    pub is_unsure: bool,
}

impl Client {
    pub async fn work(&mut self, rounds: u64) {
        while self.processes.enroll(super::custodian::KEY).await.is_err() {
            self.runtime.sleep(PAUSE).await;
        }
        for _ in 0..rounds {
            match self.random.below(6) {
                0 | 1 => {
                    let status = self.random.below(100);
                    self.spawn(SHORT, status, Exit::Status(status as u8)).await;
                }
                2 => self.kill_one(false).await,
                3 => _ = self.spawn(PARENT, 7, Exit::Status(7)).await,
                4 => self.spawn_nothing().await,
                _ => self.kill_one(true).await,
            }
            if self.random.below(2) == 0 {
                self.wait_one().await;
            }
        }
        self.storm().await;
        while self.wait_one().await {}
        if let Some((pid, _)) = self.children.first_key_value() {
            self.broken(format!("was never told of the end of child {pid}"));
        }
    }

    fn broken(&self, what: String) {
        self.world.broken(format!("{} {what}", self.name));
    }

    /// Has a child, who must end so. None: it may not, now.
    async fn spawn(&mut self, program: &str, number: u64, exit: Exit) -> Option<Pid> {
        let order = SpawnOrder {
            program: program.into(),
            arguments: vec![number.to_string()],
            group: if number.is_multiple_of(2) { Grouping::Own } else { Grouping::Parents },
            ..SpawnOrder::default()
        };
        let began = self.runtime.port().now();
        match self.processes.spawn(&order).await {
            Ok(spawned) => {
                let took = self.runtime.port().now().since(began);
                self.ledger.latency.borrow_mut().record(took);
                self.ledger.spawned.set(self.ledger.spawned.get() + 1);
                if self.children.insert(spawned.pid, exit).is_some() {
                    self.broken(format!("has two children with the number {}", spawned.pid));
                }
                Some(spawned.pid)
            }
            Err(CallError::Refused(ProcessError::TooManyChildren | ProcessError::TooMany)) => {
                self.ledger.refused.set(self.ledger.refused.get() + 1);
                None
            }
            Err(CallError::Refused(error)) => {
                self.broken(format!("may not spawn: {error}"));
                None
            }
            Err(_) => {
                self.is_unsure = true;
                None
            }
        }
    }

    async fn kill_one(&mut self, stops_first: bool) {
        let Some(pid) = self.spawn(LONG, 3, Exit::Status(128 + KILL)).await else { return };
        let signals: &[u8] = if stops_first { &[STOP, CONTINUE, STOP, KILL] } else { &[KILL] };
        for signal in signals {
            loop {
                match self.processes.kill(Target::Process(pid), *signal).await {
                    Ok(1) => break,
                    Ok(count) => return self.broken(format!("signalled {count} processes instead of one")),
                    Err(CallError::Refused(error)) => {
                        return self.broken(format!("may not signal its child {pid}: {error}"));
                    }
                    Err(_) => self.runtime.sleep(PAUSE).await,
                }
            }
        }
    }

    async fn spawn_nothing(&mut self) {
        let order = SpawnOrder { program: ABSENT.into(), ..SpawnOrder::default() };
        match self.processes.spawn(&order).await {
            Err(CallError::Refused(ProcessError::NoProgram | ProcessError::TooManyChildren)) => {}
            Ok(spawned) => self.broken(format!("got {} of a program that there is not", spawned.pid)),
            Err(CallError::Refused(error)) => self.broken(format!("is told of no program: {error}")),
            Err(_) => self.is_unsure = true,
        }
    }

    /// Spawns until it may no more, which must come when it should.
    async fn storm(&mut self) {
        while self.spawn(SHORT, 1, Exit::Status(1)).await.is_some() {
            if self.children.len() > CHILDREN_MAX {
                return self.broken(format!("has {} children", self.children.len()));
            }
        }
        if self.children.len() < CHILDREN_MAX && !self.is_unsure {
            self.broken(format!("may have {} children only", self.children.len()));
        }
    }

    /// Waits for one. Whether there was any.
    async fn wait_one(&mut self) -> bool {
        match self.processes.wait(Whom::Any).await {
            Ok((pid, ended)) => {
                match self.children.remove(&pid) {
                    Some(expected) if expected == ended.exit => {}
                    None if self.is_unsure => {}
                    expected => {
                        self.broken(format!("is told that {pid} ended by {ended:?}, not {expected:?}"))
                    }
                }
                true
            }
            Err(CallError::Refused(ProcessError::NoChildren)) => {
                if let Some((pid, _)) = self.children.first_key_value() {
                    self.broken(format!("is told that it has no children, and has {pid}"));
                }
                false
            }
            Err(CallError::Refused(error)) => {
                self.broken(format!("may not wait: {error}"));
                false
            }
            Err(_) => true,
        }
    }
}

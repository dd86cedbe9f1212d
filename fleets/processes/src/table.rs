//! All processes, as a state machine without input, output, clock or chance: members that make the same changes have
//! equal tables. What a change does is in one file per idea; each is judged at its place in the one order of all changes.
//!
//! The table says what *should* be: which process is to be started, stopped, ended. Whoever keeps a process makes it so
//! (keeper.rs), and tells by another change what came of it.

use crate::limits::Limits;
use crate::pids::Pids;
use crate::record::{Answers, Life, Origin, Record, Ticket};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use fos_messages::processes::{Ended, Pid, ProcessError, SpawnOrder, Statistics, Target, Waited, Whom};
use fos_messages::rpc::Address;
use fos_messages::tickets::Survey;
use serde::{Deserialize, Serialize};

/// A process that asks, and the number of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// Its identity, as stamped.
    pub identity: u64,
    /// The number.
    pub number: u64,
}

/// What can happen to the table. Each is safe to make again: the second time it changes nothing and comes to the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A process that somebody else started is one of ours from now on.
    Enroll {
        /// Its identity.
        identity: u64,
        /// Where it is reached.
        own: Address,
    },
    /// A child is to be started.
    Spawn(Asker, SpawnOrder),
    /// It was.
    Started(Ticket, u64),
    /// It was not.
    NotStarted(Ticket, ProcessError),
    /// A process that was spawned has ended.
    Ended(Ticket, Ended),
    /// The starter knows nothing of it any more.
    Forgotten(Ticket),
    /// A process that was enrolled has ended.
    Left(u64),
    /// A parent asks for the end of a child.
    Wait(Asker, Whom),
    /// Somebody signals.
    Kill(Asker, Target, u8),
    /// A process is to be in a group.
    SetGroup(u64, Pid, Pid),
    /// A process begins a session.
    BeginSession(u64),
}

impl Change {
    /// Whether nobody is kept waiting when it is made with the next change, or when there is nothing else to do.
    pub fn may_wait(&self) -> bool {
        matches!(self, Change::Forgotten(_))
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// Nothing is to be said of it.
    Plain,
    /// This process.
    Process(Pid),
    /// This child is to be started, or was.
    Made(Pid, Ticket),
    /// What a wait came to.
    Waited(Waited),
    /// So many were signalled.
    Signalled(u32),
    /// Nobody knows the asker, who may be one of those that are being started: it is to ask again.
    NotYet,
}

/// What came of a change.
pub type Outcome = Result<Done, ProcessError>;

/// All but the records: what a table's pieces begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which numbers are next.
    pub pids: Pids,
    /// Starts so far.
    pub last_ticket: u64,
    /// Ends that the starter still knows of.
    pub owed: BTreeSet<Ticket>,
    /// How many of what.
    pub totals: Statistics,
}

/// The table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub(crate) limits: Limits,
    pub(crate) head: Head,
    pub(crate) records: BTreeMap<Pid, Record>,
    /// Who lives, by identity.
    pub(crate) by_identity: BTreeMap<u64, Pid>,
    /// Who was spawned, by ticket.
    pub(crate) by_ticket: BTreeMap<Ticket, Pid>,
}

impl Table {
    /// One with nobody but init.
    pub fn new(limits: Limits) -> Table {
        let init = Record {
            parent: Pid::INIT,
            group: Pid::INIT,
            session: Pid::INIT,
            program: String::from("init"),
            core: 0,
            identity: 0,
            origin: Origin::Init,
            life: Life::Running,
            is_trusted: false,
            is_stopped: false,
            doomed: None,
            answers: Answers::default(),
        };
        let mut table = Table::from_head(limits, Head::default());
        table.take(Pid::INIT, init);
        table
    }

    /// One for a fleet that has lost its own: whoever runs is init's, of no session, and tickets go on after the last one.
    pub fn found_again(limits: Limits, survey: &Survey) -> Table {
        let mut table = Table::new(limits);
        table.head.last_ticket = survey.last;
        for row in &survey.rows {
            let Some(pid) = table.head.pids.next(&table.records) else { break };
            let record = Record {
                parent: Pid::INIT,
                group: pid,
                session: Pid::INIT,
                program: row.program.clone(),
                core: row.core,
                identity: row.identity,
                origin: Origin::Spawned(Ticket(row.ticket)),
                life: Life::Running,
                is_trusted: false,
                is_stopped: false,
                doomed: None,
                answers: Answers::default(),
            };
            table.take(pid, record);
        }
        table
    }

    /// One that is to be filled with the records of another.
    pub fn from_head(limits: Limits, head: Head) -> Table {
        let (records, by_identity, by_ticket) = Default::default();
        Table { limits, head, records, by_identity, by_ticket }
    }

    /// Takes over a record.
    pub fn take(&mut self, pid: Pid, record: Record) {
        if record.identity != 0 && record.lives() {
            self.by_identity.insert(record.identity, pid);
        }
        if let Some(ticket) = record.ticket() {
            self.by_ticket.insert(ticket, pid);
        }
        self.records.insert(pid, record);
    }

    /// What is not in records.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Everybody.
    pub fn records(&self) -> &BTreeMap<Pid, Record> {
        &self.records
    }

    /// Who lives under an identity.
    pub fn process(&self, identity: u64) -> Option<Pid> {
        self.by_identity.get(&identity).copied()
    }

    /// Whose start this was, as long as it is in the table.
    pub fn started_by(&self, ticket: Ticket) -> Option<Pid> {
        self.by_ticket.get(&ticket).copied()
    }

    /// How many there are, and were.
    pub fn statistics(&self) -> Statistics {
        let zombies = self.records.values().filter(|record| !record.lives()).count() as u32;
        let spawned = self.records.values().filter(|record| record.lives() && record.ticket().is_some());
        let cores: BTreeSet<u16> = spawned.map(|record| record.core).collect();
        let (processes, cores_busy) = (self.records.len() as u32, cores.len() as u32);
        Statistics { processes, zombies, cores_busy, ..self.head.totals }
    }

    /// Makes a change.
    pub fn make(&mut self, change: &Change) -> Outcome {
        match self.judge(change) {
            Err(ProcessError::Stranger) if self.is_starting_any() => Ok(Done::NotYet),
            outcome => outcome,
        }
    }

    /// A process may ask before the fleet has been told that it runs.
    pub(crate) fn is_starting_any(&self) -> bool {
        self.records.values().any(|record| matches!(record.life, Life::Starting { .. }))
    }

    fn judge(&mut self, change: &Change) -> Outcome {
        match change {
            Change::Enroll { identity, own } => self.enroll(*identity, *own),
            Change::Spawn(asker, order) => self.spawn(*asker, order),
            Change::Started(ticket, identity) => self.has_started(*ticket, *identity),
            Change::NotStarted(ticket, why) => self.has_not_started(*ticket, *why),
            Change::Ended(ticket, ended) => self.has_ended(*ticket, *ended),
            Change::Forgotten(ticket) => {
                self.head.owed.remove(ticket);
                Ok(Done::Plain)
            }
            Change::Left(identity) => self.has_left(*identity),
            Change::Wait(asker, whom) => self.wait(*asker, *whom),
            Change::Kill(asker, target, signal) => self.kill(*asker, *target, *signal),
            Change::SetGroup(identity, whom, group) => self.set_group(*identity, *whom, *group),
            Change::BeginSession(identity) => self.begin_session(*identity),
        }
    }

    pub(crate) fn asker(&self, identity: u64) -> Result<Pid, ProcessError> {
        self.process(identity).ok_or(ProcessError::Stranger)
    }

    pub(crate) fn record(&mut self, pid: Pid) -> Result<&mut Record, ProcessError> {
        self.records.get_mut(&pid).ok_or(ProcessError::NoSuchProcess)
    }

    pub(crate) fn children(&self, of: Pid) -> impl Iterator<Item = (Pid, &Record)> {
        let is_child = move |(pid, record): &(&Pid, &Record)| record.parent == of && **pid != Pid::INIT;
        self.records.iter().filter(is_child).map(|(pid, record)| (*pid, record))
    }

    /// What is wrong with the table itself, if anything is: what must hold after every change.
    pub fn unsound(&self) -> Option<String> {
        let wrong = |pid: &Pid, record: &Record| {
            let parent = self.records.get(&record.parent);
            let is_orphan = !parent.is_some_and(Record::lives);
            let is_left = !record.lives() && record.parent == Pid::INIT;
            let is_lost = record.ticket().is_some_and(|ticket| self.started_by(ticket) != Some(*pid));
            let is_unknown =
                record.lives() && record.identity != 0 && self.process(record.identity) != Some(*pid);
            match (is_orphan, is_left, is_lost, is_unknown) {
                (true, ..) => Some("has a parent that is not there"),
                (_, true, ..) => Some("is a zombie for which nobody waits"),
                (.., true, _) => Some("is not found by its ticket"),
                (.., true) => Some("is not found by its identity"),
                _ => None,
            }
        };
        let found = self.records.iter().find_map(|(pid, record)| Some((pid, wrong(pid, record)?)));
        let spawned = self.records.values().filter(|record| record.ticket().is_some()).count();
        match found {
            Some((pid, what)) => Some(format!("process {pid} {what}")),
            None if spawned != self.by_ticket.len() => Some("a ticket is of nobody".into()),
            None if self.records.len() > self.limits.processes_max => Some("there are too many".into()),
            None => None,
        }
    }
}

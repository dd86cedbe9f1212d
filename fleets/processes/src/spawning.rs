//! New processes: who may have one, what it inherits, and what becomes of it when it could not be started.

use crate::placement;
use crate::record::{Answer, Answers, Life, Origin, Record, Ticket};
use crate::table::{Asker, Done, Outcome, Table};
use alloc::string::String;
use fos_messages::processes::{
    Grouping, MEMORY_FRAMES, ORDER_BYTES_MAX, Pid, ProcessError, SpawnOrder, Spawned,
};
use fos_messages::rpc::Address;

impl Table {
    pub(crate) fn enroll(&mut self, identity: u64, own: Address) -> Outcome {
        if let Some(pid) = self.process(identity) {
            return Ok(Done::Process(pid));
        }
        // One that is being started and asks too early would be two processes.
        if self.is_starting_any() {
            return Ok(Done::NotYet);
        }
        let pid = self.number()?;
        let record = Record {
            parent: Pid::INIT,
            group: pid,
            session: pid,
            program: String::from("-"),
            core: 0,
            identity,
            origin: Origin::Enrolled(own),
            life: Life::Running,
            // Who has the fleet's key.
            is_trusted: true,
            is_stopped: false,
            doomed: None,
            answers: Answers::default(),
        };
        self.take(pid, record);
        Ok(Done::Process(pid))
    }

    /// A number for one more, if there may be one.
    fn number(&mut self) -> Result<Pid, ProcessError> {
        let has_room = self.records.len() < self.limits.processes_max;
        let pid = if has_room { self.head.pids.next(&self.records) } else { None };
        pid.ok_or_else(|| self.over(ProcessError::TooMany))
    }

    fn over(&mut self, bound: ProcessError) -> ProcessError {
        self.head.totals.refused += 1;
        bound
    }

    pub(crate) fn spawn(&mut self, asker: Asker, order: &SpawnOrder) -> Outcome {
        let parent = self.asker(asker.identity)?;
        match self.record(parent)?.answers.find(asker.number)? {
            Some(Answer::Made(pid, ticket)) => return Ok(Done::Made(pid, ticket)),
            Some(Answer::Refused(why)) => return Err(why),
            Some(_) => return Err(ProcessError::Forgotten),
            None => {}
        }
        if order.bytes() > ORDER_BYTES_MAX {
            return Err(self.over(ProcessError::TooLong));
        }
        if order.memory_frames.is_some_and(|frames| !MEMORY_FRAMES.contains(&frames)) {
            return Err(self.over(ProcessError::TooMuch));
        }
        if self.children(parent).count() >= self.limits.children_max {
            return Err(self.over(ProcessError::TooManyChildren));
        }
        let core = placement::choose(self, order.place).ok_or(ProcessError::NoSuchPlace)?;
        let Record { session, is_trusted, .. } = *self.record(parent)?;
        let order = SpawnOrder { is_trusted, ..order.clone() };
        let group = match order.group {
            Grouping::Parents => Some(self.record(parent)?.group),
            Grouping::Own => None,
            Grouping::Of(group) if self.has_group(session, group) => Some(group),
            Grouping::Of(_) => return Err(ProcessError::NoSuchGroup),
        };
        let pid = self.number()?;
        self.head.last_ticket += 1;
        self.head.totals.spawned += 1;
        let ticket = Ticket(self.head.last_ticket);
        let record = Record {
            parent,
            group: group.unwrap_or(pid),
            session,
            program: order.program.clone(),
            core,
            identity: 0,
            origin: Origin::Spawned(ticket),
            is_trusted: is_trusted && !order.is_confined,
            life: Life::Starting { order, number: asker.number },
            is_stopped: false,
            doomed: None,
            answers: Answers::default(),
        };
        self.take(pid, record);
        self.record(parent)?.answers.keep(asker.number, Answer::Made(pid, ticket));
        Ok(Done::Made(pid, ticket))
    }

    /// What became of a start that this asker was promised: none as long as it is under way. Who has asked for so much since that what
    /// it came to is forgotten is told so, if the process is not there to be seen.
    pub(crate) fn became(
        &self,
        asker: Asker,
        pid: Pid,
        ticket: Ticket,
    ) -> Option<Result<Spawned, ProcessError>> {
        if let Some(record) = self.records.get(&pid).filter(|record| record.ticket() == Some(ticket)) {
            let is_under_way = matches!(record.life, Life::Starting { .. });
            return (!is_under_way).then_some(Ok(Spawned {
                pid,
                identity: record.identity,
                core: record.core,
            }));
        }
        if ticket.0 > self.head.last_ticket {
            // Not heard of here yet.
            return None;
        }
        let parent = self.process(asker.identity).and_then(|parent| self.records.get(&parent));
        Some(match parent.map(|parent| parent.answers.find(asker.number)) {
            Some(Ok(Some(Answer::Refused(why))) | Err(why)) => Err(why),
            // It has ended, and was waited for.
            _ => Ok(Spawned { pid, identity: 0, core: 0 }),
        })
    }

    pub(crate) fn has_started(&mut self, ticket: Ticket, identity: u64) -> Outcome {
        let Some(pid) = self.started_by(ticket) else { return Ok(Done::Plain) };
        let record = self.record(pid)?;
        if matches!(record.life, Life::Starting { .. }) {
            record.life = Life::Running;
            record.identity = identity;
            self.by_identity.insert(identity, pid);
        }
        Ok(Done::Plain)
    }

    /// It never was: its parent is told so instead of its number, and never has to wait for it.
    pub(crate) fn has_not_started(&mut self, ticket: Ticket, why: ProcessError) -> Outcome {
        let Some(pid) = self.started_by(ticket) else { return Ok(Done::Plain) };
        let record = self.record(pid)?;
        let Life::Starting { number, .. } = record.life else { return Ok(Done::Plain) };
        let parent = record.parent;
        self.remove(pid);
        self.head.owed.insert(ticket);
        if parent != Pid::INIT {
            self.record(parent)?.answers.keep(number, Answer::Refused(why));
        }
        Ok(Done::Plain)
    }
}

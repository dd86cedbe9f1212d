//! Ends. A process that has ended is a zombie until its parent has waited for it; its children are init's from then on, and
//! init waits for nobody: what ends as its child is gone at once (POSIX.1-2017, `_exit`, "Consequences of Process
//! Termination").

use crate::record::{Life, Record, Ticket};
use crate::table::{Done, Outcome, Table};
use alloc::vec::Vec;
use fos_messages::processes::{Ended, Exit, Pid};

impl Table {
    pub(crate) fn has_ended(&mut self, ticket: Ticket, ended: Ended) -> Outcome {
        // Told again of one that is a zombie, nothing more is owed.
        if let Some(pid) = self.started_by(ticket).filter(|pid| self.lives(*pid)) {
            self.end(pid, ended);
            self.head.owed.insert(ticket);
        }
        Ok(Done::Plain)
    }

    pub(crate) fn has_left(&mut self, identity: u64) -> Outcome {
        if let Some(pid) = self.process(identity) {
            self.end(pid, Exit::Unknown.into());
        }
        Ok(Done::Plain)
    }

    fn lives(&self, pid: Pid) -> bool {
        self.records.get(&pid).is_some_and(Record::lives)
    }

    fn end(&mut self, pid: Pid, ended: Ended) {
        let count = self.head.totals.ended + 1;
        let Some(record) = self.records.get_mut(&pid).filter(|record| record.lives()) else { return };
        record.life = Life::Zombie(ended, count);
        record.answers.clear();
        let (identity, parent) = (record.identity, record.parent);
        self.head.totals.ended = count;
        self.by_identity.remove(&identity);
        let children: Vec<(Pid, bool)> =
            self.children(pid).map(|(child, record)| (child, record.lives())).collect();
        for (child, lives) in children {
            if lives {
                self.records.entry(child).and_modify(|record| record.parent = Pid::INIT);
            } else {
                self.remove(child);
            }
        }
        if parent == Pid::INIT {
            self.remove(pid);
        }
    }

    /// Its number is free from now on.
    pub(crate) fn remove(&mut self, pid: Pid) {
        if let Some(ticket) = self.records.remove(&pid).and_then(|record| record.ticket()) {
            self.by_ticket.remove(&ticket);
        }
    }
}

//! Signals. The table says what they come to; native programs have no handlers, so each does what POSIX has it do where
//! nobody handles it. A process may signal its session and what descends from it, and of those what the fleet has started: whom
//! somebody else started, somebody else ends. Who has the fleet's key may also signal what is of no session.

use crate::record::{Answer, Origin, Record};
use crate::table::{Asker, Done, Outcome, Table};
use alloc::vec::Vec;
use fos_messages::processes::{Pid, ProcessError, SIGNAL_MAX, Target};

const STOPS: [u8; 4] = [19, 20, 21, 22];
const CONTINUE: u8 = 18;
/// CHLD, URG, WINCH.
const IGNORED: [u8; 3] = [17, 23, 28];
/// Tries only whether one may.
const PROBE: u8 = 0;

impl Table {
    pub(crate) fn kill(&mut self, asker: Asker, target: Target, signal: u8) -> Outcome {
        let from = self.asker(asker.identity)?;
        match self.record(from)?.answers.find(asker.number)? {
            Some(Answer::Signalled(count)) => return Ok(Done::Signalled(count)),
            Some(_) => return Err(ProcessError::Forgotten),
            None => {}
        }
        if signal > SIGNAL_MAX {
            return Err(ProcessError::NoSuchSignal);
        }
        let meant: Vec<Pid> = match target {
            Target::Process(pid) => self.records.contains_key(&pid).then_some(pid).into_iter().collect(),
            Target::Group(group) => {
                let of_group = self.records.iter().filter(|(_, record)| record.group == group);
                of_group.map(|(pid, _)| *pid).collect()
            }
        };
        if meant.is_empty() {
            return Err(ProcessError::NoSuchProcess);
        }
        let allowed: Vec<Pid> = meant.into_iter().filter(|pid| self.may_signal(from, *pid)).collect();
        if allowed.is_empty() {
            return Err(ProcessError::NotPermitted);
        }
        let count = allowed.len() as u32;
        for pid in allowed {
            self.record(pid)?.signal(signal);
        }
        // The asker may have signalled itself: it is there as long as the table says so.
        self.record(from)?.answers.keep(asker.number, Answer::Signalled(count));
        Ok(Done::Signalled(count))
    }

    fn may_signal(&self, from: Pid, to: Pid) -> bool {
        let session = |pid: Pid| self.records.get(&pid).map(|record| record.session);
        let is_ours = self.records.get(&to).is_some_and(|record| record.ticket().is_some());
        // What was found again when the fleet had lost its table is of no session.
        let has_key =
            self.records.get(&from).is_some_and(|record| matches!(record.origin, Origin::Enrolled(_)));
        let is_found = has_key && session(to) == Some(Pid::INIT);
        let shares = session(from) == session(to) && session(from) != Some(Pid::INIT);
        is_ours && (from == to || shares || self.descends(to, from) || is_found)
    }

    /// Whether it is below that one in the tree, which is as high as there are processes at most.
    pub(crate) fn descends(&self, pid: Pid, from: Pid) -> bool {
        let mut above = pid;
        for _ in 0..self.records.len() {
            let Some(record) = self.records.get(&above).filter(|_| above != Pid::INIT) else { return false };
            above = record.parent;
            if above == from {
                return true;
            }
        }
        false
    }
}

impl Record {
    fn signal(&mut self, signal: u8) {
        match signal {
            PROBE => {}
            CONTINUE => self.is_stopped = false,
            _ if IGNORED.contains(&signal) || !self.lives() => {}
            _ if STOPS.contains(&signal) => self.is_stopped = true,
            // The first counts. Who stands still ends all the same.
            _ => _ = self.doomed.get_or_insert(signal),
        }
    }
}

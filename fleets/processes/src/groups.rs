//! Groups and sessions, as POSIX has them: a group is within one session; its number and a session's are those of the process
//! that began it, and outlive that process.

use crate::table::{Done, Outcome, Table};
use fos_messages::processes::{Pid, ProcessError};

impl Table {
    pub(crate) fn has_group(&self, session: Pid, group: Pid) -> bool {
        self.records.values().any(|record| (record.session, record.group) == (session, group))
    }

    pub(crate) fn set_group(&mut self, identity: u64, whom: Pid, group: Pid) -> Outcome {
        let asker = self.asker(identity)?;
        let session = self.record(asker)?.session;
        let record = self.record(whom)?;
        if whom != asker && record.parent != asker {
            return Err(ProcessError::NoSuchProcess);
        }
        if record.session != session || record.session == whom {
            return Err(ProcessError::NotPermitted);
        }
        if group != whom && !self.has_group(session, group) {
            return Err(ProcessError::NoSuchGroup);
        }
        self.record(whom)?.group = group;
        Ok(Done::Plain)
    }

    pub(crate) fn begin_session(&mut self, identity: u64) -> Outcome {
        let asker = self.asker(identity)?;
        if self.record(asker)?.session == asker {
            return Ok(Done::Process(asker));
        }
        if self.records.values().any(|record| record.group == asker) {
            return Err(ProcessError::NotPermitted);
        }
        let record = self.record(asker)?;
        (record.session, record.group) = (asker, asker);
        Ok(Done::Process(asker))
    }
}

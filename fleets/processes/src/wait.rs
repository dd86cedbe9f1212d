//! Waiting: each end is told once, to the parent, in the order of the ends; asked again under the same number, the same is
//! told again.

use crate::record::{Answer, Life, Record};
use crate::table::{Asker, Done, Outcome, Table};
use fos_messages::processes::{Ended, Pid, ProcessError, Waited, Whom};

impl Table {
    pub(crate) fn wait(&mut self, asker: Asker, whom: Whom) -> Outcome {
        let parent = self.asker(asker.identity)?;
        match self.record(parent)?.answers.find(asker.number)? {
            Some(Answer::Told(pid, ended)) => return Ok(Done::Waited(Waited::Ended(pid, ended))),
            Some(_) => return Err(ProcessError::Forgotten),
            None => {}
        }
        let Some((pid, ended)) = self.ended_child(parent, whom)? else {
            return Ok(Done::Waited(Waited::NotYet));
        };
        self.remove(pid);
        self.record(parent)?.answers.keep(asker.number, Answer::Told(pid, ended));
        Ok(Done::Waited(Waited::Ended(pid, ended)))
    }

    /// Of the children asked for, the one that ended first. An error: there are none.
    pub fn ended_child(&self, parent: Pid, whom: Whom) -> Result<Option<(Pid, Ended)>, ProcessError> {
        let is_meant = |(pid, record): &(Pid, &Record)| match whom {
            Whom::Any => true,
            Whom::Child(child) => *pid == child,
            Whom::Group(group) => record.group == group,
        };
        let mut meant = self.children(parent).filter(is_meant).peekable();
        meant.peek().ok_or(ProcessError::NoChildren)?;
        let ended = meant.filter_map(|(pid, record)| match record.life {
            Life::Zombie(ended, count) => Some((count, pid, ended)),
            _ => None,
        });
        Ok(ended.min_by_key(|(count, ..)| *count).map(|(_, pid, ended)| (pid, ended)))
    }
}

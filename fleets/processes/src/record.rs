//! What the table knows of one process, and what it remembers of the process's own requests.

use alloc::collections::BTreeMap;
use alloc::string::String;
use fos_messages::processes::{ANSWERS_KEPT, Description, Ended, Pid, ProcessError, SpawnOrder, State};
use fos_messages::rpc::Address;
use serde::{Deserialize, Serialize};

/// Bytes of a program's name in a description.
const NAME_MAX: usize = 40;

/// Names a start for good, unlike a process number, which comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// What became of a process so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// It is to be started so. `number` is the parent's request.
    Starting {
        /// How.
        order: SpawnOrder,
        /// By which request of its parent.
        number: u64,
    },
    /// It runs.
    Running,
    /// It has ended, as the so many-th.
    Zombie(Ended, u64),
}

/// Where a process comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It is init.
    Init,
    /// It was started under this ticket.
    Spawned(Ticket),
    /// Somebody else started it; it is reached there.
    Enrolled(Address),
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its parent; init's is init.
    pub parent: Pid,
    /// Its group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Its program's name.
    pub program: String,
    /// Its core.
    pub core: u16,
    /// Its identity; 0 before it runs, and init's.
    pub identity: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// What became of it.
    pub life: Life,
    /// It may have programs started that the image trusts.
    pub is_trusted: bool,
    /// It is to stand still.
    pub is_stopped: bool,
    /// The signal by which it is to end.
    pub doomed: Option<u8>,
    /// What its own requests came to.
    pub answers: Answers,
}

impl Record {
    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        !matches!(self.life, Life::Zombie(..))
    }

    /// The ticket of its start.
    pub fn ticket(&self) -> Option<Ticket> {
        if let Origin::Spawned(ticket) = self.origin { Some(ticket) } else { None }
    }

    /// As others see it.
    pub fn description(&self, pid: Pid) -> Description {
        let state = match &self.life {
            Life::Starting { .. } => State::Starting,
            Life::Running if self.is_stopped => State::Stopped,
            Life::Running => State::Running,
            Life::Zombie(ended, _) => State::Zombie(ended.exit),
        };
        let end =
            (0..=NAME_MAX).rev().find(|end| self.program.is_char_boundary((*end).min(self.program.len())));
        let program = self.program.get(..end.unwrap_or(0).min(self.program.len())).unwrap_or_default().into();
        let Record { parent, group, session, core, .. } = *self;
        Description { pid, parent, group, session, state, core, program }
    }
}

/// What a request came to, so that it is done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// This child was made.
    Made(Pid, Ticket),
    /// This child's end was told.
    Told(Pid, Ended),
    /// So many were signalled.
    Signalled(u32),
    /// It was refused, after something had been done.
    Refused(ProcessError),
}

/// What the last requests of a process came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    kept: BTreeMap<u64, Answer>,
    /// The highest number that was forgotten.
    forgotten: Option<u64>,
}

impl Answers {
    /// What this one came to: `Forgotten` if that is not known any more, none if it was never asked.
    pub fn find(&self, number: u64) -> Result<Option<Answer>, ProcessError> {
        match self.kept.get(&number) {
            Some(answer) => Ok(Some(*answer)),
            None if self.forgotten.is_some_and(|forgotten| number <= forgotten) => {
                Err(ProcessError::Forgotten)
            }
            None => Ok(None),
        }
    }

    /// Remembers it; the lowest goes when there are too many.
    pub fn keep(&mut self, number: u64, answer: Answer) {
        self.kept.insert(number, answer);
        if self.kept.len() > ANSWERS_KEPT
            && let Some((lowest, _)) = self.kept.pop_first()
        {
            self.forgotten = self.forgotten.max(Some(lowest));
        }
    }

    /// Forgets all, when nobody can ask again.
    pub fn clear(&mut self) {
        *self = Answers::default();
    }
}

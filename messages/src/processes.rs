//! What the fleet `processes` is asked by everybody, and what its members say to each other.
//!
//! A client numbers its requests upwards, and uses a number again only to ask again: whichever member is asked then, it is
//! done at most once and answered as before. Of each client [`ANSWERS_KEPT`] answers are remembered.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `enroll` | yes | `BadKey`, `NotYours`, `TooMany` |
//! | `spawn` | under the same number | `Stranger`, `TooMany`, `TooManyChildren`, `TooLong`, `TooMuch`, `NoSuchPlace`, `NoSuchGroup`, `NoProgram`, `NoMemory`, `NotStarted`, `Forgotten` |
//! | `wait` | under the same number | `Stranger`, `NoChildren`, `Forgotten` |
//! | `kill` | under the same number | `Stranger`, `NoSuchProcess`, `NotPermitted`, `NoSuchSignal`, `Forgotten` |
//! | `set_group` | yes | `Stranger`, `NoSuchProcess`, `NotPermitted`, `NoSuchGroup` |
//! | `begin_session` | yes, once it leads one | `Stranger`, `NotPermitted` |
//! | `describe` | yes | `Stranger`, `NoSuchProcess` |
//! | `list`, `statistics` | yes | never |
//!
//! A member that may not answer says so (`NotNow`): ask another.

use crate::names::{DirectoryKey, RequestNumber};
use crate::rpc::wire::Scalar;
use crate::rpc::{Address, interface};
use crate::start::KeyBytes;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Answers that are remembered of each client.
pub const ANSWERS_KEPT: usize = 32;
/// Where the fleet is found.
pub const NAME: &str = "/processes";
/// Bytes of a program's name, its arguments, environment and keys, all together.
pub const ORDER_BYTES_MAX: usize = 4096;
/// The least and the most frames of its own that a process may be given.
pub const MEMORY_FRAMES: core::ops::RangeInclusive<u32> = 256..=16_384;
/// Processes in one answer to `list`.
pub const LISTED_MAX: usize = 12;
/// How long a member waits for an end before it answers that there is none yet.
pub const WAIT_WITHIN: Duration = Duration::from_secs(1);
/// The highest signal.
pub const SIGNAL_MAX: u8 = 64;

/// A process, while it is there or its end has not been waited for. 22 bits: 6 of the machine, 16 of its own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Scalar, Serialize, Deserialize,
)]
pub struct Pid(pub u32);

impl Pid {
    /// Whose children are those of processes that have ended: it is nobody's child, and never ends.
    pub const INIT: Pid = Pid(1);

    /// The process of this number of a machine. None for a machine beyond 63, or the number 0.
    pub const fn new(machine: u16, number: u16) -> Option<Pid> {
        if machine < 64 && number != 0 { Some(Pid((machine as u32) << 16 | number as u32)) } else { None }
    }

    /// Its machine.
    pub const fn machine(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Its number there.
    pub const fn number(self) -> u16 {
        self.0 as u16
    }
}

impl core::fmt::Display for Pid {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where a process is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// Where there is room: a core of its own as long as there is one.
    #[default]
    Anywhere,
    /// On this core.
    Core(u16),
    /// On a core of this machine.
    Machine(u16),
    /// Where there is room, as near to this process as possible.
    Near(Pid),
}

/// In which group a process begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grouping {
    /// In its parent's.
    #[default]
    Parents,
    /// In one of its own.
    Own,
    /// In this one, of its parent's session.
    Of(Pid),
}

/// What is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnOrder {
    /// Its name in the image.
    pub program: String,
    /// Its arguments after its name.
    pub arguments: Vec<String>,
    /// Named values.
    pub environment: Vec<(String, String)>,
    /// Keys that it finds in its start block by these names, beside its own.
    pub keys: Vec<(String, KeyBytes)>,
    /// It gets nothing but those: neither what the image grants it, nor root, nor the console. Nor does it pass on what it does
    /// not have: neither it nor who descends from it has a program started that is [trusted](Self::is_trusted).
    pub is_confined: bool,
    /// What the image grants the program may be granted. The fleet decides it: what an asker says of it is not looked at.
    pub is_trusted: bool,
    /// Frames of its own, which it can't go beyond: within [`MEMORY_FRAMES`]. None: as a program that root starts.
    pub memory_frames: Option<u32>,
    /// Where.
    pub place: Place,
    /// In which group.
    pub group: Grouping,
}

impl SpawnOrder {
    /// A program with these arguments.
    pub fn of(program: &str, arguments: &[&str]) -> SpawnOrder {
        let arguments = arguments.iter().map(|argument| String::from(*argument)).collect();
        SpawnOrder { program: program.into(), arguments, ..SpawnOrder::default() }
    }

    /// Bytes of its texts and keys.
    pub fn bytes(&self) -> usize {
        let arguments = self.arguments.iter().map(|argument| argument.len() + 1).sum::<usize>();
        let environment =
            self.environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        let keys = self.keys.iter().map(|(name, key)| name.len() + 1 + key.0.len()).sum::<usize>();
        self.program.len() + arguments + environment + keys
    }
}

/// A process that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Spawned {
    /// Its number.
    pub pid: Pid,
    /// Its identity, as it is stamped on what it sends; 0 if its end was told to the asker before this was.
    pub identity: u64,
    /// Its core.
    pub core: u16,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this status, or by a fault or a signal: 128 and its number.
    Status(u8),
    /// Nobody knows: it was enrolled, not spawned, or who starts processes knows nothing of it.
    Unknown,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// How long its first thread ran.
    pub nanoseconds: u64,
    /// How often that thread was switched to.
    pub switches: u64,
    /// The frames it was built in, its own included.
    pub frames: u32,
}

/// How a process ended, and what it had used by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// Nothing, if nobody knows.
    pub usage: Usage,
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Ended {
        Ended { exit, usage: Usage::default() }
    }
}

/// For whose end to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Whom {
    /// Any child's.
    Any,
    /// This child's.
    Child(Pid),
    /// That of any child in this group.
    Group(Pid),
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waited {
    /// This child has ended so; its number may be another's from now on.
    Ended(Pid, Ended),
    /// There are such children, and none has ended: ask again, under the same number.
    NotYet,
}

/// To whom a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// To this process.
    Process(Pid),
    /// To all in this group that the asker may signal.
    Group(Pid),
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It was stopped.
    Stopped,
    /// It has ended, and its parent has not waited for it.
    Zombie(Exit),
}

/// One process, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its number.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
    /// Its group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// What it does.
    pub state: State,
    /// Its core.
    pub core: u16,
    /// Its program's name, its first 40 bytes at most.
    pub program: String,
}

/// How many there are, and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar, Serialize, Deserialize)]
pub struct Statistics {
    /// In the table, init included.
    pub processes: u32,
    /// Of those, such as have ended.
    pub zombies: u32,
    /// Cores on which a spawned process runs.
    pub cores_busy: u32,
    /// Spawned since the fleet began.
    pub spawned: u64,
    /// Refused because a bound was met.
    pub refused: u64,
    /// Ended since the fleet began.
    pub ended: u64,
}

/// Why an operation on processes was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Scalar, Serialize, Deserialize)]
pub enum ProcessError {
    /// The asker is no process of this fleet: it was neither spawned nor enrolled, or has ended.
    Stranger,
    /// The key is not the fleet's.
    BadKey,
    /// A process enrolls itself and nobody else.
    NotYours,
    /// There are as many processes as may be.
    TooMany,
    /// The asker has as many children as it may, those included for whose end it has not waited.
    TooManyChildren,
    /// The order is longer than [`ORDER_BYTES_MAX`].
    TooLong,
    /// It would have less or more memory than [`MEMORY_FRAMES`] says.
    TooMuch,
    /// There is no such core or machine, or no such process to be near to.
    NoSuchPlace,
    /// The image has no program of that name.
    NoProgram,
    /// There is not enough memory for one more.
    NoMemory,
    /// It could not be built.
    NotStarted,
    /// The asker has no such children.
    NoChildren,
    /// There is no such process, or group.
    NoSuchProcess,
    /// The asker's session has no such group.
    NoSuchGroup,
    /// The asker may not do that to it.
    NotPermitted,
    /// Signals go from 0, which tries whether one may, to [`SIGNAL_MAX`].
    NoSuchSignal,
    /// The request is a repeated one from so long ago that what came of it is forgotten.
    Forgotten,
    /// The image grants the program what who asks may not pass on: it descends from a confined process.
    NotEntitled,
}

impl core::fmt::Display for ProcessError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            ProcessError::Stranger => {
                "the asker was neither spawned by this fleet nor enrolled, or has ended"
            }
            ProcessError::BadKey => "the key is not the fleet's",
            ProcessError::NotYours => "a process enrolls itself and nobody else",
            ProcessError::TooMany => "there are as many processes as may be: end one first",
            ProcessError::TooManyChildren => "the asker has as many children as it may: wait for one first",
            ProcessError::TooLong => "name, arguments, environment and keys have at most 4096 bytes together",
            ProcessError::TooMuch => "a process has from 256 to 16384 frames of its own",
            ProcessError::NoSuchPlace => "there is no such core, machine, or process to be near to",
            ProcessError::NoProgram => "the image has no program of that name",
            ProcessError::NoMemory => "there is not enough memory for one more process",
            ProcessError::NotStarted => "the program could not be built",
            ProcessError::NoChildren => "the asker has no such children",
            ProcessError::NoSuchProcess => "there is no such process or group",
            ProcessError::NoSuchGroup => "the asker's session has no such group",
            ProcessError::NotPermitted => "only a process's session and its forebears may do that to it",
            ProcessError::NoSuchSignal => "signals go from 0 to 64",
            ProcessError::Forgotten => "the request is too old to be repeated",
            ProcessError::NotEntitled => {
                "the image grants the program what a confined process may not pass on: confine it too"
            }
        })
    }
}

impl core::error::Error for ProcessError {}

/// Processes.
#[interface(id = 35, version = 1)]
pub trait Processes {
    /// Makes the asker, whom somebody else has started, a process of this fleet: a child of init, in a session of its own.
    /// `key` is the fleet's, `own` where the asker is reached, so that its end is noticed.
    #[operation(idempotent)]
    async fn enroll(&self, key: DirectoryKey, own: Address) -> Result<Pid, ProcessError>;

    /// Has a program started, as a child of the asker. Answered when it runs, or does not.
    #[operation(idempotent)]
    async fn spawn(&self, number: RequestNumber, order: &SpawnOrder) -> Result<Spawned, ProcessError>;

    /// How a child ended, which is told once. If none has, `is_patient` has the member wait for [`WAIT_WITHIN`].
    #[operation(idempotent, answer_max = 40)]
    async fn wait(&self, number: RequestNumber, whom: Whom, is_patient: bool)
    -> Result<Waited, ProcessError>;

    /// Sends a signal, and says to how many. Of native programs none has handlers: a signal stops, resumes or ends, or does
    /// nothing, as POSIX says of signals that nobody handles.
    #[operation(idempotent)]
    async fn kill(&self, number: RequestNumber, target: Target, signal: u8) -> Result<u32, ProcessError>;

    /// Puts the asker or a child of it into a group of its session, or into a new one: that of its own number.
    #[operation(idempotent)]
    async fn set_group(&self, whom: Pid, group: Pid) -> Result<(), ProcessError>;

    /// Puts the asker into a new session and group, both of its own number.
    #[operation(idempotent)]
    async fn begin_session(&self) -> Result<Pid, ProcessError>;

    /// A process; none: the asker itself.
    #[operation(idempotent, answer_max = 80)]
    fn describe(&self, pid: Option<Pid>) -> Result<Description, ProcessError>;

    /// All processes after one, at most [`LISTED_MAX`]; after `Pid(0)` are all.
    #[operation(idempotent, answer_max = 960)]
    fn list(&self, after: Pid) -> Vec<Description>;

    /// How many there are, and were.
    #[operation(idempotent)]
    fn statistics(&self) -> Statistics;
}

/// How far a member has come with the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Progress {
    /// It has a table.
    pub has_table: bool,
    /// Batches of changes that it has made.
    pub made: u64,
    /// It was told of one more.
    pub is_told: bool,
}

/// The member asked is not there: it has made so many batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Elsewhere {
    /// How many.
    pub made: u64,
}

/// Between members, over internal mailboxes, under the epoch in force. What is opaque here is `fos-processes`'s own.
#[interface(id = 36, version = 1)]
pub trait ProcessPeers {
    /// How far the member is.
    #[operation(idempotent)]
    fn progress(&self) -> Progress;

    /// A batch of changes, after so many: it is kept, and made when the next one comes or [`ProcessPeers::settle`] says so.
    #[operation(idempotent)]
    fn tell(&self, after: u64, batch: Vec<u8>) -> Result<(), Elsewhere>;

    /// All members have been told so many batches.
    #[operation(idempotent)]
    fn settle(&self, made: u64) -> Result<(), Elsewhere>;

    /// The batch that the member was told of after so many, and has not made.
    #[operation(idempotent, answer_max = 61440)]
    fn told(&self, after: u64) -> Result<Vec<u8>, Elsewhere>;

    /// The member is to take over the coordinator's table, which has so many. Answered when it has.
    #[operation(idempotent)]
    async fn catch_up(&self, made: u64) -> Result<(), Elsewhere>;

    /// A piece of the table as it is after so many: what comes after a process. Empty after the last.
    #[operation(idempotent, answer_max = 61440)]
    fn piece(&self, made: u64, after: Pid) -> Result<Vec<u8>, Elsewhere>;

    /// The coordinator is to have a change made. Answered, when every member knows of it, with what came of it.
    #[operation(idempotent, answer_max = 64)]
    async fn change(&self, change: Vec<u8>) -> Vec<u8>;
}

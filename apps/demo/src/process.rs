//! What a process of the demo is given by whoever runs it, and which role it then plays.

use crate::{loader, member};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Arguments;
use fos_messages::image::Policy;
use fos_messages::programs::ProgramsClient;
use fos_runtime::fleet::{self, Event, Marks};
use fos_runtime::{Names, Runtime, Within};

/// Where a process finds itself.
#[derive(Clone)]
pub struct Process {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// Who starts programs.
    pub root: ProgramsClient<Within>,
    /// Its core.
    pub core: u16,
    /// Where members may run.
    pub cores: Vec<u16>,
    /// Its name and arguments.
    pub arguments: Vec<String>,
    /// How the image wants the fleet looked after.
    pub policy: Option<Policy>,
    /// The fleet's water marks.
    pub marks: Marks,
    /// Says something to people.
    pub say: fn(Arguments<'_>),
    /// Is told of what happens.
    pub hear: Rc<dyn Fn(Heard)>,
}

/// What a member tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What happens in its fleet.
    Fleet(Event),
    /// It has all notes.
    Complete,
}

/// Runs a member or a loader until it is over.
pub async fn run(process: Process) -> Result<(), String> {
    let key = fleet::key(&process.arguments)?;
    match process.arguments.get(1).map(String::as_str) {
        Some(fleet::MEMBER) => member::run(process, key).await,
        Some("loader") => loader::run(process, key).await,
        _ => Err("say `member` or `loader`, and the fleet's key".into()),
    }
}

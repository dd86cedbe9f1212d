//! Demo fleets with an error, each of which a run must find.

use super::Scenario;
use super::fleet::{Dress, SCENARIO, begin_with};
use fos_demo::charter::MARKS;
use fos_demo::protocol::{Incomplete, Note, Notes, NotesDispatcher, NotesPeers, NotesPeersDispatcher};
use fos_messages::rpc::{Context, Instead, Never};
use fos_runtime::fleet::Marks;
use fos_runtime::port::Class;
use std::rc::Rc;
use std::time::Duration;

/// A member acknowledges notes that it keeps nowhere.
pub const FORGETS: Scenario = Scenario {
    begin: |world, messages| {
        let before_it_opens = |runtime: &fos_runtime::Runtime| {
            runtime.serve(Class::External, NotesDispatcher::new(Rc::new(Forgets)));
        };
        begin_with(world, messages, Dress { before_it_opens, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// A member takes copies, whatever the epoch, and keeps none.
pub const COPIES_NOTHING: Scenario = Scenario {
    begin: |world, messages| {
        let before_it_opens = |runtime: &fos_runtime::Runtime| {
            runtime.serve(Class::Internal, NotesPeersDispatcher::new(Rc::new(Forgets)));
        };
        begin_with(world, messages, Dress { before_it_opens, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// The fleet grows beyond its bounds.
pub const GROWS_TOO_FAR: Scenario = Scenario {
    begin: |world, messages| {
        let grow_above = Duration::from_millis(12);
        let marks = Marks { members_max: MARKS.members_max + 1, grow_above, ..MARKS };
        begin_with(world, messages, Dress { marks, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// It never shrinks.
pub const NEVER_SHRINKS: Scenario = Scenario {
    begin: |world, messages| {
        let marks = Marks { shrink_below: Duration::ZERO, ..MARKS };
        begin_with(world, messages, Dress { marks, ..Dress::HONEST })
    },
    ..SCENARIO
};

struct Forgets;

impl Notes for Forgets {
    async fn write(&self, _: Context, _: u64, _: u64) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn read(&self, _: Context, _: u64) -> Result<Option<u64>, Instead<Never>> {
        Ok(None)
    }
}

impl NotesPeers for Forgets {
    fn copy(&self, _: Context, _: Note) -> Result<bool, Instead<Never>> {
        Ok(true)
    }
    fn page(&self, _: Context, _: u64, _: u64) -> Result<Vec<Note>, Instead<Incomplete>> {
        Ok(Vec::new())
    }
}

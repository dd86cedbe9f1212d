//! Why members of a fleet of structures end. That nobody is left is no failure of a run whose plan ended everybody; a member that
//! ends for a reason of its own is one.

use crate::world::Process;
use fos_carrier::Carrier;
use fos_container::Container;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::rc::Rc;

/// Why a member ends that no plan ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// It is not in yet.
    #[default]
    Outside,
    /// It is a member: nothing says why it should end.
    Unknown,
    /// It has left; the fleet gave it up, or went on without it.
    Excused,
    /// It ended as if it had been ended, for the good of all: what only it had is gone.
    Spent,
    /// Its structure stopped, and nobody had gone on without it.
    Stopped,
}

/// One member and why it ends.
#[derive(Clone)]
pub struct Fate {
    process: Process,
    why: Rc<Cell<Why>>,
    has_begun: Rc<Cell<bool>>,
}

impl Fate {
    pub fn of(process: &Process) -> Fate {
        Fate { process: process.clone(), why: Rc::default(), has_begun: Rc::default() }
    }

    pub fn is(&self, why: Why) {
        self.why.set(why);
    }

    /// The fleet counts it in.
    pub fn began(&self) {
        self.has_begun.set(true);
    }

    /// Whether the fleet ever counted it in; and, if so, whether it runs yet.
    pub fn belonged(&self) -> Option<bool> {
        self.has_begun.get().then(|| self.process.is_running())
    }

    /// Whether it was ended, by the plan or for the good of all.
    pub fn was_ended(&self) -> bool {
        self.process.was_ended_by_plan() || self.why.get() == Why::Spent
    }

    /// Whether it may become a member yet.
    pub fn is_joining(&self) -> bool {
        self.why.get() == Why::Outside && self.process.is_running()
    }

    /// Its life is over. What did not leave and was not left out has stopped by itself.
    pub fn has_run_out(&self) {
        if self.why.get() == Why::Unknown {
            self.is(Why::Stopped);
        }
    }

    /// What is wrong with its end, if it has ended by itself.
    pub fn flaw(&self) -> Option<String> {
        let stopped = self.why.get() == Why::Stopped;
        stopped
            .then(|| format!("member {:?} stopped, and nobody had gone on without it", self.process.identity))
    }
}

/// Why a structure's member ends whose structure has stopped, or that has left.
pub fn why_of<C: Container + 'static>(carrier: &Carrier<C>) -> Why
where
    C::Message: Serialize + DeserializeOwned,
{
    if carrier.has_stopped() && !carrier.was_left_out() { Why::Stopped } else { Why::Excused }
}

/// Nobody is left: whether the plan ended all that had not left.
pub fn judge_wipe<'a>(all: impl IntoIterator<Item = &'a Fate>) -> Result<(), String> {
    let is_excused = |fate: &Fate| matches!(fate.why.get(), Why::Excused | Why::Outside | Why::Spent);
    let is_odd = |fate: &&Fate| !fate.process.was_ended_by_plan() && !is_excused(fate);
    match all.into_iter().find(is_odd) {
        Some(fate) => {
            Err(format!("nobody is left, and member {:?} was not ended by the plan", fate.process.identity))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Why, judge_wipe};
    use crate::Costs;
    use crate::world::World;

    /// That the plan may end everybody, `tests/dpool.rs` shows.
    #[test]
    fn who_ends_by_itself_is_noticed() {
        let costs = Costs::load("default").expect("the costs of every run");
        let world = World::new(1, 2, costs, None, None);
        let process = world.start("member-0", 1);
        let fate = Fate::of(&process);
        assert!(fate.is_joining());
        fate.is(Why::Unknown);
        process.end();
        assert!(judge_wipe([&fate]).is_err());
        assert_eq!(fate.flaw(), None, "it may have left: only that nobody is left is odd");
        fate.has_run_out();
        assert!(fate.flaw().is_some() && judge_wipe([&fate]).is_err());
        fate.is(Why::Excused);
        fate.has_run_out();
        assert!(fate.flaw().is_none() && judge_wipe([&fate]).is_ok());
        world.close();
    }
}

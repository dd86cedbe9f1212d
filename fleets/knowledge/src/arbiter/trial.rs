//! Whether a core helped. More work than before by a quarter of its share, or half the wait, is help; if there is neither after
//! the owner had time to use it, the core is taken back, and no other given until there is much more to do, or for a while.

use super::{Arbiter, Measure};
use core::time::Duration;
use fos_messages::arbiter::Advice;
use fos_messages::knowledge::Place;
use fos_runtime::Instant;

/// How long an owner has until its figures are compared.
const SETTLES_WITHIN: Duration = Duration::from_secs(1);
/// How long no core is given to an owner whom the last did not help.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// Of what a core would add if work grew with cores, this share at least is help: one in so many.
const HELPS_FROM: u64 = 4;

/// A core that was given and has to show what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    pub at: Place,
    /// How the owner did without it.
    pub before: Measure,
    /// Cores that it had then.
    pub cores: u64,
    pub since: Instant,
}

/// A core did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The wait then.
    pub wait_nanoseconds: u64,
    pub until: Instant,
}

impl Trial {
    /// Whether the owner does better than before.
    fn helped(&self, now: Measure) -> bool {
        let before = self.before.work_per_second;
        let more_work = before / (HELPS_FROM * self.cores.max(1));
        now.work_per_second > before.saturating_add(more_work)
            || now.wait_nanoseconds < self.before.wait_nanoseconds / 2
    }
}

impl Refusal {
    /// Whether an owner that does like this is still refused.
    pub fn holds(&self, now: Instant, measure: Measure) -> bool {
        now < self.until && measure.wait_nanoseconds < self.wait_nanoseconds.saturating_mul(2)
    }
}

impl Arbiter {
    /// Looks at an owner's trial: whether the core is to be given back.
    pub(super) fn judge(&mut self, now: Instant, name: &str, measure: Measure) -> Option<Advice> {
        let owner = self.owners.get_mut(name)?;
        let trial = owner.trial.filter(|trial| now.since(trial.since) >= SETTLES_WITHIN)?;
        owner.trial = None;
        if trial.helped(measure) || owner.grants.len() <= usize::from(owner.least).max(1) {
            return None;
        }
        let until = now.after(REFUSED_FOR);
        owner.refusal = Some(Refusal { wait_nanoseconds: measure.wait_nanoseconds, until });
        Some(Advice::Undo(trial.at))
    }
}

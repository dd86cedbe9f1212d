//! Rules of the protocol that tests break on purpose, to see that something notices. Outside tests no fault exists: `has` is
//! always false there, and the compiler removes what depends on it. `tests/mutants.md` lists them with what notices each.

/// A broken rule.
#[allow(dead_code, reason = "outside tests nobody plants one")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// Who was not sent a write, since it was crowded, counts as even.
    ForgetsTheCrowded,
    /// A write is acknowledged before all that have its shard have it.
    SettlesAlone,
    /// A read does not wait for the write that it saw.
    ReadsUnsettled,
    /// A write that is asked for again is done again.
    RepeatsWrites,
    /// A new leader serves before all have said what they have.
    OpensEarly,
    /// Whoever is first leads, not who has most.
    LeadsByPlace,
    /// A leader does not tell the others what they lack.
    LeavesBehind,
    /// Messages of older epochs have an effect.
    ObeysOldEpochs,
    /// Shards stay where they are.
    NeverMoves,
    /// What there was no room to copy is not copied later.
    ForgetsWhatWaits,
    /// A leader hands over while writes are under way.
    HandsOverAtOnce,
    /// What came to a leader while it handed over is not sent on.
    DropsHeld,
    /// A shard is dropped elsewhere before its copy has arrived.
    DropsEarly,
    /// Who gets a copy confirms writes before it is whole.
    SaysWholeEarly,
    /// Requests of an earlier epoch are not asked again.
    NeverAsksAgain,
    /// A leaver does not wait until the others know.
    LeavesUnheard,
    /// When all leave, who goes later begins anew what went with the others.
    BeginsAnewAtTheEnd,
    /// The later of two versions does not win.
    LastComerWins,
    /// Members that have a shard do not compare it.
    NeverCompares,
    /// What was removed is forgotten at once.
    ForgetsRemoved,
    /// It is forgotten what was removed before all have confirmed.
    ForgetsUnagreed,
    /// It is forgotten what was removed while something older may be on its way.
    ForgetsAtOnce,
    /// What is older than what is being forgotten is taken.
    TakesWhatIsPast,
    /// A writer's counter does not heed what it has seen.
    CountsAlone,
    /// A member that is out goes on.
    IgnoresItsEnd,
}

/// The faults of one member: none, or in tests one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    #[cfg(test)]
    pub planted: Option<Fault>,
}

impl Faults {
    #[cfg(test)]
    pub fn has(self, fault: Fault) -> bool {
        self.planted == Some(fault)
    }

    #[cfg(not(test))]
    pub const fn has(self, _: Fault) -> bool {
        false
    }
}

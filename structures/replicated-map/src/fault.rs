//! Rules of the protocol that tests break on purpose, to see that something notices. Outside tests no fault exists:
//! [`Faults`] is empty there, `has` is always false, and the compiler removes what depends on it.
//! `tests/mutants.md` lists them with the test that catches each.

/// A broken rule.
#[allow(dead_code, reason = "outside tests nobody plants one")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// A coordinator commits when the first member has voted.
    CommitsEarly,
    /// A client is answered before every member has applied its update.
    AnswersEarly,
    /// A member promises whatever was proposed last.
    PromisesLatest,
    /// A member reports no promise when an epoch ends.
    HidesPromise,
    /// A coordinator whose proposal lost its position forgets it.
    DropsLosers,
    /// A member forgets what it handed over.
    DropsHanded,
    /// A coordinator tells origins that their updates are everywhere when they are committed.
    TellsEarly,
    /// Messages of older epochs are obeyed.
    ObeysOldEpochs,
    /// A repeated request is done again.
    RepeatsRequests,
    /// A read is answered whatever its client has seen.
    IgnoresSeen,
    /// A joiner is let in while its copy mixes versions.
    AdmitsUnsettled,
    /// A leader goes on without asking whether its decree is accepted.
    SkipsAccept,
    /// A leader forgets what others accepted before.
    IgnoresAccepted,
    /// Either half may go on after a tie.
    IgnoresFounder,
    /// A member answers although it has not heard a majority for long.
    IgnoresLease,
    /// A member that has reported goes on voting in the ended epoch.
    VotesAfterReport,
}

/// The faults of one replica: none, or in tests one.
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

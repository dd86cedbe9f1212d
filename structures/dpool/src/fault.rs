//! Rules of the protocol that tests break on purpose, to see that something notices. Outside tests no fault exists: `has` is
//! always false there, and the compiler removes what depends on it. `tests/mutants.md` lists them with what notices each.

/// A broken rule.
#[allow(dead_code, reason = "outside tests nobody plants one")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// What was sent is forgotten before it is confirmed.
    ForgetsSent,
    /// What was on its way to who ended is taken back without asking the owner.
    TakesBackUnasked,
    /// The owner is asked before all have begun the epoch without who ended.
    AsksUnfenced,
    /// Members confirm that they are in the epoch and what they remember at once.
    FencesOnce,
    /// What the owner names is taken without asking the members.
    SkipsCensus,
    /// What went out since the fence is not claimed.
    ForgetsWhatWent,
    /// What is on its way to another is not claimed.
    ForgetsDeparting,
    /// What is on its way to another is claimed although that one had taken it.
    ClaimsWhatWasTaken,
    /// What a leaver declined counts as taken.
    HidesDeclined,
    /// What ended members had is not looked for.
    NeverRecovers,
    /// Who becomes the eldest does not go on with what another began.
    ForgetsMourned,
    /// Who has left finds what others had, and goes with it.
    FindsThoughLeft,
    /// Nobody tells the eldest of an end that it does not know of.
    NeverReminds,
    /// A leaver does not wait until the others know.
    LeavesUnheard,
    /// A leaver does not wait until what it handed on was taken.
    LeavesUnconfirmed,
    /// What a leaver declines is lost.
    DropsDeclined,
    /// What is declined was taken as well.
    TakesDeclined,
    /// A remove gives up after the first who has nothing.
    AsksOneOnly,
    /// A remove waits for who has ended.
    WaitsForTheDead,
    /// A remove is answered with fewer than it asks for.
    AnswersShort,
    /// A member that is out goes on.
    IgnoresItsEnd,
}

/// The faults of one pool: none, or in tests one.
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

//! Rules of the protocol that tests break on purpose, to see that something notices. Outside tests no fault exists: `has` is
//! always false there, and the compiler removes what depends on it. `tests/mutants.md` lists them with what notices each.

/// A broken rule.
#[allow(dead_code, reason = "outside tests nobody plants one")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// What is on its way to who ended is taken back without asking the owner.
    TakesBackUnasked,
    /// What is declined was taken as well.
    TakesDeclined,
    /// What was declined counts as taken when what ended members had is looked for.
    KeepsDeclined,
    /// What was declined is lost.
    DropsDeclined,
    /// What was brought to another stays here as well.
    BringsCopies,
    /// A half is brought although it is not free as such any more.
    BringsUnasked,
    /// Halves at two members stay where they are.
    NeverBrings,
    /// Home goes on with what it was told first.
    BelievesTheOld,
    /// The owner is asked before all have begun the epoch without who ended.
    AsksUnfenced,
    /// What the owner names is taken without asking the members.
    SkipsCensus,
    /// What came after the fence is not claimed.
    ForgetsWhatCame,
    /// What went after the fence is not claimed.
    ForgetsWhatWent,
    /// What is on its way to another is not claimed.
    ForgetsDeparting,
    /// What is on its way to another is claimed although that one had taken it.
    ClaimsWhatWasTaken,
    /// What ended members had is not looked for.
    NeverRecovers,
    /// Nobody tells the eldest of an end that it does not know of.
    NeverMourns,
    /// A leaver does not wait until the others know.
    LeavesUnheard,
    /// A leaver does not wait until what it handed on was taken.
    LeavesUnconfirmed,
    /// An allocation gives up after the first who has nothing.
    AsksOneOnly,
    /// An allocation waits for who has ended.
    WaitsForTheDead,
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

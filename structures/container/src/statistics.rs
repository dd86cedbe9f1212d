//! What every container counts, so that one table fits all.

/// Counts since a member began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// What is here now: elements, bytes, entries.
    pub stock: u64,
    /// Requests of its server.
    pub requests: u64,
    /// Of those, the ones that waited for another member.
    pub stalls: u64,
    /// Of those, the ones that could not be served.
    pub refused: u64,
    /// Messages to other members.
    pub messages: u64,
    /// What was sent to other members to be theirs.
    pub moved: u64,
    /// What ended members had and was found again here.
    pub recovered: u64,
}

impl core::ops::Add for Statistics {
    type Output = Statistics;
    fn add(self, other: Statistics) -> Statistics {
        Statistics {
            stock: self.stock + other.stock,
            requests: self.requests + other.requests,
            stalls: self.stalls + other.stalls,
            refused: self.refused + other.refused,
            messages: self.messages + other.messages,
            moved: self.moved + other.moved,
            recovered: self.recovered + other.recovered,
        }
    }
}

impl core::iter::Sum for Statistics {
    fn sum<I: Iterator<Item = Statistics>>(all: I) -> Statistics {
        all.fold(Statistics::default(), core::ops::Add::add)
    }
}

// Two members that will do the same are the same, whatever they did before: for those who look through all states.
impl PartialEq for Statistics {
    fn eq(&self, _: &Statistics) -> bool {
        true
    }
}

impl Eq for Statistics {}

impl core::hash::Hash for Statistics {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

//! What clients ask of the search.

use crate::problem::Problem;
use fos_messages::rpc::interface;
use fos_messages::rpc::wire::Scalar;

/// Why a search is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum SearchError {
    /// Too few cities, or too many.
    NoProblem,
    /// No search has this number.
    NotBegun,
    /// Another search has this number.
    Taken,
}

impl core::fmt::Display for SearchError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            SearchError::NoProblem => "a round trip has 3 to 13 cities",
            SearchError::NotBegun => "no search has been begun under this number",
            SearchError::Taken => "another search has this number: take the next",
        })
    }
}

/// Round trips.
#[interface(id = 0x7f51, version = 1)]
pub trait Search {
    /// Begins a search. Numbers are given by the client, from 0 and without gaps.
    #[operation(idempotent)]
    async fn begin(&self, search: u16, problem: Problem) -> Result<(), SearchError>;

    /// The length of the shortest round trip. None: it is not certain yet.
    #[operation(idempotent)]
    async fn outcome(&self, search: u16) -> Result<Option<u32>, SearchError>;
}

//! A client: has a search done, whoever of the fleet ends meanwhile.

use crate::charter::FLEET;
use crate::problem::Problem;
use crate::protocol::{SearchClient, SearchError};
use alloc::rc::Rc;
use core::time::Duration;
use fos_messages::names::Path;
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Names, Runtime};

/// How long one call may take, on a slow emulator with a busy host.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// How often is asked whether it is over.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Why there is no shortest trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The fleet refuses.
    Refused(SearchError),
    /// It was not over in time.
    TooLate,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Refused(error) => write!(formatter, "the search is refused: {error}"),
            Failure::TooLate => formatter.write_str("the search was not over in time: ask for fewer cities"),
        }
    }
}

/// The length of the shortest trip.
pub async fn solve(
    runtime: &Runtime,
    names: &Rc<Names>,
    (search, problem): (u16, Problem),
    within: Duration,
) -> Result<u32, Failure> {
    let deadline = runtime.port().now().after(within);
    let fleet = Path::new(FLEET).map_err(|_| Failure::TooLate)?;
    let client = || SearchClient::new(names.at(fleet.clone(), CALL_WITHIN), Address::default());
    let mut is_begun = false;
    while runtime.port().now() < deadline {
        if !is_begun {
            match client().begin(search, problem).await {
                Ok(()) => is_begun = true,
                Err(CallError::Refused(error)) => return Err(Failure::Refused(error)),
                Err(_) => {}
            }
        } else {
            match client().outcome(search).await {
                Ok(Some(shortest)) => return Ok(shortest),
                Err(CallError::Refused(error)) => return Err(Failure::Refused(error)),
                Ok(None) | Err(_) => {}
            }
        }
        runtime.sleep(ASK_EVERY).await;
    }
    Err(Failure::TooLate)
}

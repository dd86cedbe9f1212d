//! Hierarchical names for who has no runtime: a name that begins with `/` is asked of naming, whose starter root knows.
//!
//! Nothing is kept between two look-ups: who sends often to a name keeps its address ([`crate::named::NamedSender`]) and comes
//! back when it is refused. With a runtime, use [`fos_runtime::Names`], which caches and chooses better.

use alloc::vec::Vec;
use core::time::Duration;

use fos_messages::names::{Found, NamesClient, NamesStarterClient, Path, Query, STARTER};
use fos_messages::rpc::Address;

use crate::blocking::Blocking;
use crate::clock::{Deadline, sleep_until};
use crate::memory::Memory;
use crate::root::{Root, RootError};

/// How long one member of naming, or its starter, may take before another is asked.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// How long to wait before all are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// Finds a member of the fleet that has a name, by the fleet's policy, and waits until there is one.
pub fn find(root: &Root, memory: &mut Memory, path: &Path, deadline: Deadline) -> Result<Address, RootError> {
    let starter = root.find(memory, STARTER, deadline)?;
    let asking = Blocking::create(memory, root.identity, root.clock)?;
    let found = look_up(root, &asking, starter, path, deadline);
    asking.end(memory)?;
    found.ok_or(RootError::Refused(fos_abi::Error::TimedOut))
}

fn look_up(
    root: &Root,
    asking: &Blocking,
    starter: Address,
    path: &Path,
    deadline: Deadline,
) -> Option<Address> {
    let soon = || root.clock.after(ANSWER_WITHIN).min(deadline);
    let query = Query { core: root.core, ..Query::default() };
    while !deadline.has_passed() {
        let members = asking.wait(soon(), NamesStarterClient::new(asking, starter).members());
        for member in members.unwrap_or_else(|_| Vec::new()) {
            match asking.wait(soon(), NamesClient::new(asking, member).look_up(path.clone(), query)) {
                Ok((Found::Member(entry), _)) => return Some(entry.address),
                Ok((Found::Ask(address), _)) => return Some(address),
                Err(_) => {}
            }
        }
        sleep_until(root.clock.after(ASK_AGAIN).min(deadline));
    }
    None
}

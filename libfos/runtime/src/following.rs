//! Keeps a process's way to naming open while members of naming end and others come in their place: a process that asks
//! nothing for a long time would otherwise know none of those that there are then.

use crate::{Names, Priority, Within};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::names::{NAMING, NameError, NamesStarterClient, Path};
use fos_messages::rpc::{Address, CallError};

/// How often the members of naming are looked up: all of those that a process knows end sooner only if nobody can help it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a process finds the starter of naming: another may have come in the place of the one that it was told of.
pub type FindStarter = Box<dyn Fn() -> Option<NamesStarterClient<Within>>>;

impl Names {
    /// From now on members of naming are asked that are registered under [`NAMING`], as they come and go; and when none of those
    /// that are known answers any more, whom the starter says. Where there is no such name nobody replaces members of naming, and
    /// those are asked that this process was told of.
    pub fn follow(self: &Rc<Self>, starter: Option<FindStarter>) {
        let Ok(path) = Path::new(NAMING) else { return };
        let (runtime, names) = (self.runtime().clone(), Rc::downgrade(self));
        self.runtime().spawn(Priority::Normal, async move {
            while let Some(names) = names.upgrade() {
                match names.members(&path).await {
                    Ok(entries) if entries.is_empty() => {}
                    Ok(entries) => {
                        let found: Vec<Address> = entries.iter().map(|entry| entry.address).collect();
                        names.is_served_by(&found);
                    }
                    Err(CallError::Refused(NameError::NotFound)) => return,
                    Err(_) => {
                        if let Some(starter) = starter.as_ref().and_then(|find| find())
                            && let Ok(found) = starter.members().await
                            && !found.is_empty()
                        {
                            names.is_served_by(&found);
                        }
                    }
                }
                drop(names);
                runtime.sleep(LOOK_EVERY).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world::World;
    use alloc::vec;
    use fos_abi::Identity;

    fn member(identity: u64) -> Address {
        Address { identity: Identity(identity), ..Address::default() }
    }

    #[test]
    fn who_is_asked_is_asked_as_long_as_it_is_a_member_and_then_another_that_is() {
        let node = World::default().node();
        let names = Names::new(node.runtime.clone(), vec![member(1), member(2)], (0, 0));
        names.is_served_by(&[member(1), member(3)]);
        assert_eq!(names.asked(), Some(member(1)));
        names.is_served_by(&[member(4), member(3)]);
        assert_eq!(names.asked(), Some(member(3)));
        names.is_served_by(&[member(4), member(5), member(3)]);
        assert_eq!(names.asked(), Some(member(3)), "it stays where it is");
    }
}

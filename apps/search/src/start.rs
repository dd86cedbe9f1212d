//! How a member finds what it needs on the machine.

use alloc::rc::Rc;
use alloc::string::String;
use core::time::Duration;

use fos_messages::programs::Order;
use fos_runtime::fleet::{self, ByPrograms, MEMBER};
use fos_search::member::{self, Heard, Process};
use libfos::member::{Begun, tell};

/// What the image calls the program.
pub const PROGRAM: &str = "search";

/// Is one of the fleet until that needs it no more.
pub async fn member(begun: Begun) -> Result<(), String> {
    let (root, key) = (begun.programs()?, fleet::key(&begun.arguments)?);
    let Begun { runtime, names, core, cores, .. } = begun;
    let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(MEMBER, key), core };
    let growth = ByPrograms::new(root, order, cores);
    let hear = Rc::new(move |heard| {
        if let Heard::Fleet(event) = heard {
            tell(PROGRAM, core, event);
        }
    });
    member::run(Process { runtime, names, growth, core, key, rest: Duration::ZERO, hear }).await
}

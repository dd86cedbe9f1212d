//! Suite `messages`: the cooperative runtime over the kernel, in whole machines under TCG.

use crate::fos::Fos;
use crate::runner::{Outcome, Runner, fail};
use std::time::Duration;

/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(90);

/// Boots machines with servers.
pub fn run(runner: &mut Runner) {
    runner
        .test("a client calls a server, loses it under a call, and goes on with its successor", fleet_speaks);
}

/// What `fos run --image fleet` prints, in this order.
const FLEET_SAYS: &[&[&str]] = &[
    &["client on core 1", "started on core 2"],
    &["1000 calls one after the other, each answered"],
    &["32 calls at once", "each answered"],
    &["demo-server ended with status 137"],
    &["ended under a call", "PeerLost"],
    &["client on core 1", "started on core 3"],
    &["1000 calls one after the other, each answered"],
];

fn fleet_speaks() -> Outcome {
    let said = Fos::new(&["run", "--image", "fleet", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    let mut lines = said.output.lines();
    for words in FLEET_SAYS {
        if !lines.any(|line| words.iter().all(|word| line.contains(word))) {
            return fail(format!("no line in its place holds {words:?}:\n{}", said.output));
        }
    }
    Ok(())
}

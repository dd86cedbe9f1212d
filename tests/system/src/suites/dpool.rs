//! Suite `dpool`: what distributed data structures have in common, the pool, the buddy allocator and the sharded map, each with its
//! models explored to closure, random towns and planted errors; and a pool in a simulated fleet, whose members end, stall, come and
//! leave.

use crate::libtest;
use crate::runner::Runner;
use crate::suites::sim;

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 5] =
    ["fos-buddy", "fos-carrier", "fos-container", "fos-dpool", "fos-sharded-map"];

/// Runs the libraries' tests.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    let (from, seeds) = (runner.seed(), if runner.long() { 5_000 } else { 150 });
    runner.test(format!("dpool: {seeds} seeds from {from} hold, whatever goes wrong"), || {
        sim::sweep(&["dpool", "--seeds", &seeds.to_string(), "--from", &from.to_string()], seeds / 4)
    });
}

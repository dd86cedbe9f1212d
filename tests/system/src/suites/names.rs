//! Suite `names`: the replicated map with its models, explored to closure; the naming servers' unit tests; and both fleets of
//! the image `fleet` in a machine under TCG, where members end under load.

use crate::fos::{Fos, Said};
use crate::libtest;
use crate::runner::{Outcome, Runner, fail};
use fos_host::failure::{Code, Failure};
use std::thread::JoinHandle;
use std::time::Duration;

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 3] = ["fos-names", "fos-naming", "fos-replicated-map"];
/// A model that takes minutes, and its crate.
const LONG_MODEL: (&str, &str) = ("fos-replicated-map", "tests::models::closed::everything");
/// How long it may take on two busy cores.
const LONG_MODEL_WITHIN: Duration = Duration::from_secs(3600);
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(90);
/// How long before a machine whose fleet is not there yet is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Runs the libraries' tests, and boots a machine with fleets.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    if runner.long() {
        let (package, model) = LONG_MODEL;
        runner.test(format!("{model} closes"), || {
            let built = libtest::build(&[package.to_owned()], "release")?;
            built.iter().try_for_each(|tests| libtest::run_ignored(tests, model, LONG_MODEL_WITHIN))
        });
    }
    runner.test(
        "fleets on the machine: one grows and shrinks, a member of each is ended under load, `fos names` lists them",
        listed_beside_a_run,
    );
    runner.test("`fos names` without a machine is not found", || {
        Fos::new(&["names"]).run()?.expect_status(Code::NotFound as i32)
    });
}

/// `fos names` beside a machine that runs: one lists its fleet as a document, another draws it and follows what changes.
fn listed_beside_a_run() -> Outcome {
    let run = std::thread::spawn(fleets);
    let (listed, followed) = std::thread::scope(|scope| {
        let listed = scope.spawn(|| until_found(&run, &["names", "/demo", "--json"], is_listed));
        let followed = scope.spawn(|| until_found(&run, &["names", "/demo", "--follow"], is_followed));
        (listed.join(), followed.join())
    });
    let panicked = |_| Failure::new(Code::Bug, "a thread of the test panicked");
    run.join().map_err(panicked)??;
    listed.map_err(panicked)??;
    followed.map_err(panicked)?
}

/// Asks again until what is said is so, or the machine has ended.
fn until_found(run: &JoinHandle<Outcome>, words: &[&str], is_found: fn(&Said) -> bool) -> Outcome {
    let mut said = String::new();
    while !run.is_finished() {
        let asked = Fos::new(words).within(WITHIN).run()?;
        if is_found(&asked) {
            return Ok(());
        }
        said = format!("{}{}", asked.output, asked.errors);
        std::thread::sleep(AGAIN_AFTER);
    }
    fail(format!("the machine ended before {words:?} found its fleet; last: {said}"))
}

/// The fleet's name is in the document.
fn is_listed(said: &Said) -> bool {
    let document = said.expect_status(0).and_then(|()| said.json("fos.names/1"));
    document.is_ok_and(|names| names["names"][0]["path"] == "/demo")
}

/// After the tree, members come as the fleet grows, and those that are ended go, although the member of naming that is asked
/// may end meanwhile.
fn is_followed(said: &Said) -> bool {
    let has = |start: &str| said.output.lines().any(|line| line.starts_with(start));
    has("/demo  least wait, version ") && has("+ /demo  process ") && has("- /demo  process ")
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
    &["naming has 3 members"],
    &["epoch 1: 1 members"],
    &["has made itself two"],
    &["the fleet grows by member"],
    &["under load the fleet has grown to four members"],
    &["a member of naming was ended under load on core 2"],
    &["which coordinated, was ended under load"],
    &["it was replaced: the fleet has four members again"],
    &["serves in the place of member"],
    &["under load member", "was moved from core", "to core", "as member"],
    &["the fleet does without member"],
    &["the fleet has shrunk to two members"],
    &["notes acknowledged, none lost at any member; 0 calls came to nothing"],
    &["names acknowledged, none lost at 2 members of naming"],
];

fn fleets() -> Outcome {
    let said = Fos::new(&["run", "--image", "fleet", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    said.expect_lines(FLEET_SAYS)
}

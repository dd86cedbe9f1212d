//! Suite `messages`: the unit and property tests of channels, interfaces, codecs and the cooperative runtime; misuse of
//! the interface macro; and the runtime over the kernel, in whole machines under TCG. `channels.rs` has more about channels.

use crate::fos::Fos;
use crate::libtest;
use crate::runner::{Outcome, Runner};
use std::time::Duration;

mod misuse;

/// The crates whose unit tests belong here, and not to the suite `kernel`.
pub const LIBRARIES: [&str; 6] =
    ["fos-c", "fos-channel", "fos-macros", "fos-messages", "fos-peers", "fos-runtime"];
/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(90);

/// Runs the libraries' tests, and boots machines with servers.
pub fn run(runner: &mut Runner) {
    libtest::build_and_run(runner, || Ok(LIBRARIES.map(str::to_owned).to_vec()), "dev");
    runner.test("misuse of the interface macro is explained where it is", misuse::is_explained);
    for (name, what, status) in TASKS {
        runner.test(format!("on the machine: {what}"), || task(name, *status));
    }
    runner.test("on the machine: programs in C and in Rust find and answer each other", c_and_rust);
    super::channels::run(runner);
}

fn c_and_rust() -> Outcome {
    let said = Fos::new(&["run", "--quiet", "--image", "c", "--accel", "tcg"]).within(WITHIN).run()?;
    said.expect_status(0)?;
    let lines = ["hello-c: 1000 messages to rust", "echo: 1000 messages to c", "hello-c: 1000 messages to c"];
    said.expect_output(&lines.map(|line| format!("{line} came back\n")).concat())
}

/// Cases of the program `tasks`, what each shows, and the status that it then has.
const TASKS: &[(&str, &str, i32)] = &[
    ("stackful", "a long function on a stack of its own lets others run", 0),
    ("overflow", "a stack that overflows ends the program at its guard page", 139),
    ("links", "order holds although the way is changed at every message", 0),
    ("promises", "mailboxes, ports, links and changing ways keep what messages promise", 0),
    ("long", "long messages go by lent pages; whoever lies about them or ends with them harms nobody", 0),
    ("borrowed", "a lender that ends before its pages are copied leaves zeros, and no frame is lost", 0),
    ("named", "a sender by name goes on with its receiver's successor, and none comes twice", 0),
    ("paths", "programs without a runtime, in C and in Rust, find a hierarchical name", 0),
    ("threads", "two threads of a process have a runtime each, and call each other", 0),
];

/// The fault of `overflow`: in the last guard page of the program's second stack, which is used first. The two are the first
/// that it has mapped, 16 guard pages and 8 of stack each.
const GUARD: &str = "write to 0x200000027";

fn task(name: &str, status: i32) -> Outcome {
    let words = ["run", "--quiet", "--image", "tasks", "--accel", "tcg", "--", "tasks", name];
    let said = Fos::new(&words).within(WITHIN).run()?;
    said.expect_status(status)?;
    if status == 0 { said.expect_output(&format!("{name}: ok\n")) } else { said.expect_error(GUARD) }
}

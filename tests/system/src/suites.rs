//! The table of suites: what `./fos test` runs in this order, and how long each may take on two cores.

use crate::runner::Runner;
use fos_host::data;
use fos_host::failure::Result;
use serde_json::json;

mod boot;
mod build;
mod channels;
mod hostile;
mod kernel;
mod messages;
mod names;
mod sim;
mod tool;

/// A named group of tests.
#[derive(Debug)]
pub struct Suite {
    /// What users type.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// The longest it may take in CI, in minutes.
    pub minutes_max: u64,
    /// The budget, as it is shared between suites.
    pub budget: &'static str,
    /// Runs its tests.
    pub run: fn(&mut Runner),
}

/// Every suite, in the order in which they run.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "build",
        about: "every image builds, from nothing if need be",
        minutes_max: 12,
        budget: "12",
        run: build::run,
    },
    Suite {
        name: "kernel",
        about: "unit and property tests of guest crates on the host; instruction counts against the table",
        minutes_max: 5,
        budget: "5 with boot and hostile",
        run: kernel::run,
    },
    Suite {
        name: "boot",
        about: "machines of 1 to 64 cores boot, run programs, survive planted panics and end cleanly",
        minutes_max: 5,
        budget: "5 with kernel and hostile",
        run: boot::run,
    },
    Suite {
        name: "messages",
        about: "interfaces, codecs and the cooperative runtime; tasks and links on the machine",
        minutes_max: 5,
        budget: "5 with names",
        run: messages::run,
    },
    Suite {
        name: "names",
        about: "the replicated map, explored to closure; naming and a fleet on the machine, whose members end under load",
        minutes_max: 5,
        budget: "5 with messages",
        run: names::run,
    },
    Suite {
        name: "hostile",
        about: "bad input to every kernel call, by table and at random over four cores",
        minutes_max: 5,
        budget: "5 with kernel and boot",
        run: hostile::run,
    },
    Suite {
        name: "sim",
        about: "the simulator: its own tests, seeds with faults, replays byte for byte, its speed",
        minutes_max: 3,
        budget: "3",
        run: sim::run,
    },
    Suite {
        name: "tool",
        about: "the fos command: help, JSON, exit codes, what it leaves behind; its own unit tests",
        minutes_max: 5,
        budget: "5",
        run: tool::run,
    },
];

/// Prints the suites and their budgets.
pub fn list(as_json: bool) -> Result<()> {
    if as_json {
        let suites = SUITES.iter().map(|suite| {
            json!({
                "name": suite.name,
                "about": suite.about,
                "minutes_max": suite.minutes_max,
                "budget_minutes": suite.budget,
            })
        });
        return data::json(&json!({ "schema": "fos.suites/1", "suites": suites.collect::<Vec<_>>() }));
    }
    for suite in SUITES {
        data::line(format_args!("{:8} {}\n         minutes: {}", suite.name, suite.about, suite.budget))?;
    }
    Ok(())
}

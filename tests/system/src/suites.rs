//! The table of suites: what `./fos test` runs in this order, and how long each may take on two cores. A run of all of
//! them fails where a budget is exceeded.

use crate::runner::Runner;
use fos_host::data;
use fos_host::failure::Result;
use serde_json::json;

mod boot;
mod build;
mod channels;
mod dpool;
mod hostile;
mod kernel;
mod messages;
mod names;
mod pages;
mod placement;
mod processes;
mod shell;
mod sim;
mod tool;
mod watchdog;

/// A named group of tests.
#[derive(Debug)]
pub struct Suite {
    /// What users type.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// What it may take in CI.
    pub budget: &'static Budget,
    /// Seconds of processors' time that it took when this was last measured, where everything had been built once: on two
    /// quiet cores it takes between half of that and all of it.
    pub processor_seconds: u64,
    /// Runs its tests.
    pub run: fn(&mut Runner),
}

/// Time in CI, for one suite or for several together.
#[derive(Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whose it is.
    pub suites: &'static str,
    /// The longest that they may take together, in minutes, on two cores without other programs.
    pub minutes_max: u64,
}

const BUILD: Budget = Budget { suites: "build", minutes_max: 12 };
const KERNEL: Budget = Budget { suites: "kernel, boot and hostile", minutes_max: 5 };
const MESSAGES: Budget = Budget { suites: "messages and names", minutes_max: 5 };
const DPOOL: Budget = Budget { suites: "dpool", minutes_max: 4 };
const PAGES: Budget = Budget { suites: "pages", minutes_max: 3 };
const PLACEMENT: Budget = Budget { suites: "placement", minutes_max: 2 };
const PROCESSES: Budget = Budget { suites: "processes", minutes_max: 4 };
const SHELL: Budget = Budget { suites: "shell", minutes_max: 3 };
const SIM: Budget = Budget { suites: "sim", minutes_max: 3 };
const WATCHDOG: Budget = Budget { suites: "watchdog", minutes_max: 6 };
const TOOL: Budget = Budget { suites: "tool", minutes_max: 5 };

/// Every suite, in the order in which they run.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "build",
        about: "every image builds, from nothing if need be",
        budget: &BUILD,
        processor_seconds: 60,
        run: build::run,
    },
    Suite {
        name: "kernel",
        about: "unit and property tests of guest crates on the host; instruction counts against the table",
        budget: &KERNEL,
        processor_seconds: 45,
        run: kernel::run,
    },
    Suite {
        name: "boot",
        about: "machines of 1 to 64 cores boot, run programs, survive planted panics and end cleanly",
        budget: &KERNEL,
        processor_seconds: 20,
        run: boot::run,
    },
    Suite {
        name: "messages",
        about: "interfaces, codecs and the cooperative runtime; tasks and links on the machine",
        budget: &MESSAGES,
        processor_seconds: 11,
        run: messages::run,
    },
    Suite {
        name: "names",
        about: "the replicated map, explored to closure; naming and a fleet on the machine, whose members end under load",
        budget: &MESSAGES,
        processor_seconds: 99,
        run: names::run,
    },
    Suite {
        name: "dpool",
        about: "distributed data structures: pool, buddy and sharded map, explored, at random, in fleets; a search on the machine",
        budget: &DPOOL,
        processor_seconds: 219,
        run: dpool::run,
    },
    Suite {
        name: "pages",
        about: "memory by a fleet: its own tests, and a machine on which holders and members end",
        budget: &PAGES,
        processor_seconds: 10,
        run: pages::run,
    },
    Suite {
        name: "placement",
        about: "what is known of cores and who gets them: its own tests, and a machine on which the arbiter ends",
        budget: &PLACEMENT,
        processor_seconds: 15,
        run: placement::run,
    },
    Suite {
        name: "processes",
        about: "programs started by a fleet: every end told once, storms refused, nothing left of a thousand processes",
        budget: &PROCESSES,
        processor_seconds: 60,
        run: processes::run,
    },
    Suite {
        name: "shell",
        about: "every fleet of the default image, founded from its tables, and a shell: commands by argument and by input",
        budget: &SHELL,
        processor_seconds: 60,
        run: shell::run,
    },
    Suite {
        name: "hostile",
        about: "bad input to every kernel call, by table and at random over four cores",
        budget: &KERNEL,
        processor_seconds: 117,
        run: hostile::run,
    },
    Suite {
        name: "sim",
        about: "the simulator: its own tests, seeds with faults, replays byte for byte, its speed",
        budget: &SIM,
        processor_seconds: 75,
        run: sim::run,
    },
    Suite {
        name: "watchdog",
        about: "whatever server hangs or ends is replaced under load: 100 seeds in the simulator, every one on the machine",
        budget: &WATCHDOG,
        processor_seconds: 200,
        run: watchdog::run,
    },
    Suite {
        name: "tool",
        about: "the fos command: help, JSON, exit codes, what it leaves behind; its own unit tests",
        budget: &TOOL,
        processor_seconds: 29,
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
                "minutes_max": suite.budget.minutes_max,
                "budget_of": suite.budget.suites,
                "processor_seconds": suite.processor_seconds,
            })
        });
        return data::json(&json!({ "schema": "fos.suites/1", "suites": suites.collect::<Vec<_>>() }));
    }
    for suite in SUITES {
        let Suite { name, about, budget, processor_seconds, .. } = suite;
        let Budget { suites, minutes_max } = budget;
        data::line(format_args!("{name:8} {about}"))?;
        data::line(format_args!(
            "         at most {minutes_max} minutes for {suites}; this one takes {processor_seconds} s of processor time"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What continuous integration gives a run.
    const TIER_MINUTES_MAX: u64 = 60;

    fn budgets() -> Vec<&'static Budget> {
        let mut budgets: Vec<&Budget> = SUITES.iter().map(|suite| suite.budget).collect();
        budgets.sort_by_key(|budget| budget.suites);
        budgets.dedup();
        budgets
    }

    #[test]
    fn all_budgets_together_fit_the_tier() {
        assert!(budgets().iter().map(|budget| budget.minutes_max).sum::<u64>() < TIER_MINUTES_MAX);
    }

    #[test]
    fn what_was_measured_is_within_each_budget() {
        for budget in budgets() {
            let of = SUITES.iter().filter(|suite| suite.budget == budget);
            assert!(
                of.clone().all(|suite| suite.processor_seconds > 0),
                "{} was not measured",
                budget.suites
            );
            let seconds: u64 = of.map(|suite| suite.processor_seconds).sum();
            assert!(seconds <= budget.minutes_max * 60, "{}: {seconds} s", budget.suites);
        }
    }
}

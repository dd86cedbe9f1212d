//! The named cases, each with the exact answer that the documents promise.

mod extended;
mod handles;
mod interrupts;
mod keys;
mod mailboxes;
mod mappings;
mod pairs;
mod pointers;
mod races;
mod threads;
mod upcalls;
mod waits;

use alloc::format;
use alloc::string::String;

pub use self::pairs::needs_full_table;

use libfos::println;

use crate::ground::Ground;
use crate::stage::Stage;
use crate::verdict::Verdict;

/// A case by name.
pub struct Case {
    /// What it is called in the output.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&mut Stage) -> Verdict,
}

/// How many cases there were, and how many failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// All.
    pub cases: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Tally {
    /// Counts a case and says how it went.
    pub fn record(&mut self, name: &str, verdict: &Verdict) {
        self.cases += 1;
        match verdict {
            Ok(()) => println!("hostile: case {name} ok"),
            Err(failure) => {
                self.failed += 1;
                println!("hostile: case {name} FAILED {}", failure.0.replace('\n', " "));
            }
        }
    }
}

/// Runs every case whose name begins with `only`.
pub fn run(ground: Ground, only: &str) -> Tally {
    let mut stage = Stage::new(ground);
    let mut tally = Tally::default();
    pairs::run(&mut stage, only, &mut tally);
    let groups: [&[Case]; 11] = [
        pointers::CASES,
        keys::CASES,
        handles::CASES,
        mailboxes::CASES,
        waits::CASES,
        mappings::CASES,
        threads::CASES,
        extended::CASES,
        upcalls::CASES,
        interrupts::CASES,
        races::CASES,
    ];
    for case in groups.into_iter().flatten().filter(|case| case.name.starts_with(only)) {
        let verdict = audited(&mut stage, case);
        tally.record(case.name, &verdict);
    }
    tally
}

/// Runs a case, and looks whether the capability table has as many free slots as before.
fn audited(stage: &mut Stage, case: &Case) -> Verdict {
    let before = stage.ground.free_slots();
    if let Err(failure) = (case.run)(stage) {
        stage.abandon()?;
        return Err(failure);
    }
    let after = stage.ground.free_slots();
    if after != before {
        return Err(crate::ground::Imbalance::Slots { before, after }.into());
    }
    Ok(())
}

/// A pair's name in the output.
fn pair_name(call: &str, error: fos_abi::Error) -> String {
    format!("{call}-{error:?}")
}

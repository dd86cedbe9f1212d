//! `fos bench`: measures suites, as a table for people or as one JSON document per suite.

use super::Session;
use crate::bench::document::{Document, Row};
use crate::bench::{costs, counts, dpool, kernel, machines, messages, names, pages, processes, sim, targets};
use crate::cli::BenchArguments;
use crate::failure::{Code, Failure, Result};
use crate::image::{self, Built};
use crate::talk::Talk;
use crate::{data, packages};

/// A suite of measurements.
struct Suite {
    name: &'static str,
    measure: fn(bool, &Talk) -> Result<Document>,
    /// What of it is exact, alone: nothing, unless the guest counts instructions.
    counts: fn(&Built) -> Result<Vec<Row>>,
    /// Whether it starts machines.
    needs_qemu: bool,
    /// Puts what was measured where the tree keeps it.
    write: fn(&Document) -> Result<()>,
}

const SUITES: &[Suite] = &[
    Suite {
        name: kernel::SUITE,
        measure: kernel::measure,
        counts: kernel::counts,
        needs_qemu: true,
        write: write_counts,
    },
    Suite {
        name: messages::SUITE,
        measure: messages::measure,
        counts: messages::counts,
        needs_qemu: true,
        write: write_counts,
    },
    Suite {
        name: costs::SUITE,
        measure: costs::measure,
        counts: none,
        needs_qemu: false,
        write: costs::write,
    },
    Suite { name: sim::SUITE, measure: sim::measure, counts: none, needs_qemu: false, write: |_| Ok(()) },
    Suite {
        name: names::SUITE,
        measure: names::measure,
        counts: none,
        needs_qemu: false,
        write: names::write,
    },
    Suite {
        name: processes::SUITE,
        measure: processes::measure,
        counts: none,
        needs_qemu: true,
        write: |_| Ok(()),
    },
    Suite {
        name: dpool::SUITE,
        measure: dpool::measure,
        counts: none,
        needs_qemu: false,
        write: dpool::write,
    },
    Suite {
        name: pages::SUITE,
        measure: pages::measure,
        counts: none,
        needs_qemu: true,
        write: pages::write,
    },
];

/// Measures the named suites, or all.
pub fn run(arguments: &BenchArguments, session: Session) -> Result<u8> {
    let suites = choose(&arguments.suites)?;
    if suites.iter().any(|suite| suite.needs_qemu) {
        packages::ensure(&[packages::QEMU], &session.talk)?;
    }
    for suite in suites {
        let document = if arguments.counts {
            counted(suite, &session.talk)?
        } else {
            (suite.measure)(!arguments.without_linux, &session.talk)?
        };
        if session.json {
            data::json(&document.json())?;
        } else {
            data::line(format_args!("suite {}: {}\n{}", document.suite, document.machine, document.table()))?;
        }
        if arguments.write {
            (suite.write)(&document)?;
        }
        let missed = document.rows.iter().filter(|row| !row.within_target()).map(|row| row.key.as_str());
        let missed: Vec<&str> = missed.collect();
        if !missed.is_empty() {
            session.talk.say(format_args!("missed target: {}", missed.join(", ")));
        }
    }
    Ok(0)
}

/// The exact counts of a suite alone, which take seconds.
fn counted(suite: &Suite, talk: &Talk) -> Result<Document> {
    let built = image::build(machines::IMAGE, talk)?;
    let rows = (suite.counts)(&built)?.into_iter().map(|row| targets::apply(row, &[]));
    Ok(Document {
        suite: suite.name,
        machine: String::from("a guest that counts instructions"),
        rows: rows.collect(),
    })
}

fn none(_: &Built) -> Result<Vec<Row>> {
    Ok(Vec::new())
}

fn write_counts(document: &Document) -> Result<()> {
    counts::write(document.suite, &document.rows)
}

fn choose(names: &[String]) -> Result<Vec<&'static Suite>> {
    let find = |name: &String| {
        let known = || SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
        SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| {
            Failure::new(Code::NotFound, format!("no suite of measurements is named {name:?}"))
                .hint(format!("the suites are: {}", known()))
        })
    };
    if names.is_empty() { Ok(SUITES.iter().collect()) } else { names.iter().map(find).collect() }
}

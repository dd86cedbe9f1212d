//! Suite `dpool`: what a pool hands out in the simulator, against the number of its members and clients, by scheme. Counts of virtual
//! time, so the same on every host. Beside it what each scheme costs on a core of this host (`native`).

mod figures;
mod native;

pub use figures::write;

use super::document::{Document, Row};
use super::targets;
use crate::failure::{Code, Failure, Result};
use crate::talk::Talk;
use fos_sim::scenarios::dpool::rates::{CLIENTS, SCENARIOS, SCHEMES};
use fos_sim::{Costs, Report, Setup};

/// The suite's name.
pub const SUITE: &str = "dpool";
/// Sizes of the fleet.
const MEMBERS: [u32; 4] = [1, 4, 16, 64];
/// The scheme whose limit is drawn against members.
const BEST: &str = "estimate";
/// Messages of a run: for each client, at least and at most in all.
const MESSAGES_PER_CLIENT: u64 = 2_000;
const MESSAGES: (u64, u64) = (60_000, 240_000);
const SEED: u64 = 1;
const COSTS: &str = "polling";
/// What is taken from each run: key in the report, key in the document, unit.
const TAKEN: [(&str, &str, &str); 9] = [
    ("takes_per_second", "takes", "1/s"),
    ("stalls", "stalls", "share"),
    ("messages_per_element", "messages", "messages"),
    ("moved_per_element", "moved", "elements"),
    ("take_median", "take_median", "ns"),
    ("busy", "busy", "share"),
    ("busy_given_to", "busy_given_to", "share"),
    ("busy_others", "busy_others", "share"),
    ("waking", "waking", "share"),
];

/// Measures everything.
pub fn measure(_: bool, talk: &Talk) -> Result<Document> {
    let stage = talk.stage("ran pools of every scheme");
    let mut rows = Vec::new();
    for scheme in 0..SCHEMES.len() {
        for members in MEMBERS {
            for clients in 0..CLIENTS.len() {
                rows.extend(run(scheme, members, clients)?);
            }
        }
    }
    let linear = limit(&rows, BEST, 64) / (64.0 * limit(&rows, BEST, 1));
    let how = "the most takes by any number of clients, of 64 members / (64 * of one), background push with estimation";
    rows.push(targets::apply(Row::new("sim_dpool_linear_64", linear, "share", how), &[]));
    stage.done();
    let stage = talk.stage("ran pools of every scheme on a core of this host");
    rows.extend(native::rows(&MEMBERS));
    stage.done();
    Ok(Document {
        suite: SUITE,
        machine: format!("simulated, costs {COSTS}; native: a core of this host"),
        rows,
    })
}

/// What so many members hand out at most, whatever the number of clients.
fn limit(rows: &[Row], scheme: &str, members: u32) -> f64 {
    CLIENTS.iter().map(|clients| value(rows, &key("takes", scheme, members, *clients))).fold(0.0, f64::max)
}

fn key(what: &str, scheme: &str, members: u32, clients: u32) -> String {
    format!("dpool_{what}_{scheme}_{members}_members_{clients}_clients").replace('-', "_")
}

fn run(scheme: usize, members: u32, clients: usize) -> Result<Vec<Row>> {
    let failed = |why: String| Failure::new(Code::Failed, why);
    let (scenario, count) = (&SCENARIOS[scheme][clients], CLIENTS[clients]);
    let messages = (u64::from(count) * MESSAGES_PER_CLIENT).clamp(MESSAGES.0, MESSAGES.1);
    let costs = Costs::load(COSTS).map_err(failed)?;
    let setup = Setup { cores: members + count, messages, ..Setup::new(scenario, SEED, costs) };
    let report = setup.run(None);
    if let Some(why) = &report.failure {
        return Err(failed(format!("{why}; repeat it with: {}", report.replay)));
    }
    let how = format!("`{}` with {} cores", scenario.name, members + count);
    let row = |(from, to, unit): &(&str, &str, &str)| {
        Ok(Row::new(&key(to, SCHEMES[scheme].0, members, count), figure(&report, from)?, unit, &how))
    };
    TAKEN.iter().map(row).collect()
}

fn figure(report: &Report, key: &str) -> Result<f64> {
    let found = report.figures.iter().find(|figure| figure.key == key);
    let lacks = || Failure::new(Code::Failed, format!("no run found {key}"));
    found.map(|figure| figure.value).ok_or_else(lacks)
}

fn value(rows: &[Row], key: &str) -> f64 {
    rows.iter().find(|row| row.key == key).map_or(0.0, |row| row.value)
}

//! Suite `names`: what naming does in the simulator against the number of its members. Counts of virtual time, so the same
//! on every host; only `sim_1024_cores_seconds` is by the clock.

use super::document::{Document, Row};
use super::{sim, targets};
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use crate::talk::Talk;
use fos_sim::figures::{Chart, Series, simulated};
use fos_sim::scenarios::naming_reads::{CLIENTS, CLIENTS_PER_MEMBER, WRITERS};
use fos_sim::{Costs, Report, Setup, scenarios};

/// The suite's name.
pub const SUITE: &str = "names";
/// Sizes of the fleet: look-ups, and changes.
const READ_BY: [u32; 5] = [1, 4, 16, 64, 256];
const WRITTEN_BY: [u32; 4] = [1, 4, 16, 64];
/// Scenarios of look-ups, and the look-ups for each change.
const READS: [(&str, &str); 3] =
    [("naming-reads", "20000"), ("naming-reads-1000", "1000"), ("naming-reads-100", "100")];
/// Messages of a run: for each member, and at least and at most in all.
const MESSAGES_PER_MEMBER: u64 = 6_400;
const READ_MESSAGES: (u64, u64) = (200_000, 2_000_000);
const WRITE_MESSAGES: u64 = 8_000;
const OPEN_MESSAGES: u64 = 32_000;
const SEED: u64 = 1;
const FIGURE: &str = "naming-reads";

/// Measures everything.
pub fn measure(_: bool, talk: &Talk) -> Result<Document> {
    let stage = talk.stage("ran fleets of names");
    let mut rows = Vec::new();
    for (scenario, every) in READS {
        for members in READ_BY {
            rows.push(reads(scenario, every, members)?);
        }
    }
    rows.push(linear(&rows)?);
    rows.push(crowded()?);
    for members in WRITTEN_BY {
        rows.extend(writes(members)?);
    }
    rows.push(sim::seconds_of_a_large_run()?);
    stage.done();
    let rows = rows.into_iter().map(|row| targets::apply(row, &[])).collect();
    Ok(Document { suite: SUITE, machine: "simulated, costs default".to_owned(), rows })
}

fn key(every: &str, members: u32) -> String {
    format!("names_look_ups_1_in_{every}_by_{members}")
}

fn reads(scenario: &str, every: &str, members: u32) -> Result<Row> {
    let (least, most) = READ_MESSAGES;
    let messages = (u64::from(members) * MESSAGES_PER_MEMBER).clamp(least, most);
    let report = run(scenario, members * (1 + CLIENTS_PER_MEMBER), messages)?;
    let how = format!("`{scenario}`, {CLIENTS_PER_MEMBER} clients for each member, 8 under way each");
    Ok(Row::new(&key(every, members), figure(&report, "look_ups_per_second")?, "1/s", &how))
}

/// `sim_names_linear_256`: the largest fleet's share of so many times what one member does.
fn linear(rows: &[Row]) -> Result<Row> {
    let at = |members: u32| {
        let wanted = key(READS[0].1, members);
        rows.iter().find(|row| row.key == wanted).map(|row| row.value).ok_or_else(|| lacks(&wanted))
    };
    let how = "throughput(256) / (256 * throughput(1)), one change for 20,000 look-ups, as many clients for each member";
    Ok(Row::new("sim_names_linear_256", at(256)? / (256.0 * at(1)?), "share", how))
}

/// One member with all the clients of 256.
fn crowded() -> Result<Row> {
    let report = run(READS[0].0, CLIENTS + 1, READ_MESSAGES.0)?;
    let how = "one member with 1,024 clients, 8 look-ups under way each: most find its mailbox full";
    Ok(Row::new("names_look_ups_crowded_1", figure(&report, "look_ups_per_second")?, "1/s", how))
}

/// Rate and latency of changes, and what is left of the rate when twice as many are offered as can be made.
fn writes(members: u32) -> Result<[Row; 4]> {
    let once = run("naming-writes", members + WRITERS, WRITE_MESSAGES)?;
    let open = run("naming-writes-open", members + WRITERS, OPEN_MESSAGES)?;
    let rate = figure(&once, "changes_per_second")?;
    let held = figure(&open, "changes_per_second")? / figure(&open, "capacity")?;
    let row = |what: &str, value, unit, how: &str| {
        Row::new(&format!("names_{what}_by_{members}"), value, unit, how)
    };
    let how = format!("`naming-writes`, {WRITERS} clients with 1 change under way each");
    Ok([
        row("changes", rate, "1/s", &how),
        row("change_median", figure(&once, "change_median")?, "ns", &how),
        row("change_99", figure(&once, "change_99")?, "ns", &how),
        row(
            "changes_held",
            held,
            "share",
            "`naming-writes-open`: changes made of twice what clients that wait get, offered whether or not answered",
        ),
    ])
}

fn failed(why: String) -> Failure {
    Failure::new(Code::Failed, why)
}

fn lacks(what: &str) -> Failure {
    failed(format!("no run found {what}"))
}

fn run(scenario: &str, cores: u32, messages: u64) -> Result<Report> {
    let found = scenarios::find(scenario).ok_or_else(|| failed(format!("no scenario {scenario}")))?;
    let costs = Costs::load("default").map_err(failed)?;
    let report = Setup { cores, messages, ..Setup::new(found, SEED, costs) }.run(None);
    match &report.failure {
        Some(why) => Err(failed(format!("{why}; repeat it with: {}", report.replay))),
        None => Ok(report),
    }
}

fn figure(report: &Report, key: &str) -> Result<f64> {
    let found = report.figures.iter().find(|figure| figure.key == key);
    found.map(|figure| figure.value).ok_or_else(|| lacks(key))
}

/// Draws look-ups against members where documents show them.
pub fn write(document: &Document) -> Result<()> {
    let value = |key: &str| document.rows.iter().find(|row| row.key == key).map_or(0.0, |row| row.value);
    let one = value(&key(READS[0].1, 1));
    let mut series: Vec<Series> = READS
        .iter()
        .map(|(_, every)| {
            let points = READ_BY.map(|members| (members, value(&key(every, members)) as u64));
            Series { name: format!("1 change for {every} look-ups"), points: points.to_vec() }
        })
        .collect();
    let linear = READ_BY.map(|members| (members, (one * f64::from(members)) as u64));
    series.insert(0, Series { name: "so many times one member".to_owned(), points: linear.to_vec() });
    let (title, source) = ("What a naming fleet answers".to_owned(), simulated("default"));
    let chart =
        Chart { name: FIGURE, title, axes: ("members", "thousand look-ups per second"), source, series };
    let path = repository::root().join(format!("docs/figures/{FIGURE}.svg"));
    std::fs::write(&path, chart.svg().map_err(failed)?).doing(format_args!("writing {}", path.display()))
}

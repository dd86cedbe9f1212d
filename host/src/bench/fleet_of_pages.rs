//! Of suite `pages`: what a fleet gives out in the simulator against the number of its members. Counts of virtual time, so the same
//! on every host.

use super::document::{Document, Row};
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use fos_sim::figures::{Chart, Series, simulated};
use fos_sim::scenarios;
use fos_sim::{Costs, Setup};

/// Sizes of the fleet.
const MEMBERS: [u32; 4] = [1, 4, 16, 64];
/// Cores of the scenario for each member and its clients, and beside them.
const CORES: (u32, u32) = (3, 3);
const SCENARIO: &str = "pages-rates";
/// Messages of a run for each member.
const MESSAGES_PER_MEMBER: u64 = 3_000;
const SEED: u64 = 1;
const COSTS: &str = "default";
const FIGURE: &str = "pages-members";

fn failed(why: String) -> Failure {
    Failure::new(Code::Failed, why)
}

fn key(members: u32) -> String {
    format!("sim_pages_by_{members}")
}

/// Pages per second by each size of fleet, and how much of so many times one member's the largest has.
pub fn measure() -> Result<Vec<Row>> {
    let mut rows = MEMBERS.map(run).into_iter().collect::<Result<Vec<Row>>>()?;
    let (one, all) = (rows[0].value, rows[MEMBERS.len() - 1].value);
    let how = "pages per second of 64 members / (64 * those of one), two clients for each, 16 MiB at a time, all of it zeroed";
    rows.push(Row::new("sim_pages_linear_64", all / (64.0 * one), "share", how));
    Ok(rows)
}

fn run(members: u32) -> Result<Row> {
    let scenario = scenarios::find(SCENARIO).ok_or_else(|| failed(format!("no scenario {SCENARIO}")))?;
    let (each, others) = CORES;
    let messages = u64::from(members) * MESSAGES_PER_MEMBER;
    let setup = Setup {
        cores: members * each + others,
        messages,
        ..Setup::new(scenario, SEED, Costs::load(COSTS).map_err(failed)?)
    };
    let report = setup.run(None);
    if let Some(why) = &report.failure {
        return Err(failed(format!("{why}; repeat it with: {}", report.replay)));
    }
    let figure = report.figures.iter().find(|figure| figure.key == "pages_per_second");
    let figure = figure.ok_or_else(|| failed(format!("{SCENARIO} found no rate")))?;
    let how = format!("`{SCENARIO}`, {members} members, costs {COSTS}");
    Ok(Row::new(&key(members), figure.value, "1/s", &how))
}

/// Draws the rates where documents show them.
pub fn write(document: &Document) -> Result<()> {
    let value =
        |members: u32| document.rows.iter().find(|row| row.key == key(members)).map_or(0.0, |row| row.value);
    // Points are thousandths of what is drawn.
    let series = |name: &str, of: &dyn Fn(u32) -> f64| Series {
        name: name.to_owned(),
        points: MEMBERS.map(|members| (members, of(members) as u64)).to_vec(),
    };
    let linear = series("so many times one member", &|members| value(1) * f64::from(members) / 1000.0);
    let series = vec![linear, series("the fleet", &|members| value(members) / 1000.0)];
    let axes = ("members", "million pages per second");
    let chart = Chart {
        name: FIGURE,
        title: "What a fleet of pages gives out".to_owned(),
        axes,
        source: simulated(COSTS),
        series,
    };
    let path = repository::root().join(format!("docs/figures/{FIGURE}.svg"));
    std::fs::write(&path, chart.svg().map_err(failed)?).doing(format_args!("writing {}", path.display()))
}

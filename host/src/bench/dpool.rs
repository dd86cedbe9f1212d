//! Suite `dpool`: what a pool hands out in the simulator, against the number of its members and clients, by scheme. Counts of virtual
//! time, so the same on every host. Beside it what each scheme costs on a core of this host (`native`).

mod native;

use super::document::{Document, Row};
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use crate::talk::Talk;
use fos_sim::figures::{Chart, Series};
use fos_sim::scenarios::dpool::rates::{CLIENTS, SCENARIOS, SCHEMES};
use fos_sim::{Costs, Report, Setup};

/// The suite's name.
pub const SUITE: &str = "dpool";
/// Sizes of the fleet.
const MEMBERS: [u32; 4] = [1, 4, 16, 64];
/// The size at which schemes are drawn beside each other.
const DRAWN: u32 = 16;
/// The scheme whose limit is drawn against members.
const BEST: &str = "estimate";
/// Messages of a run: for each client, at least and at most in all.
const MESSAGES_PER_CLIENT: u64 = 2_000;
const MESSAGES: (u64, u64) = (60_000, 240_000);
const SEED: u64 = 1;
const COSTS: &str = "default";
/// What is taken from each run: key in the report, key in the document, unit.
const TAKEN: [(&str, &str, &str); 5] = [
    ("takes_per_second", "takes", "1/s"),
    ("stalls", "stalls", "share"),
    ("messages_per_element", "messages", "messages"),
    ("moved_per_element", "moved", "elements"),
    ("take_median", "take_median", "ns"),
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
    let at = |members| value(&rows, &key("takes", BEST, members, members));
    let linear = at(64) / (64.0 * at(1));
    let how = "takes(64 members) / (64 * takes(1 member)), one client with 4 calls for each, background push with estimation";
    rows.push(Row::new("sim_dpool_linear_64", linear, "share", how));
    stage.done();
    let stage = talk.stage("ran pools of every scheme on a core of this host");
    rows.extend(native::rows());
    stage.done();
    Ok(Document {
        suite: SUITE,
        machine: format!("simulated, costs {COSTS}; native: a core of this host"),
        rows,
    })
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

/// Draws the figures of docs/performance.md.
pub fn write(document: &Document) -> Result<()> {
    let of = |what: &str, scheme: &str, members, clients| {
        value(&document.rows, &key(what, scheme, members, clients))
    };
    let by_clients = |what: &str, scheme: &str, members: u32, scale: f64| {
        CLIENTS.map(|clients| (clients, (of(what, scheme, members, clients) * scale) as u64)).to_vec()
    };
    let sizes = MEMBERS.map(|members| Series {
        name: format!("{members} members"),
        points: by_clients("takes", BEST, members, 1.0),
    });
    draw(
        "dpool-members",
        "What a pool hands out, pushed with estimation",
        "thousand takes per second",
        sizes.into(),
    )?;
    let schemes = |what: &str, scale: f64| {
        let line = |(name, _): &(&str, _)| Series {
            name: (*name).to_owned(),
            points: by_clients(what, name, DRAWN, scale),
        };
        SCHEMES.iter().map(line).collect()
    };
    // Points are thousandths of what is drawn.
    draw(
        "dpool-stalls",
        "Takes that wait for another of 16 members",
        "percent",
        schemes("stalls", 100_000.0),
    )?;
    let title = "Messages between 16 members for each element taken";
    draw("dpool-messages", title, "messages", schemes("messages", 1000.0))?;
    let title = "What 16 members hand out, by scheme";
    draw("dpool-schemes", title, "thousand takes per second", schemes("takes", 1.0))
}

fn draw(name: &'static str, title: &'static str, upright: &'static str, series: Vec<Series>) -> Result<()> {
    let chart = Chart { name, title, axes: ("clients", upright), costs: COSTS.to_owned(), series };
    let path = repository::root().join(format!("docs/figures/{name}.svg"));
    let text = chart.svg().map_err(|why| Failure::new(Code::Failed, why))?;
    std::fs::write(&path, text).doing(format_args!("writing {}", path.display()))
}

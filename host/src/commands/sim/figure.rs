//! `fos sim figure`: what the simulator's models of the multikernel paper's figures say.

use crate::commands::Session;
use crate::data;
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use fos_sim::Costs;
use fos_sim::figures::{COSTS, Chart, FIGURES};
use serde_json::json;

/// Where pictures are.
const FOLDER: &str = "docs/figures";

/// Prints the named figure, or all.
pub fn run(name: &Option<String>, as_csv: bool, write: bool, session: Session) -> Result<u8> {
    let wanted = |known: &str| name.as_deref().is_none_or(|name| name == known);
    let found: Vec<_> = FIGURES.iter().filter(|(known, _)| wanted(known)).collect();
    if found.is_empty() {
        let known: Vec<&str> = FIGURES.iter().map(|(known, _)| *known).collect();
        let message = format!("no figure is named {:?}", name.as_deref().unwrap_or_default());
        return Err(
            Failure::new(Code::NotFound, message).hint(format!("the figures are: {}", known.join(", ")))
        );
    }
    let failed = |why| Failure::new(Code::Failed, why);
    let costs = Costs::load(COSTS).map_err(failed)?;
    for (_, make) in found {
        let chart = make(&costs);
        if session.json {
            data::json(&document(&chart))?;
        } else if as_csv {
            data::bytes(chart.csv().as_bytes())?;
        } else {
            data::line(format_args!("{} (nanoseconds, costs {})\n{}", chart.title, COSTS, table(&chart)))?;
        }
        if write {
            let path = repository::root().join(FOLDER).join(format!("{}.svg", chart.name));
            let svg = chart.svg().map_err(failed)?;
            std::fs::write(&path, svg).doing(format_args!("writing {}", path.display()))?;
        }
    }
    Ok(0)
}

fn document(chart: &Chart) -> serde_json::Value {
    let series = chart.series.iter().map(|series| json!({ "name": series.name, "points": series.points }));
    json!({
        "schema": "fos.sim-figure/1", "name": chart.name, "title": chart.title, "costs": COSTS,
        "x": "cores", "y": "nanoseconds", "series": series.collect::<Vec<_>>(),
    })
}

fn table(chart: &Chart) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let csv = chart.csv();
    let mut rows = csv.lines().map(|row| row.split(',').collect::<Vec<_>>());
    table.set_header(rows.next().unwrap_or_default());
    rows.for_each(|row| {
        table.add_row(row);
    });
    table
}

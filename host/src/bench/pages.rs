//! Suite `pages`: what a page costs that is touched and given back, beside Linux in a guest of the same QEMU, the same loop on both
//! with pages of 4 KiB: pages per second with a process on each of one and of two cores, all servers on those same cores, and
//! instructions for each page on one core, everything counted that ran meanwhile. What a fleet of pages gives out in the simulator
//! against the number of its members is in `fleet_of_pages`.

use super::document::{Document, Row, Versus, median};
use super::machines::{self, Pair};
use crate::failure::{Code, Failure, Result};
use crate::image;
use crate::linux_guest::{self, Counted, Guest, Timed};
use crate::machine::{Accelerator, Options};
use crate::talk::Talk;

use super::{fleet_of_pages, targets};

pub use super::fleet_of_pages::write;

/// The suite's name.
pub const SUITE: &str = "pages";
/// The image, and its program that measures.
const IMAGE: &str = "pages";
const PROGRAM: &str = "pages-test";
/// Memory of both machines.
const MEMORY_BYTES: u64 = 1 << 30;
/// Cores of the machines that are timed.
const CORES: [u16; 2] = [1, 2];
/// Pairs of fos and Linux whose median ratio counts.
const PAIRS: usize = 5;

/// Measures everything.
pub fn measure(with_linux: bool, talk: &Talk) -> Result<Document> {
    let built = image::build(IMAGE, talk)?;
    let linux = if with_linux { Some(machines::linux(talk)?) } else { None };
    let options = Options { memory_bytes: MEMORY_BYTES, ..Options::of(&built, Accelerator::Tcg) };
    let stage = talk.stage("counted instructions of a page");
    let mut rows = vec![counted(&options, linux.as_ref())?];
    stage.done();
    for cores in CORES {
        let stage = talk.stage("timed pages on fos and Linux in turn");
        let options = options.clone().cores(cores);
        let mut pairs = Vec::new();
        for pair in 1..=PAIRS {
            stage.at(format_args!("{cores} cores, pair {pair} of {PAIRS}"));
            let fos = machines::program(&options, PROGRAM, &["measure"])?;
            let timed = Timed::Faults(cores);
            let linux = linux.as_ref().map(|linux| linux_guest::measure_times(linux, timed)).transpose()?;
            pairs.push(Pair { fos, linux: linux.map(|report| report.measurements).unwrap_or_default() });
        }
        rows.extend(timed(cores, &pairs)?);
        stage.done();
    }
    let stage = talk.stage("ran fleets of pages");
    rows.extend(fleet_of_pages::measure()?);
    stage.done();
    let rows = rows.into_iter().map(|row| targets::apply(row, &[])).collect();
    Ok(Document { suite: SUITE, machine: super::kernel::machine(), rows })
}

fn lacks(what: &str) -> Failure {
    Failure::new(Code::Failed, format!("a guest measured no {what}"))
}

/// Instructions for each page.
fn counted(options: &Options, linux: Option<&Guest>) -> Result<Row> {
    let counting = Options { count_instructions: true, ..options.clone().cores(1) };
    let fos = machines::program(&counting, PROGRAM, &["count"])?;
    let ours = fos.first().ok_or_else(|| lacks("instructions"))?;
    let mut row = Row::new(&ours.key, ours.value as f64, &ours.unit, &ours.how);
    if let Some(linux) = linux {
        let theirs = linux_guest::measure_instructions(linux, Counted::Faults)?.measurements;
        let theirs = theirs.first().ok_or_else(|| lacks("instructions"))?;
        row.versus = Some(Versus { what: theirs.key.clone(), value: theirs.value as f64 });
    }
    Ok(row)
}

/// The rate on so many cores, and its ratio to Linux's.
fn timed(cores: u16, pairs: &[Pair]) -> Result<Vec<Row>> {
    let rates = pairs.iter().map(|pair| pair.of_fos("pages_per_second"));
    let rates: Vec<f64> = rates.collect::<Option<_>>().ok_or_else(|| lacks("pages"))?;
    let how = format!(
        "64 MiB touched page by page and given back, a process on each of {cores} cores, servers there too"
    );
    let theirs = pairs.iter().filter_map(|pair| pair.of_linux("linux_pages_per_second")).collect();
    let versus = median(theirs).map(|value| Versus { what: "linux_pages_per_second".to_owned(), value });
    let rate = Row {
        versus,
        ..Row::new(&format!("pages_per_second_{cores}"), median(rates).unwrap_or_default(), "1/s", &how)
    };
    let ratios: Vec<f64> =
        pairs.iter().filter_map(|pair| pair.ratio("pages_per_second", "linux_pages_per_second")).collect();
    let how =
        format!("pages per second on {cores} cores over Linux's, median ratio of {} pairs", ratios.len());
    let ratio =
        median(ratios).map(|ratio| Row::new(&format!("pages_over_linux_{cores}"), ratio, "ratio", &how));
    Ok([rate].into_iter().chain(ratio).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_bench_linux::line::Measurement;

    fn measured(key: &str, value: u64) -> Measurement {
        Measurement { key: key.into(), value, unit: "1/s".into(), how: "clock".into() }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_pairs_ratios() {
        let pair = |fos, linux| Pair {
            fos: vec![measured("pages_per_second", fos)],
            linux: vec![measured("linux_pages_per_second", linux)],
        };
        let rows = timed(2, &[pair(100, 50), pair(90, 30), pair(500, 1000)]).unwrap();
        assert_eq!((rows[1].key.as_str(), rows[1].value), ("pages_over_linux_2", 2.0));
        assert_eq!((rows[0].key.as_str(), rows[0].value), ("pages_per_second_2", 100.0));
        let alone = [Pair { fos: vec![measured("pages_per_second", 7)], linux: vec![] }];
        assert_eq!(timed(1, &alone).unwrap().len(), 1);
        assert!(timed(1, &[Pair::default()]).is_err());
    }
}

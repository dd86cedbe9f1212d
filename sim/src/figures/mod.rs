//! The multikernel paper's two figures about what messages are for (Baumann and others, "The Multikernel", SOSP 2009),
//! as models over the transfers of a cost file: figure 3, state that many cores update, and figure 6, one core that has
//! to tell all others. They use the simulator's costs, not its servers.

mod shared_state;
mod shootdown;
mod svg;

use crate::Costs;

/// A line of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Cores, say, and nanoseconds.
    pub points: Vec<(u32, u64)>,
}

/// A figure: time against the number of cores, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// As users type it, and as its file is called.
    pub name: &'static str,
    /// What it shows.
    pub title: String,
    /// What is along each axis; the upright one is in thousands of the points' unit.
    pub axes: (&'static str, &'static str),
    /// Where its numbers come from.
    pub source: String,
    /// Its lines.
    pub series: Vec<Series>,
}

/// Makes a figure with these costs.
pub type Model = fn(&Costs) -> Chart;

/// Every figure: its name and what makes it.
pub const FIGURES: [(&str, Model); 2] =
    [("shared-state", shared_state::chart), ("shootdown", shootdown::chart)];

/// The axes of the figures here.
const AXES: (&str, &str) = ("cores", "microseconds");
/// The cost file that the figures are made with.
pub const COSTS: &str = "8x4";

/// What a chart says of numbers that the simulator found with this cost file.
pub fn simulated(costs: &str) -> String {
    format!("simulated, costs: {costs}")
}

impl Chart {
    /// Comma-separated values: a row for each number of cores, a column for each line.
    pub fn csv(&self) -> String {
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let mut text = format!("cores,{}\n", names.join(","));
        for (row, (cores, _)) in
            self.series.first().map_or(&[][..], |series| &series.points).iter().enumerate()
        {
            let values: Vec<String> =
                self.series.iter().map(|series| series.points[row].1.to_string()).collect();
            text += &format!("{cores},{}\n", values.join(","));
        }
        text
    }

    /// As a picture.
    pub fn svg(&self) -> Result<String, String> {
        svg::draw(std::slice::from_ref(self))
    }

    /// Several of them as one picture.
    pub fn svg_of(charts: &[Chart]) -> Result<String, String> {
        svg::draw(charts)
    }
}

/// The line of this name made by a function of the number of cores, for all the cores of a machine.
fn series(name: &str, costs: &Costs, time: impl Fn(u32) -> u64) -> Series {
    let points = (2..=costs.topology.cores_per_machine()).map(|cores| (cores, time(cores))).collect();
    Series { name: name.to_owned(), points }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(name: &str) -> Chart {
        let (_, make) = FIGURES.iter().find(|(known, _)| *known == name).unwrap();
        make(&Costs::load(COSTS).unwrap())
    }

    fn at(chart: &Chart, series: &str, cores: u32) -> u64 {
        let series = chart.series.iter().find(|found| found.name == series).unwrap();
        series.points.iter().find(|(found, _)| *found == cores).unwrap().1
    }

    #[test]
    fn messages_win_when_much_state_is_shared_by_many() {
        let chart = chart("shared-state");
        assert!(at(&chart, "memory 8 lines", 32) > 2 * at(&chart, "messages 8 lines", 32));
        assert!(at(&chart, "memory 1 line", 2) < at(&chart, "messages 1 line", 2));
        assert!(at(&chart, "memory 8 lines", 32) > 8 * at(&chart, "memory 8 lines", 4) / 2);
        let growth = at(&chart, "messages 8 lines", 16).abs_diff(at(&chart, "messages 1 line", 16));
        assert!(growth < at(&chart, "messages 1 line", 16) / 4, "the server has its lines at hand");
    }

    #[test]
    fn a_tree_of_messages_scales_and_telling_each_does_not() {
        let chart = chart("shootdown");
        let last = |series| at(&chart, series, 32);
        assert!(last("broadcast") > last("unicast") && last("unicast") > last("multicast"));
        assert!(last("multicast") > last("NUMA-aware multicast"));
        assert!(2 * last("NUMA-aware multicast") < last("unicast"));
        // Within one socket there is nothing to multiply.
        assert_eq!(at(&chart, "multicast", 4), at(&chart, "unicast", 4));
    }

    #[test]
    fn the_pictures_in_the_documents_are_what_the_models_say() {
        for (name, _) in FIGURES {
            let path = format!("{}/../docs/figures/{name}.svg", env!("CARGO_MANIFEST_DIR"));
            let drawn = std::fs::read_to_string(path).unwrap();
            assert!(drawn == chart(name).svg().unwrap(), "{name} differs; run: ./fos sim figure --write");
        }
    }

    #[test]
    fn a_chart_is_written_in_rows_and_as_a_picture() {
        for (name, _) in FIGURES {
            let chart = chart(name);
            assert_eq!(chart.csv().lines().count(), 32, "{}", chart.csv());
            let svg = chart.svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.contains(&chart.title), "{svg}");
            assert!(chart.series.iter().all(|series| svg.contains(&series.name)));
        }
    }
}

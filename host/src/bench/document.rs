//! The form of every benchmark result: one document per suite,
//! `{"schema":"fos.bench/1","suite":…,"machine":…,"results":[{"key","value","unit","how","target","target_is","versus":
//! {"what","value"},"ratio"}]}`, or the same as a table. Keys are stable; `target` is the most a value may be, or the
//! least where `target_is` says `"at least"` instead of `"at most"`; `ratio` is value / versus; for a key called a ratio
//! `value` is that ratio.

use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

/// One measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its stable name.
    pub key: String,
    /// The number, in `unit`.
    pub value: f64,
    /// What is counted or timed.
    pub unit: String,
    /// How it was measured, in a few words.
    pub how: String,
    /// What it should be.
    pub target: Option<Target>,
    /// What stands beside it.
    pub versus: Option<Versus>,
    /// The median ratio of pairs, where pairs were measured; else it follows from the two values.
    pub paired_ratio: Option<f64>,
}

/// What a value should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// No more than this: costs.
    AtMost(f64),
    /// No less than this: how many times faster than others.
    AtLeast(f64),
}

impl Target {
    /// The number.
    pub fn bound(self) -> f64 {
        match self {
            Target::AtMost(bound) | Target::AtLeast(bound) => bound,
        }
    }

    /// Which side of it is right, in words.
    pub fn side(self) -> &'static str {
        match self {
            Target::AtMost(_) => "at most",
            Target::AtLeast(_) => "at least",
        }
    }

    fn is_met_by(self, value: f64) -> bool {
        match self {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        }
    }
}

/// The same work done elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Versus {
    /// Its key.
    pub what: String,
    /// Its value, in the row's unit.
    pub value: f64,
}

impl Row {
    /// A number that nothing stands beside yet.
    pub fn new(key: &str, value: f64, unit: &str, how: &str) -> Row {
        let (key, unit, how) = (key.to_owned(), unit.to_owned(), how.to_owned());
        Row { key, value, unit, how, target: None, versus: None, paired_ratio: None }
    }

    /// Value / versus.
    pub fn ratio(&self) -> Option<f64> {
        let computed =
            || self.versus.as_ref().filter(|other| other.value > 0.0).map(|other| self.value / other.value);
        self.paired_ratio.or_else(computed)
    }

    /// Whether the value meets its target; true without one.
    pub fn within_target(&self) -> bool {
        self.target.is_none_or(|target| target.is_met_by(self.value))
    }
}

/// The results of a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The suite's name.
    pub suite: &'static str,
    /// What it ran on, in one line.
    pub machine: String,
    /// The numbers.
    pub rows: Vec<Row>,
}

impl Document {
    /// As JSON.
    pub fn json(&self) -> Value {
        let results: Vec<Value> = self.rows.iter().map(row_json).collect();
        json!({ "schema": "fos.bench/1", "suite": self.suite, "machine": self.machine, "results": results })
    }

    /// As text for people.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["key", "value", "unit", "target", "", "beside it", "", "ratio"]);
        for row in &self.rows {
            let (what, beside) = row
                .versus
                .as_ref()
                .map_or(Default::default(), |other| (other.what.clone(), show(other.value)));
            let verdict = if row.within_target() { "" } else { "missed" };
            table.add_row([
                row.key.clone(),
                show(row.value),
                row.unit.clone(),
                row.target
                    .map(|target| format!("{} {}", target.side(), show(target.bound())))
                    .unwrap_or_default(),
                verdict.to_owned(),
                beside,
                what,
                row.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            ]);
        }
        for index in [1, 3, 5, 7] {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "key": row.key,
        "value": number(row.value),
        "unit": row.unit,
        "how": row.how,
        "target": row.target.map(|target| number(target.bound())),
        "target_is": row.target.map(Target::side),
        "versus": row.versus.as_ref().map(|other| json!({ "what": other.what, "value": number(other.value) })),
        "ratio": row.ratio(),
    })
}

/// Exact counts are integers in JSON too.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// A number for people: thousands apart, three digits after the point where there are any.
pub fn show(value: f64) -> String {
    if value.fract() != 0.0 {
        return format!("{value:.3}");
    }
    let digits = format!("{value:.0}");
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let groups: Vec<String> = (!head.is_empty()).then(|| head.to_owned()).into_iter().chain(groups).collect();
    groups.join(",")
}

/// The middle of an odd number of values, the mean of the two middle ones of an even number; `None` of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let versus = Some(Versus { what: "linux_getppid".into(), value: 320.0 });
        Row {
            target: Some(Target::AtMost(45.0)),
            versus,
            ..Row::new("null_call", 40.0, "instructions", "icount")
        }
    }

    #[test]
    fn the_document_has_the_agreed_form() {
        let document = Document { suite: "kernel", machine: "QEMU".into(), rows: vec![row()] };
        let expected = json!({
            "schema": "fos.bench/1", "suite": "kernel", "machine": "QEMU",
            "results": [{
                "key": "null_call", "value": 40, "unit": "instructions", "how": "icount", "target": 45,
                "target_is": "at most",
                "versus": { "what": "linux_getppid", "value": 320 }, "ratio": 0.125,
            }],
        });
        assert_eq!(document.json(), expected);
    }

    #[test]
    fn what_is_not_there_is_null() {
        let json = row_json(&Row::new("k", 1.5, "s", "clock"));
        assert!(json["target"].is_null() && json["versus"].is_null() && json["ratio"].is_null());
        assert_eq!(json["value"], 1.5);
    }

    #[test]
    fn numbers_are_shown_for_people() {
        assert_eq!(
            ["1", "12", "1,234", "131,072"].map(str::to_owned),
            [1.0, 12.0, 1234.0, 131_072.0].map(show)
        );
        assert_eq!(show(0.2514), "0.251");
    }

    #[test]
    fn a_target_is_a_maximum_or_a_minimum() {
        assert!(row().within_target());
        assert!(!Row { value: 46.0, ..row() }.within_target());
        let faster = |value| Row { value, target: Some(Target::AtLeast(20.0)), ..row() };
        assert!(faster(20.0).within_target() && !faster(19.9).within_target());
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}

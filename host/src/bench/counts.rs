//! The tables of exact instruction counts in docs/performance.md, one for each suite, between `<!-- bench:SUITE -->` and
//! `<!-- /bench:SUITE -->`: written by `./fos bench SUITE --write`, compared by `./fos test SUITE`. A count is the
//! same on every run of one build; another compiler or a change of code moves it, and beyond the tolerance that is
//! something to notice, explain and write down.

use super::document::{Row, show};
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use crate::tidy::tables::{between, replaced};

/// The document.
pub const DOCUMENT: &str = "docs/performance.md";
/// A count may differ from the table by this part of it, but always by one.
pub const TOLERANCE: f64 = 0.02;
/// The unit of rows that belong in the table.
const UNIT: &str = "instructions";

/// The table as Markdown.
pub fn render(rows: &[Row]) -> String {
    let mut table = "| key | instructions | at most | beside it | instructions | ratio | how |\n|---|--:|--:|---|--:|--:|---|\n".to_owned();
    for row in rows.iter().filter(|row| row.unit == UNIT) {
        let (what, beside) = row
            .versus
            .as_ref()
            .map_or(Default::default(), |other| (format!("`{}`", other.what), show(other.value)));
        let cells = [
            format!("`{}`", row.key),
            show(row.value),
            row.target.map(|target| show(target.bound())).unwrap_or_default(),
            what,
            beside,
            row.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            row.how.replace('|', "\\|"),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

/// Keys and counts of a table.
pub fn read(table: &str) -> Vec<(String, f64)> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (key, rest) = row.split_once("` | ")?;
        let value = rest.split(" | ").next()?.replace(',', "");
        Some((key.to_owned(), value.trim().parse().ok()?))
    })
    .collect()
}

/// What differs between the table and what was measured, a sentence each.
pub fn differences(table: &str, measured: &[Row]) -> Vec<String> {
    let written = read(table);
    let counted = measured.iter().filter(|row| row.unit == UNIT);
    let mut found: Vec<String> = counted
        .filter_map(|row| match written.iter().find(|(key, _)| *key == row.key) {
            None => Some(format!("{} is {} and not in the table", row.key, show(row.value))),
            Some((_, value)) if (row.value - value).abs() <= (value * TOLERANCE).max(1.0) => None,
            Some((_, value)) => {
                Some(format!("{} is {}, in the table {}", row.key, show(row.value), show(*value)))
            }
        })
        .collect();
    let gone = written.iter().filter(|(key, _)| !measured.iter().any(|row| row.key == *key));
    found.extend(gone.map(|(key, _)| format!("{key} is in the table and was not measured")));
    found
}

/// The mark of a suite's table.
fn mark(suite: &str) -> String {
    format!("bench:{suite}")
}

/// A suite's table that stands in the document.
pub fn written(suite: &str) -> Result<String> {
    let mark = mark(suite);
    let text = std::fs::read_to_string(repository::root().join(DOCUMENT))
        .doing(format_args!("reading {DOCUMENT}"))?;
    let table = between(&text, &mark).map(str::to_owned);
    table.ok_or_else(|| {
        Failure::new(Code::Failed, format!("{DOCUMENT} has no table between <!-- {mark} --> marks"))
    })
}

/// Writes a suite's table into the document.
pub fn write(suite: &str, rows: &[Row]) -> Result<()> {
    let mark = mark(suite);
    let path = repository::root().join(DOCUMENT);
    let text = std::fs::read_to_string(&path).doing(format_args!("reading {DOCUMENT}"))?;
    let new = replaced(&text, &mark, &render(rows)).ok_or_else(|| {
        Failure::new(Code::Failed, format!("{DOCUMENT} has no <!-- {mark} --> and <!-- /{mark} --> marks"))
    })?;
    std::fs::write(&path, new).doing(format_args!("writing {DOCUMENT}"))
}

#[cfg(test)]
mod tests {
    use super::super::document::{Target, Versus};
    use super::*;

    fn rows() -> Vec<Row> {
        let versus = Some(Versus { what: "linux_futex".into(), value: 12_546.0 });
        vec![
            Row { target: Some(Target::AtMost(45.0)), ..Row::new("null_call", 40.0, UNIT, "a | b") },
            Row { versus, ..Row::new("ping_pong", 1603.0, UNIT, "icount") },
            Row::new("boot_seconds", 0.2, "s", "clock"),
        ]
    }

    #[test]
    fn a_written_table_is_read_back() {
        let expected = vec![("null_call".to_owned(), 40.0), ("ping_pong".to_owned(), 1603.0)];
        assert_eq!(read(&render(&rows())), expected);
        assert!(differences(&render(&rows()), &rows()).is_empty());
    }

    #[test]
    fn a_count_beyond_the_tolerance_is_named() {
        let table = render(&rows());
        let changed = |value: f64| {
            let mut rows = rows();
            rows[1].value = value;
            differences(&table, &rows)
        };
        assert!(changed(1603.0 * 1.019).is_empty());
        assert_eq!(changed(1640.0), ["ping_pong is 1,640, in the table 1,603"]);
        assert_eq!(changed(1560.0).len(), 1);
    }

    #[test]
    fn missing_rows_on_either_side_are_named() {
        let table = render(&rows());
        assert_eq!(differences(&table, &rows()[1..]), ["null_call is in the table and was not measured"]);
        assert_eq!(differences("", &rows()).len(), 2);
    }
}

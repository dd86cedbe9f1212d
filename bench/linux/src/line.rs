//! One line of the benchmark's output, written by the guest and read by the host.
//!
//! ```text
//! bench KEY VALUE UNIT HOW…     one number; HOW is the rest of the line
//! note TEXT…                    something a reader of the numbers must know
//! end                           all was measured; without it the run failed
//! ```
//! A serial console carries the kernel's words too, so a line that is none of these is not an error: it is
//! [`None`]. A line that starts like one of these and then breaks the format is an error.

use std::fmt;

/// One measured number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Stable name, one word: `linux_getppid`.
    pub key: String,
    /// The number, in `unit`.
    pub value: u64,
    /// One word: `instructions` or `ns`.
    pub unit: String,
    /// How it was measured, as a sentence for the reader of the table.
    pub how: String,
}

/// A line that the host acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A number.
    Bench(Measurement),
    /// A remark that belongs beside the numbers.
    Note(String),
    /// The guest has measured everything.
    End,
}

/// A line that starts with `bench` and is not a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedLine {
    /// The line as it came.
    pub line: String,
    /// The part of the format that is missing or wrong.
    pub wrong: &'static str,
}

impl fmt::Display for MalformedLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the guest printed {:?}: {} of `bench KEY VALUE UNIT HOW`", self.line, self.wrong)
    }
}

impl std::error::Error for MalformedLine {}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Bench(Measurement { key, value, unit, how }) => {
                write!(formatter, "bench {key} {value} {unit} {how}")
            }
            Line::Note(text) => write!(formatter, "note {text}"),
            Line::End => write!(formatter, "end"),
        }
    }
}

/// Reads one line of the console; `None` if it is not ours.
///
/// # Errors
/// [`MalformedLine`] if it starts with `bench` and a field is missing or the value is not an integer.
pub fn parse(line: &str) -> Result<Option<Line>, MalformedLine> {
    let line = line.trim();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "bench" => parse_measurement(line, rest).map(|measurement| Some(Line::Bench(measurement))),
        "note" => Ok(Some(Line::Note(rest.to_owned()))),
        "end" if rest.is_empty() => Ok(Some(Line::End)),
        _ => Ok(None),
    }
}

fn parse_measurement(line: &str, rest: &str) -> Result<Measurement, MalformedLine> {
    let malformed = |wrong| MalformedLine { line: line.to_owned(), wrong };
    let mut fields = rest.splitn(4, ' ');
    let mut field = |wrong| fields.next().filter(|text| !text.is_empty()).ok_or_else(|| malformed(wrong));
    let key = field("no KEY")?.to_owned();
    let value = field("no VALUE")?.parse().map_err(|_| malformed("no integer as VALUE"))?;
    let unit = field("no UNIT")?.to_owned();
    let how = field("no HOW")?.to_owned();
    Ok(Measurement { key, value, unit, how })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn getppid() -> Line {
        Line::Bench(Measurement {
            key: "linux_getppid".to_owned(),
            value: 339,
            unit: "instructions".to_owned(),
            how: "median of 2001 calls".to_owned(),
        })
    }

    #[test]
    fn what_is_written_is_read_back() {
        for line in [getppid(), Line::Note("retbleed: Not affected".to_owned()), Line::End] {
            assert_eq!(parse(&line.to_string()), Ok(Some(line)));
        }
    }

    #[test]
    fn a_console_ends_lines_with_carriage_returns() {
        assert_eq!(
            parse("bench linux_getppid 339 instructions median of 2001 calls\r\n"),
            Ok(Some(getppid()))
        );
        assert_eq!(parse("end\r\n"), Ok(Some(Line::End)));
    }

    #[test]
    fn other_words_on_the_console_are_not_ours() {
        for line in ["", "[    0.1] Run /init as init process", "ending", "end of story", "benchmark 1 2 3 4"]
        {
            assert_eq!(parse(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn a_broken_measurement_names_what_is_wrong() {
        let wrong = |line: &str| parse(line).expect_err(line).wrong;
        assert_eq!(wrong("bench"), "no KEY");
        assert_eq!(wrong("bench key"), "no VALUE");
        assert_eq!(wrong("bench key 3.5 ns how"), "no integer as VALUE");
        assert_eq!(wrong("bench key -3 ns how"), "no integer as VALUE");
        assert_eq!(wrong("bench key 3"), "no UNIT");
        assert_eq!(wrong("bench key 3 ns"), "no HOW");
    }
}

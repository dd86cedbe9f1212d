//! Golden text: what a command printed, compared with a file in tests/system/golden. `FOS_UPDATE_GOLDEN=1 ./fos test
//! tool` writes the files anew; the difference is then read in review.

use crate::runner::{Outcome, fail};
use fos_host::failure::Context;
use fos_host::repository;

/// Compares `found` with the golden file `name`.
pub fn compare(name: &str, found: &str) -> Outcome {
    let path = repository::root().join("tests/system/golden").join(name);
    if std::env::var_os("FOS_UPDATE_GOLDEN").is_some() {
        return std::fs::write(&path, found).doing(format_args!("writing {}", path.display()));
    }
    let expected = std::fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
    match difference(&expected, found) {
        None => Ok(()),
        Some(difference) => fail(format!("differs from tests/system/golden/{name}\n{difference}")),
    }
}

/// The first lines that differ, with their number.
fn difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let (mut expected, mut found) = (expected.lines(), found.lines());
    for number in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => {
                let show =
                    |line: Option<&str>| line.map_or("(nothing)".to_owned(), |line| format!("{line:?}"));
                return Some(format!(
                    "line {number}: expected {}\n{:>19}{}",
                    show(one),
                    "found ",
                    show(other)
                ));
            }
        }
    }
    Some("the line endings differ".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_text_has_no_difference() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn the_first_difference_is_named() {
        assert!(difference("a\nb\n", "a\nc\n").unwrap().starts_with("line 2: expected \"b\""));
        assert!(difference("a\n", "a\nb\n").unwrap().contains("(nothing)"));
        assert!(difference("a\n", "a").is_some());
    }
}

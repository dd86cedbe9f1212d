//! Rows of words as lines, each column as wide as its widest word.

use alloc::string::String;
use alloc::vec::Vec;

/// The lines: of the names of the columns, and of each row. The last column is not filled up.
pub fn lines<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let names = names.map(String::from);
    let all = || core::iter::once(&names).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    all().map(|row| line(row, &widths)).collect()
}

fn line<const N: usize>(row: &[String; N], widths: &[usize]) -> String {
    let mut line = String::new();
    for (word, width) in row.iter().zip(widths) {
        let fill = width + 2 - word.chars().count();
        line.push_str(word);
        line.extend(core::iter::repeat_n(' ', fill));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["1", "init"], ["65535", "a"]].map(|row| row.map(String::from));
        assert_eq!(lines(["pid", "program"], &rows), ["pid    program", "1      init", "65535  a"]);
        assert_eq!(lines(["pid", "program"], &[]), ["pid  program"]);
    }
}

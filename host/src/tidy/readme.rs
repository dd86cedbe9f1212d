//! The README's folder table against the folders that exist.

use super::Finding;
use std::collections::BTreeSet;

/// Every folder in the table exists, and every folder of the tree is in the table.
pub fn table_matches(readme: &str, folders: &BTreeSet<String>) -> Vec<Finding> {
    let listed = listed(readme);
    let gone = listed.iter().filter(|(folder, _)| !folders.contains(folder)).map(|(folder, line)| {
        Finding::new("README.md", *line, format!("the table names `{folder}/`, which does not exist"))
    });
    let names: BTreeSet<&String> = listed.iter().map(|(folder, _)| folder).collect();
    let missing = folders
        .iter()
        .filter(|folder| !names.contains(folder))
        .map(|folder| Finding::new("README.md", 0, format!("the folder table lacks `{folder}/`")));
    gone.chain(missing).collect()
}

/// Folders named in the first cell of a table row, as `name/`, with their line.
fn listed(readme: &str) -> Vec<(String, usize)> {
    let rows =
        readme.lines().enumerate().filter_map(|(index, line)| Some((index + 1, line.strip_prefix("| ")?)));
    let cells = rows.flat_map(|(line, row)| {
        let cell = row.split('|').next().unwrap_or_default();
        cell.split('`').skip(1).step_by(2).map(move |name| (name.to_owned(), line)).collect::<Vec<_>>()
    });
    cells.filter_map(|(name, line)| Some((name.strip_suffix('/')?.to_owned(), line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_table_are_compared_both_ways() {
        let readme =
            "text\n| folder | what |\n|---|---|\n| `abi/` | data |\n| `gone/` | was |\n| `fos` | a file |\n";
        let folders = ["abi", "new"].map(str::to_owned).into();
        let found = table_matches(readme, &folders);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].message.contains("gone")), (5, true));
        assert!(found[1].message.contains("`new/`"));
    }
}

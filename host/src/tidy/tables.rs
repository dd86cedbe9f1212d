//! Tables in documents that must say what the code says. Such a table stands between two comments,
//! `<!-- NAME -->` and `<!-- /NAME -->`, and is made from the code; `./fos check --write` writes it anew.

use super::Finding;
use crate::failure::{Context, Result};
use crate::repository;
use fos_abi::calls::CALLS;

/// A table in a document.
#[derive(Clone, Copy, Debug)]
pub struct Generated {
    /// The document, below the tree's root.
    pub path: &'static str,
    /// The name in its marks.
    pub mark: &'static str,
    /// What must stand between them.
    pub render: fn() -> String,
}

/// Every table that is made from code alone.
pub const GENERATED: &[Generated] = &[Generated { path: "docs/calls.md", mark: "calls", render: calls }];

/// The kernel's calls, as Markdown.
pub fn calls() -> String {
    let mut table =
        "| number | call | arguments | answers | may fail with | what it does |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for call in CALLS {
        let errors: Vec<String> = call.errors.iter().map(|error| format!("{error:?}")).collect();
        let value = if call.value.is_empty() { "" } else { call.value };
        let name =
            if call.pipelined { format!("`{}` (pipelined)", call.name) } else { format!("`{}`", call.name) };
        let cells =
            [&call.number.to_string(), &name, call.arguments, value, &errors.join(", "), call.summary];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

/// What stands between the marks in a document, without the line breaks beside them.
pub fn between<'a>(document: &'a str, mark: &str) -> Option<&'a str> {
    let (_, after) = document.split_once(&format!("<!-- {mark} -->\n"))?;
    Some(after.split_once(&format!("<!-- /{mark} -->"))?.0)
}

/// The document with `table` between the marks.
pub fn replaced(document: &str, mark: &str, table: &str) -> Option<String> {
    let old = between(document, mark)?;
    let start = old.as_ptr() as usize - document.as_ptr() as usize;
    Some(format!("{}{table}{}", &document[..start], &document[start + old.len()..]))
}

/// Compares a document with the code.
pub fn check(generated: &Generated, document: Option<&str>) -> Vec<Finding> {
    let mark = generated.mark;
    let Some(document) = document else {
        return vec![Finding::new(generated.path, 0, "does not exist")];
    };
    let message = match between(document, mark) {
        None => format!("has no table between `<!-- {mark} -->` and `<!-- /{mark} -->`"),
        Some(table) if table == (generated.render)() => return vec![],
        Some(_) => "the table is not what the code says; run: ./fos check --write".to_owned(),
    };
    vec![Finding::new(generated.path, 0, message)]
}

/// Writes every table anew into documents that have its marks.
pub fn write_all() -> Result<()> {
    for generated in GENERATED {
        let path = repository::root().join(generated.path);
        let document = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(new) = replaced(&document, generated.mark, &(generated.render)()) {
            std::fs::write(&path, new).doing(format_args!("writing {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "before\n<!-- t -->\nold\n<!-- /t -->\nafter\n";

    #[test]
    fn a_table_is_found_and_replaced_between_its_marks() {
        assert_eq!(between(DOCUMENT, "t"), Some("old\n"));
        assert_eq!(replaced(DOCUMENT, "t", "new\n").unwrap(), DOCUMENT.replace("old", "new"));
        assert_eq!(between(DOCUMENT, "u"), None);
    }

    #[test]
    fn a_document_that_says_otherwise_is_found() {
        let generated = Generated { path: "t.md", mark: "t", render: || "new\n".to_owned() };
        assert_eq!(check(&generated, Some(DOCUMENT)).len(), 1);
        assert_eq!(check(&generated, None).len(), 1);
        assert_eq!(check(&generated, Some(&DOCUMENT.replace("old", "new"))).len(), 0);
    }

    #[test]
    fn every_call_has_a_row() {
        assert_eq!(calls().lines().count(), CALLS.len() + 2);
    }
}

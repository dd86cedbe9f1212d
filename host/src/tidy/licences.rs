//! Licences of everything we link, against the allow list in `deny.toml` (the file that cargo-deny reads, so that both
//! give the same answer). Expressions are SPDX 2.3, annex D, with the old `A/B` for `A OR B`.

use super::Finding;
use serde_json::Value;
use std::collections::BTreeSet;

/// The allow list.
pub fn allowed(deny: &str) -> Result<BTreeSet<String>, String> {
    let table: toml::Table = deny.parse().map_err(|error| format!("deny.toml: {error}"))?;
    let list =
        table.get("licenses").and_then(|licenses| licenses.get("allow")).and_then(toml::Value::as_array);
    let list = list.ok_or("deny.toml has no [licenses] allow list")?;
    Ok(list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Packages of `cargo metadata` whose licence is not allowed.
pub fn check(metadata: &Value, allowed: &BTreeSet<String>) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().filter_map(|package| refusal(package, allowed)).collect()
}

fn refusal(package: &Value, allowed: &BTreeSet<String>) -> Option<Finding> {
    let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
    let message = match package["license"].as_str() {
        None => format!("{name} states no licence"),
        Some(expression) => match satisfied(expression, allowed) {
            Some(true) => return None,
            Some(false) => format!("{name} is under {expression}, which deny.toml does not allow"),
            None => format!("{name} states a licence that is no SPDX expression: {expression}"),
        },
    };
    Some(Finding::new("deny.toml", 0, message))
}

/// Whether an expression can be met by allowed licences; `None` when it is no expression.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, allowed };
    let outcome = parser.any()?;
    parser.words.is_empty().then_some(outcome)
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Option<bool> {
        let mut outcome = self.all()?;
        while self.take("OR") {
            outcome |= self.all()?;
        }
        Some(outcome)
    }

    fn all(&mut self) -> Option<bool> {
        let mut outcome = self.one()?;
        while self.take("AND") {
            outcome &= self.one()?;
        }
        Some(outcome)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let outcome = self.any()?;
            return self.take(")").then_some(outcome);
        }
        let mut name = self.next()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        let is_name =
            first.starts_with(|c: char| c.is_alphanumeric()) && !["OR", "AND", "WITH"].contains(first);
        self.words = rest;
        is_name.then_some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.words.first() == Some(&word);
        if taken {
            self.words = &self.words[1..];
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let allowed =
            ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-2.0", Some(false)),
            ("GPL-2.0 OR MIT", Some(true)),
            ("GPL-2.0/MIT", Some(true)),
            ("MIT AND GPL-2.0", Some(false)),
            ("(MIT OR GPL-2.0) AND Unicode-3.0", Some(true)),
            ("MIT OR GPL-2.0 AND LGPL-2.1", Some(true)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("MIT WITH LLVM-exception", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT MIT", None),
        ] {
            assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_found() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "a", "version": "1.0.0", "license": null },
            { "name": "b", "version": "1.0.0", "license": "MIT" },
        ]});
        let found = check(&metadata, &["MIT".to_owned()].into());
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("a 1.0.0"));
    }
}

//! The tree's own rules, each a small function over its files: what a reviewer would otherwise have to look for every
//! time. A rule answers findings; none means that it holds. `commands/check.rs` runs them all.

use crate::failure::{Context, Result};
use crate::repository;
use std::path::{Path, PathBuf};

pub mod compiled;
pub mod licences;
pub mod readme;
pub mod rules;
pub mod source;
pub mod tables;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, below the tree's root.
    pub path: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding about a line.
    pub fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, message: message.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.message),
            line => write!(formatter, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// A Rust file of the tree.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Below the tree's root, with slashes.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Every Rust file of the tree, in the order of their paths.
pub fn rust_files() -> Result<Vec<SourceFile>> {
    let root = repository::root();
    let mut paths = Vec::new();
    walk(&root, &mut paths)?;
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).doing(format_args!("reading {}", path.display()))?;
        let below = path.strip_prefix(&root).unwrap_or(path).to_string_lossy().into_owned();
        Ok(SourceFile { path: below, text })
    };
    paths.iter().map(read).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let doing = format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).doing(&doing)? {
        let entry = entry.doing(&doing)?;
        let (name, path) = (entry.file_name(), entry.path());
        let hidden = name.to_string_lossy().starts_with('.');
        if entry.file_type().doing(&doing)?.is_dir() {
            if !hidden && name != "target" {
                walk(&path, found)?;
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

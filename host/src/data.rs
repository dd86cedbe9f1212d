//! Results on stdout. A reader that has gone away (`./fos test | head`) ends `fos` quietly, as it does other tools.

use crate::failure::{Code, Failure, Result};
use std::io::Write;

/// Writes bytes as they are.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(bytes)
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(Code::Failed, format!("writing to stdout: {error}")))
}

/// Writes a line.
pub fn line(text: impl std::fmt::Display) -> Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a JSON document.
pub fn json(document: &serde_json::Value) -> Result<()> {
    line(format_args!("{document:#}"))
}

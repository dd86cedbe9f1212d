//! What the compiler says of interfaces and servers whose fault the macro alone can't see: types that can't be in a
//! message, answers without a bound, servers that lack an operation. Each case of `misuse.txt` is compiled as a library
//! of its own; below a line stands what must be said of it, `// ^^^^ words`: at the columns above the carets, with
//! these words in it. Errors beside those are allowed, a case without any is not.

use crate::runner::{Outcome, fail};
use fos_host::cargo;
use fos_host::children::collect;
use fos_host::failure::{Code, Context, Failure, Result};
use fos_host::repository;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CASES: &str = include_str!("misuse.txt");
/// What each case begins with, on its first line.
const PRELUDE: &str =
    "#![allow(unused)] extern crate alloc; use fos_messages::rpc::*; use fos_messages::rpc::wire::*;";
/// The file that it is put into.
const SOURCE: &str = "case.rs";
/// The longest that one case may take.
const WITHIN: Duration = Duration::from_secs(60);

/// What is said, and where: line from 1, columns from 0.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    line: u64,
    columns: (u64, u64),
    words: String,
}

/// Compiles every case.
pub fn is_explained() -> Outcome {
    let messages = messages_library()?;
    let folder = tempfile::tempdir().doing("making a folder")?;
    for case in CASES.split("\n\n").map(|case| case.trim_matches('\n')) {
        let said = compile(&messages, folder.path(), case)?;
        let expected = expected(case);
        if expected.is_empty() != said.is_empty() {
            return fail(format!("{case}\nsays {said:?}"));
        }
        for one in expected {
            let is_it = |said: &Said| {
                (said.line, said.columns) == (one.line, one.columns) && said.words.contains(&one.words)
            };
            if !said.iter().any(is_it) {
                return fail(format!("{case}\nlacks {one:?}; it says {said:#?}"));
            }
        }
    }
    Ok(())
}

/// Builds `fos-messages` and says where it is.
fn messages_library() -> Result<PathBuf> {
    let output = cargo::run(
        &mut cargo::cargo(&["build", "-p", "fos-messages", "--lib", "--message-format=json"]),
        "building the messages",
    )?;
    let library =
        output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
            (message.pointer("/target/name")?.as_str()? == "fos_messages").then_some(())?;
            let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
            files
                .map(PathBuf::from)
                .find(|file| file.extension().is_some_and(|extension| extension == "rlib"))
        });
    library.ok_or_else(|| Failure::new(Code::Failed, "cargo built no library of fos-messages"))
}

fn compile(messages: &Path, folder: &Path, case: &str) -> Result<Vec<Said>> {
    let source = folder.join(SOURCE);
    std::fs::write(&source, format!("{PRELUDE}\n{case}\n")).doing("writing a case")?;
    let mut library = std::ffi::OsString::from("fos_messages=");
    library.push(messages);
    let mut command = Command::new("rustc");
    command.current_dir(repository::root()).args([
        "--edition=2024",
        "--crate-type=lib",
        "--error-format=json",
    ]);
    command.arg("--emit=metadata").arg("--out-dir").arg(folder).arg("--extern").arg(library).arg(&source);
    command.arg("-L").arg(messages.with_file_name("deps"));
    let said = collect(&mut command, WITHIN)?;
    let all = said.errors.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(all.flat_map(|message| errors_of(&message)).collect())
}

/// The places of one of the compiler's messages, if it is an error.
fn errors_of(message: &Value) -> Vec<Said> {
    if message["level"] != "error" {
        return Vec::new();
    }
    let words = message["message"].as_str().unwrap_or_default();
    let spans = message["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let place = |span: &Value| {
        let span = written(span);
        let number = |key: &str| span[key].as_u64().unwrap_or_default();
        Said {
            line: number("line_start").saturating_sub(1),
            columns: (number("column_start").saturating_sub(1), number("column_end").saturating_sub(1)),
            words: words.to_owned(),
        }
    };
    spans.iter().filter(|span| span["is_primary"] == true).map(place).collect()
}

/// Where in the case it is: a macro of the standard library is where it was used.
fn written(span: &Value) -> &Value {
    let outer = &span["expansion"]["span"];
    let is_ours = span["file_name"].as_str().is_some_and(|name| name.ends_with(SOURCE));
    if is_ours || outer.is_null() { span } else { written(outer) }
}

/// What is to be said of a case.
fn expected(case: &str) -> Vec<Said> {
    let mut line = 0;
    let mut all = Vec::new();
    for (number, text) in (1u64..).zip(case.lines()) {
        let words =
            text.trim_start().strip_prefix("//").map(str::trim_start).filter(|rest| rest.starts_with('^'));
        match (words, text.find('^'), text.rfind('^')) {
            (Some(words), Some(first), Some(last)) => {
                let words = words.trim_start_matches('^').trim().to_owned();
                all.push(Said { line, columns: (first as u64, last as u64 + 1), words });
            }
            _ => line = number,
        }
    }
    all
}

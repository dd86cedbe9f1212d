//! `fos check`: everything that can be said about the tree without running a machine. Each check has a name, can be
//! run alone, and ends with findings or with the failure of the tool that it runs.

use super::Session;
use crate::cli::CheckArguments;
use crate::failure::{Code, Context, Failure, Result};
use crate::tidy::{Finding, SourceFile, compiled, licences, readme, rules, rust_files, tables};
use crate::{cargo, data, repository};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

/// A check of the tree.
struct Check {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Vec<Finding>>,
}

/// The quick ones first.
const CHECKS: &[Check] = &[
    Check { name: "format", about: "rustfmt", run: || compiled::format().map(|()| vec![]) },
    Check { name: "tidy", about: "the tree's own rules about its files", run: tidy },
    Check { name: "tables", about: "documents' tables are what the code says", run: documents },
    Check { name: "licences", about: "what we link is under licences of deny.toml", run: licences },
    Check {
        name: "no-std",
        about: "guest crates compile without std",
        run: || compiled::no_std().map(|()| vec![]),
    },
    Check {
        name: "guest",
        about: "clippy over guest code",
        run: || compiled::lints_of_the_guest().map(|()| vec![]),
    },
    Check {
        name: "host",
        about: "clippy over host code",
        run: || compiled::lints_of_the_host().map(|()| vec![]),
    },
];

/// Runs the checks, all of them even when one fails.
pub fn run(arguments: &CheckArguments, session: Session) -> Result<u8> {
    if arguments.write {
        tables::write_all()?;
    }
    let mut documents = Vec::new();
    let mut failed = 0;
    for check in choose(&arguments.checks)? {
        let began = Instant::now();
        let stage = session.talk.stage(check.about);
        let outcome = (check.run)();
        drop(stage);
        let seconds = began.elapsed().as_secs_f64();
        let (findings, failure) = match outcome {
            Ok(findings) => (findings, None),
            Err(failure) if failure.code == Code::HostLacks => return Err(failure),
            Err(failure) => (vec![], Some(failure.to_string())),
        };
        let ok = findings.is_empty() && failure.is_none();
        failed += usize::from(!ok);
        if !session.json {
            print(check, &findings, failure.as_deref(), seconds)?;
        }
        documents.push(document(check, &findings, failure, seconds));
    }
    if session.json {
        data::json(&json!({ "schema": "fos.check/1", "checks": documents, "failed": failed }))?;
    }
    Ok(if failed == 0 { 0 } else { Code::Failed as u8 })
}

fn choose(names: &[String]) -> Result<Vec<&'static Check>> {
    let find = |name: &String| {
        let known = || CHECKS.iter().map(|check| check.name).collect::<Vec<_>>().join(", ");
        CHECKS.iter().find(|check| check.name == name).ok_or_else(|| {
            Failure::new(Code::NotFound, format!("no check is named {name:?}"))
                .hint(format!("the checks are: {}", known()))
        })
    };
    if names.is_empty() { Ok(CHECKS.iter().collect()) } else { names.iter().map(find).collect() }
}

fn print(check: &Check, findings: &[Finding], failure: Option<&str>, seconds: f64) -> Result<()> {
    let word = if findings.is_empty() && failure.is_none() { "ok    " } else { "FAILED" };
    data::line(format_args!("{word} {}: {} ({seconds:.1} s)", check.name, check.about))?;
    findings.iter().try_for_each(|finding| data::line(format_args!("       {finding}")))?;
    failure.map_or(Ok(()), data::line)
}

fn document(check: &Check, findings: &[Finding], failure: Option<String>, seconds: f64) -> Value {
    let findings = findings
        .iter()
        .map(|finding| json!({ "path": finding.path, "line": finding.line, "message": finding.message }));
    json!({
        "name": check.name,
        "findings": findings.collect::<Vec<_>>(),
        "failure": failure,
        "seconds": seconds,
    })
}

fn tidy() -> Result<Vec<Finding>> {
    let file_rules: [fn(&SourceFile) -> Vec<Finding>; 4] = [
        rules::opens_with_its_purpose,
        rules::is_short_or_says_why,
        rules::forbids_unsafe,
        rules::names_machines_only_in_arch,
    ];
    let files = rust_files()?;
    let mut findings: Vec<Finding> =
        files.iter().flat_map(|file| file_rules.iter().flat_map(move |rule| rule(file))).collect();
    findings.extend(readme::table_matches(&read("README.md")?, &folders()?));
    findings.sort();
    Ok(findings)
}

fn documents() -> Result<Vec<Finding>> {
    let check = |generated| tables::check(generated, read(generated.path).ok().as_deref());
    Ok(tables::GENERATED.iter().flat_map(check).collect())
}

fn licences() -> Result<Vec<Finding>> {
    let allowed = licences::allowed(&read("deny.toml")?).map_err(|why| Failure::new(Code::Failed, why))?;
    Ok(licences::check(&cargo::metadata(true)?, &allowed))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(repository::root().join(path)).doing(format_args!("reading {path}"))
}

/// The tree's folders, without hidden ones and without what cargo builds.
fn folders() -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(repository::root()).doing("reading the tree")?;
    let folders = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().to_str()?.to_owned();
        let shown = !name.starts_with('.') && name != "target";
        (shown && entry.file_type().ok()?.is_dir()).then_some(name)
    });
    Ok(folders.collect())
}

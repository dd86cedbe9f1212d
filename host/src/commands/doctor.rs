//! `fos doctor`: what this host has, what it lacks, and the command that would install it. Changes nothing.

use super::Session;
use crate::data;
use crate::failure::{Code, Result};
use crate::machine::accelerator;
use crate::packages::{TOOLS, install_command, version};
use comfy_table::Table;
use serde_json::{Value, json};

/// One thing looked for.
struct Finding {
    name: &'static str,
    /// What was found, in one line; none when it is missing.
    found: Option<String>,
    needed_for: &'static str,
    /// What to do when it is missing.
    remedy: String,
    /// Whether fos works without it.
    optional: bool,
}

/// Looks, and exits 6 when something is missing that fos cannot work without.
pub fn run(session: Session) -> Result<u8> {
    let findings = look();
    if session.json {
        data::json(
            &json!({ "schema": "fos.doctor/1", "findings": findings.iter().map(document).collect::<Vec<_>>() }),
        )?;
    } else {
        data::line(table(&findings))?;
    }
    let lacking: Vec<&Finding> =
        findings.iter().filter(|finding| finding.found.is_none() && !finding.optional).collect();
    for finding in &lacking {
        session.talk.say(format_args!("{} is missing; {}", finding.name, finding.remedy));
    }
    Ok(if lacking.is_empty() { 0 } else { Code::HostLacks as u8 })
}

fn look() -> Vec<Finding> {
    let mut findings = vec![Finding {
        name: "rustc",
        found: version("rustc"),
        needed_for: "everything: stable Rust, at least 1.95",
        remedy: "install stable Rust, see https://rustup.rs".to_owned(),
        optional: false,
    }];
    findings.extend(TOOLS.iter().map(|tool| Finding {
        name: tool.program,
        found: version(tool.program),
        needed_for: tool.needed_for,
        remedy: format!("run: {}", install_command(&[tool.package])),
        optional: tool.program == "gdb" || tool.program == "mke2fs",
    }));
    findings.push(Finding {
        name: "apt-get",
        found: version("apt-get"),
        needed_for: "fetching Debian's busybox and Linux kernel",
        remedy: "use Debian or a derivative".to_owned(),
        optional: false,
    });
    findings.push(kvm());
    findings
}

fn kvm() -> Finding {
    let state = match (accelerator::kvm_is_open(), accelerator::remembered()) {
        (false, _) => None,
        (true, None) => Some("/dev/kvm opens; the next `fos run` will try it".to_owned()),
        (true, Some(accelerator::Accelerator::Kvm)) => Some("works, and is used".to_owned()),
        (true, Some(accelerator::Accelerator::Tcg)) => {
            Some("/dev/kvm opens but did not boot fos; TCG is used".to_owned())
        }
    };
    Finding {
        name: "KVM",
        found: state,
        needed_for: "run --accel auto: speed; TCG does without",
        remedy: "nothing to do: TCG is used".to_owned(),
        optional: true,
    }
}

fn document(finding: &Finding) -> Value {
    json!({
        "name": finding.name,
        "present": finding.found.is_some(),
        "found": finding.found,
        "needed_for": finding.needed_for,
        "remedy": finding.found.is_none().then_some(&finding.remedy),
        "optional": finding.optional,
    })
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["", "found", "needed for"]);
    for finding in findings {
        let found = finding.found.clone().unwrap_or_else(|| format!("missing; {}", finding.remedy));
        table.add_row([finding.name, &found, finding.needed_for]);
    }
    table
}

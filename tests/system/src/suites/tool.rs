//! Suite `tool`: the `fos` command as users and scripts meet it, without a machine: help text against golden files,
//! every exit code, JSON on every command, no colour where there is no terminal. And the host's own unit tests.

use crate::fos::Fos;
use crate::golden;
use crate::libtest;
use crate::runner::{Outcome, Runner, fail};
use fos_host::failure::{Code, Context, Result};
use fos_host::guests::HOST_CRATES;
use std::net::{Ipv4Addr, TcpListener};

const COMMANDS: [&str; 9] = ["build", "run", "test", "bench", "sim", "check", "gdb", "names", "doctor"];
const SIM_COMMANDS: [&str; 5] = ["list", "run", "sweep", "replay", "figure"];

/// Runs the command in every way that needs no machine.
pub fn run(runner: &mut Runner) {
    help(runner);
    exit_codes(runner);
    documents(runner);
    runner.test("no colour where there is no terminal", || {
        let said = Fos::new(&["doctor"]).run()?;
        if said.output.contains('\u{1b}') || said.errors.contains('\u{1b}') {
            return fail("an escape sequence was printed");
        }
        Ok(())
    });
    unit_tests(runner);
}

fn help(runner: &mut Runner) {
    runner.test("help: fos --help", || golden_help(&["--help"], "help.txt"));
    for command in COMMANDS {
        runner.test(format!("help: fos {command} --help"), || {
            golden_help(&[command, "--help"], &format!("help-{command}.txt"))
        });
    }
    for command in SIM_COMMANDS {
        runner.test(format!("help: fos sim {command} --help"), || {
            golden_help(&["sim", command, "--help"], &format!("help-sim-{command}.txt"))
        });
    }
}

fn golden_help(words: &[&str], file: &str) -> Outcome {
    // The width decides where lines break; without a terminal clap takes COLUMNS.
    let said = Fos::new(words).env("COLUMNS", "100").run()?;
    said.expect_status(0)?;
    golden::compare(file, &said.output)
}

/// Each documented code that needs no machine, and that stdout stays empty.
fn exit_codes(runner: &mut Runner) {
    let cases: [(&str, &[&str], Code, &str); 10] = [
        ("no subcommand is a usage error", &[], Code::Usage, "Usage"),
        ("an unknown flag is a usage error", &["run", "--nope"], Code::Usage, "--nope"),
        ("256 cores are a usage error", &["run", "--cores", "256"], Code::Usage, "256"),
        ("an unknown image is not found", &["run", "--image", "nope"], Code::NotFound, "hello"),
        ("an unknown test suite is not found", &["test", "nope"], Code::NotFound, "boot"),
        ("an unknown scenario is not found", &["sim", "run", "nope"], Code::NotFound, "echo"),
        (
            "an unknown cost file is not found",
            &["sim", "run", "echo", "--costs", "nope"],
            Code::NotFound,
            "8x4",
        ),
        (
            "no fault is a usage error",
            &["sim", "run", "echo", "--fault", "nope"],
            Code::Usage,
            "kill PROCESS",
        ),
        ("no path is a usage error", &["names", "demo"], Code::Usage, "begins with"),
        ("an unknown bench suite is not found", &["bench", "nope"], Code::NotFound, "kernel"),
    ];
    for (name, words, code, part) in cases {
        runner.test(format!("exit {}: {name}", code as u8), || {
            let said = Fos::new(words).run()?;
            said.expect_status(code as i32)?;
            said.expect_output("")?;
            said.expect_error(part)
        });
    }
    runner.test("exit 5: a taken port is a conflict", || {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("taking a port")?;
        let port = taken.local_addr().doing("reading the port")?.port().to_string();
        let said = Fos::new(&["gdb", "--print", "--port", &port]).run()?;
        said.expect_status(Code::Conflict as i32)?;
        said.expect_error("--port")
    });
    runner.test("exit 6: without QEMU one sentence names the command to run", || {
        let said = without_programs(&["run"])?;
        said.expect_status(Code::HostLacks as i32)?;
        said.expect_error("apt-get install --yes --no-install-recommends qemu-system-x86")?;
        let sentences = said.errors.trim_end().lines().count();
        if sentences == 1 { Ok(()) } else { fail(format!("{sentences} lines: {}", said.errors)) }
    });
    runner.test("exit 125: without QEMU a command never started", || {
        without_programs(&["run", "--", "busybox", "true"])?.expect_status(125)
    });
    runner.test("exit 6: without a C compiler one sentence names the command to run", || {
        let said = without_programs(&["build", "c"])?;
        said.expect_status(Code::HostLacks as i32)?;
        said.expect_error("cc")?;
        said.expect_error("apt-get install --yes --no-install-recommends gcc")
    });
    runner.test("exit 6: doctor says what is missing", || {
        let said = without_programs(&["doctor"])?;
        said.expect_status(Code::HostLacks as i32)?;
        said.expect_error("qemu-system-x86")
    });
}

/// A host with an empty PATH, where nothing may be installed.
fn without_programs(words: &[&str]) -> Result<crate::fos::Said> {
    let empty = tempfile::tempdir().doing("making an empty folder")?;
    let path = empty.path().display().to_string();
    Fos::new(words).env("PATH", &path).env("FOS_NO_INSTALL", "1").run()
}

fn documents(runner: &mut Runner) {
    runner.test("json: test --list", || {
        let said = Fos::new(&["test", "--list", "--json"]).run()?;
        said.expect_status(0)?;
        let document = said.json("fos.suites/1")?;
        let suites = document["suites"].as_array().map_or(0, Vec::len);
        if suites == super::SUITES.len() { Ok(()) } else { fail(format!("{suites} suites: {document}")) }
    });
    runner.test("json: doctor", || {
        let document = Fos::new(&["doctor", "--json"]).run()?.json("fos.doctor/1")?;
        let findings = document["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let whole =
            findings.iter().all(|finding| finding["name"].is_string() && finding["present"].is_boolean());
        if whole && findings.len() >= 5 { Ok(()) } else { fail(format!("{document}")) }
    });
    runner.test("json: a failure is a document with its code", || {
        let said = Fos::new(&["run", "--json", "--image", "nope"]).run()?;
        said.expect_status(Code::NotFound as i32)?;
        let document = said.json("fos.error/1")?;
        match document["error"]["code"].as_u64() {
            Some(code) if code == Code::NotFound as u64 => Ok(()),
            _ => fail(format!("{document}")),
        }
    });
}

/// The host crates' unit tests, built as the command is, so that nothing is compiled twice.
fn unit_tests(runner: &mut Runner) {
    let mut built = Ok(Vec::new());
    runner.test("unit tests of the host build", || {
        let crates = libtest::libraries(|name| HOST_CRATES.contains(&name) && name != super::sim::CRATE);
        built = crates.and_then(|crates| libtest::build(&crates, "release"));
        built.as_ref().map(|_| ()).map_err(Clone::clone)
    });
    for tests in built.unwrap_or_default() {
        libtest::run(runner, &tests);
    }
}

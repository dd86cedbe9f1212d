//! Suite `shell`: the default image, whose fleets `init` founds from the image's tables, and its shell: commands by argument and by
//! input, and what bad input gets. And the end of every server of every fleet, and of `init`, under a load.

use crate::fos::{Fos, Said};
use crate::runner::{Outcome, Runner, fail};
use fos_host::failure::Result;
use std::time::Duration;

/// Ends a machine that hangs.
const WITHIN: Duration = Duration::from_secs(240);
/// Each fleet of the image, and how many members it has at least.
const FLEETS: [(&str, usize); 5] =
    [("/naming", 3), ("/watchdog", 3), ("/pages", 2), ("/processes", 2), ("/knowledge", 2)];

/// What is said, in this order, when every server has ended.
const REPAIRED: &[&[&str]] = &[
    &["a program that may not know the fleets finds no founder"],
    &["init was ended under load, and the next one knows the same 5 fleets"],
    &["of /naming was ended under load and replaced"],
    &["of /watchdog was ended under load and replaced"],
    &["of /pages was ended under load and replaced"],
    &["of /processes was ended under load and replaced"],
    &["of /knowledge was ended under load and replaced"],
    &["servers of 5 fleets were ended under load and replaced"],
    &["init was ended under load, and the next one knows the same 5 fleets"],
    &["every end told once and as it was, and 3 still known"],
    &["rounds of frames, none lost and none mixed up"],
    &["names acknowledged, none lost at 3 members of naming"],
];

/// Boots the default image a few times.
pub fn run(runner: &mut Runner) {
    runner.test("a bare run founds every fleet, and its shell does what it reads", reads);
    runner.test("commands are an argument too, and the last one's status is the shell's", does);
    runner.test("bad lines are refused by what is wrong with them, and the next is done", refuses);
    runner.test("every server of every fleet is ended under load, and init, and replaced", || {
        let said = machine(&["--", "demo-system", "system"], b"")?;
        said.expect_status(0)?;
        said.expect_lines(REPAIRED)
    });
    runner.test("a shell that is spawned has its starter's output, and ends where it has no input", spawned);
}

fn machine(words: &[&str], input: &[u8]) -> Result<Said> {
    let all = [&["run", "--quiet", "--accel", "tcg"], words].concat();
    Fos::new(&all).input(input).within(WITHIN).run()
}

/// The words of the first line that begins with this one.
fn row<'a>(said: &'a Said, first: &str) -> Option<Vec<&'a str>> {
    said.output
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row.first() == Some(&first))
}

fn reads() -> Outcome {
    let said = machine(&[], b"stats\nrun busybox echo from inside\nnames /processes\nexit 3\nlist\n")?;
    said.expect_status(3)?;
    for (fleet, members) in FLEETS {
        match row(&said, fleet) {
            Some(row)
                if row[1].parse().is_ok_and(|count: usize| count >= members && row.len() >= 3 + count) => {}
            row => return fail(format!("{fleet} is told as {row:?}: {}{}", said.output, said.errors)),
        }
    }
    said.expect_lines(&[
        &["CORE", "STATE", "BUSY"],
        &["memory", "KiB in /pages"],
        &["processes", "spawned"],
        &["from inside"],
        &["/processes  least wait"],
        &["members"],
    ])?;
    if said.output.contains("PARENT") {
        return fail("what follows an exit was done");
    }
    said.expect_error("fos> ")
}

fn does() -> Outcome {
    let said = machine(&["--", "shell", "-c", "run names --follow &; list; run busybox false"], b"")?;
    said.expect_status(1)?;
    said.expect_lines(&[&["names runs on core", "as process"], &["PID", "PROGRAM"], &["running", "names"]])?;
    let Some(pid) =
        said.output.lines().find_map(|line| line.strip_prefix("names runs on core ")?.rsplit(' ').next())
    else {
        return fail(format!("no process is named: {}", said.output));
    };
    // Numbers are given from the same one on in each boot.
    let commands = format!("run names --follow &; kill {pid} 19; list; kill {pid} 9; kill {pid} 0; exit");
    let said = machine(&["--", "shell", "-c", &commands], b"")?;
    said.expect_lines(&[&[pid, "stopped", "names"]])?;
    let said = machine(&["--", "shell", "-c", "run no-such-program"], b"")?;
    said.expect_status(127)?;
    said.expect_output("")?;
    said.expect_error("the image has no program of that name")
}

fn refuses() -> Outcome {
    let mut input = vec![b'x'; 513];
    input.extend(
        b"\nls\nkill 4000000\nkill one\nkill 1\nname\x1b[2Js\n\xff\n\n ; ;\nnames /no/such\nlist all\nhelp",
    );
    let said = machine(&["--", "shell"], &input)?;
    for reason in [
        "the line is too long: 512",
        "\"ls\" is no command",
        "process 4000000: there is no such process or group",
        "\"one\" is no number of a process",
        "kill: process 1:",
        "the line has a control byte: 27",
        "the line is no text",
        "there is no name \"/no/such\"",
        "list: \"all\" is too much",
    ] {
        said.expect_error(reason)?;
    }
    // The last line is done although it has no end, and the end of the input is that of the shell.
    said.expect_lines(&[&["run PROGRAM"], &["exit [STATUS]"]])?;
    said.expect_status(0)
}

fn spawned() -> Outcome {
    let said = machine(&["--", "shell", "-c", "run shell; run shell -c list; run shell -d"], b"")?;
    said.expect_status(2)?;
    said.expect_error("say shell, or shell -c COMMANDS")?;
    said.expect_lines(&[&["PID", "PARENT"], &["running", "shell"]])
}

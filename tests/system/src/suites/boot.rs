//! Suite `boot`: whole machines under QEMU, always TCG so that every host tests the same thing. Each test starts its
//! own machine, and none may leave a process behind.

use crate::fos::Fos;
use crate::processes;
use crate::runner::{Outcome, Runner, fail};
use fos_host::commands::run::boot_within;
use fos_host::failure::{Code, NOT_STARTED, Result};
use fos_host::image::{self, Built};
use fos_host::machine::qemu::Debugger;
use fos_host::machine::{Accelerator, Ending, Machine, Model, Options};
use fos_host::talk::Talk;
use fos_messages::control::{Row, Subject, Value};
use rustix::process::{Pid, Signal};
use std::time::Duration;

/// Ends a command that hangs; on a busy host a busybox takes a second.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// Boots machines.
pub fn run(runner: &mut Runner) {
    let (mut hello, mut fence) = (None, None);
    runner.test("the images hello and fence build", || {
        hello = Some(image::build("hello", &Talk::SILENT)?);
        fence = Some(image::build("fence", &Talk::SILENT)?);
        Ok(())
    });
    let (Some(hello), Some(fence)) = (hello, fence) else { return };
    sizes(runner, &hello);
    runner.test("image hello does what it shows, by `fos run --image hello`", hello_speaks);
    commands(runner);
    runner.test("what programs had comes back when they have ended", || memory_comes_back(&hello));
    runner.test("a panic on one of four cores leaves the other three working", || panic_is_fenced(&fence));
    runner.test("a core that panics while it buries another is buried with it", || burial_goes_on(&fence));
    runner.test("root's core and its undertaker panic: the machine ends, and says why", || {
        root_and_undertaker(&fence)
    });
    runner.test("a hung core is found, and leaves the other three working", || hang_is_fenced(&fence));
    runner
        .test("a core that hangs and is sent nothing but a message is found", || hang_of_a_receiver(&fence));
    runner.test("panic=stop-all ends the machine with a status of its own", || panic_stops_all(&fence));
    runner.test("a boot that stalls is ended and says what it waits for", || stalled_boot(&hello));
    runner.test("a machine without a clock ends and says so", || no_clock(&hello));
    runner.test("SIGINT ends fos with 130 and leaves nothing", || killed_by(Signal::INT, Some(130)));
    runner.test("SIGTERM ends fos with 130 and leaves nothing", || killed_by(Signal::TERM, Some(130)));
    runner.test("SIGKILL of fos leaves no machine", || killed_by(Signal::KILL, None));
}

fn options(built: &Built) -> Options {
    Options::of(built, Accelerator::Tcg).append("run=control")
}

/// Numbers of cores on both machines.
fn sizes(runner: &mut Runner, built: &Built) {
    let mut sizes: Vec<(Model, u16)> = Vec::new();
    for model in [Model::Q35, Model::Microvm] {
        sizes.extend([1, 2, 4, 16].map(|cores| (model, cores)));
    }
    sizes.extend([(Model::Q35, 64), (Model::Microvm, 64)]);
    if runner.long() {
        sizes.extend([(Model::Q35, 255), (Model::Microvm, 255)]);
    }
    for (model, cores) in sizes {
        let name = format!("{} boots {cores} cores and powers off", model.name());
        runner.test(name, || boots(options(built).model(model).cores(cores)));
    }
}

fn boots(options: Options) -> Outcome {
    let within = boot_within(&options);
    let mut machine = Machine::start(&options, None)?;
    let ready = machine.wait_ready(within)?;
    if ready.cores != options.cores {
        return fail(format!("{} of {} cores came up", ready.cores, options.cores));
    }
    end_in_order(machine)
}

/// Programs one after another, some of which end badly: when they have ended, as much memory is free as before.
fn memory_comes_back(built: &Built) -> Outcome {
    let options = options(built);
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    let commands =
        [&["busybox", "echo", "a"][..], &["busybox", "sh", "-c", "kill -SEGV $$"], &["hello-1", "nobody"]];
    let run_all = |machine: &mut Machine| -> Result<()> {
        for command in commands {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            machine.run(&command, Some(COMMAND_WITHIN), |_, _| Ok(()))?;
        }
        Ok(())
    };
    // Once before the first look: the boot's own programs have ended then.
    run_all(&mut machine)?;
    let before = free_bytes(&mut machine)?;
    for _ in 0..PROGRAMS_ROUNDS {
        run_all(&mut machine)?;
    }
    let after = free_bytes(&mut machine)?;
    if before != after {
        return fail(format!("{before} bytes were free before, {after} after"));
    }
    end_in_order(machine)
}

/// Rounds of programs: had the memory of one not come back, the machine's would not last.
const PROGRAMS_ROUNDS: usize = 15;

fn free_bytes(machine: &mut Machine) -> Result<u64> {
    let rows = machine.query(Subject::Memory, COMMAND_WITHIN)?;
    let fields = rows.iter().flat_map(|row| &row.fields);
    let mut numbers = fields.filter_map(|(name, value)| match value {
        Value::Number(bytes) if name == "free_bytes" => Some(*bytes),
        _ => None,
    });
    let row = || format!("root names no free_bytes: {rows:?}");
    numbers.next().ok_or_else(|| fos_host::failure::Failure::new(Code::Failed, row()))
}

/// The image that is kept for good: two programs meet, then busybox prints.
fn hello_speaks() -> Outcome {
    let said = Fos::new(&["run", "--image", "hello", "--accel", "tcg"]).within(COMMAND_WITHIN).run()?;
    said.expect_status(0)?;
    let lines: Vec<&str> = said.output.lines().collect();
    let speaks = |words: &[&str]| {
        let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        if found { Ok(()) } else { fail(format!("no line holds {words:?}:\n{}", said.output)) }
    };
    speaks(&["hello", "first", "core 1"])?;
    speaks(&["hello", "second", "core 2"])?;
    speaks(&["shared page"])?;
    match lines.iter().position(|line| line.trim() == "hello") {
        Some(_) => Ok(()),
        None => fail(format!("busybox did not print hello:\n{}", said.output)),
    }
}

/// What a Linux program does to itself, the status it then has, and what is said about it.
const BAD_THINGS: &[(&str, i32, &str)] = &[
    ("read", 139, "read of 0x0"),
    ("write", 139, "write to 0x"),
    ("jump", 139, "jump to 0x"),
    ("divide", 136, "exception 0"),
    ("undefined", 132, "exception 6"),
    ("syscall", 0, ""),
    ("grow", 0, ""),
];

/// `fos run -- COMMAND`.
fn commands(runner: &mut Runner) {
    runner.test("run -- busybox echo hello prints hello and nothing else, exit 0", || {
        let said = inside(&["busybox", "echo", "hello"])?;
        said.expect_status(0)?;
        said.expect_output("hello\n")
    });
    runner.test("the exit status of a command is that of fos", || {
        inside(&["busybox", "true"])?.expect_status(0)?;
        inside(&["busybox", "false"])?.expect_status(1)
    });
    runner.test("a Linux program that faults ends as a shell would say", bad_things);
    runner.test("a command that the image does not have exits 125", || {
        let said = inside(&["no-such-program"])?;
        said.expect_status(125)?;
        said.expect_output("")?;
        said.expect_error("no-such-program")
    });
    runner.test("run --json gives output and status as one document", || {
        let said = Fos::new(&["run", "--accel", "tcg", "--json", "--", "busybox", "echo", "a", "b"]).run()?;
        said.expect_status(0)?;
        let document = said.json("fos.run/1")?;
        match (document["stdout"].as_str(), document["status"].as_u64()) {
            (Some("a b\n"), Some(0)) => Ok(()),
            _ => fail(format!("unexpected document: {document}")),
        }
    });
}

/// Each bad thing ends the program that does it as a shell would say.
fn bad_things() -> Outcome {
    for (thing, status, words) in BAD_THINGS {
        let said = inside(&["fault", thing])?;
        said.expect_status(*status)?;
        said.expect_error(words)?;
    }
    Ok(())
}

fn inside(command: &[&str]) -> Result<crate::fos::Said> {
    let mut words = vec!["run", "--quiet", "--accel", "tcg", "--"];
    words.extend(command);
    Fos::new(&words).within(COMMAND_WITHIN).run()
}

/// The core on which tests plant a failure; the image `fence` has a program on each core.
const PLANTED: u16 = 1;
/// The kernel springs a planted failure a second after the core's start.
const PLANTED_AFTER: Duration = Duration::from_millis(1500);
/// How long a core may be silent before it is given up, in milliseconds; on a busy host an emulated core may pause.
const SILENCE: &str = "silence=3000";

/// What root says, which watches the program that waits for messages on the planted core.
const LISTENER_ENDED: &str = "listener ended with core 1, which failed";

fn panic_is_fenced(built: &Built) -> Outcome {
    let options = options(built).append("panic=fence").append(format!("plant=panic:{PLANTED}"));
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    machine.wait_console(&format!("panic on core {PLANTED}"), COMMAND_WITHIN)?;
    machine.wait_console(LISTENER_ENDED, COMMAND_WITHIN)?;
    let backtrace = machine.wait_console(&format!("fos-backtrace: core {PLANTED} 0x"), COMMAND_WITHIN)?;
    others_work(&mut machine, &[PLANTED])?;
    let resolved = machine
        .console()
        .lines()
        .iter()
        .any(|line| line.starts_with("    0x") && line.contains("fos_kernel::"));
    if !resolved {
        return fail(format!("the backtrace is not resolved: {backtrace}"));
    }
    end_in_order(machine)
}

/// Core 2 takes over from core 1, and panics in the middle of it: core 3 buries both.
fn burial_goes_on(built: &Built) -> Outcome {
    let options = options(built).append("panic=fence").append("plant=panic:1").append("plant=bury:2");
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    machine.wait_console("panic on core 2: planted, in a burial", COMMAND_WITHIN)?;
    others_work(&mut machine, &[1, 2])?;
    end_in_order(machine)
}

/// Nobody is left to decide anything once root's core is buried, whoever does that in the end.
fn root_and_undertaker(built: &Built) -> Outcome {
    let options = options(built).append("panic=fence").append("plant=panic:0").append("plant=bury:1");
    let mut machine = Machine::start(&options, None)?;
    match machine.wait_ending(boot_within(&options))? {
        Ending::RootDied => Ok(()),
        other => fail(format!("it ended otherwise: {other}")),
    }
}

fn hang_is_fenced(built: &Built) -> Outcome {
    let options =
        options(built).append("panic=fence").append(format!("plant=hang:{PLANTED}")).append(SILENCE);
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    // Nobody says that a core hangs: it is noticed by those who wait for it, here for a program's start.
    std::thread::sleep(PLANTED_AFTER);
    let (status, said) = echo(&mut machine, PLANTED)?;
    if status == 0 {
        return fail(format!("a program ran on the core that hangs: {said:?}"));
    }
    others_work(&mut machine, &[PLANTED])?;
    end_in_order(machine)
}

/// Nobody calls the core that hangs: a program elsewhere sends a message to one there, and waits.
fn hang_of_a_receiver(built: &Built) -> Outcome {
    let options =
        options(built).append("panic=fence").append(format!("plant=hang:{PLANTED}")).append(SILENCE);
    let mut machine = Machine::start(&options, None)?;
    machine.wait_ready(boot_within(&options))?;
    std::thread::sleep(PLANTED_AFTER);
    machine.run(&["speaker".to_owned()], Some(COMMAND_WITHIN), |_, _| Ok(()))?;
    machine.wait_console(&format!("core {PLANTED} does not answer; stopping it"), COMMAND_WITHIN)?;
    machine.wait_console(LISTENER_ENDED, COMMAND_WITHIN)?;
    others_work(&mut machine, &[PLANTED])?;
    end_in_order(machine)
}

/// Every core but the planted ones runs a program, and root knows which cores have failed.
fn others_work(machine: &mut Machine, planted: &[u16]) -> Outcome {
    for core in (0..4).filter(|core| !planted.contains(core)) {
        let (status, output) = echo(machine, core)?;
        if (status, output.as_str()) != (0, "alive\n") {
            return fail(format!("core {core} answered status {status}, {output:?}"));
        }
    }
    let rows = machine.query(Subject::Cores, COMMAND_WITHIN)?;
    let state = |row: &Row| row.fields.iter().any(|(_, value)| *value == Value::Text("failed".to_owned()));
    let failed: Vec<&str> = rows.iter().filter(|row| state(row)).map(|row| row.name.as_str()).collect();
    let expected: Vec<String> = planted.iter().map(|core| format!("core {core}")).collect();
    if failed == expected { Ok(()) } else { fail(format!("failed cores: {failed:?}, {rows:?}")) }
}

/// `echo alive` on a core.
fn echo(machine: &mut Machine, core: u16) -> Result<(i32, String)> {
    let command = [format!("busybox-{core}"), "echo".to_owned(), "alive".to_owned()];
    let mut output = Vec::new();
    let status = machine.run(&command, Some(COMMAND_WITHIN), |_, bytes| {
        output.extend_from_slice(bytes);
        Ok(())
    });
    match status {
        Err(failure) if failure.code == Code::NotFound => Ok((NOT_STARTED.into(), failure.message)),
        other => Ok((other?, String::from_utf8_lossy(&output).into_owned())),
    }
}

fn end_in_order(machine: Machine) -> Outcome {
    match machine.power_off()? {
        Ending::Orderly => Ok(()),
        other => fail(format!("after PowerOff {other}")),
    }
}

fn panic_stops_all(built: &Built) -> Outcome {
    let options = options(built).append("panic=stop-all").append(format!("plant=panic:{PLANTED}"));
    let mut machine = Machine::start(&options, None)?;
    match machine.wait_ending(boot_within(&options))? {
        Ending::StoppedByPanic => {}
        other => return fail(format!("it ended otherwise: {other}")),
    }
    match machine.console().find(&format!("panic on core {PLANTED}")) {
        Some(_) => Ok(()),
        None => fail(format!("no panic on the console:\n{}", machine.console().lines().join("\n"))),
    }
}

/// No PIT, and an emulated CPU tells no rate.
fn no_clock(built: &Built) -> Outcome {
    let options = options(built).model(Model::Microvm).property("pit=off");
    let mut machine = Machine::start(&options, None)?;
    match machine.wait_ending(boot_within(&options))? {
        Ending::UnusableMachine => {}
        other => return fail(format!("it ended otherwise: {other}")),
    }
    match machine.console().find("fos-kernel: no clock") {
        Some(_) => Ok(()),
        None => fail(format!("the console does not say why:\n{}", machine.console().lines().join("\n"))),
    }
}

/// A machine that waits for a debugger boots never.
fn stalled_boot(built: &Built) -> Outcome {
    let mut options = options(built);
    options.debugger = Some(Debugger { port: fos_host::commands::gdb::port(None)? });
    let mut machine = Machine::start(&options, None)?;
    let process = machine.process_id();
    let failure = match machine.wait_ready(Duration::from_secs(2)) {
        Ok(_) => return fail("a stopped machine was ready"),
        Err(failure) => failure,
    };
    drop(machine);
    if failure.code != Code::TimedOut || !failure.message.contains("waits for") {
        return fail(format!("the failure is {failure}"));
    }
    if processes::runs(process) { fail("QEMU still runs") } else { Ok(()) }
}

/// A `fos` with a machine under it, ended by a signal from outside.
fn killed_by(signal: Signal, status: Option<i32>) -> Outcome {
    let mut fos = Fos::new(&["gdb", "--print", "--image", "hello"]).start()?;
    fos.read_line(COMMAND_WITHIN)?;
    let machines = processes::children(fos.id());
    if machines.is_empty() {
        return fail("fos gdb --print has no machine under it");
    }
    let pid = Pid::from_raw(fos.id() as i32).ok_or_else(|| fail("no process").unwrap_err())?;
    rustix::process::kill_process(pid, signal).map_err(|error| fail(error.to_string()).unwrap_err())?;
    let ended = fos.wait(Duration::from_secs(10))?;
    let left = processes::wait_gone(&machines, Duration::from_secs(5));
    if !left.is_empty() {
        return fail(format!("processes {left:?} are left"));
    }
    match status {
        Some(status) if ended.code() != Some(status) => fail(format!("it ended with {ended}")),
        _ => Ok(()),
    }
}

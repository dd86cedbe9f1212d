//! The command line, as types: what `./fos --help` says is what is parsed. Global flags first, then one variant per
//! subcommand; what each does is in `commands/`.

use crate::failure::{Code, NOT_STARTED};
use crate::machine::accelerator::Choice;
use crate::machine::qemu::Model;
use clap::{Args, Parser, Subcommand};

/// Builds, boots, tests and measures fos, a factored operating system
#[derive(Debug, Parser)]
#[command(name = "fos", bin_name = "./fos", version, max_term_width = 100)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub struct Cli {
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on stderr but failures
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ./fos run                                boot four cores, two programs talk, busybox prints
  ./fos run -- busybox echo hello          run a program inside; its output and status are ours
  ./fos test                               everything CI runs
  ./fos bench kernel --json                measure the kernel's paths
  ./fos doctor                             what this host has and lacks";

fn long_help() -> String {
    let codes = Code::ALL.iter().map(|(code, about)| format!("  {:>3}  {about}\n", *code as u8));
    let not_started =
        format!("  {NOT_STARTED}  `run -- COMMAND` only: something failed before COMMAND started");
    format!(
        "{EXAMPLES}\n\nExit codes:\n    0  success\n{}{not_started}\n       \
         (`run -- COMMAND` otherwise exits with COMMAND's status; 128+n when signal n ended it)\n\n\
         Environment:\n  NO_COLOR         no colours\n  FOS_NO_INSTALL   never install missing packages\n  \
         CARGO_TARGET_DIR where cargo builds, as for cargo itself",
        codes.collect::<String>()
    )
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the kernel, the guest programs and the boot archives
    Build(BuildArguments),
    /// Boot an image, or run one command in it
    Run(RunArguments),
    /// Run the tests, all that CI runs or the named suites
    Test(TestArguments),
    /// Measure, all suites or the named ones
    Bench(BenchArguments),
    /// Run servers in the simulator: thousands of cores, virtual time, one seed
    #[command(after_help = SIM_EXAMPLES)]
    Sim {
        #[command(subcommand)]
        #[allow(missing_docs)]
        command: SimCommand,
    },
    /// Check format, lints, the tree's own rules, documents and licences
    Check(CheckArguments),
    /// Start a stopped machine and a debugger on its kernel
    Gdb(GdbArguments),
    /// List the names of a machine that runs
    Names(NamesArguments),
    /// Say what this host has, what it lacks, and how to get it
    Doctor,
}

/// `fos build`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ./fos build          everything\n  ./fos build hello    the image hello alone"
)]
pub struct BuildArguments {
    /// Images to build; all when none is named
    pub images: Vec<String>,
}

/// Which machine to boot; shared by `run` and `gdb`.
#[derive(Debug, Args)]
pub struct MachineArguments {
    /// Image in images/, or a path of a .toml file
    #[arg(long, default_value = "default")]
    pub image: String,
    /// Number of cores [default: as the image says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=255))]
    pub cores: Option<u16>,
    /// Memory, as 512M or 2G [default: as the image says]
    #[arg(long, value_name = "M", value_parser = memory)]
    pub memory: Option<u64>,
    /// Machine that QEMU plays
    #[arg(long, value_enum, default_value_t)]
    pub machine: Model,
    /// Word to add to the kernel's command line; may be repeated
    #[arg(long, value_name = "WORD")]
    pub append: Vec<String>,
}

/// `fos run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ./fos run                                   all fleets of the system, and a shell: say help
  echo list | ./fos run                       the same, with commands from a pipe
  ./fos run -- shell -c stats                 the same, with commands as an argument
  ./fos run --image hello --cores 16          another image, more cores
  ./fos run -- busybox echo hello             prints hello, exit status 0
  ./fos run --panic stop-all --verbose -- busybox true

With COMMAND, or where the image has a shell, stdin is read as far as that reads it, and its output
alone is on stdout and stderr; the console is kept in .fos/console.log. Otherwise the image's
default commands run, and the console is on stdout.")]
pub struct RunArguments {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub machine: MachineArguments,
    /// How instructions run; auto tries KVM once and remembers
    #[arg(long, value_enum, default_value_t)]
    pub accel: Choice,
    /// What a kernel panic stops
    #[arg(long, value_enum, default_value_t)]
    pub panic: PanicPolicy,
    /// Seconds that COMMAND may run (no limit by default), or the image's default commands (1800)
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Show the console on stderr, also with COMMAND
    #[arg(long, short)]
    pub verbose: bool,
    /// Program of the image and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What a kernel panic stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PanicPolicy {
    /// The core it happens on; the others go on
    #[default]
    Fence,
    /// The machine, with an exit status of its own
    StopAll,
}

impl TestArguments {
    /// The words of the command line again.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.list.then(|| "--list".to_owned()));
        words.extend(self.long.then(|| "--long".to_owned()));
        words.extend(self.seed.map(|seed| format!("--seed={seed}")));
        words.extend(self.suites.iter().cloned());
        words
    }
}

impl PanicPolicy {
    /// The word on the kernel's command line.
    pub fn word(self) -> &'static str {
        match self {
            PanicPolicy::Fence => "panic=fence",
            PanicPolicy::StopAll => "panic=stop-all",
        }
    }
}

/// `fos test`; also the command line of the program in tests/system, to which `fos test` passes it on.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  ./fos test                          all that CI runs
  ./fos test kernel hostile boot      these suites
  ./fos test hostile --seed 7         with this seed
  ./fos test --list                   the suites and their time budgets")]
pub struct TestArguments {
    /// Suites to run; all when none is named
    pub suites: Vec<String>,
    /// Name the suites with their time budgets and run nothing
    #[arg(long)]
    pub list: bool,
    /// Run also what does not fit the time budgets
    #[arg(long)]
    pub long: bool,
    /// Seed of fuzzed tests; a new one by default, printed
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `fos bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ./fos bench kernel           a table
  ./fos bench kernel --json    one document: {\"schema\":\"fos.bench/1\",...}
  ./fos bench kernel --write   also write the instruction counts into docs/performance.md
  ./fos bench costs --write    measure what the simulator charges, into sim/costs/default.toml")]
pub struct BenchArguments {
    /// Suites to run; all when none is named
    pub suites: Vec<String>,
    /// Leave out the Linux guest beside it
    #[arg(long)]
    pub without_linux: bool,
    /// Only what counts instructions, which takes seconds
    #[arg(long)]
    pub counts: bool,
    /// Write what was measured into the tree: exact counts, or the simulator's costs
    #[arg(long)]
    pub write: bool,
}

const SIM_EXAMPLES: &str = "\
Examples:
  ./fos sim list                                the scenarios
  ./fos sim run echo --seed 7 --cores 1024      one run
  ./fos sim run echo --fault 'kill server-1 at message 120'
  ./fos sim sweep --seeds 1000                  every scenario, faults drawn from each seed
  ./fos sim sweep echo --seeds 1 --cores 4 --messages 100 --kill-points
  ./fos sim figure shootdown --csv              the numbers behind a figure

A run that fails prints the command that repeats it and exits with 1.";

/// `fos sim`.
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// Name the scenarios
    List,
    /// Run a scenario once
    Run {
        #[command(flatten)]
        #[allow(missing_docs)]
        run: SimRunArguments,
        /// Print every step and message
        #[arg(long)]
        trace: bool,
    },
    /// Run scenarios with many seeds, each with the faults that it draws
    Sweep {
        /// Scenarios to run; all when none is named
        scenarios: Vec<String>,
        /// How many seeds
        #[arg(long, value_name = "N", default_value_t = 100)]
        seeds: u64,
        /// The first seed
        #[arg(long, value_name = "S", default_value_t = 0)]
        from: u64,
        /// Instead of drawn faults: a run for each message after which each process may end
        #[arg(long)]
        kill_points: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        shape: SimShape,
    },
    /// Run once more what failed, with its trace, and compare that
    Replay {
        #[command(flatten)]
        #[allow(missing_docs)]
        run: SimRunArguments,
        /// Number that the trace had
        #[arg(long, value_name = "TRACE")]
        expect: Option<String>,
    },
    /// Print the numbers of a figure that the simulator models: shared-state or shootdown
    Figure {
        /// Which; all when none is named
        name: Option<String>,
        /// Print comma-separated values instead of a table
        #[arg(long)]
        csv: bool,
        /// Also draw it into docs/figures
        #[arg(long)]
        write: bool,
    },
}

/// How large a simulated run is, and what things cost in it.
#[derive(Clone, Debug, Args)]
pub struct SimShape {
    /// Simulated cores [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=65536))]
    pub cores: Option<u32>,
    /// About how many messages it is to have [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub messages: Option<u64>,
    /// Cost file, default, 8x4 or polling of sim/costs/, or a path [default: default]
    #[arg(long, value_name = "FILE")]
    pub costs: Option<String>,
}

/// One run of the simulator; shared by `sim run` and `sim replay`.
#[derive(Clone, Debug, Args)]
pub struct SimRunArguments {
    /// Scenario to run
    pub scenario: String,
    /// Where chance comes from
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Fault, as it is printed; may be repeated: 'kill PROCESS at message N', 'stop core N at 5us', ...
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Draw faults from the seed
    #[arg(long, conflicts_with = "fault")]
    pub faults: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub shape: SimShape,
}

/// `fos check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ./fos check          all checks\n  ./fos check tidy     one of them")]
pub struct CheckArguments {
    /// Checks to run; all when none is named
    pub checks: Vec<String>,
    /// First write the tables in documents that are made from code
    #[arg(long)]
    pub write: bool,
}

/// `fos gdb`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ./fos gdb                      a stopped machine and gdb on its kernel
  ./fos gdb --print --port 1234  start the machine only and say how to connect; Ctrl-C ends it")]
pub struct GdbArguments {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub machine: MachineArguments,
    /// Loopback port of the debugger's connection; a free one by default
    #[arg(long)]
    pub port: Option<u16>,
    /// Start no debugger: print how to connect one, and keep the machine until it ends
    #[arg(long)]
    pub print: bool,
}

/// `fos names`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ./fos run --image fleet     in one terminal
  ./fos names                 in another: all names as a tree, with members, policies and loads
  ./fos names --follow        and then what changes, until Ctrl-C or the machine's end
  ./fos names /demo --json    one name and what is below it: {\"schema\":\"fos.names/1\",...}

Exits with 3 if no machine runs, it has no naming fleet, or there is no such name.")]
pub struct NamesArguments {
    /// Name to begin with
    #[arg(default_value = "/")]
    pub path: String,
    /// Process number of the `fos run` whose machine is meant, if there are several
    #[arg(long, value_name = "PID")]
    pub process: Option<u32>,
    /// Go on with a line for each change
    #[arg(long, conflicts_with = "json")]
    pub follow: bool,
}

/// Whole pages of memory, at least 16 MiB: less holds no boot archive.
fn memory(text: &str) -> Result<u64, String> {
    let bytes = fos_messages::image::parse_bytes(text).ok_or("not a size such as 512M or 2G")?;
    if bytes < 16 << 20 {
        return Err("less than 16M cannot hold a boot archive".to_owned());
    }
    Ok(bytes / 4096 * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_keeps_its_own_flags() {
        let cli = Cli::parse_from(["fos", "run", "--cores", "2", "--", "busybox", "ls", "--json"]);
        assert!(!cli.json);
        let Command::Run(run) = cli.command else { panic!("not run") };
        assert_eq!(run.command, ["busybox", "ls", "--json"]);
    }

    #[test]
    fn memory_is_a_size() {
        assert_eq!(memory("1G"), Ok(1 << 30));
        assert!(memory("1M").is_err() && memory("many").is_err());
    }
}

//! QEMU's command line: one place where a machine's hardware is chosen.

use super::Accelerator;
use crate::image::Built;
use crate::packages::QEMU;
use std::collections::BTreeMap;
use std::iter;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;

/// Which of QEMU's machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// A PC with PCI Express.
    Q35,
    /// The smallest machine: no PCI, devices at fixed places. Boots fastest.
    #[default]
    Microvm,
}

impl Model {
    /// The name users and QEMU know it by.
    pub fn name(self) -> &'static str {
        match self {
            Model::Q35 => "q35",
            Model::Microvm => "microvm",
        }
    }

    /// The machine option: the interrupt controllers, timer and clock of a PC are there on both, so that one kernel
    /// finds the same devices.
    fn option(self) -> &'static str {
        match self {
            Model::Q35 => "q35",
            Model::Microvm => "microvm,isa-serial=on,pit=on,pic=on,rtc=on",
        }
    }
}

/// A port on the loopback interface where a debugger may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debugger {
    /// The TCP port.
    pub port: u16,
}

/// A machine's hardware and what it boots.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kernel.
    pub kernel: PathBuf,
    /// The boot archive.
    pub archive: PathBuf,
    /// Program name to its ELF with symbols.
    pub symbols: BTreeMap<String, PathBuf>,
    /// Number of cores.
    pub cores: u16,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Which machine.
    pub model: Model,
    /// Further properties of the machine, as QEMU's `-machine` takes them.
    pub properties: Vec<String>,
    /// How instructions run.
    pub accelerator: Accelerator,
    /// Words of the kernel's command line.
    pub append: Vec<String>,
    /// Counts instructions exactly: one core, the time stamp counter ticks once per instruction.
    pub count_instructions: bool,
    /// Stops before the first instruction and waits for a debugger.
    pub debugger: Option<Debugger>,
}

impl Options {
    /// The machine that an image describes: its cores, its memory, a panic fences its core alone.
    pub fn of(built: &Built, accelerator: Accelerator) -> Options {
        let mut symbols = built.symbols.clone();
        symbols.insert(super::symbols::KERNEL.to_owned(), built.kernel.clone());
        Options {
            kernel: built.kernel.clone(),
            archive: built.archive.clone(),
            symbols,
            cores: built.image.cores,
            memory_bytes: built.image.memory_bytes,
            model: Model::default(),
            properties: vec![],
            accelerator,
            append: vec![format!("image={}", built.image.name)],
            count_instructions: false,
            debugger: None,
        }
    }

    /// The same with this many cores.
    pub fn cores(mut self, cores: u16) -> Options {
        self.cores = cores;
        self
    }

    /// The same on this machine.
    pub fn model(mut self, model: Model) -> Options {
        self.model = model;
        self
    }

    /// The same with one more property of the machine.
    pub fn property(mut self, property: impl Into<String>) -> Options {
        self.properties.push(property.into());
        self
    }

    /// The same with one more word on the kernel's command line.
    pub fn append(mut self, word: impl Into<String>) -> Options {
        self.append.push(word.into());
        self
    }
}

/// The QEMU command for `options`, with the inside ends of the console and the control link.
pub fn command(options: &Options, ports: &[OwnedFd; 2]) -> Command {
    let mut command = Command::new(QEMU.program);
    let machine: Vec<&str> =
        iter::once(options.model.option()).chain(options.properties.iter().map(String::as_str)).collect();
    command.args(["-machine", &machine.join(",")]);
    command.args(["-accel", options.accelerator.name(), "-cpu", cpu(options)]);
    command.args(["-smp", &options.cores.to_string()]);
    command.args(["-m", &format!("{}k", options.memory_bytes / 1024)]);
    command.arg("-kernel").arg(&options.kernel).arg("-initrd").arg(&options.archive);
    command.args(["-append", &options.append.join(" ")]);
    command.args(["-display", "none", "-no-reboot", "-nodefaults", "-no-user-config"]);
    command.args(["-chardev", &format!("socket,id=console,fd={}", ports[0].as_raw_fd())]);
    command.args(["-chardev", &format!("socket,id=control,fd={}", ports[1].as_raw_fd())]);
    command.args(["-serial", "chardev:console", "-device", "isa-serial,index=1,chardev=control"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    if options.count_instructions {
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    if let Some(Debugger { port }) = options.debugger {
        command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
    }
    command
}

/// Without `erms`, clearing memory by `rep stosb` would count once per byte where counting instructions is the aim.
fn cpu(options: &Options) -> &'static str {
    match (options.count_instructions, options.accelerator) {
        (true, _) => "max,-erms",
        (false, Accelerator::Kvm) => "host",
        (false, Accelerator::Tcg) => "max",
    }
}

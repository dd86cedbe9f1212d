//! How a machine ended, read from QEMU's exit status: the guest's word to the exit port (`fos_abi::exit`), or QEMU's.

use fos_abi::exit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order, as root asked.
    Orderly,
    /// A kernel panicked under `panic=stop-all`.
    StoppedByPanic,
    /// The root program died.
    RootDied,
    /// The kernel could not use the machine.
    UnusableMachine,
    /// Another value on the exit port, before QEMU shifted it.
    Said(u8),
    /// QEMU ended by itself: a reset or a triple fault of the guest (status 0), or its own error.
    Qemu(i32),
    /// A signal ended QEMU.
    Signal(i32),
}

/// QEMU's exit status after the guest wrote `value` to the exit port.
pub const fn qemu_status(value: u8) -> i32 {
    ((value as i32) << 1) | 1
}

impl Ending {
    /// Reads QEMU's exit status. Status 1 is QEMU's own error: the guest's values begin at 0x10.
    pub fn of(status: ExitStatus) -> Ending {
        let Some(code) = status.code() else { return Ending::Signal(status.signal().unwrap_or(0)) };
        if code < qemu_status(exit::ORDERLY) || code & 1 == 0 {
            return Ending::Qemu(code);
        }
        match (code >> 1) as u8 {
            exit::ORDERLY => Ending::Orderly,
            exit::STOPPED_BY_PANIC => Ending::StoppedByPanic,
            exit::ROOT_DIED => Ending::RootDied,
            exit::UNUSABLE_MACHINE => Ending::UnusableMachine,
            other => Ending::Said(other),
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Orderly => write!(formatter, "it powered off in order"),
            Ending::StoppedByPanic => write!(formatter, "a kernel panic stopped it (panic=stop-all)"),
            Ending::RootDied => write!(formatter, "its root program died"),
            Ending::UnusableMachine => write!(formatter, "its kernel cannot use this machine"),
            Ending::Said(value) => write!(formatter, "it wrote {value:#x} to the exit port"),
            Ending::Qemu(0) => write!(formatter, "it reset, as after a triple fault"),
            Ending::Qemu(code) => write!(formatter, "QEMU failed with status {code}"),
            Ending::Signal(signal) => write!(formatter, "signal {signal} ended QEMU"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_value_is_told_apart() {
        let of = |code: i32| Ending::of(ExitStatus::from_raw(code << 8));
        assert_eq!(of(33), Ending::Orderly);
        assert_eq!(of(35), Ending::StoppedByPanic);
        assert_eq!(of(37), Ending::RootDied);
        assert_eq!(of(39), Ending::UnusableMachine);
        assert_eq!(of(0x41), Ending::Said(0x20));
        assert_eq!((of(0), of(1)), (Ending::Qemu(0), Ending::Qemu(1)));
        assert_eq!(Ending::of(ExitStatus::from_raw(9)), Ending::Signal(9));
    }
}

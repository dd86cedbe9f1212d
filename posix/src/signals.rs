//! What a program asked for about signals. It is recorded and told back truly. A signal that a program sends itself is
//! ignored or ends it; no handler runs yet, which `docs/linux-compat/` says.

use crate::errno::Errno;

/// Signals are numbered 1 to 64.
pub const SIGNALS: usize = 64;
/// Bytes of the kernel's `struct sigaction` on x86-64: handler, flags, restorer, mask.
pub const ACTION_BYTES: usize = 32;
/// Bytes of a signal set as the calls take it (`sigsetsize`).
pub const SET_BYTES: u64 = 8;
/// SIGKILL and SIGSTOP, as a set: neither can be caught, ignored or blocked (signal(7)).
pub const UNCATCHABLE: u64 =
    1 << (linux_raw_sys::general::SIGKILL - 1) | 1 << (linux_raw_sys::general::SIGSTOP - 1);

/// Signals whose default action is not to end the process (signal(7)): CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: u64 = signal_set(&[17, 18, 19, 20, 21, 22, 23, 28]);
/// `SIG_IGN` as a handler.
const IGNORE: u64 = 1;
/// What a shell adds to a signal's number for the status of a process that it ended.
const STATUS_BASE: u8 = 128;

const fn signal_set(signals: &[u32]) -> u64 {
    let (mut set, mut index) = (0, 0);
    while index < signals.len() {
        set |= 1 << (signals[index] - 1);
        index += 1;
    }
    set
}

/// What a signal does to the process that sent it to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is ignored, or kept back until it is no longer blocked.
    None,
    /// It ends the process, with this status.
    Ends(u8),
    /// A handler should run; since none does, it ends the process with this status.
    Handler(u8),
}

/// Actions by signal, and the set of blocked ones.
#[derive(Debug)]
pub struct Signals {
    actions: [[u8; ACTION_BYTES]; SIGNALS],
    /// Blocked signals: bit n stands for signal n + 1.
    pub blocked: u64,
    /// Blocked ones that came meanwhile.
    pending: u64,
}

impl Default for Signals {
    fn default() -> Self {
        Signals { actions: [[0; ACTION_BYTES]; SIGNALS], blocked: 0, pending: 0 }
    }
}

impl Signals {
    /// What a signal does. EINVAL if no signal has that number.
    pub fn effect(&mut self, signal: u64) -> Result<Effect, Errno> {
        let mut handler = [0; 8];
        handler.copy_from_slice(&self.action(signal)?[..8]);
        let bit = 1 << (signal as u32 - 1);
        let status = STATUS_BASE + signal as u8;
        if self.blocked & bit != 0 {
            self.pending |= bit;
            return Ok(Effect::None);
        }
        Ok(match u64::from_le_bytes(handler) {
            0 if HARMLESS & bit != 0 => Effect::None,
            0 => Effect::Ends(status),
            IGNORE => Effect::None,
            _ => Effect::Handler(status),
        })
    }

    /// Takes a signal that came while it was blocked and no longer is; the lowest first.
    pub fn take_pending(&mut self) -> Option<u64> {
        let deliverable = self.pending & !self.blocked;
        self.pending &= !(deliverable & deliverable.wrapping_neg());
        (deliverable != 0).then(|| u64::from(deliverable.trailing_zeros()) + 1)
    }

    /// The action of a signal. EINVAL if no signal has that number.
    pub fn action(&mut self, signal: u64) -> Result<&mut [u8; ACTION_BYTES], Errno> {
        let index = (signal as u32).checked_sub(1).ok_or(Errno::EINVAL)?;
        self.actions.get_mut(index as usize).ok_or(Errno::EINVAL)
    }
}

//! Has root keep what the next `init` goes on with.

use alloc::format;
use alloc::string::String;

use fos_init::PATIENCE;
use fos_init::legacy::Record;
use libfos::Start;
use libfos::clock::Clock;
use libfos::root::Root;

/// Those who come after this program.
#[derive(Clone, Copy)]
pub struct Heirs {
    root: Root,
    clock: Clock,
}

impl Heirs {
    /// Of the program with this start block.
    pub fn of(start: &Start) -> Result<Heirs, String> {
        let root = Root::of_program(start).map_err(|error| format!("it can't tell root: {error}"))?;
        Ok(Heirs { root, clock: Clock::new(start.tsc_hz) })
    }

    /// Leaves this to them. When it returns root has it before it hears of any end of this program: both come to one mailbox.
    pub fn leave(&self, (name, bytes): Record) -> Result<(), String> {
        let kept = self.root.keep(&name, bytes, self.clock.after(PATIENCE));
        kept.map_err(|error| format!("{name:?} is not kept for who comes next: {error}"))
    }
}

//! What root says to people: by the console's driver once that has registered, by the first serial port before.

use alloc::format;
use core::fmt;
use core::time::Duration;

use fos_abi::Key;
use fos_abi::boot::root_slot;
use fos_abi::capability::Handle;
use libfos::BootFacts;
use libfos::boot::write_text;
use libfos::clock::Clock;
use libfos::mailbox::{MESSAGE_MAX, Sender};

/// How long the console may be full before a line is dropped: root must go on.
const PATIENCE: Duration = Duration::from_millis(200);

/// Root's voice.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    clock: Clock,
    console: Option<Key>,
}

impl Talk {
    /// Speaks by the serial port at first.
    pub fn new(facts: &BootFacts) -> Talk {
        Talk { clock: Clock::new(facts.tsc_hz), console: None }
    }

    /// Speaks by the console's driver from now on, or by the port again.
    pub fn use_console(&mut self, console: Option<Key>) {
        self.console = console;
    }

    /// Says a line, named as root's.
    pub fn say(&self, line: fmt::Arguments<'_>) {
        self.write(&format!("fos-root: {line}\n"));
    }

    /// Writes text as it is.
    pub fn write(&self, text: &str) {
        match self.console.map(Sender::new) {
            Some(console) => {
                for piece in text.as_bytes().chunks(MESSAGE_MAX) {
                    // A console that is full for that long, or gone, loses the line: nobody is there to read it.
                    let _ = console.send_until(piece, self.clock, self.clock.after(PATIENCE));
                }
            }
            None => write_text(Handle::new(root_slot::PORTS, 0), text),
        }
    }
}

//! The serial driver: owns one 16550 UART by its ports and its interrupt line, and is one of two things.
//!
//! * `serial console` writes the bytes of every message it gets to the wire. Registers as `console`.
//! * `serial control` does that too, and forwards what comes over the wire to root, as [`ToRoot::Wire`]. Registers as
//!   `control`; root alone should use it.
//!
//! It waits for its device and for whoever writes, and for root only while root's mailbox is full, with a deadline. Which
//! ports and which line it drives is what its capabilities say; it knows no numbers of its own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fos_abi::key::KeyRights;
use fos_messages::start::{ToRoot, WIRE_BYTES_MAX, handle_name};
use fos_serial::uart::{Registers, Uart};
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::{self, Mailbox};
use libfos::memory::{Memory, MemoryError};
use libfos::root::{Root, RootError};
use libfos::{Error, Handle, Start, calls, log};

libfos::entry!(main);

/// Slots of the mailbox for what is to be written: 8 of the longest messages, at most one per sender at a time.
const WRITE_SLOTS: usize = 64;
/// Slots of the mailbox for interrupts.
const INTERRUPT_SLOTS: usize = 64;
/// Keys of either mailbox.
const KEYS: usize = 16;
/// How long root may take to register the driver or to make room for received bytes.
const ROOT_PATIENCE: Duration = Duration::from_secs(5);
/// How long the chip may hold 16 bytes before the driver looks by itself: at 115,200 bits/s they take 1.4 ms.
const TRANSMIT_PATIENCE: Duration = Duration::from_millis(20);

/// Why the driver ends.
enum Failure {
    /// The image gave no role, or one that is unknown.
    Role,
    /// The image did not grant a capability of this name.
    Missing(&'static str),
    /// The kernel refused a call.
    Kernel(Error),
    /// There is not enough memory for the mailboxes.
    Memory(MemoryError),
    /// Root could not be told.
    Root(RootError),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Role => write!(formatter, "its argument must be `console` or `control`"),
            Failure::Missing(name) => write!(formatter, "the image grants it no `{name}`"),
            Failure::Kernel(error) => write!(formatter, "the kernel refused: {error:?}"),
            Failure::Memory(error) => write!(formatter, "its mailboxes: {error}"),
            Failure::Root(error) => write!(formatter, "{error}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Kernel(error)
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Failure {
        Failure::Memory(error)
    }
}

impl From<RootError> for Failure {
    fn from(error: RootError) -> Failure {
        Failure::Root(error)
    }
}

fn main(start: &Start) -> u8 {
    let served = Driver::new(start).and_then(|mut driver| driver.serve());
    if let Err(failure) = served {
        log!("serial: {:?} ended: {failure}", start.arguments);
    }
    1
}

/// The UART's registers behind the ports that the capability covers.
struct Ports {
    capability: Handle,
    first: u16,
}

impl Registers for Ports {
    type Error = Error;

    fn read(&mut self, register: u16) -> Result<u8, Error> {
        calls::port_read(self.capability, self.first + register, 1).map(|data| data as u8)
    }

    fn write(&mut self, register: u16, value: u8) -> Result<(), Error> {
        calls::port_write(self.capability, self.first + register, 1, u32::from(value))
    }
}

struct Driver {
    clock: Clock,
    uart: Uart<Ports>,
    /// What is to be written comes here.
    writes: Mailbox,
    /// Interrupts come here, and nothing else: nobody has a key.
    interrupts: Mailbox,
    interrupt: Handle,
    /// Where received bytes go; none for the console.
    receiver: Option<Root>,
    /// The message being written, and how much of it has been.
    text: Vec<u8>,
    written: usize,
}

impl Driver {
    fn new(start: &Start) -> Result<Driver, Failure> {
        let role = start.arguments.get(1).map(|role| role.as_str());
        let root = Root::of_program(start)?;
        let receiver = match role {
            Some("console") => None,
            Some("control") => Some(root),
            _ => return Err(Failure::Role),
        };
        let mut memory = Memory::of_program(start)?;
        let writes = Mailbox::create(&mut memory, WRITE_SLOTS, KEYS)?;
        let interrupts = Mailbox::create(&mut memory, INTERRUPT_SLOTS, KEYS)?;
        let (capability, first) = granted(start, handle_name::PORTS)?;
        let (lines, line) = granted(start, handle_name::INTERRUPT)?;
        let interrupt = calls::interrupt_bind(lines, line, interrupts.handle(), 0)?;
        let uart = Uart::new(Ports { capability, first: first as u16 }, receiver.is_some())?;
        let clock = Clock::new(start.tsc_hz);
        let key = writes.key(KeyRights::SEND.with(KeyRights::WATCH), 0)?;
        root.register(role.unwrap_or_default(), key, clock.after(ROOT_PATIENCE))?;
        Ok(Driver { clock, uart, writes, interrupts, interrupt, receiver, text: Vec::new(), written: 0 })
    }

    /// Never ends but by a failure.
    fn serve(&mut self) -> Result<(), Failure> {
        loop {
            self.forward()?;
            self.write()?;
            self.sleep()?;
            self.finish_interrupts()?;
        }
    }

    /// Forwards all that the chip has received. Bytes that root has no room for in time are lost, and the console says so;
    /// the link's frames have checksums.
    fn forward(&mut self) -> Result<(), Failure> {
        let Some(root) = self.receiver else { return Ok(()) };
        let mut buffer = [0; WIRE_BYTES_MAX];
        loop {
            let count = self.uart.receive(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            let message = ToRoot::Wire { bytes: buffer[..count].to_vec() };
            match root.tell(&message, self.clock.after(ROOT_PATIENCE)) {
                Err(RootError::Refused(Error::Full)) => {
                    log!("serial: root is full: {count} received bytes lost")
                }
                told => told?,
            }
        }
    }

    /// Writes message after message, until there is none or the chip takes no more.
    fn write(&mut self) -> Result<(), Failure> {
        loop {
            self.written += self.uart.send(&self.text[self.written..])?;
            if self.written < self.text.len() {
                return Ok(());
            }
            self.text.clear();
            self.written = 0;
            let Some(message) = self.writes.take() else { return Ok(()) };
            self.text.extend_from_slice(message.bytes());
        }
    }

    /// Sleeps until there is something to do. While a message is half written, further ones do not count.
    fn sleep(&self) -> Result<(), Error> {
        let woken = if self.text.is_empty() {
            mailbox::select(&[&self.interrupts, &self.writes], Deadline::NEVER).map(|_| ())
        } else {
            self.interrupts.wait(self.clock.after(TRANSMIT_PATIENCE))
        };
        match woken {
            Err(Error::TimedOut | Error::Interrupted) => Ok(()),
            woken => woken,
        }
    }

    /// Takes the interrupts that came and lets the line interrupt again. What the chip wants meanwhile is not lost: the
    /// caller looks at the chip after this.
    fn finish_interrupts(&mut self) -> Result<(), Error> {
        let mut came = false;
        while self.interrupts.take().is_some() {
            came = true;
        }
        if came { calls::interrupt_done(self.interrupt) } else { Ok(()) }
    }
}

/// A granted capability over a range of the machine, and the first of the range.
fn granted(start: &Start, name: &'static str) -> Result<(Handle, u64), Failure> {
    let handle = start.handle(name).ok_or(Failure::Missing(name))?;
    Ok((handle, calls::cap_read(handle)?.base))
}

//! A 16550 UART: set-up, and bursts of up to 16 bytes in both directions.
//!
//! Registers and bits as in the PC16550D data sheet (National Semiconductor, 1995), section 8. The registers are
//! reached through [`Registers`], so that the tests drive the same code against a model of the chip.

/// Bytes of the chip's transmit FIFO: so many may be written when it says that it is empty.
pub const FIFO_SIZE: usize = 16;

/// Offsets from the first port.
mod register {
    /// Received byte (read), byte to send (write); low divisor byte while `DIVISOR_LATCH` is set.
    pub const DATA: u16 = 0;
    /// Which interrupts are on; high divisor byte while `DIVISOR_LATCH` is set.
    pub const INTERRUPT_ENABLE: u16 = 1;
    /// Why it interrupts (read); FIFO control (write).
    pub const FIFO_CONTROL: u16 = 2;
    /// The form of a byte on the wire.
    pub const LINE_CONTROL: u16 = 3;
    /// Modem lines, and the gate of the interrupt line.
    pub const MODEM_CONTROL: u16 = 4;
    /// What can be read and written now.
    pub const LINE_STATUS: u16 = 5;
}

/// Line control: the first two registers are the divisor.
const DIVISOR_LATCH: u8 = 0x80;
/// Line control: 8 data bits, no parity, 1 stop bit.
const EIGHT_BITS: u8 = 0x03;
/// FIFO control: on, both cleared, interrupt at 8 received bytes (or when a few bytes' time passes without more).
const FIFO_ON: u8 = 0x87;
/// Modem control: ready to talk (DTR, RTS), and OUT2, which PCs use as the gate of the interrupt line.
const READY: u8 = 0x0b;
/// Interrupt enable: a byte was received.
const ON_RECEIVE: u8 = 0x01;
/// Interrupt enable: the transmit FIFO is empty.
const ON_TRANSMIT: u8 = 0x02;
/// Line status: a byte can be read.
const DATA_READY: u8 = 0x01;
/// Line status: the transmit FIFO is empty.
const TRANSMIT_EMPTY: u8 = 0x20;
/// The divisor for 115,200 bits per second.
const FASTEST: u8 = 1;

/// The chip's eight registers.
pub trait Registers {
    /// What a refused access is.
    type Error;
    /// Reads a register.
    fn read(&mut self, register: u16) -> Result<u8, Self::Error>;
    /// Writes a register.
    fn write(&mut self, register: u16, value: u8) -> Result<(), Self::Error>;
}

/// The chip, set up.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    /// What the interrupt enable register holds.
    enabled: u8,
}

impl<R: Registers> Uart<R> {
    /// Sets the chip up: 115,200 bits per second, 8N1, FIFOs on; interrupts for received bytes if `receive`.
    pub fn new(mut registers: R, receive: bool) -> Result<Self, R::Error> {
        let enabled = if receive { ON_RECEIVE } else { 0 };
        for (register, value) in [
            (register::INTERRUPT_ENABLE, 0),
            (register::LINE_CONTROL, DIVISOR_LATCH),
            (register::DATA, FASTEST),
            (register::INTERRUPT_ENABLE, 0),
            (register::LINE_CONTROL, EIGHT_BITS),
            (register::FIFO_CONTROL, FIFO_ON),
            (register::MODEM_CONTROL, READY),
            (register::INTERRUPT_ENABLE, enabled),
        ] {
            registers.write(register, value)?;
        }
        Ok(Uart { registers, enabled })
    }

    /// Reads what has been received, as far as it fits; answers with how many bytes.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, R::Error> {
        for (count, byte) in buffer.iter_mut().enumerate() {
            if self.registers.read(register::LINE_STATUS)? & DATA_READY == 0 {
                return Ok(count);
            }
            *byte = self.registers.read(register::DATA)?;
        }
        Ok(buffer.len())
    }

    /// Writes as many bytes as the chip takes now; answers with how many. While some are left, the chip interrupts when
    /// it takes more.
    pub fn send(&mut self, bytes: &[u8]) -> Result<usize, R::Error> {
        let mut sent = 0;
        while sent < bytes.len() && self.registers.read(register::LINE_STATUS)? & TRANSMIT_EMPTY != 0 {
            for byte in bytes[sent..].iter().take(FIFO_SIZE) {
                self.registers.write(register::DATA, *byte)?;
                sent += 1;
            }
        }
        self.interrupt_on_transmit(sent < bytes.len())?;
        Ok(sent)
    }

    /// Switches the interrupt for an empty transmit FIFO, if it is not as wanted.
    fn interrupt_on_transmit(&mut self, wanted: bool) -> Result<(), R::Error> {
        let enabled = if wanted { self.enabled | ON_TRANSMIT } else { self.enabled & !ON_TRANSMIT };
        if enabled != self.enabled {
            self.registers.write(register::INTERRUPT_ENABLE, enabled)?;
            self.enabled = enabled;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    /// A model of the chip: the wire takes `drain` bytes each time the status is read.
    #[derive(Default)]
    struct Model {
        divisor: [u8; 2],
        line_control: u8,
        modem_control: u8,
        interrupt_enable: u8,
        fifos_on: bool,
        received: VecDeque<u8>,
        queue: VecDeque<u8>,
        wire: Vec<u8>,
        drain: usize,
        overrun: bool,
    }

    impl Registers for &mut Model {
        type Error = u16;

        fn read(&mut self, register: u16) -> Result<u8, u16> {
            match register {
                register::DATA => Ok(self.received.pop_front().unwrap_or(0)),
                register::LINE_STATUS => {
                    let count = self.drain.min(self.queue.len());
                    let drained: Vec<u8> = self.queue.drain(..count).collect();
                    self.wire.extend(drained);
                    let ready = if self.received.is_empty() { 0 } else { DATA_READY };
                    let empty = if self.queue.is_empty() { TRANSMIT_EMPTY } else { 0 };
                    Ok(ready | empty)
                }
                other => Err(other),
            }
        }

        fn write(&mut self, register: u16, value: u8) -> Result<(), u16> {
            let latch = self.line_control & DIVISOR_LATCH != 0;
            match register {
                register::DATA if latch => self.divisor[0] = value,
                register::INTERRUPT_ENABLE if latch => self.divisor[1] = value,
                register::DATA => {
                    self.queue.push_back(value);
                    self.overrun |= self.queue.len() > FIFO_SIZE;
                }
                register::INTERRUPT_ENABLE => self.interrupt_enable = value,
                register::FIFO_CONTROL => self.fifos_on = value & 1 != 0,
                register::LINE_CONTROL => self.line_control = value,
                register::MODEM_CONTROL => self.modem_control = value,
                other => return Err(other),
            }
            Ok(())
        }
    }

    #[test]
    fn set_up_leaves_the_chip_ready() {
        let mut model = Model::default();
        assert!(Uart::new(&mut model, true).is_ok());
        assert_eq!((model.divisor, model.line_control), ([1, 0], EIGHT_BITS));
        assert_eq!((model.modem_control, model.interrupt_enable, model.fifos_on), (READY, ON_RECEIVE, true));
    }

    #[test]
    fn a_long_text_never_overruns_the_fifo() {
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for drain in [1, 5, 16, 100] {
            let mut model = Model { drain, ..Model::default() };
            let mut uart = Uart::new(&mut model, false).unwrap();
            let mut sent = 0;
            while sent < text.len() {
                sent += uart.send(&text[sent..]).unwrap();
            }
            model.drain = FIFO_SIZE;
            (&mut model).read(register::LINE_STATUS).unwrap();
            assert!(!model.overrun);
            assert_eq!(model.wire, text, "drain {drain}");
        }
    }

    #[test]
    fn the_transmit_interrupt_is_on_only_while_bytes_wait() {
        let mut model = Model { drain: 0, ..Model::default() };
        let mut uart = Uart::new(&mut model, true).unwrap();
        assert_eq!(uart.send(&[1; 20]), Ok(16));
        assert_eq!(uart.registers.interrupt_enable, ON_RECEIVE | ON_TRANSMIT);
        assert_eq!(uart.send(&[1; 4]), Ok(0));
        uart.registers.drain = 16;
        assert_eq!(uart.send(&[1; 4]), Ok(4));
        assert_eq!(uart.registers.interrupt_enable, ON_RECEIVE);
    }

    #[test]
    fn what_was_received_is_read_in_order_and_as_far_as_it_fits() {
        let mut model = Model { received: (0..20).collect(), ..Model::default() };
        let mut uart = Uart::new(&mut model, true).unwrap();
        let mut buffer = [0; 12];
        assert_eq!(uart.receive(&mut buffer), Ok(12));
        assert_eq!(buffer[11], 11);
        assert_eq!(uart.receive(&mut buffer), Ok(8));
        assert_eq!(buffer[7], 19);
        assert_eq!(uart.receive(&mut buffer), Ok(0));
    }
}

//! Interrupts as messages, from the clock chip (MC146818 and its copies, as QEMU's q35 and microvm have it): it ticks
//! when told to, and only once until its register C has been read.

use fos_abi::Error;
use fos_abi::capability::{Handle, Rights};
use fos_abi::mailbox::MessageKind;
use libfos::calls;

use super::Case;
use crate::ensure;
use crate::stage::{Inbox, Stage};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "interrupt-comes-as-a-message", run: comes },
    Case { name: "interrupt-bound-once", run: bound_once },
    Case { name: "port-outside-the-capability", run: ports },
];

/// Registers of the clock chip: rate, control, and what interrupted (reading it lets the chip interrupt again).
const REGISTER_A: u32 = 0x0a;
const REGISTER_B: u32 = 0x0b;
const REGISTER_C: u32 = 0x0c;
/// Register A: 32768 Hz divider, 64 Hz ticks.
const RATE_64_HZ: u32 = 0x2a;
/// Register B: periodic ticks on, 24 hours; the same without ticks.
const TICKS_ON: u32 = 0x42;
const TICKS_OFF: u32 = 0x02;

fn write(ports: Handle, index: u16, register: u32, value: u32) -> Result<(), Error> {
    calls::port_write(ports, index, 1, register)?;
    calls::port_write(ports, index + 1, 1, value)
}

fn read(ports: Handle, index: u16, register: u32) -> Result<u32, Error> {
    calls::port_write(ports, index, 1, register)?;
    calls::port_read(ports, index + 1, 1)
}

fn comes(stage: &mut Stage) -> Verdict {
    let grant = stage.ground.grant;
    if grant.interrupts == Handle::NONE || grant.ports == Handle::NONE {
        return Ok(());
    }
    let window = stage.fresh_window()?;
    let mut plot = stage.ground.plot(16)?;
    let mut inbox = Inbox::create(&mut plot, window)?;
    let line = calls::cap_read(grant.interrupts)?.base;
    let index = calls::cap_read(grant.ports)?.base as u16;
    let interrupt = calls::interrupt_bind(grant.interrupts, line, inbox.mailbox, 0x1e)?;
    write(grant.ports, index, REGISTER_B, TICKS_OFF)?;
    read(grant.ports, index, REGISTER_C)?;
    calls::interrupt_done(interrupt)?;
    inbox.drain();
    write(grant.ports, index, REGISTER_A, RATE_64_HZ)?;
    write(grant.ports, index, REGISTER_B, TICKS_ON)?;
    for tick in 0..16 {
        let letter = inbox.receive(stage.patience())?;
        same("the message's kind", letter.kind, MessageKind::Interrupt as u8)?;
        same("its badge and line", (letter.badge, letter.word(0)), (0x1e, line))?;
        ensure!(letter.word(1) >= 1, "tick {tick} came {} times", letter.word(1));
        // Not done yet: the line must stay quiet.
        let quiet = inbox.receive(stage.ground.after(40)).map(|letter| u64::from(letter.kind));
        refused("a second interrupt before the first was done", quiet, Error::TimedOut)?;
        ensure!(read(grant.ports, index, REGISTER_C)? & 0x40 != 0, "the chip says it did not tick");
        calls::interrupt_done(interrupt)?;
    }
    write(grant.ports, index, REGISTER_B, TICKS_OFF)?;
    read(grant.ports, index, REGISTER_C)?;
    calls::cap_delete(interrupt)?;
    stage.clear(plot)
}

fn bound_once(stage: &mut Stage) -> Verdict {
    let grant = stage.ground.grant;
    if grant.interrupts == Handle::NONE {
        return Ok(());
    }
    let mut plot = stage.ground.plot(16)?;
    let mailbox = crate::fixture::mailbox(&mut plot)?;
    let line = calls::cap_read(grant.interrupts)?.base;
    let first = calls::interrupt_bind(grant.interrupts, line, mailbox, 1)?;
    let second = calls::interrupt_bind(grant.interrupts, line, mailbox, 2).map(|_| 0);
    refused("binding a bound line", second, Error::InUse)?;
    for other in [line + 1, line.wrapping_sub(1), u64::MAX, 1 << 32] {
        let answer = calls::interrupt_bind(grant.interrupts, other, mailbox, 3).map(|_| 0);
        refused("binding a line that was not given", answer, Error::BadArgument)?;
    }
    calls::cap_delete(first)?;
    let again = calls::interrupt_bind(grant.interrupts, line, mailbox, 4)?;
    // The mailbox's end must not leave the line bound to nothing.
    stage.clear(plot)?;
    let _ = calls::cap_delete(again);
    let mut plot = stage.ground.plot(16)?;
    let mailbox = crate::fixture::mailbox(&mut plot)?;
    let rebound = calls::interrupt_bind(grant.interrupts, line, mailbox, 5)?;
    calls::cap_delete(rebound)?;
    stage.clear(plot)
}

fn ports(stage: &mut Stage) -> Verdict {
    let grant = stage.ground.grant;
    if grant.ports == Handle::NONE {
        return Ok(());
    }
    let given = calls::cap_read(grant.ports)?;
    let (first, count) = (given.base, given.length);
    for port in [first.wrapping_sub(1), first + count, 0xf4, 0xcf8, 0xffff, 0x1_0000, u64::MAX] {
        let arguments = [crate::kernel::word(grant.ports), port, 1, 0, 0, 0];
        for target in [fos_abi::calls::Call::port_read, fos_abi::calls::Call::port_write] {
            refused("a port that was not given", crate::kernel::call(target, arguments), Error::BadArgument)?;
        }
    }
    // A read of four bytes from the last port would reach beyond.
    let answer = calls::port_read(grant.ports, (first + count - 1) as u16, 4).map(u64::from);
    refused("a read beyond the last port", answer, Error::BadArgument)?;
    let only_first = calls::cap_derive(grant.ports, Rights::READ.with(Rights::WRITE), 0, 1)?;
    let answer = calls::port_read(only_first, first as u16 + 1, 1).map(u64::from);
    refused("a port of the parent capability", answer, Error::BadArgument)?;
    calls::cap_delete(only_first)?;
    Ok(())
}

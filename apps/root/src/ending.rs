//! Ends of programs: by themselves, by a fault, by the host. Whatever the reason, all that a program had comes back,
//! because all of it was built in one piece; and what it wrote is delivered before its end is told.

use alloc::format;
use alloc::string::String;

use fos_abi::Key;
use fos_abi::capability::Handle;
use fos_abi::mailbox::EndReason;
use fos_abi::space::MapFlags;
use fos_abi::thread::FaultReport;
use fos_messages::control::{STREAM_ERROR, ToHost};
use fos_messages::processes::Usage;
use fos_root::layout::STACK_TOP;
use fos_root::signal;
use libfos::memory::Mapping;
use libfos::{calls, frames};

use crate::boot::SLOTS;
use crate::memory;
use crate::program::{Number, Program};
use crate::server::Server;

/// Return addresses in one backtrace.
const BACKTRACE_MAX: usize = 32;
/// Status of a program that somebody destroyed, or whose core failed.
const DESTROYED: u8 = signal::KILLED;

impl Server {
    /// A program's first thread ended.
    pub fn thread_ended(&mut self, number: Number, reason: Option<EndReason>, status: u64) {
        match reason {
            Some(EndReason::Exited) => self.end(number, status as u8),
            Some(EndReason::CoreFailed) => {
                if let Some(program) = self.programs.get(number) {
                    self.talk
                        .say(format_args!("{} ended with core {}, which failed", program.name, program.core));
                }
                self.end(number, signal::status(DESTROYED));
            }
            Some(EndReason::Destroyed) | None => self.end(number, signal::status(DESTROYED)),
        }
    }

    /// A thread of a process faulted: the process is over. Names it for the host tool, which adds lines of source.
    pub fn thread_faulted(&mut self, report: &FaultReport) {
        let Some(number) = self.programs.find(|program| program.identity == report.identity) else {
            let identity = report.identity;
            self.talk.say(format_args!(
                "process {identity:#x}, which root did not start, faulted at {:#x}",
                report.rip
            ));
            return;
        };
        let signal = signal::of_vector(report.vector);
        let what = describe(report);
        if let Some(program) = self.programs.get(number) {
            let name = program.name.clone();
            let run = program.run;
            let addresses = self.backtrace(number, report);
            self.talk.say(format_args!("{name}: {what}; ended by signal {signal}"));
            self.talk.write(&format!("fos-fault: program {name} {addresses}\n"));
            if let Some(id) = run {
                let bytes = format!("{name}: {what}\n").into_bytes();
                self.tell_host(&ToHost::Output { id, stream: STREAM_ERROR, bytes });
            }
        }
        self.end(number, signal::status(signal));
    }

    /// Ends a program that may be running. Its thread stops first, which its core has acknowledged when that returns: so it does
    /// nothing in the moment in which some of what it has is gone and the rest is not.
    pub fn stop_and_end(&mut self, number: Number, status: u8) {
        if let Some(program) = self.programs.get(number).filter(|program| program.status.is_none()) {
            // Refused only where it never runs again: it has ended, or its core has failed.
            let _ = calls::thread_stop(program.thread);
        }
        self.end(number, status);
    }

    /// Ends a program: takes back all its memory, and with it everything that was built there.
    pub fn end(&mut self, number: Number, status: u8) {
        let Some(program) = self.programs.get_mut(number) else { return };
        if program.status.is_some() {
            return;
        }
        program.status = Some(status);
        program.output_taken = self.output_taken;
        program.usage = used(program, self.facts.tsc_hz);
        let (piece, watch, identity) = (program.piece.take(), program.watch, program.identity);
        let keys = core::mem::take(&mut program.keys);
        let (objects, mapped) = (program.objects, core::mem::take(&mut program.mapped));
        program.files.clear();
        self.registry.forget(number);
        take_apart(&objects, &mapped);
        let returned = piece.map_or(Ok(()), |piece| self.frames.give_back(piece));
        // What it held is given up now that its space is no more.
        self.keeping.ended(identity);
        // A watch that has told may already be gone.
        let _ = calls::cap_delete(watch);
        self.revoke_keys(&keys);
        if let Err(error) = returned
            && let Some(program) = self.programs.get(number)
        {
            self.talk.say(format_args!("frames of {} are lost: {error:?}", program.name));
        }
    }

    /// Tells of programs that have ended, once all that they wrote has been taken: when nothing is left in the mailbox,
    /// or as much was taken since the end as it can hold.
    pub fn tell_ends(&mut self, all_taken: bool) {
        let taken = self.output_taken;
        let is_told = |program: &Program| all_taken || taken - program.output_taken >= SLOTS as u64;
        while let Some(program) = self.programs.take_ended(is_told) {
            let status = program.status.unwrap_or_default();
            match program.run {
                Some(id) => self.tell_host(&ToHost::Exited { id, status: i32::from(status) }),
                None if program.ticket.is_none() => self.note_end(&program, status),
                None => {}
            }
            self.tell_starter(&program, status);
            self.tell_ticket(&program, status);
            self.default_ended(program.number);
            self.make_good(&program);
        }
    }

    fn note_end(&mut self, program: &Program, status: u8) {
        if status != 0 {
            self.talk.say(format_args!("{} ended with status {status}", program.name));
        }
        if self.registry.key("console").is_none() {
            self.talk.use_console(None);
        }
    }

    /// Keys of root's own mailboxes that a program had.
    pub fn revoke_keys(&self, keys: &[Key]) {
        for key in keys {
            for mailbox in [&self.requests, &self.output] {
                // A key belongs to one of the two, and is refused by the other.
                let _ = calls::key_revoke(mailbox.handle(), key);
            }
        }
    }

    /// The faulting instruction and the return addresses of the frames on the program's first stack.
    fn backtrace(&mut self, number: Number, report: &FaultReport) -> String {
        let mut text = format!("{:#x}", report.rip);
        let Some(program) = self.programs.get(number) else { return text };
        let Some(piece) = &program.piece else { return text };
        let stack = program.stack.clone();
        // Read with the whole piece's capability, which is mapped nowhere else.
        let Ok(mapping) = memory::map(&mut self.memory, piece, &stack, MapFlags::READ) else { return text };
        for address in frames(&mapping, report.rbp) {
            text += &format!(" {address:#x}");
        }
        if let Err(error) = self.memory.unmap(mapping) {
            self.talk.say(format_args!("a stack stays mapped: {error:?}"));
        }
        text
    }
}

/// Ends a program's space and all that was built in it, then what root made for it, one by one. What is left afterwards was
/// derived by the program and given away: giving the piece back finds that by looking through all tables, which takes longer
/// than all of this, and happens only if there is any.
fn take_apart(objects: &[Handle], mapped: &[Handle]) {
    for object in objects {
        // The space takes the thread with it, and the tables are free when it is gone.
        if calls::destroy(*object).is_ok() {
            let _ = calls::cap_delete(*object);
        }
    }
    give_up(mapped);
}

/// Gives up capabilities by which something was mapped. What is refused went before.
pub fn give_up(mapped: &[Handle]) {
    for handle in mapped {
        let _ = frames::give_up(*handle);
    }
}

/// What a program has used, as long as its thread is there to be asked.
fn used(program: &Program, tsc_hz: u64) -> Usage {
    let info = calls::thread_info(program.thread).unwrap_or_default();
    let nanoseconds = u128::from(info.cycles) * 1_000_000_000 / u128::from(tsc_hz.max(1));
    let frames = program.piece.as_ref().map_or(0, |piece| piece.frames());
    Usage { nanoseconds: nanoseconds as u64, switches: info.switches, frames: frames as u32 }
}

/// Walks saved frame pointers upwards, as far as they stay on the stack.
fn frames(stack: &Mapping, first: u64) -> impl Iterator<Item = u64> {
    let bottom = STACK_TOP - stack.length() as u64;
    let mut frame = first;
    core::iter::from_fn(move || {
        let mut words = [0; 16];
        let offset = usize::try_from(frame.checked_sub(bottom)?).ok()?;
        stack.read(offset, &mut words).ok()?;
        let [next, address] = [0, 8]
            .map(|at| words[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        frame = if next > frame { next } else { 0 };
        (address != 0).then_some(address)
    })
    .take(BACKTRACE_MAX)
}

fn describe(report: &FaultReport) -> String {
    let FaultReport { vector, code, address, rip, .. } = *report;
    if vector != signal::PAGE_FAULT {
        return format!("exception {vector} (code {code:#x}) at instruction {rip:#x}");
    }
    // Intel SDM vol. 3, 4.7: bit 1 is a write, bit 4 an instruction fetch.
    let access = match (code & 2 != 0, code & 16 != 0) {
        (_, true) => "jump to",
        (true, _) => "write to",
        _ => "read of",
    };
    format!("{access} {address:#x}, which is not there or not allowed, at instruction {rip:#x}")
}

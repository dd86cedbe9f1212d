//! Faults of programs: to the program's own library if it has one for this, else the thread stops and
//! whoever asked to be told is told. Nothing else notices.

use crate::arch::machine::{power_off, serial, user_memory::is_user_address};
use crate::cores::Core;
use crate::mailbox;
use crate::thread::{State, Thread};
use fos_abi::key::KeyRights;
use fos_abi::mailbox::MessageKind;
use fos_abi::thread::{Area, FaultFrame};

/// A thread faulted; its registers are saved.
pub fn user_fault(_: &'static Core, thread: &'static Thread, vector: u64, code: u64, address: u64) {
    let frame = FaultFrame {
        registers: fos_abi::thread::Registers {
            fs_base: 0,
            gs_base: thread.area_address.get(),
            ..*thread.saved()
        },
        vector,
        code,
        address,
    };
    if !up_call(thread, &frame) {
        thread.state.set(State::Faulted);
        if !report(thread, &frame) {
            unheard(thread, &frame);
        }
    }
}

/// A thread that nobody watches over has faulted: the console hears it. If that was the root program's,
/// nobody is left to decide anything.
fn unheard(thread: &Thread, frame: &FaultFrame) {
    serial::print_line(format_args!(
        "fos-kernel: a thread of process {:#x} stopped: exception {} (code {:#x}) at {:#x}, address {:#x}, stack {:#x}",
        thread.space.identity,
        frame.vector,
        frame.code,
        frame.registers.rip,
        frame.address,
        frame.registers.rsp
    ));
    if thread.space.is_root() {
        power_off(fos_abi::exit::ROOT_DIED);
    }
}

/// Enters the program's library, if it has an entry for this: `fixup` from inside, the pager from outside.
fn up_call(thread: &Thread, frame: &FaultFrame) -> bool {
    let area: *mut Area = thread.area.get();
    if area.is_null() {
        return false;
    }
    // SAFETY: the area is the thread's own frame, mapped by the kernel as long as the thread lives. The
    // program may write it at any time, so each word is read once and checked.
    unsafe {
        let inside = (&raw const (*area).inside).read_volatile() != 0;
        let entry = if inside {
            let fixup = (&raw const (*area).fixup).read_volatile();
            (&raw mut (*area).fixup).write_volatile(0);
            fixup
        } else {
            thread.pager_entry.get()
        };
        if entry == 0 || !is_user_address(entry) {
            return false;
        }
        (&raw mut (*area).fault).write_volatile(*frame);
        (&raw mut (*area).inside).write_volatile(1);
        let saved = thread.saved();
        saved.rip = entry;
        saved.rflags = 0x202;
        if !inside {
            saved.rsp = thread.libfos_stack.get();
        }
    }
    true
}

/// Tells the thread's report mailbox, if it has one that still exists.
fn report(thread: &Thread, frame: &FaultFrame) -> bool {
    let key = thread.report.get();
    let Ok(mailbox) = mailbox::find(key.mailbox.0) else { return false };
    let Ok((rights, badge)) = mailbox.keys().check(u64::from(key.entry), key.secret) else { return false };
    let may_send = rights.contains(KeyRights::SEND);
    if may_send {
        let registers = &frame.registers;
        let words = [
            frame.vector,
            frame.code,
            frame.address,
            registers.rip,
            registers.rsp,
            registers.rbp,
            thread.space.identity,
            thread.cookie.get(),
        ];
        mailbox.report(thread.space.identity, MessageKind::Fault, badge, &words);
    }
    may_send
}

//! Handles of others, handles kept too long, handles of the wrong kind, and calls that do not exist.

use core::sync::atomic::Ordering;

use alloc::format;

use fos_abi::Error;
use fos_abi::calls::{CALLS, Call, PIPELINED};
use fos_abi::capability::{Handle, Rights};
use libfos::calls;
use libfos::spawn::{Frames, own_block};

use super::Case;
use crate::ensure;
use crate::kernel::{call, numbered, word};
use crate::stage::{Stage, wait_for};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "handles-of-another-process", run: of_another_process },
    Case { name: "handles-stale", run: stale },
    Case { name: "handles-of-every-bad-form", run: bad_forms },
    Case { name: "calls-that-do-not-exist", run: no_such_call },
    Case { name: "calls-that-can-not-be-pipelined", run: not_pipelined },
];

/// Tries every handle value that its parent has, and that an attacker would guess: what any of them names must be its
/// own, which is the one capability it was given.
extern "C" fn guess(block: u64) -> u64 {
    let block = own_block(block);
    let own = block[0].load(Ordering::Relaxed);
    let (mut own_seen, mut others_seen) = (0, 0);
    for index in 0..1024u64 {
        for epoch in 0..16u64 {
            let handle = index | epoch << 16;
            let mut out = [0u64; 5];
            let pointer = out.as_mut_ptr() as u64;
            match call(Call::cap_read, [handle, pointer, 0, 0, 0, 0]) {
                Ok(_) if handle == own => own_seen += 1,
                Ok(_) => others_seen += 1,
                Err(Error::BadCapability) => {}
                Err(_) => others_seen += 1,
            }
        }
    }
    block[10].store(own_seen, Ordering::Relaxed);
    block[11].store(others_seen, Ordering::Relaxed);
    block[12].store(1, Ordering::Release);
    0
}

fn of_another_process(stage: &mut Stage) -> Verdict {
    let core = stage.far_core();
    let (plot, child) = stage.child(guess, core)?;
    calls::thread_resume(child.thread)?;
    let deadline = stage.patience();
    ensure!(wait_for(&child.block()[12], 1, deadline), "the guessing child never finished");
    same("own handles found by guessing", child.block()[10].load(Ordering::Relaxed), 1)?;
    same("others' handles found by guessing", child.block()[11].load(Ordering::Relaxed), 0)?;
    stage.clear(plot)
}

fn stale(stage: &mut Stage) -> Verdict {
    let mut plot = stage.ground.plot(8)?;
    let frames = plot.take(4)?;
    let mut handles = alloc::vec::Vec::new();
    for _ in 0..64 {
        let handle = calls::cap_derive(frames, Rights::READ, 0, 1)?;
        ensure!(!handles.contains(&handle), "a handle was given out twice");
        calls::cap_delete(handle)?;
        refused("a deleted handle", calls::cap_read(handle).map(|_| 0), Error::BadCapability)?;
        handles.push(handle);
    }
    let current = calls::cap_derive(frames, Rights::READ, 0, 1)?;
    for handle in handles {
        refused("an old handle", calls::frame_read(handle, 0), Error::BadCapability)?;
        refused("deleting an old handle", calls::cap_delete(handle).map(|()| 0), Error::BadCapability)?;
    }
    ensure!(calls::cap_read(current).is_ok(), "the current handle stopped working");
    stage.clear(plot)
}

fn bad_forms(stage: &mut Stage) -> Verdict {
    let plot = stage.ground.plot(1)?;
    let good = word(plot.whole);
    let mut out = [0u64; 5];
    let pointer = out.as_mut_ptr() as u64;
    let forms = [
        word(Handle::NONE),
        good | 1 << 32,
        good | 1 << 63,
        good ^ 1 << 16,
        good ^ 1 << 31,
        0xffff,
        0xffff_0000,
        u64::MAX,
        1 << 32,
    ];
    for form in forms {
        let answer = call(Call::cap_read, [form, pointer, 0, 0, 0, 0]);
        refused(&format!("handle {form:#x}"), answer, Error::BadCapability)?;
    }
    // `SELF` is a space or a thread, where a call takes one, and nothing else.
    let own = word(Handle::SELF);
    refused("deleting SELF", call(Call::cap_delete, [own, 0, 0, 0, 0, 0]), Error::BadCapability)?;
    refused("revoking SELF", call(Call::cap_revoke, [own, 0, 0, 0, 0, 0]), Error::BadCapability)?;
    refused("SELF as frames", call(Call::frame_read, [own, 0, 0, 0, 0, 0]), Error::BadCapability)?;
    refused(
        "SELF as a mailbox",
        call(Call::mailbox_map, [own, stage.window, 0, 0, 0, 0]),
        Error::BadCapability,
    )?;
    stage.clear(plot)
}

fn no_such_call(_: &mut Stage) -> Verdict {
    let last = CALLS.len() as u32;
    for number in [last, last + 1, 255, 256, 0xfff, 0xffff, 1 << 20, 1 << 29] {
        refused(&format!("call {number}"), numbered(number, [0; 6]), Error::BadCall)?;
    }
    Ok(())
}

fn not_pipelined(_: &mut Stage) -> Verdict {
    for info in CALLS.iter().filter(|info| !info.pipelined) {
        let ends_the_thread = info.name == "thread_exit";
        if !ends_the_thread {
            let answer = numbered(info.number | PIPELINED, [0; 6]);
            refused(&format!("{} pipelined", info.name), answer, Error::BadCall)?;
        }
    }
    Ok(())
}

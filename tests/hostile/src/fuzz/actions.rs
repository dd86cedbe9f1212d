//! How each call is made to succeed again and again: what must be so before, and how what it did is undone, by calls
//! that are part of the fuzzing themselves.

use fos_abi::Error;
use fos_abi::calls::Call;
use fos_abi::capability::{Handle, Rights};
use fos_abi::key::KeyRights;
use fos_abi::thread::Registers;
use fos_abi::{Key, MailboxId};
use libfos::measure;

use super::board::NEIGHBOURS;
use super::worker::Worker;
use crate::aims::lengths;
use crate::fixture::{Fixture, KEYS, SLOTS, SMALL_SPACE_FRAMES, place, yielding};
use crate::ground::PAGE;
use crate::helper::Helper;
use crate::kernel::{Answer, Arguments, info, word};
use crate::stage::load_key;

/// Calls whose success takes something from the fixture that can't be put back.
pub fn is_lasting(target: Call) -> bool {
    let gives_away = matches!(target, Call::cap_give | Call::cap_revoke | Call::cap_delete | Call::destroy);
    let uses_up = matches!(target, Call::space_donate | Call::frames_fallback | Call::mailbox_map);
    gives_away || uses_up || matches!(target, Call::thread_exit | Call::key_revoke)
}

/// One success of every call: what no worker may leave out.
pub fn every_call_once(worker: &mut Worker, fixture: &Fixture, helper: Option<&mut Helper>) {
    for entry in fos_abi::calls::CALLS {
        succeed(worker, fixture, crate::aims::call_numbered(entry.number));
    }
    if let Some(helper) = helper {
        attach_elsewhere(worker, fixture, helper);
    }
    worker.drain();
}

/// The one error of `send` that takes another core.
fn attach_elsewhere(worker: &mut Worker, fixture: &Fixture, helper: &mut Helper) {
    let mut arguments = worker.range(fixture).right(Call::send);
    arguments[5] = word(fixture.good.of(1));
    let answer = helper.call(Call::send as u32, arguments);
    worker.judge(Call::send, &arguments, answer);
}

/// Makes the call so that it should succeed.
pub fn succeed(worker: &mut Worker, fixture: &Fixture, target: Call) {
    match target {
        Call::send => send(worker, fixture),
        Call::wait => {
            ring(worker, fixture);
            plain(worker, fixture, target);
        }
        Call::send_wait | Call::send_name => {
            plain(worker, fixture, target);
            worker.drain();
        }
        Call::mailbox_create | Call::mailbox_map => mailbox(worker, fixture),
        Call::key_revoke => key(worker, fixture),
        Call::accept => attach(worker, fixture),
        Call::cap_delete | Call::cap_revoke => revoke(worker, fixture, target),
        Call::space_create => space(worker, fixture),
        Call::space_donate => donate(worker, fixture),
        Call::space_map
        | Call::space_unmap
        | Call::space_protect
        | Call::space_dirty
        | Call::frames_unmap => {
            map(worker, fixture);
        }
        Call::frames_fallback => fallback(worker, fixture),
        Call::cap_give => give(worker, fixture),
        Call::thread_create | Call::destroy => thread(worker, fixture),
        Call::thread_resume | Call::thread_stop => run(worker, fixture),
        Call::thread_exit => exit(worker, fixture),
        Call::interrupt_bind => bind(worker, fixture),
        Call::interrupt_done if fixture.interrupt.get() == Handle::NONE => {}
        Call::port_read | Call::port_write if worker.ground.grant.ports == Handle::NONE => {}
        Call::machine_off => {}
        _ => plain(worker, fixture, target),
    }
}

fn plain(worker: &mut Worker, fixture: &Fixture, target: Call) {
    let arguments = worker.range(fixture).right(target);
    let answer = invoke(worker, target, arguments);
    undo(worker, fixture, target, &arguments, answer);
}

/// Makes the call, pipelined now and then if it may be.
fn invoke(worker: &mut Worker, target: Call, arguments: Arguments) -> Answer {
    if info(target).pipelined && worker.random.one_in(4) {
        return worker.invoke_pipelined(target, arguments);
    }
    worker.invoke(target, arguments)
}

fn one(worker: &mut Worker, target: Call, handle: Handle) -> Answer {
    invoke(worker, target, [word(handle), 0, 0, 0, 0, 0])
}

/// Puts back what a call took or made.
pub fn undo(worker: &mut Worker, fixture: &Fixture, target: Call, arguments: &Arguments, answer: Answer) {
    let Ok(value) = answer else { return };
    let handle = Handle(value as u32);
    match target {
        Call::mailbox_create | Call::space_create | Call::thread_create => {
            let _ = one(worker, Call::destroy, handle);
        }
        Call::cap_derive | Call::watch | Call::watch_mailbox | Call::accept => {
            let _ = one(worker, Call::cap_delete, handle);
        }
        Call::interrupt_bind if handle != fixture.interrupt.get() => {
            let _ = one(worker, Call::cap_delete, handle);
        }
        Call::key_create | Call::key_derive => {
            let made = worker.desk.out;
            revoke_key(worker, fixture, key_of(&made));
        }
        Call::space_map => {
            let _ = one(worker, Call::frames_unmap, Handle(arguments[1] as u32));
        }
        Call::thread_setup | Call::thread_write | Call::thread_resume => settle(worker, fixture),
        _ => {}
    }
}

/// A key as the kernel wrote it.
fn key_of(words: &[u64]) -> Key {
    Key { mailbox: MailboxId(words[0]), entry: words[1] as u32, machine: 0, secret: [words[2], words[3]] }
}

fn revoke_key(worker: &mut Worker, fixture: &Fixture, key: Key) {
    worker.desk.key = key;
    let owner = if key.mailbox == fixture.crowded_key.mailbox { fixture.crowded } else { fixture.mailbox };
    let at = core::ptr::from_ref(&worker.desk.key) as u64;
    let _ = worker.invoke(Call::key_revoke, [word(owner), at, 0, 0, 0, 0]);
}

/// Stops the fixture's thread and gives it harmless registers.
fn settle(worker: &mut Worker, fixture: &Fixture) {
    let thread = fixture.thread;
    let _ = worker.invoke(Call::thread_stop, [word(thread), 0, 0, 0, 0, 0]);
    worker.desk.registers = yielding();
    let at = core::ptr::from_ref(&worker.desk.registers) as u64;
    let _ = worker.invoke(Call::thread_write, [word(thread), at, 0, 0, 0, 0]);
}

/// To oneself, whole and in order; now and then to a neighbour, who may have gone.
fn send(worker: &mut Worker, fixture: &Fixture) {
    if worker.random.one_in(8) {
        let neighbour = worker.random.below(NEIGHBOURS as u64) as usize;
        let key = load_key(worker.board.neighbour_key(neighbour));
        let bytes = core::ptr::from_ref(&worker.desk.bytes) as u64;
        let [low, high] = key.secret;
        let arguments = [key.mailbox.0, low, high, bytes, lengths(&key, 40, 0), word(Handle::NONE)];
        let _ = worker.invoke(Call::send, arguments);
        return;
    }
    let arguments = worker.range(fixture).right(Call::send);
    let answer = worker.invoke(Call::send, arguments);
    if answer == Err(Error::Full) {
        worker.drain();
    }
}

fn ring(worker: &mut Worker, fixture: &Fixture) {
    plain(worker, fixture, Call::ring);
}

fn mailbox(worker: &mut Worker, fixture: &Fixture) {
    let frames = word(fixture.good.of(crate::fixture::MAILBOX_FRAMES));
    let create = [frames, SLOTS as u64, KEYS as u64, 0, 0, 0];
    if let Ok(made) = worker.invoke(Call::mailbox_create, create) {
        let _ = worker.invoke(Call::mailbox_map, [made, fixture.at(place::FIELD), 0, 0, 0, 0]);
        let _ = one(worker, Call::destroy, Handle(made as u32));
    }
}

/// A key, one derived from it, and the end of both, by the owner or the holder.
fn key(worker: &mut Worker, fixture: &Fixture) {
    let create = worker.range(fixture).right(Call::key_create);
    if worker.invoke(Call::key_create, create).is_err() {
        return;
    }
    let made = key_of(&worker.desk.out);
    worker.desk.key = made;
    let at = core::ptr::from_ref(&worker.desk.key) as u64;
    let out = core::ptr::from_ref(&worker.desk.out) as u64;
    let _ = worker.invoke(Call::key_derive, [at, u64::from(KeyRights::SEND.0), 3, out, 0, 0]);
    if worker.random.one_in(2) {
        let _ = worker.invoke(Call::key_revoke, [word(Handle::NONE), at, 0, 0, 0, 0]);
    }
    revoke_key(worker, fixture, made);
}

/// A capability sent to oneself and taken out again, so that it keeps its place in the fixture.
fn attach(worker: &mut Worker, fixture: &Fixture) {
    let Ok(gift) = derived(worker, fixture.good.of(1), Rights::ALL) else { return };
    worker.drain();
    let mut arguments = worker.range(fixture).right(Call::send);
    arguments[5] = gift;
    match worker.invoke(Call::send, arguments) {
        Ok(ticket) => {
            let accept = [word(fixture.mailbox), ticket, 0, 0, 0, 0];
            let answer = worker.invoke(Call::accept, accept);
            undo(worker, fixture, Call::accept, &accept, answer);
        }
        Err(_) => {
            let _ = one(worker, Call::cap_delete, Handle(gift as u32));
        }
    }
    worker.drain();
}

fn derived(worker: &mut Worker, from: Handle, rights: Rights) -> Answer {
    worker.invoke(Call::cap_derive, [word(from), u64::from(rights.0), 0, 1, 0, 0])
}

/// Capabilities derived and given up one by one, or revoked together, mapped or not.
fn revoke(worker: &mut Worker, fixture: &Fixture, target: Call) {
    let parent = fixture.good.of(SMALL_SPACE_FRAMES);
    let Ok(child) = derived(worker, parent, Rights::ALL) else { return };
    if target == Call::cap_delete {
        let _ = one(worker, Call::cap_delete, Handle(child as u32));
        return;
    }
    let _ = derived(worker, parent, Rights::READ);
    if worker.random.one_in(2) {
        let field = fixture.at(place::FIELD);
        let _ = worker.invoke(Call::space_map, [word(Handle::SELF), child, 1 << 32, field, 2, 0]);
    }
    let _ = one(worker, Call::cap_revoke, parent);
}

fn space(worker: &mut Worker, fixture: &Fixture) {
    let create = worker.range(fixture).right(Call::space_create);
    let Ok(made) = worker.invoke(Call::space_create, create) else { return };
    // Destroyed with its page tables: those come back as frames of their own.
    let donated = worker.invoke(Call::space_donate, [made, word(fixture.good.of(1)), 0, 0, 0, 0]);
    let _ = one(worker, Call::destroy, Handle(made as u32));
    if donated.is_ok() {
        let _ = one(worker, Call::destroy, fixture.good.of(1));
    }
}

fn donate(worker: &mut Worker, fixture: &Fixture) {
    space(worker, fixture);
}

/// Frames mapped here or in another space, changed, looked at and unmapped again.
fn map(worker: &mut Worker, fixture: &Fixture) {
    let frames = fixture.good.of(SMALL_SPACE_FRAMES);
    let elsewhere = worker.random.one_in(256);
    let space = if elsewhere { word(fixture.space) } else { word(Handle::SELF) };
    let at = fixture.at(place::FIELD) + worker.random.below(32) * PAGE;
    let pages = 1 + worker.random.below(4);
    let flags = worker.random.pick(&[0, 2, 4]);
    if worker.invoke(Call::space_map, [space, word(frames), pages << 32, at, flags, 0]).is_err() {
        return;
    }
    for _ in 0..worker.random.below(4) {
        let flags = worker.random.pick(&[0, 2, 4]);
        let _ = match worker.random.below(2) {
            0 => invoke(worker, Call::space_protect, [space, at, pages, flags, 0, 0]),
            _ => worker.invoke(Call::space_dirty, [space, at, pages, 0, 0, 0]),
        };
    }
    if worker.random.one_in(2) {
        let _ = invoke(worker, Call::space_unmap, [space, at, pages, 0, 0, 0]);
    }
    let _ = one(worker, Call::frames_unmap, frames);
}

fn fallback(worker: &mut Worker, fixture: &Fixture) {
    let Ok(shared) = derived(worker, fixture.good.of(SMALL_SPACE_FRAMES), Rights::ALL) else { return };
    let zero = word(fixture.good.of(1));
    let set = worker.invoke(Call::frames_fallback, [shared, zero, 0, 0, 0, 0]);
    if set.is_ok() {
        let _ = worker.invoke(Call::frames_fallback, [shared, zero, 0, 0, 0, 0]);
    }
    if worker.random.one_in(2) {
        let _ = one(worker, Call::cap_delete, Handle(shared as u32));
    }
    let _ = one(worker, Call::cap_revoke, fixture.good.of(SMALL_SPACE_FRAMES));
}

/// Something given away, then taken from where it went by revoking what it was derived from.
fn give(worker: &mut Worker, fixture: &Fixture) {
    let parent = fixture.good.of(1);
    if let Ok(gift) = derived(worker, parent, Rights::ALL) {
        let _ = worker.invoke(Call::cap_give, [word(fixture.space), gift, 0, 0, 0, 0]);
        let _ = one(worker, Call::cap_revoke, parent);
    }
}

fn thread(worker: &mut Worker, fixture: &Fixture) {
    plain(worker, fixture, Call::thread_create);
}

/// The fixture's thread runs for a moment.
fn run(worker: &mut Worker, fixture: &Fixture) {
    let thread = fixture.thread;
    if one(worker, Call::thread_resume, thread).is_ok() {
        let _ = worker.invoke(Call::thread_yield, [0; 6]);
    }
    settle(worker, fixture);
}

/// A thread that ends itself, watched; its end is what `thread_exit` answers.
fn exit(worker: &mut Worker, fixture: &Fixture) {
    let mut create = worker.range(fixture).right(Call::thread_create);
    create[3] = worker.ground.grant.core;
    let Ok(made) = worker.invoke(Call::thread_create, create) else { return };
    worker.desk.registers =
        Registers { rip: measure::exit_entry as *const () as u64, rdi: 7, ..Registers::default() };
    let at = core::ptr::from_ref(&worker.desk.registers) as u64;
    worker.drain();
    let watch = worker.invoke(Call::watch, [made, word(fixture.mailbox), 0xe417, 0, 0, 0]);
    let _ = worker.invoke(Call::thread_write, [made, at, 0, 0, 0, 0]);
    if one(worker, Call::thread_resume, Handle(made as u32)).is_ok() && watch.is_ok() {
        let deadline = worker.ground.after(20_000);
        while let Some(inbox) = &mut worker.inbox {
            match inbox.receive(deadline) {
                Ok(letter) if letter.badge == 0xe417 && (letter.word(0), letter.word(1)) == (1, 7) => {
                    worker.judge(Call::thread_exit, &[7, 0, 0, 0, 0, 0], Ok(0));
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    worker.board.find(Call::thread_exit, &[7, 0, 0, 0, 0, 0], error);
                    break;
                }
            }
        }
    }
    if let Ok(watch) = watch {
        let _ = one(worker, Call::cap_delete, Handle(watch as u32));
    }
    let _ = one(worker, Call::destroy, Handle(made as u32));
}

/// The line is bound by the fixture: given up and bound again.
fn bind(worker: &mut Worker, fixture: &Fixture) {
    if fixture.interrupt.get() == Handle::NONE {
        return;
    }
    if one(worker, Call::cap_delete, fixture.interrupt.get()).is_ok() {
        bind_again(worker, fixture);
    }
}

fn bind_again(worker: &mut Worker, fixture: &Fixture) {
    let arguments = worker.range(fixture).right(Call::interrupt_bind);
    if let Ok(handle) = worker.invoke(Call::interrupt_bind, arguments) {
        fixture.interrupt.set(Handle(handle as u32));
    }
}

/// Puts right what a call's failure for want of a slot left behind.
pub fn after_full_table(worker: &mut Worker, fixture: &Fixture, target: Call, arguments: &Arguments) {
    match target {
        Call::accept => {
            let answer = worker.invoke(Call::accept, *arguments);
            undo(worker, fixture, Call::accept, arguments, answer);
            worker.drain();
        }
        Call::interrupt_bind => bind_again(worker, fixture),
        _ => {}
    }
}

//! Two cores act on the same object at the same moment, many times with shifting delays. Whatever the order, each call
//! ends in an answer that its documents allow, exactly one of two ends wins, and nothing is left behind.

use alloc::format;
use core::cell::Cell;

use fos_abi::Error;
use fos_abi::calls::Call;
use fos_abi::capability::{Handle, Rights};
use fos_abi::key::KeyRights;
use fos_abi::space::MapFlags;
use libfos::calls;
use libfos::spawn::Frames;

use super::Case;
use crate::ensure;
use crate::fixture::{KEYS, MAILBOX_FRAMES, SLOTS};
use crate::ground::Plot;
use crate::kernel::{Answer, Arguments, call, is_documented, word};
use crate::stage::{Stage, full_key};
use crate::verdict::{Failure, Verdict, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "race-destroy-destroy", run: destroy_destroy },
    Case { name: "race-revoke-map", run: revoke_map },
    Case { name: "race-stop-resume", run: stop_resume },
    Case { name: "race-send-destroy", run: send_destroy },
    Case { name: "race-derive-revoke", run: derive_revoke },
    Case { name: "race-map-create", run: map_create },
    Case { name: "race-create-create", run: create_create },
    Case { name: "race-unmap-unmap", run: unmap_unmap },
    Case { name: "race-give-delete", run: give_delete },
    Case { name: "race-key-revoke-send", run: key_revoke_send },
    Case { name: "race-thread-end-stop", run: thread_end_stop },
    Case { name: "race-revoke-revoke", run: revoke_revoke },
    Case { name: "race-accept-accept", run: accept_accept },
    Case { name: "race-key-revoke-derive", run: key_revoke_derive },
    Case { name: "race-send-send-share", run: send_send_share },
    Case { name: "race-give-destroy", run: give_destroy },
    Case { name: "race-watch-destroy", run: watch_destroy },
    Case { name: "race-protect-unmap", run: protect_unmap },
];

/// Rounds of each race.
const ROUNDS: u64 = 150;
/// Frames of a round's plot.
const PLOT: u64 = 32;

/// One core's part.
type Part = (Call, Arguments);

fn on(call: Call, first: Handle) -> Part {
    (call, [word(first), 0, 0, 0, 0, 0])
}

/// Makes both calls at once, `ROUNDS` times: `prepare` says which on a fresh plot, `judge` looks at both answers.
fn race(
    stage: &mut Stage,
    mut prepare: impl FnMut(&mut Stage, &mut Plot, u64) -> Result<(Part, Part), Failure>,
    mut judge: impl FnMut(&mut Stage, Answer, Answer) -> Verdict,
) -> Verdict {
    if stage.ground.other_core().is_none() {
        return Ok(());
    }
    stage.fresh_window()?;
    for round in 0..ROUNDS {
        let mut plot = stage.ground.plot(PLOT)?;
        let (mine, theirs) = prepare(stage, &mut plot, round)?;
        let (my_delay, their_delay) = (round * 13 % 400, round * 29 % 400);
        let Some(helper) = stage.helper()? else { return stage.clear(plot) };
        helper.arm(theirs.0 as u32, theirs.1, their_delay);
        helper.release();
        (0..my_delay).for_each(|_| core::hint::spin_loop());
        let my_answer = call(mine.0, mine.1);
        let their_answer = helper.answer();
        for ((target, arguments), answer) in [(mine, my_answer), (theirs, their_answer)] {
            if let Err(error) = answer {
                ensure!(
                    is_documented(target, error),
                    "round {round}: {target:?}{arguments:x?} ended in {error:?}"
                );
            }
        }
        judge(stage, my_answer, their_answer).map_err(|failure| {
            Failure(format!("round {round}: {}; {my_answer:?}, {their_answer:?}", failure.0))
        })?;
        stage.clear(plot)?;
    }
    Ok(())
}

fn one_of(mine: Answer, theirs: Answer) -> Verdict {
    ensure!(mine.is_ok() != theirs.is_ok(), "not exactly one of two succeeded");
    Ok(())
}

fn mailbox(plot: &mut Plot) -> Result<Handle, Error> {
    crate::fixture::mailbox(plot)
}

fn stopped_thread(stage: &Stage, plot: &mut Plot) -> Result<Handle, Error> {
    stage.thread(plot, stage.far_core(), &crate::fixture::yielding())
}

fn destroy_destroy(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |stage, plot, round| {
            let object = match round % 3 {
                0 => mailbox(plot)?,
                1 => stopped_thread(stage, plot)?,
                _ => crate::fixture::space(plot, stage.far_core())?,
            };
            Ok((on(Call::destroy, object), on(Call::destroy, object)))
        },
        |_, mine, theirs| {
            // Both may be told that it is over, but at least one has ended it.
            ensure!(mine.is_ok() || theirs.is_ok(), "nobody ended it");
            Ok(())
        },
    )
}

fn revoke_map(stage: &mut Stage) -> Verdict {
    let at = stage.fresh_window()? + crate::fixture::place::FIELD;
    let shared = Cell::new(Handle::NONE);
    race(
        stage,
        |_, plot, _| {
            let parent = plot.take(4)?;
            let piece = calls::cap_derive(parent, Rights::ALL, 0, 4)?;
            shared.set(parent);
            let map = [word(Handle::SELF), word(piece), 4 << 32, at, u64::from(MapFlags::WRITE.0), 0];
            Ok((on(Call::cap_revoke, parent), (Call::space_map, map)))
        },
        |_, revoked, _| {
            ensure!(revoked.is_ok(), "the revocation was refused");
            for index in 0..4 {
                same("mappings after both", calls::frame_read(shared.get(), index)?, 0)?;
            }
            Ok(())
        },
    )
}

fn stop_resume(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |stage, plot, round| {
            let thread = stopped_thread(stage, plot)?;
            if round % 2 == 0 {
                calls::thread_resume(thread)?;
            }
            Ok((on(Call::thread_stop, thread), on(Call::thread_resume, thread)))
        },
        |_, stopped, resumed| {
            ensure!(stopped.is_ok() || resumed.is_ok(), "neither the stop nor the resume took effect");
            Ok(())
        },
    )
}

fn send_destroy(stage: &mut Stage) -> Verdict {
    let bytes = [5u8; 400];
    let pointer = bytes.as_ptr() as u64;
    race(
        stage,
        |_, plot, _| {
            let mailbox = mailbox(plot)?;
            let key = full_key(mailbox, 0)?;
            let [low, high] = key.secret;
            let length = 400 | u64::from(key.entry) << 16;
            let send = [key.mailbox.0, low, high, pointer, length, word(Handle::NONE)];
            Ok((on(Call::destroy, mailbox), (Call::send, send)))
        },
        |_, destroyed, _| {
            ensure!(destroyed.is_ok(), "the mailbox's end was refused");
            Ok(())
        },
    )
}

fn derive_revoke(stage: &mut Stage) -> Verdict {
    let shared = Cell::new(Handle::NONE);
    race(
        stage,
        |_, plot, _| {
            let top = plot.take(4)?;
            let middle = calls::cap_derive(top, Rights::ALL, 0, 4)?;
            shared.set(top);
            let derive = [word(middle), u64::from(Rights::READ.0), 0, 2, 0, 0];
            Ok((on(Call::cap_revoke, top), (Call::cap_derive, derive)))
        },
        |_, revoked, derived| {
            ensure!(revoked.is_ok(), "the revocation was refused");
            if let Ok(handle) = derived {
                let survivor = calls::cap_read(Handle(handle as u32));
                ensure!(survivor.is_err(), "a capability derived during the revocation survived it");
            }
            same("children left", calls::cap_read(shared.get())?.children, 0)
        },
    )
}

/// Mapping frames against building an object in them through another capability: never both.
fn map_create(stage: &mut Stage) -> Verdict {
    let at = stage.fresh_window()? + crate::fixture::place::FIELD;
    race(
        stage,
        |_, plot, _| {
            let frames = plot.take(MAILBOX_FRAMES)?;
            let builder = calls::cap_derive(frames, Rights::ALL, 0, MAILBOX_FRAMES)?;
            let mapper = calls::cap_derive(frames, Rights::ALL, 0, MAILBOX_FRAMES)?;
            let map =
                [word(Handle::SELF), word(mapper), MAILBOX_FRAMES << 32, at, u64::from(MapFlags::WRITE.0), 0];
            let create = [word(builder), SLOTS as u64, KEYS as u64, 0, 0, 0];
            Ok(((Call::mailbox_create, create), (Call::space_map, map)))
        },
        |_, created, mapped| {
            let mapped_pages = mapped.unwrap_or(0);
            ensure!(
                created.is_err() || mapped_pages == 0,
                "{mapped_pages} pages of a kernel object are mapped"
            );
            Ok(())
        },
    )
}

/// Two objects in the same frames, through two capabilities: at most one.
fn create_create(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |_, plot, _| {
            let frames = plot.take(MAILBOX_FRAMES)?;
            let one = calls::cap_derive(frames, Rights::ALL, 0, MAILBOX_FRAMES)?;
            let other = calls::cap_derive(frames, Rights::ALL, 0, MAILBOX_FRAMES)?;
            let create = |handle| (Call::mailbox_create, [word(handle), SLOTS as u64, KEYS as u64, 0, 0, 0]);
            Ok((create(one), create(other)))
        },
        |_, mine, theirs| {
            ensure!(!(mine.is_ok() && theirs.is_ok()), "two objects stand in the same frames");
            Ok(())
        },
    )
}

fn unmap_unmap(stage: &mut Stage) -> Verdict {
    let at = stage.fresh_window()? + crate::fixture::place::FIELD;
    race(
        stage,
        |stage, plot, _| {
            let frames = plot.take(4)?;
            stage.map(frames, 4, at, MapFlags::WRITE)?;
            let unmap = (Call::space_unmap, [word(Handle::SELF), at, 4, 0, 0, 0]);
            Ok((unmap, unmap))
        },
        |_, mine, theirs| same("pages unmapped by both", mine.unwrap_or(0) + theirs.unwrap_or(0), 4),
    )
}

fn give_delete(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |stage, plot, _| {
            let space = crate::fixture::space(plot, stage.far_core())?;
            let gift = plot.take(1)?;
            Ok(((Call::cap_give, [word(space), word(gift), 0, 0, 0, 0]), on(Call::cap_delete, gift)))
        },
        |_, given, deleted| one_of(given, deleted),
    )
}

fn key_revoke_send(stage: &mut Stage) -> Verdict {
    let bytes = [6u8; 64];
    let pointer = bytes.as_ptr() as u64;
    let desk = Cell::new(fos_abi::Key::default());
    race(
        stage,
        |_, plot, _| {
            let mailbox = mailbox(plot)?;
            let key = calls::key_create(mailbox, KeyRights::ALL, 0)?;
            desk.set(key);
            let [low, high] = key.secret;
            let send =
                [key.mailbox.0, low, high, pointer, 64 | u64::from(key.entry) << 16, word(Handle::NONE)];
            Ok(((Call::key_revoke, [word(mailbox), desk.as_ptr() as u64, 0, 0, 0, 0]), (Call::send, send)))
        },
        |_, revoked, sent| {
            ensure!(revoked.is_ok(), "the revocation was refused");
            ensure!(matches!(sent, Ok(_) | Err(Error::BadKey)), "the send ended otherwise");
            Ok(())
        },
    )
}

fn thread_end_stop(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |stage, plot, round| {
            let thread = stopped_thread(stage, plot)?;
            calls::thread_resume(thread)?;
            let other = if round % 2 == 0 { Call::thread_stop } else { Call::thread_resume };
            Ok((on(Call::destroy, thread), on(other, thread)))
        },
        |_, ended, _| {
            ensure!(ended.is_ok(), "the thread's end was refused");
            Ok(())
        },
    )
}

fn revoke_revoke(stage: &mut Stage) -> Verdict {
    let shared = Cell::new(Handle::NONE);
    race(
        stage,
        |stage, plot, _| {
            let parent = plot.take(16)?;
            shared.set(parent);
            let middle = calls::cap_derive(parent, Rights::ALL, 0, 16)?;
            let frames = calls::cap_derive(middle, Rights::ALL, 0, MAILBOX_FRAMES)?;
            calls::mailbox_create(frames, SLOTS, KEYS)?;
            let frames = calls::cap_derive(middle, Rights::ALL, 8, 2)?;
            calls::thread_create(frames, Handle::SELF, stage.ground.grant.cores, stage.far_core())?;
            Ok((on(Call::cap_revoke, parent), on(Call::cap_revoke, middle)))
        },
        |_, mine, _| {
            ensure!(mine.is_ok(), "the outer revocation was refused");
            same("children left", calls::cap_read(shared.get())?.children, 0)
        },
    )
}

fn accept_accept(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |_, plot, _| {
            let mailbox = mailbox(plot)?;
            let key = full_key(mailbox, 0)?;
            let ticket = calls::send_with(&key, b"one gift", plot.take(1)?)?;
            let accept = (Call::accept, [word(mailbox), u64::from(ticket), 0, 0, 0, 0]);
            Ok((accept, accept))
        },
        |_, mine, theirs| one_of(mine, theirs),
    )
}

fn key_revoke_derive(stage: &mut Stage) -> Verdict {
    let (desk, out) = (Cell::new(fos_abi::Key::default()), Cell::new(fos_abi::Key::default()));
    race(
        stage,
        |_, plot, _| {
            let mailbox = mailbox(plot)?;
            desk.set(full_key(mailbox, 0)?);
            let (key, made) = (desk.as_ptr() as u64, out.as_ptr() as u64);
            let revoke = [word(mailbox), key, 0, 0, 0, 0];
            Ok((
                (Call::key_revoke, revoke),
                (Call::key_derive, [key, u64::from(KeyRights::SEND.0), 0, made, 0, 0]),
            ))
        },
        |_, revoked, derived| {
            ensure!(revoked.is_ok(), "the revocation was refused");
            ensure!(matches!(derived, Ok(_) | Err(Error::BadKey)), "the derivation ended otherwise");
            if derived.is_ok() {
                let sent = calls::send(&out.get(), b"").map(u64::from);
                crate::verdict::refused("a key derived during the revocation", sent, Error::BadKey)?;
            }
            Ok(())
        },
    )
}

/// Two threads of one process together get one share, not two.
fn send_send_share(stage: &mut Stage) -> Verdict {
    let bytes = [1u8; 64];
    let pointer = bytes.as_ptr() as u64;
    let key = Cell::new(fos_abi::Key::default());
    let arguments = |key: &fos_abi::Key| {
        let [low, high] = key.secret;
        [key.mailbox.0, low, high, pointer, 64 | u64::from(key.entry) << 16, word(Handle::NONE)]
    };
    race(
        stage,
        |_, plot, round| {
            key.set(full_key(mailbox(plot)?, 0)?);
            for _ in 0..round % (SLOTS / fos_abi::mailbox::SHARE) as u64 {
                calls::send(&key.get(), b"")?;
            }
            let send = (Call::send, arguments(&key.get()));
            Ok((send, send))
        },
        |_, mine, theirs| {
            ensure!(mine.is_ok() || theirs.is_ok(), "the last slot of the share went to nobody");
            let mut more = 0;
            while calls::send(&key.get(), b"").is_ok() {
                more += 1;
            }
            ensure!(more <= SLOTS / fos_abi::mailbox::SHARE, "{more} more messages after two sends");
            Ok(())
        },
    )
}

fn give_destroy(stage: &mut Stage) -> Verdict {
    race(
        stage,
        |stage, plot, _| {
            let space = crate::fixture::space(plot, stage.far_core())?;
            let gift = plot.take(1)?;
            Ok(((Call::cap_give, [word(space), word(gift), 0, 0, 0, 0]), on(Call::destroy, space)))
        },
        |_, _, ended| {
            ensure!(ended.is_ok(), "the space's end was refused");
            Ok(())
        },
    )
}

/// Whoever watches in time is told; whoever comes late is refused: never neither.
fn watch_destroy(stage: &mut Stage) -> Verdict {
    let at = stage.fresh_window()? + crate::fixture::place::MAILBOX;
    let told = Cell::new(Handle::NONE);
    race(
        stage,
        |stage, plot, _| {
            let inbox = crate::stage::Inbox::create(plot, at)?;
            told.set(inbox.mailbox);
            let thread = stopped_thread(stage, plot)?;
            let twin = calls::cap_derive(thread, Rights::ALL, 0, 0)?;
            Ok(((Call::watch, [word(thread), word(inbox.mailbox), 77, 0, 0, 0]), on(Call::destroy, twin)))
        },
        |stage, watched, ended| {
            ensure!(ended.is_ok(), "the thread's end was refused");
            match watched {
                Ok(watch) => {
                    let mut inbox = crate::stage::Inbox::over(told.get(), at);
                    same("the notice's badge", inbox.receive(stage.patience())?.badge, 77)?;
                    calls::cap_delete(Handle(watch as u32))?;
                    Ok(())
                }
                Err(error) => same("a watch that came late", error, Error::Closed),
            }
        },
    )
}

fn protect_unmap(stage: &mut Stage) -> Verdict {
    let at = stage.fresh_window()? + crate::fixture::place::FIELD;
    race(
        stage,
        |stage, plot, _| {
            let frames = plot.take(4)?;
            stage.map(frames, 4, at, MapFlags::WRITE)?;
            let own = word(Handle::SELF);
            let protect = [own, at, 4, u64::from(MapFlags::READ.0), 0, 0];
            Ok(((Call::space_protect, protect), (Call::space_unmap, [own, at, 4, 0, 0, 0])))
        },
        |_, protected, unmapped| {
            same("pages unmapped", unmapped, Ok(4))?;
            ensure!(matches!(protected, Ok(1..=4) | Err(Error::NotMapped)), "the protection ended otherwise");
            Ok(())
        },
    )
}

//! Every documented (call, error) pair: aimed at, hit exactly, and nothing else changed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use fos_abi::Error;
use fos_abi::calls::{CALLS, Call};
use fos_abi::capability::Handle;
use libfos::calls;

use super::{Tally, pair_name};
use crate::aims::{Desk, Range, call_numbered};
use crate::ensure;
use crate::fixture::{Fixture, place};
use crate::ground::{Ground, empty_table, fill_table};
use crate::kernel::{During, call, word};
use crate::random::Random;
use crate::stage::{Inbox, Stage};
use crate::verdict::{Verdict, refused, same};

/// Variants of wrong arguments tried per pair.
const VARIANTS: u64 = 24;

/// Runs the pairs whose name begins with `only`.
pub fn run(stage: &mut Stage, only: &str, tally: &mut Tally) {
    for info in CALLS {
        for error in info.errors {
            let name = pair_name(info.name, *error);
            if name.starts_with(only) {
                let verdict = pair(stage, call_numbered(info.number), *error);
                tally.record(&name, &verdict);
            }
        }
    }
}

fn pair(stage: &mut Stage, target: Call, error: Error) -> Verdict {
    let window = stage.fresh_window()?;
    let (ground, helper) = stage.with_helper()?;
    let fixture = Fixture::build(ground, window, helper)?;
    let verdict = pair_on(ground, &fixture, target, error);
    let cleared = fixture.clear(ground);
    verdict?;
    Ok(cleared?)
}

fn pair_on(ground: &mut Ground, fixture: &Fixture, target: Call, error: Error) -> Verdict {
    let mut random = Random::new(target as u64, error as u64);
    let mut desk = Box::new(Desk::new());
    let grant = ground.grant;
    let mut range = Range { fixture, desk: &mut desk, grant, random: &mut random };
    range.set_names().during("filling the name cache")?;
    let before = fingerprint(fixture);
    if error == Error::NoSlot && needs_full_table(target) {
        return with_full_table(ground, &mut range, target);
    }
    aim_at(&mut range, target, error)?;
    same("what the fixture looks like afterwards", fingerprint(fixture), before)
}

fn aim_at(range: &mut Range<'_>, target: Call, error: Error) -> Verdict {
    let mut inbox = Inbox::over(range.fixture.mailbox, range.fixture.at(place::MAILBOX));
    for _ in 0..VARIANTS {
        let Some(arguments) = range.aim(target, error) else {
            return elsewhere(range, target, error);
        };
        let answer = call(target, arguments);
        inbox.drain();
        refused(&alloc::format!("{target:?}{arguments:x?}"), answer, error)?;
    }
    Ok(())
}

/// Pairs that take more than arguments and have a case of their own, or need a device that this machine lacks.
fn elsewhere(range: &Range<'_>, target: Call, error: Error) -> Verdict {
    let without_device = match target {
        Call::interrupt_bind | Call::interrupt_done => range.grant.interrupts == Handle::NONE,
        Call::port_read | Call::port_write => range.grant.ports == Handle::NONE,
        Call::wait | Call::send_wait => error == Error::WrongCore && range.grant.core_count == 1,
        Call::watch => error == Error::BadArgument && range.grant.core_count == 1,
        _ => false,
    };
    let own_case = target == Call::send && error == Error::WrongCore;
    ensure!(without_device || own_case, "nothing aims at this pair");
    Ok(())
}

/// Whether the call's `NoSlot` is about the caller's capability table.
pub fn needs_full_table(target: Call) -> bool {
    matches!(
        target,
        Call::accept
            | Call::cap_derive
            | Call::frames_fallback
            | Call::watch
            | Call::watch_mailbox
            | Call::interrupt_bind
    )
}

fn with_full_table(ground: &mut Ground, range: &mut Range<'_>, target: Call) -> Verdict {
    let arguments = range.before_full_table(target).during("preparing for a full table")?;
    let taken = fill_table(ground.permanent.whole);
    let answer = call(target, arguments);
    empty_table(&taken);
    refused("with a full capability table", answer, Error::NoSlot)
}

/// What can be seen of a fixture: every capability, every frame's mappings, the threads' states.
fn fingerprint(fixture: &Fixture) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    for handle in fixture.targets() {
        match calls::cap_read(handle) {
            Ok(info) => {
                seen.push((u64::from(handle.0), u64::from(info.kind) | u64::from(info.rights) << 32));
                seen.push((info.base, info.length));
                seen.push((info.children, info.identity));
            }
            Err(error) => seen.push((u64::from(handle.0), error as u64)),
        }
    }
    for index in 0..crate::fixture::PLOT_FRAMES {
        let mappings = calls::frame_read(fixture.plot().whole, index).unwrap_or(u64::MAX);
        seen.push((index, mappings));
    }
    for thread in [fixture.thread, fixture.bare_thread, fixture.ended_thread] {
        seen.push((word(thread), calls::thread_info(thread).map_or(u64::MAX, |info| info.state)));
    }
    seen
}

//! Every pointer argument of every call, with every kind of address that is not the caller's to use.

use alloc::boxed::Box;
use alloc::format;

use fos_abi::Error;
use fos_abi::calls::{CALLS, Call};
use fos_abi::limits::{USER_END, USER_START};

use super::Case;
use crate::aims::{Desk, Range, call_numbered, pointers};
use crate::ensure;
use crate::fixture::{Fixture, place};
use crate::ground::{PAGE, UNTABLED};
use crate::kernel::{Arguments, During, call};
use crate::random::Random;
use crate::stage::{Inbox, Stage};
use crate::verdict::{Verdict, refused, same};

/// See the module.
pub const CASES: &[Case] = &[
    Case { name: "pointers-wild", run: wild },
    Case { name: "pointers-unaligned", run: unaligned },
    Case { name: "pointers-straddling", run: straddling },
    Case { name: "pointers-read-only", run: read_only },
    Case { name: "pointers-lengths-that-overflow", run: overflowing },
];

/// Runs `each` for every pointer argument of every call, with arguments that are right but for it.
fn for_each_pointer(
    stage: &mut Stage,
    mut each: impl FnMut(
        &Fixture,
        Call,
        bool,
        &mut dyn FnMut(u64) -> (Arguments, crate::kernel::Answer),
    ) -> Verdict,
) -> Verdict {
    let window = stage.fresh_window()?;
    let (ground, helper) = stage.with_helper()?;
    let fixture = Fixture::build(ground, window, helper)?;
    let mut verdict = Ok(());
    let mut desk = Box::new(Desk::new());
    let mut random = Random::new(1, 1);
    for info in CALLS {
        let target = call_numbered(info.number);
        for (position, writes) in pointers(target).iter().copied() {
            let mut attempt = |address: u64| {
                let mut range =
                    Range { fixture: &fixture, desk: &mut desk, grant: ground.grant, random: &mut random };
                let _ = range.set_names();
                let mut arguments = range.right_with_bytes(target);
                arguments[position] = address;
                let answer = call(target, arguments);
                Inbox::over(fixture.mailbox, fixture.at(place::MAILBOX)).drain();
                (arguments, answer)
            };
            if verdict.is_ok() {
                verdict = each(&fixture, target, writes, &mut attempt);
            }
        }
    }
    let cleared = fixture.clear(ground);
    verdict?;
    Ok(cleared?)
}

fn refused_at(target: Call, (arguments, answer): (Arguments, crate::kernel::Answer)) -> Verdict {
    refused(&format!("{target:?}{arguments:x?}"), answer, Error::BadAddress)
}

fn wild(stage: &mut Stage) -> Verdict {
    for_each_pointer(stage, |fixture, target, _, attempt| {
        let addresses = [
            0,
            1,
            USER_START - 8,
            fixture.at(place::NOTHING),
            UNTABLED,
            USER_END - PAGE,
            USER_END - 16,
            USER_END,
            0x0000_7fff_ffff_fff8,
            0x0000_8000_0000_0000,
            0x7fff_ffff_ffff_fff8,
            0x8000_0000_0000_0000,
            0xffff_7fff_ffff_f000,
            0xffff_8000_0000_0000,
            0xffff_8000_0010_0000,
            0xffff_ffff_8000_0000,
            0xffff_ffff_8010_0000,
            0xffff_ffff_ffff_f000,
            u64::MAX - 7,
            u64::MAX,
        ];
        addresses.iter().try_for_each(|address| refused_at(target, attempt(*address)))
    })
}

/// Structures must be aligned; bytes need not be.
fn unaligned(stage: &mut Stage) -> Verdict {
    for_each_pointer(stage, |fixture, target, _, attempt| {
        for shift in [1, 2, 3, 4, 5, 6, 7] {
            let (arguments, answer) = attempt(fixture.at(place::SCRATCH) + 64 + shift);
            if matches!(target, Call::send | Call::send_name) {
                ensure!(
                    answer.is_ok(),
                    "{target:?}{arguments:x?}: {answer:?} for bytes, which have no alignment"
                );
            } else if !(target == Call::send_wait && arguments[3] % 8 != 0) {
                refused_at(target, (arguments, answer))?;
            }
        }
        Ok(())
    })
}

/// The first bytes are mapped, the last are not.
fn straddling(stage: &mut Stage) -> Verdict {
    for_each_pointer(stage, |fixture, target, _, attempt| {
        let end = fixture.at(place::SCRATCH) + PAGE;
        [8, 16].iter().try_for_each(|before| match target {
            // A wait list of one mailbox is 12 bytes.
            Call::wait | Call::send_wait if *before == 16 => Ok(()),
            _ => refused_at(target, attempt(end - before)),
        })
    })
}

/// Where the kernel would write, the page may only be read, and keeps its contents.
fn read_only(stage: &mut Stage) -> Verdict {
    for_each_pointer(stage, |fixture, target, writes, attempt| {
        if !writes {
            return Ok(());
        }
        let page = crate::stage::memory_word(fixture.at(place::READ_ONLY));
        let before = page.load(core::sync::atomic::Ordering::Relaxed);
        refused_at(target, attempt(fixture.at(place::READ_ONLY)))?;
        // The program's own text is read-only, too.
        refused_at(target, attempt(read_only as *const () as u64 & !7))?;
        same("the read-only page", page.load(core::sync::atomic::Ordering::Relaxed), before)
    })
}

/// Lengths and counts whose end would wrap around.
fn overflowing(stage: &mut Stage) -> Verdict {
    let window = stage.fresh_window()?;
    let (ground, helper) = stage.with_helper()?;
    let fixture = Fixture::build(ground, window, helper)?;
    let verdict = overflow_each(&fixture, ground);
    let cleared = fixture.clear(ground);
    verdict?;
    Ok(cleared?)
}

fn overflow_each(fixture: &Fixture, ground: &crate::ground::Ground) -> Verdict {
    use crate::kernel::word;
    use fos_abi::capability::Handle;
    let own = word(Handle::SELF);
    let frames = word(fixture.good.of(4));
    let field = fixture.at(place::FIELD);
    let mut desk = Box::new(Desk::new());
    let mut random = Random::new(2, 2);
    let mut range = Range { fixture, desk: &mut desk, grant: ground.grant, random: &mut random };
    range.set_names().during("filling the name cache")?;
    let name_bytes = range.right(Call::send_name)[1];
    let rows: [(Call, Arguments, Error); 17] = [
        (Call::send_name, [1, name_bytes, u64::MAX, 0, 0, 0], Error::TooLong),
        (Call::send_name, [1, name_bytes, 1 << 32, 0, 0, 0], Error::TooLong),
        (Call::cap_derive, [frames, 0, u64::MAX, 2, 0, 0], Error::BadArgument),
        (Call::cap_derive, [frames, 0, 1, u64::MAX, 0, 0], Error::BadArgument),
        (Call::cap_derive, [frames, 0, 4, 1, 0, 0], Error::BadArgument),
        (Call::cap_derive, [frames, 0, 1 << 63, 1 << 63, 0, 0], Error::BadArgument),
        (Call::frame_read, [frames, u64::MAX, 0, 0, 0, 0], Error::BadArgument),
        (Call::space_map, [own, frames, 0xffff_ffff | 2 << 32, field, 2, 0], Error::BadArgument),
        (Call::space_map, [own, frames, u64::MAX, field, 2, 0], Error::BadArgument),
        (Call::space_map, [own, frames, 2 << 32, USER_END - PAGE, 2, 0], Error::BadArgument),
        (Call::space_map, [own, frames, 1 << 32, 0u64.wrapping_sub(PAGE), 2, 0], Error::BadArgument),
        (Call::space_unmap, [own, USER_END - PAGE, 2, 0, 0, 0], Error::BadArgument),
        (Call::space_unmap, [own, field, u64::MAX, 0, 0, 0], Error::BadArgument),
        (Call::space_protect, [own, field, 1 << 52, 0, 0, 0], Error::BadArgument),
        (Call::space_dirty, [own, 0u64.wrapping_sub(PAGE), 64, 0, 0, 0], Error::BadArgument),
        (Call::wait, [name_bytes, u64::MAX, 0, 0, 0, 0], Error::BadArgument),
        (Call::mailbox_create, [word(fixture.good.of(5)), 1 << 63, 1 << 63, 0, 0, 0], Error::BadArgument),
    ];
    rows.into_iter().try_for_each(|(target, arguments, error)| {
        refused(&format!("{target:?}{arguments:x?}"), call(target, arguments), error)
    })
}

//! A program whose memory and heap grow from the fleet, to its quota, and who gives back what it does not use.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use fos_init::wait_until;
use fos_messages::pages::{PagesError, Pressure};
use fos_messages::programs::Order;
use fos_messages::rpc::CallError;
use libfos::pages::{BATCH, SupplyError};
use libfos::println;

use crate::fleet::Fleet;
use crate::show::HOLDER_CORE;
use crate::user::User;

/// Pages in a row: more than root gave the program.
const MANY: usize = 3000;
/// What is set aside for the heap at a time, and what is then allocated: many times the arena.
const RESERVE_BYTES: usize = 2 << 20;
const HEAP_BYTES: usize = 16 << 20;
/// What is allocated between two looks of whoever refills the reserve.
const STEP_BYTES: usize = 1 << 20;
/// Frames beyond what the program has when its quota is set.
const LEFT: u64 = 600;

fn text(error: SupplyError) -> String {
    error.to_string()
}

/// More than root gave it, in a row and in parts, and back.
pub async fn memory(user: &User) -> Result<(), String> {
    let before = user.growing.frames();
    let one = user.growing.allocate(MANY).await.map_err(text)?;
    let other = user.growing.allocate(MANY / 3).await.map_err(text)?;
    let most = user.growing.frames();
    for (_, mapping) in [&one, &other] {
        let bytes = mapping.length();
        mapping.write(bytes - 8, &[7; 8]).map_err(|error| format!("{error:?}"))?;
    }
    user.growing.free(one).await.map_err(text)?;
    user.growing.free(other).await.map_err(text)?;
    let after = user.growing.frames();
    if before != 0 || most < MANY as u64 || after > 2 * BATCH {
        return Err(format!("had {before} frames of the fleet, then {most}, then {after}"));
    }
    println!("pages-test: memory grew by {most} frames, and all but {after} went back");
    Ok(())
}

/// A heap of many times its arena.
pub async fn heap(fleet: &Fleet, user: &User) -> Result<(), String> {
    user.growing.keep_heap(RESERVE_BYTES).await.map_err(text)?;
    let mut boxes: Vec<Box<[u64]>> = Vec::new();
    for number in 0..HEAP_BYTES / STEP_BYTES {
        boxes.push(vec![number as u64; STEP_BYTES / 8].into_boxed_slice());
        wait_until(&fleet.runtime, "a reserve for the heap", || !libfos::heap::wants_reserve()).await?;
    }
    let is_well = boxes.iter().zip(0..).all(|(words, number)| words.iter().all(|word| *word == number));
    if !is_well {
        return Err("the heap does not hold what was written to it".to_string());
    }
    println!("pages-test: the heap grew to {} MiB", HEAP_BYTES >> 20);
    Ok(())
}

/// At its quota the program is told so, and goes on with what it has.
pub async fn quota(fleet: &Fleet, user: &User) -> Result<(), String> {
    let supply = user.growing.supply();
    let has = supply.quota().await.map_err(text)?;
    let me = fleet.runtime.port().identity().0;
    let set =
        async |frames| user.pages.set_quota(fleet.key, me, frames).await.map_err(|error| error.to_string());
    set(has.frames + LEFT).await?;
    let too_much = user.growing.allocate(MANY).await;
    let fits = user.growing.allocate(BATCH as usize).await.map_err(text)?;
    user.growing.free(fits).await.map_err(text)?;
    let account = supply.quota().await.map_err(text)?;
    set(u64::MAX).await?;
    match too_much {
        Err(SupplyError::Refused(why @ PagesError::OverQuota)) if account.limit == has.frames + LEFT => {
            println!("pages-test: beyond {} frames: {why}", account.limit);
            Ok(())
        }
        other => Err(format!("beyond its quota, {account:?}, the program was answered {other:?}")),
    }
}

/// While another program takes nearly all there is, this one hears of it, is refused, and goes on; when that one has ended, it
/// has what it was refused.
pub async fn pressure(fleet: &Fleet, user: &User, heard: &Cell<Pressure>) -> Result<(), String> {
    user.growing.listen();
    let order = Order { program: "pages-test".into(), arguments: vec!["hog".into()], core: HOLDER_CORE };
    let hog = fleet.root.start(&order).await.map_err(|error| error.to_string())?;
    let mut runs = Vec::new();
    let why = loop {
        match user.allocate(BATCH, 0).await {
            Ok(more) => runs.extend(more),
            Err(CallError::Refused(why)) => break why,
            Err(error) => return Err(format!("beside a hog: {error}")),
        }
    };
    wait_until(&fleet.runtime, "news of the pressure", || heard.get() == Pressure::Critical).await?;
    user.give_back(&runs).await?;
    let again = user.allocate(BATCH, 0).await.map_err(|error| format!("beside a hog, once more: {error}"))?;
    user.give_back(&again).await?;
    fleet.root.stop(hog.number).await.map_err(|error| error.to_string())?;
    wait_until(&fleet.runtime, "news of the relief", || heard.get() == Pressure::None).await?;
    // In a row, though its frames came to several members.
    let all = user.growing.allocate(MANY).await.map_err(|error| format!("after a hog: {error}"))?;
    user.growing.free(all).await.map_err(text)?;
    println!("pages-test: beside a hog: {why}; told of it, and of its end");
    Ok(())
}

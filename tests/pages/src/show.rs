//! What is shown, step by step.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use fos_init::{Founder, LOOK_EVERY, PATIENCE};
use fos_messages::pages::{Freed, ORDER_HUGE, PagesClient, PagesError, Pressure, Run, Wanted};
use fos_messages::programs::Order;
use fos_messages::rpc::CallError;
use fos_runtime::{Names, Runtime};
use libfos::memory::Memory;
use libfos::server::Server;
use libfos::{Start, println};

use crate::fleet::Fleet;
use crate::grown;
use crate::user::{HELD, User};

/// The core of the program that holds memory.
pub const HOLDER_CORE: u16 = 1;
/// The status of a program that touched what is not there.
const SEGMENT: u8 = 128 + 11;
/// Frames that are wanted again and again while a member is ended, and how often.
const SMALL: u64 = 32;
const ROUNDS: u32 = 200;

fn text(error: CallError<PagesError>) -> String {
    error.to_string()
}

pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let founder = Founder::begin(start, &server)?;
    server.block_on(async move {
        let fleet = Fleet::start(founder).await?;
        println!("pages-test: the fleet has two members");
        let heard = Rc::new(Cell::new(Pressure::None));
        let hears = heard.clone();
        let user = User::new(&fleet.runtime, &fleet.names, memory, move |level| hears.set(level))?;
        used(&user).await?;
        refused(&user).await?;
        grown::memory(&user).await?;
        grown::heap(&fleet, &user).await?;
        grown::quota(&fleet, &user).await?;
        hogged(&user).await?;
        grown::pressure(&fleet, &user, &heard).await?;
        paged(&fleet).await?;
        ended(&fleet, &user).await?;
        member_ended(&fleet, &user).await
    })
}

/// Frames are zeros, are written, and are zeros when they are had again.
async fn used(user: &User) -> Result<(), String> {
    for (frames, order) in [(1, 0), (100, 0), (64, 4), (1 << ORDER_HUGE, ORDER_HUGE)] {
        for _ in 0..2 {
            let runs = user.allocate(frames, order).await.map_err(text)?;
            runs.iter().try_for_each(|run| user.touch(run))?;
            user.give_back(&runs).await?;
        }
    }
    println!("pages-test: frames of four sizes were zeros, were written, and were zeros again");
    Ok(())
}

async fn refused(user: &User) -> Result<(), String> {
    let runs = user.allocate(SMALL, 0).await.map_err(text)?;
    let first = runs.first().map_or(0, |run| run.range.first);
    let in_use = user.pages.give_back(vec![first]).await.map_err(text)?;
    user.give_back(&runs).await?;
    let others = user.pages.give_back(vec![first, u64::MAX, 0]).await.map_err(text)?;
    let bad = user.pages.allocate(Wanted { tag: u64::MAX, frames: 3, order: 1 }).await;
    let is_well = in_use == [Freed::InUse]
        && others == [Freed::NotYours; 3]
        && bad == Err(CallError::Refused(PagesError::BadRequest));
    if !is_well {
        return Err(format!("bad requests were answered {in_use:?}, {others:?} and {bad:?}"));
    }
    println!("pages-test: a double free, forged frames and frames in use were refused");
    Ok(())
}

/// Takes all that it can get, and gives it back.
async fn hogged(user: &User) -> Result<(), String> {
    let free = user.pages.statistics().await.map_err(|error| error.to_string())?.free;
    let mut runs: Vec<Run> = Vec::new();
    let why = loop {
        match user.allocate(1 << ORDER_HUGE, ORDER_HUGE).await {
            Ok(more) => runs.extend(more),
            Err(CallError::Refused(why)) => break why,
            Err(error) => return Err(format!("a hog was not refused: {error}")),
        }
    };
    let frames: u64 = runs.iter().map(|run| run.range.count).sum();
    println!("pages-test: a hog got {frames} of {free} frames: {why}");
    user.give_back(&runs).await?;
    let runs = user.allocate(4 << ORDER_HUGE, ORDER_HUGE).await.map_err(text)?;
    user.give_back(&runs).await?;
    println!("pages-test: what it gave back could be had at once");
    Ok(())
}

/// A program over the pager ends well, and those that run over an end are ended.
async fn paged(fleet: &Fleet) -> Result<(), String> {
    for (role, expected) in [("paged", 0), ("overrun", SEGMENT), ("stack", SEGMENT), ("outside", SEGMENT)] {
        let order = Order { program: "pages-test".into(), arguments: vec![role.into()], core: HOLDER_CORE };
        let program = fleet.root.start(&order).await.map_err(|error| error.to_string())?;
        let status = fleet.root.end(program.number).await.map_err(|error| error.to_string())?;
        if status != expected {
            return Err(format!("{role} ended with {status}, not with {expected}"));
        }
    }
    println!("pages-test: who ran over an end was ended, and nobody else");
    Ok(())
}

/// What all members know to be free, when it is as much as it should be.
async fn wait_for_free(
    fleet: &Fleet,
    user: &User,
    what: &str,
    is_so: impl Fn(u64) -> bool,
) -> Result<(), String> {
    let deadline = fleet.runtime.port().now().after(PATIENCE);
    loop {
        let free = user.pages.statistics().await.map_or(0, |figures| figures.free);
        if is_so(free) {
            return Ok(());
        }
        if fleet.runtime.port().now() > deadline {
            return Err(format!("waited in vain for {what}: {free} frames are free"));
        }
        fleet.runtime.sleep(LOOK_EVERY).await;
    }
}

/// A program that is ended gives back what it held.
async fn ended(fleet: &Fleet, user: &User) -> Result<(), String> {
    // What members zero they hold for a moment.
    let frames = user.pages.statistics().await.map_err(|error| error.to_string())?.frames;
    let free = frames - user.growing.frames();
    wait_for_free(fleet, user, "members to hold nothing", |now| now == free).await?;
    let order = Order { program: "pages-test".into(), arguments: vec!["holder".into()], core: HOLDER_CORE };
    let holder = fleet.root.start(&order).await.map_err(|error| error.to_string())?;
    wait_for_free(fleet, user, "a program to hold memory", |now| now + HELD <= free).await?;
    fleet.root.stop(holder.number).await.map_err(|error| error.to_string())?;
    wait_for_free(fleet, user, "its memory", |now| now >= free).await?;
    println!("pages-test: what an ended program held has come home");
    Ok(())
}

/// A member is ended under load: every request is answered, and all frames are kept by those that live.
async fn member_ended(fleet: &Fleet, user: &User) -> Result<(), String> {
    let frames = user.pages.statistics().await.map_err(|error| error.to_string())?.frames;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            fleet.root.stop(fleet.first.number).await.map_err(|error| error.to_string())?;
        }
        let runs = user.allocate(SMALL, 0).await.map_err(text)?;
        runs.iter().try_for_each(|run| user.touch(run))?;
        user.give_back(&runs).await?;
    }
    println!("pages-test: a member was ended under load, and every request was met");
    let deadline = fleet.runtime.port().now().after(PATIENCE);
    let mut kept = kept_by_all(&fleet.names, &fleet.runtime).await;
    let own = || user.growing.frames();
    while kept + own() != frames && fleet.runtime.port().now() < deadline {
        fleet.runtime.sleep(LOOK_EVERY).await;
        kept = kept_by_all(&fleet.names, &fleet.runtime).await;
    }
    if kept + own() != frames {
        return Err(format!("members keep {kept} of {frames} frames, and this program {}", own()));
    }
    println!("pages-test: the members that live keep all {frames} frames but {} of this program", own());
    Ok(())
}

async fn kept_by_all(names: &Rc<Names>, runtime: &Runtime) -> u64 {
    let Ok(path) = fos_messages::names::Path::new(fos_messages::pages::NAME) else { return 0 };
    let mut kept = 0;
    for member in names.members(&path).await.unwrap_or_default() {
        let pages = PagesClient::new(runtime.within(PATIENCE), member.address);
        kept += pages.statistics().await.map_or(0, |figures| figures.kept);
    }
    kept
}

//! What no member survives, on the machine: two members end, their starter is told with which status, the caller is told
//! why, and a member that lives reports it; a call that waits for a member that panics ends at once.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_messages::names::{Found, NamesClient};
use fos_messages::programs::Started;
use fos_messages::rpc::{Address, CallError, Caller};
use fos_runtime::Priority;
use libfos::{Start, println};

use crate::scene::{FRAIL, LOOK_EVERY, PATIENCE, Scene, path};
use crate::servers::FrailClient;
use crate::{Outcome, line};

/// Cores of the members.
const CORES: [u16; 4] = [2, 3, 2, 3];
/// The status of a program that panicked.
const PANICKED: u8 = 101;
/// A call that waits for a member that panics ends within this time, on a slow emulator; its own deadline is far off.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// Statuses of members that ended, by place.
type Statuses = Rc<RefCell<Vec<(usize, u8)>>>;

/// Shows it all.
pub fn run(start: &Start) -> Outcome {
    let scene = Scene::begin(start)?;
    let (fleet, key) = scene.directory(FRAIL)?;
    let words = ["frail".to_string(), key.0[0].to_string(), key.0[1].to_string()];
    let words = words.each_ref().map(|word| word.as_str());
    let members: Result<Vec<Started>, _> = CORES.iter().map(|core| scene.process(*core, &words)).collect();
    let members = members?;
    let statuses = watch(&scene, &members);
    wait_until_registered(&scene, members.len())?;
    let named = FrailClient::new(scene.names.at(fleet, PATIENCE), Address::default());
    let asked = named.clone();
    let came_to = scene.server.block_on(async move { asked.panic().await });
    if came_to != Err(CallError::Poisonous) {
        return Err(alloc::format!("the poisonous call came to {came_to:?}"));
    }
    scene.wait_until("two members to end", || statuses.borrow().len() >= 2)?;
    mirror(&scene, &named)?;
    let ended = statuses.borrow().clone();
    if ended.len() != 2 || ended.iter().any(|(_, status)| *status != PANICKED) {
        return Err(alloc::format!("members ended so: {ended:?}"));
    }
    println!("peers: case a-request-that-nobody-survives-ends-two ok");
    is_reported(&scene)?;
    println!("peers: case a-member-that-lives-is-told ok");
    waiting_call(&scene, &members, &statuses)?;
    mirror(&scene, &named)?;
    println!("peers: case a-panic-ends-its-callers-calls-at-once ok");
    println!("peers: summary cases=3 failed=0");
    Ok(())
}

/// Asks root for the end of each member.
fn watch(scene: &Scene<'_>, members: &[Started]) -> Statuses {
    let statuses = Statuses::default();
    for (place, member) in members.iter().enumerate() {
        let (root, number, told) = (scene.root.clone(), member.number, statuses.clone());
        scene.server.runtime.spawn(Priority::Normal, async move {
            let status = loop {
                match root.end(number).await {
                    Err(CallError::TimedOut) => {}
                    Ok(status) => break status,
                    Err(_) => return,
                }
            };
            told.borrow_mut().push((place, status));
        });
    }
    statuses
}

fn wait_until_registered(scene: &Scene<'_>, count: usize) -> Outcome {
    let names = NamesClient::new(scene.server.runtime.within(PATIENCE), scene.naming[0]);
    let (runtime, path) = (scene.server.runtime.clone(), path(FRAIL)?);
    scene.server.block_on(async move {
        let deadline = runtime.port().now().after(PATIENCE);
        loop {
            let (mut found, mut after) = (0, 0);
            while let Ok((entries, _)) = names.list_members(path.clone(), after, 0).await {
                let Some(last) = entries.last() else { break };
                (found, after) = (found + entries.len(), last.address.identity.0);
            }
            if found == count {
                return Ok(());
            }
            if runtime.port().now() > deadline {
                return Err(alloc::format!("{found} of {count} members are registered"));
            }
            runtime.sleep(LOOK_EVERY).await;
        }
    })
}

/// The members that are left answer.
fn mirror<C>(scene: &Scene<'_>, named: &FrailClient<C>) -> Outcome
where
    C: Caller + Clone + 'static,
{
    let named = named.clone();
    scene.server.block_on(async move {
        for number in 0..20 {
            let same = named.mirror(number).await.map_err(line)?;
            if same != number {
                return Err(alloc::format!("{number} came back as {same}"));
            }
        }
        Ok(())
    })
}

/// One of the members that are left was told. They take turns.
fn is_reported(scene: &Scene<'_>) -> Outcome {
    let (names, runtime) = (scene.names.clone(), scene.server.runtime.clone());
    let fleet = path(FRAIL)?;
    scene.server.block_on(async move {
        let deadline = runtime.port().now().after(PATIENCE);
        while runtime.port().now() < deadline {
            let Ok(Found::Member(entry)) = names.look_up(&fleet).await else { continue };
            let member = FrailClient::new(runtime.within(PATIENCE), entry.address);
            if member.reports().await.map_err(line)? > 0 {
                return Ok(());
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        Err("no member was told of the poisonous request".into())
    })
}

/// A call that waits at a member which another call ends.
fn waiting_call(scene: &Scene<'_>, members: &[Started], statuses: &Statuses) -> Outcome {
    let has_ended = |place: usize| statuses.borrow().iter().any(|(ended, _)| *ended == place);
    let left = (0..members.len()).find(|place| !has_ended(*place)).ok_or("no member is left")?;
    let identity = members[left].identity;
    let found = scene.names.clone();
    let fleet = path(FRAIL)?;
    let runtime = scene.server.runtime.clone();
    let to = scene.server.block_on(async move {
        for _ in 0..1000 {
            if let Ok(Found::Member(entry)) = found.look_up(&fleet).await
                && entry.address.identity.0 == identity
            {
                return Some(entry.address);
            }
            runtime.sleep(LOOK_EVERY).await;
        }
        None
    });
    let frail = FrailClient::new(scene.server.runtime.within(PATIENCE), to.ok_or("naming does not find it")?);
    let (hung, ended_at) = (frail.clone(), Rc::new(Cell::new(None)));
    let (runtime, place) = (scene.server.runtime.clone(), ended_at.clone());
    runtime.clone().spawn(Priority::Normal, async move {
        let outcome = hung.hang().await;
        place.set(Some((outcome, runtime.port().now())));
    });
    let began = scene.server.runtime.port().now();
    let outcome = scene.server.block_on(async move { frail.panic().await });
    if outcome != Err(CallError::PeerLost) {
        return Err(alloc::format!("the call that ended the member came to {outcome:?}"));
    }
    scene.wait_until("the waiting call to end", || ended_at.get().is_some())?;
    let Some((outcome, at)) = ended_at.get() else { return Err("it did not end".into()) };
    let took = at.since(began);
    println!("peers: a call that waited for a member that panicked ended after {} us", took.as_micros());
    match outcome {
        Err(CallError::PeerLost) if took < TOLD_WITHIN => {}
        other => return Err(alloc::format!("a call that waited came to {other:?} after {took:?}")),
    }
    scene.wait_until("root to tell of the end", || has_ended(left))?;
    let status = statuses.borrow().iter().find(|(ended, _)| *ended == left).map(|(_, status)| *status);
    if status == Some(PANICKED) { Ok(()) } else { Err(alloc::format!("it ended with {status:?}")) }
}

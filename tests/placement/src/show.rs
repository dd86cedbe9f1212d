//! What is shown, step by step.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_init::Founder;
use fos_messages::arbiter::{Advice, ArbiterError, Claim, Report};
use fos_messages::knowledge::{Near, Place};
use fos_messages::names::DirectoryKey;
use fos_messages::rpc::CallError;
use libfos::memory::Memory;
use libfos::server::Server;
use libfos::{Start, println};

use crate::fleet::Fleet;

/// The owners that ask for cores here.
const KEY: DirectoryKey = DirectoryKey([3, 4]);

fn at(core: u16) -> Place {
    Place { machine: 0, core }
}

pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let founder = Founder::begin(start, &server)?;
    let (core, cores) = (start.core as u16, start.cores as u16);
    server.block_on(async move {
        let fleet = Fleet::start(founder).await?;
        println!("placement-test: the fleet has two members");
        fleet.probe(cores).await?;
        known(&fleet, core, cores).await?;
        granted(&fleet, cores).await?;
        refused(&fleet).await?;
        member_ended(&fleet, cores).await
    })
}

/// What the probes found out.
async fn known(fleet: &Fleet, core: u16, cores: u16) -> Result<(), String> {
    let knowledge = fleet.knowledge()?;
    let views = knowledge.cores(Place::default()).await.map_err(|error| error.to_string())?;
    if views.len() != usize::from(cores) {
        return Err(format!("{} of {cores} cores are known", views.len()));
    }
    let packages = views.iter().map(|view| view.package).max().map_or(0, |last| last + 1);
    println!("placement-test: {cores} cores in {packages} packages are known");
    let route = knowledge.route(at(core), at(fleet.first.core)).await.map_err(|error| error.to_string())?;
    if !route.is_measured {
        return Err(format!("nobody measured what a message to core {} takes", fleet.first.core));
    }
    println!(
        "placement-test: a message goes by {:?} and takes {} ns, measured",
        route.way, route.nanoseconds
    );
    knowledge.here(at(core)).await.map_err(|error| error.to_string())?;
    let near = [Near { process: fleet.runtime.port().identity().0, messages_per_second: 10 }].to_vec();
    let best =
        knowledge.nearest(near, [at(core)].to_vec(), cores).await.map_err(|error| error.to_string())?;
    if best.len() != usize::from(cores) - 1 || best.iter().any(|choice| choice.at == at(core)) {
        return Err(format!("the best cores are {best:?}"));
    }
    println!("placement-test: the best of {} cores for a friend of core {core} was told", best.len());
    Ok(())
}

fn claim(owner: &str, number: u32) -> Claim {
    Claim { owner: owner.into(), key: KEY, number, least: 1, near: Vec::new(), wanted: None }
}

fn report(owner: &str, uses: &[u16]) -> Report {
    let uses = uses.iter().map(|core| at(*core)).collect();
    let (work_per_second, busy_permille, wait_nanoseconds) = (1000, 300, 0);
    Report { owner: owner.into(), key: KEY, work_per_second, busy_permille, wait_nanoseconds, uses }
}

/// One owner gets all cores, and yields one to another.
async fn granted(fleet: &Fleet, cores: u16) -> Result<(), String> {
    let arbiter = fleet.arbiter()?;
    let mut has = Vec::new();
    for number in 0..cores.into() {
        let grant = arbiter.ask(&claim("/one", number)).await.map_err(|error| error.to_string())?;
        if !grant.is_alone || has.contains(&grant.at.core) {
            return Err(format!("core {} was given twice", grant.at.core));
        }
        has.push(grant.at.core);
    }
    println!("placement-test: one owner has {} cores, each alone", has.len());
    let yielding = arbiter.ask(&claim("/other", 0)).await;
    let advice = arbiter.report(&report("/one", &has)).await.map_err(|error| error.to_string())?;
    let (Err(CallError::Refused(ArbiterError::Yielding)), Advice::Yield(given)) = (&yielding, advice) else {
        return Err(format!("nobody yields: {yielding:?}, {advice:?}"));
    };
    arbiter.give_back("/one", KEY, given).await.map_err(|error| error.to_string())?;
    let grant = arbiter.ask(&claim("/other", 0)).await.map_err(|error| error.to_string())?;
    if grant.at != given || !grant.is_alone {
        return Err(format!("{given:?} was yielded, and {grant:?} given"));
    }
    println!("placement-test: it yielded core {} to another, which has it alone", given.core);
    Ok(())
}

async fn refused(fleet: &Fleet) -> Result<(), String> {
    let (knowledge, arbiter) = (fleet.knowledge()?, fleet.arbiter()?);
    let stranger = DirectoryKey([5, 6]);
    let fact = fos_messages::knowledge::Fact::Gone { at: at(0) };
    let told = knowledge.tell(stranger, [fact].to_vec()).await.is_err();
    let stolen = arbiter.give_back("/one", stranger, at(0)).await;
    let crowd = arbiter.ask(&claim(&"n".repeat(65), 0)).await;
    let is_well = told
        && stolen == Err(CallError::Refused(ArbiterError::BadKey))
        && crowd == Err(CallError::Refused(ArbiterError::TooMany));
    if !is_well {
        return Err(format!("bad requests were answered {stolen:?} and {crowd:?}"));
    }
    println!("placement-test: forged facts, another's core and a bad name were refused");
    Ok(())
}

/// The arbiter ends: the next one knows who has what.
async fn member_ended(fleet: &Fleet, cores: u16) -> Result<(), String> {
    let first = fleet.first;
    fleet.root.stop(first.number).await.map_err(|error| error.to_string())?;
    let arbiter = fleet.arbiter()?;
    let again = arbiter.ask(&claim("/other", 0)).await.map_err(|error| error.to_string())?;
    if !again.is_alone {
        return Err(format!("the next arbiter gave {again:?} to two"));
    }
    fleet.wait_for_members(2, |identity| identity != first.identity).await?;
    let views = fleet.knowledge()?.cores(Place::default()).await.map_err(|error| error.to_string())?;
    if views.len() != usize::from(cores) {
        return Err(format!("after an end {} of {cores} cores are known", views.len()));
    }
    println!(
        "placement-test: the arbiter was ended; the next one knows all grants, and a new member all cores"
    );
    Ok(())
}

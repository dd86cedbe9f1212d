//! A bad process: does one deed, or many at random, and ends. What it sees that should not be it says, and ends with 1.

use alloc::format;
use alloc::string::String;
use core::cell::Cell;

use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, NamesStarterClient, STARTER};
use fos_peers::Random;
use fos_peers::attack::Attack;
use fos_peers::deeds::DEEDS;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::links::{self, Links};
use crate::scene::{PATIENCE, TILL, path};
use crate::{Outcome, director, line};

/// Deeds at random instead of one.
pub const MIX: &str = "mix";
/// How often a deed of a mix does what it does.
const MIXED_ROUNDS: u32 = 6;

/// Does it: `DEED SEED ROUNDS HONEST KEY KEY`.
pub fn run(start: &Start, deed: &str, words: &[&str]) -> Outcome {
    let numbers: Result<alloc::vec::Vec<u64>, _> = words.iter().map(|word| word.parse()).collect();
    let [seed, rounds, honest, one, other] = numbers.map_err(line)?[..] else {
        return Err("a bad process is told a seed, rounds, an honest process and a key".into());
    };
    let mut memory = Memory::of_program(start).map_err(line)?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    let root = Root::of_program(start).map_err(line)?;
    let till = root.find(&mut memory, TILL, deadline).map_err(line)?;
    let starter = root.find(&mut memory, STARTER, deadline).map_err(line)?;
    let mut links = Links::new(start, &mut memory, till, Random::new(seed)).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    let runtime = server.runtime.clone();
    let members = NamesStarterClient::new(runtime.within(PATIENCE), starter);
    let naming = server.block_on(async move { members.members().await }).map_err(line)?;
    let attack = alloc::rc::Rc::new(Attack {
        runtime,
        random: Random::new(seed),
        till,
        naming,
        own: (path("/bad")?, DirectoryKey([one, other])),
        others: path("/honest")?,
        honest: Identity(honest),
        rounds: if deed == MIX { MIXED_ROUNDS } else { rounds as u32 },
        patience: PATIENCE,
        last_number: Cell::default(),
    });
    if deed != MIX {
        return one_deed(&server, &attack, &mut links, deed);
    }
    let (random, names) = (Random::new(seed), director::names());
    for number in 0..rounds {
        let Some(name) = random.one_of(&names) else { return Ok(()) };
        one_deed(&server, &attack, &mut links, name)
            .map_err(|why| format!("deed {number}, {name}: {why}"))?;
    }
    println!("peers: {rounds} deeds at random from seed {seed}");
    Ok(())
}

fn one_deed(
    server: &Server,
    attack: &alloc::rc::Rc<Attack>,
    links: &mut Links,
    name: &str,
) -> Result<(), String> {
    if let Some((_, deed)) = links::DEEDS.iter().find(|(known, _)| *known == name) {
        return deed(links);
    }
    let deed =
        DEEDS.iter().find(|deed| deed.name == name).ok_or_else(|| format!("there is no deed {name}"))?;
    let attack = attack.clone();
    server.block_on(async move { (deed.run)(&attack).await })
}

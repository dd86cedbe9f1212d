//! Does the table, or so many deeds at random: a process for each bad one, while this one's clients are honest.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_messages::names::DirectoryKey;
use fos_peers::Random;
use fos_peers::deeds::DEEDS;
use fos_peers::honest::{Client, Ledger, Named};
use fos_peers::till::TillClient;
use fos_runtime::Priority;
use fos_runtime::port::Port;
use libfos::{Start, println};

use crate::scene::{PATIENCE, Scene, THE_LIAR, TILL};
use crate::{Outcome, bad, line, links};

/// Where the server, the liar and the bad ones run.
const TILL_CORE: u16 = 2;
const LIAR_CORE: u16 = 3;
const BAD_CORE: u16 = 3;
/// How often a deed does what it does.
const ROUNDS: &str = "24";
/// Rounds of honest clients that must end well while a deed is done, or right after.
const ROUNDS_MIN: u64 = 2;
/// The most that the largest free piece of the server's heap may have shrunk by, in bytes: what it keeps of peers.
const ROOM_LOST_MAX: u64 = 128 << 10;
/// Names that the honest client of naming makes in all.
const NAMES_MAX: u32 = 2000;

struct Director<'a> {
    scene: Scene<'a>,
    ledger: Rc<Ledger>,
    till: TillClient<fos_runtime::Within>,
    bad_key: DirectoryKey,
    /// The server's room at first.
    room: u64,
}

/// Each deed whose name begins so, and what came of it.
pub fn table(start: &Start, only: &str) -> Outcome {
    let director = Director::begin(start)?;
    let all = DEEDS.iter().map(|deed| deed.name).chain(links::DEEDS.iter().map(|(name, _)| *name));
    let (mut cases, mut failed) = (0, 0);
    for (name, seed) in all.filter(|name| name.starts_with(only)).zip(1u64..) {
        cases += 1;
        match director.do_one(name, &seed.to_string(), ROUNDS) {
            Ok(()) => println!("peers: case {name} ok"),
            Err(reason) => {
                failed += 1;
                println!("peers: case {name} FAILED {reason}");
            }
        }
    }
    director.end(cases, failed)
}

/// So many deeds at random, by one process.
pub fn fuzz(start: &Start, seed: &str, deeds: &str) -> Outcome {
    let director = Director::begin(start)?;
    let outcome = director.do_one(bad::MIX, seed, deeds);
    match &outcome {
        // The process ends well only after its last deed.
        Ok(()) => println!("peers: count deeds done {deeds}"),
        Err(reason) => println!("peers: finding {reason}"),
    }
    director.end(1, u64::from(outcome.is_err()))
}

impl Director<'_> {
    fn begin(start: &Start) -> Result<Director<'_>, String> {
        let mut scene = Scene::begin(start)?;
        scene.process(TILL_CORE, &["till"])?;
        scene.process(LIAR_CORE, &["liar", "5"])?;
        let (till, liar) = (scene.find(TILL)?, scene.find(THE_LIAR)?);
        let (honest, (_, bad_key)) = (scene.directory("/honest")?, scene.directory("/bad")?);
        let (runtime, ledger) = (scene.server.runtime.clone(), Rc::new(Ledger::default()));
        let random = Random::new(scene.server.port.random());
        let (seen, liar, patience) = (ledger.clone(), Some(liar), PATIENCE);
        let client = Client { runtime: runtime.clone(), till, liar, ledger: seen, patience, random };
        runtime.spawn(Priority::Normal, client.work());
        let (names, seen, directory, rounds_max) = (scene.names.clone(), ledger.clone(), honest, NAMES_MAX);
        let named = Named { names, runtime: runtime.clone(), directory, ledger: seen, patience, rounds_max };
        runtime.spawn(Priority::Normal, named.work());
        let till = TillClient::new(runtime.within(PATIENCE), till);
        let mut director = Director { scene, ledger, till, bad_key, room: 0 };
        director.progress()?;
        director.room = director.room_now()?;
        Ok(director)
    }

    /// Has a deed done by a process of its own, and looks whether anybody noticed.
    fn do_one(&self, deed: &str, seed: &str, rounds: &str) -> Outcome {
        let (honest, keys) = (self.scene.server.port.identity().0, self.bad_key.0);
        let words = [honest, keys[0], keys[1]].map(|word| word.to_string());
        let words = [&["bad", deed, seed, rounds][..], &words.each_ref().map(String::as_str)].concat();
        let started = self.scene.process(BAD_CORE, &words)?;
        let root = self.scene.root.clone();
        let status = self.scene.server.block_on(async move {
            loop {
                match root.end(started.number).await {
                    Err(fos_messages::rpc::CallError::TimedOut) => {}
                    ended => return ended,
                }
            }
        });
        match status.map_err(line)? {
            0 => {}
            status => return Err(format!("the bad process ended with {status}: see above")),
        }
        self.progress()?;
        let room = self.room_now()?;
        match room + ROOM_LOST_MAX >= self.room {
            true => Ok(()),
            false => Err(format!("the server's largest free piece has {room} bytes left of {}", self.room)),
        }
    }

    /// Honest clients get on, and have nothing to complain of.
    fn progress(&self) -> Outcome {
        let wanted = self.ledger.rounds.get() + ROUNDS_MIN;
        let is_enough = || self.ledger.rounds.get() >= wanted || self.ledger.failure.borrow().is_some();
        self.scene.wait_until("the honest clients to get on", is_enough)?;
        self.ledger.failure.borrow().clone().map_or(Ok(()), Err)
    }

    fn room_now(&self) -> Result<u64, String> {
        let till = self.till.clone();
        self.scene.server.block_on(async move { till.room().await }).map_err(line)
    }

    fn end(&self, cases: u64, failed: u64) -> Outcome {
        let (rounds, room) = (self.ledger.rounds.get(), self.room_now()?);
        println!(
            "peers: summary cases={cases} failed={failed} rounds={rounds} room={} left={room}",
            self.room
        );
        if failed == 0 { Ok(()) } else { Err(format!("{failed} of {cases} cases failed")) }
    }
}

/// Every deed's name.
pub fn names() -> Vec<&'static str> {
    DEEDS.iter().map(|deed| deed.name).chain(links::DEEDS.iter().map(|(name, _)| *name)).collect()
}

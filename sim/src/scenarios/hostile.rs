//! Honest clients of a server and of naming, beside peers that do every bad deed there is (`tests/peers`), and a server that
//! lies to whoever asks it; meanwhile members of naming and the bad peers themselves end, stall, are slow or full.
//!
//! One core is the server's, one the liar's, three are naming's, three the bad peers'; of the others' processes half are
//! clients of the server and half of naming. The bad peers go through the table, each from another place, and then on at
//! random until enough messages have been sent.
//!
//! What must hold: nobody panics; each call of an honest client is answered, rightly, and done once; a name leads to who
//! registered it; no deed is rewarded: no forged call is counted, no guessed key opens anything, nobody's directory takes a
//! stranger's name, each request is answered as its interface says. The bad peers judge the last themselves.

use super::naming::Dress;
use super::{Course, Scenario, naming_members};
use crate::faults::Dangers;
use crate::run::Figure;
use crate::world::{Process, World};
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::rpc::Address;
use fos_peers::Random;
use fos_peers::attack::Attack;
use fos_peers::deeds::DEEDS;
use fos_peers::honest::{Client, Ledger, Named};
use fos_peers::liar::Liar;
use fos_peers::till::{Honest, TillDispatcher};
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Priority, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

mod everything;

/// The scenario.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "hostile",
    about: "honest clients of a server and of naming, beside peers that do every bad deed, and a server that lies",
    cores: 16,
    messages: 40_000,
    begin,
};

const NAMING: u32 = 3;
const BAD: u32 = 3;
/// Server and liar.
const SERVERS: u32 = 2;
const ROOT_KEY: DirectoryKey = DirectoryKey([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
const HONEST_KEY: DirectoryKey = DirectoryKey([3, 4]);
const BAD_KEY: DirectoryKey = DirectoryKey([5, 6]);
/// How often a deed does what it does.
const ROUNDS: u32 = 24;
/// The longest that an honest call may take: a core that has stopped is given up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_micros(100);

/// Where tests plant errors.
#[derive(Clone, Copy)]
pub(crate) struct Weakness {
    /// Around the server's port.
    pub server: fn(Rc<dyn Port>) -> Rc<dyn Port>,
    /// Around the port of each client of the server.
    pub client: fn(Rc<dyn Port>) -> Rc<dyn Port>,
    /// Done to each member of naming.
    pub naming: Dress,
}

impl Weakness {
    /// None.
    pub const NONE: Weakness = Weakness { server: |port| port, client: |port| port, naming: |_, _| () };
}

/// Everybody.
struct Hostile {
    world: World,
    messages: u64,
    naming: Vec<Process>,
    bad: Vec<Process>,
    clients: Vec<(Process, Rc<Cell<bool>>)>,
    ledger: Rc<Ledger>,
    /// How often each deed was done.
    done: Rc<RefCell<BTreeMap<&'static str, u64>>>,
}

fn begin(world: &World, messages: u64) -> Box<dyn Course> {
    begin_with(world, messages, Weakness::NONE)
}

pub(crate) fn begin_with(world: &World, messages: u64, weakness: Weakness) -> Box<dyn Course> {
    world.takes_anything();
    let (ledger, is_ready) = (Rc::new(Ledger::default()), Rc::new(Cell::new(false)));
    let server = world.start_behind("server", 0, weakness.server);
    serve(&server);
    everything::serve(&server.runtime);
    let seed = world.random().next();
    let liar = world.start_behind("liar", 1, |port| Rc::new(Liar::new(port, seed)));
    serve(&liar);
    let naming = naming_members::start(world, NAMING, SERVERS, ROOT_KEY, weakness.naming);
    let members: Vec<Address> = naming.iter().map(|member| member.address(Class::External)).collect();
    let first = SERVERS + NAMING + BAD;
    let (mut clients, till) = (Vec::new(), server.address(Class::External));
    for core in first..world.cores().max(first + 2) {
        let is_of_naming = (core - first).is_multiple_of(2);
        let (name, core) = (format!("client-{}", core - first), core % world.cores());
        let process = match is_of_naming {
            true => world.start(&name, core),
            false => world.start_behind(&name, core, weakness.client),
        };
        let (runtime, ledger, is_over) = (process.runtime.clone(), ledger.clone(), Rc::new(Cell::new(false)));
        let (over, is_ready, random) =
            (is_over.clone(), is_ready.clone(), Random::new(world.random().next()));
        let (is_first, members) = (clients.is_empty(), members.clone());
        let liar = Some(liar.address(Class::External));
        process.spawn(Priority::Normal, async move {
            if is_of_naming {
                let names = Names::new(runtime.clone(), members, (0, core as u16));
                if is_first {
                    make_directories(&runtime, &names).await;
                    is_ready.set(true);
                }
                wait_for(&runtime, &is_ready).await;
                let directory = (directory("honest"), HONEST_KEY);
                Named { names, runtime, directory, ledger, patience: PATIENCE, rounds_max: u32::MAX }
                    .work()
                    .await;
            } else {
                Client { runtime, till, liar, ledger, patience: PATIENCE, random }.work().await;
            }
            over.set(true);
        });
        clients.push((process, is_over));
    }
    let done = Rc::default();
    let honest = clients[1].0.identity;
    let bad = (0..BAD).map(|number| {
        let process = world.start(&format!("bad-{number}"), SERVERS + NAMING + number);
        let attack = Attack {
            runtime: process.runtime.clone(),
            random: Random::new(world.random().next()),
            till,
            naming: members.clone(),
            own: (directory("bad"), BAD_KEY),
            others: directory("honest"),
            honest,
            rounds: ROUNDS,
            patience: PATIENCE,
            last_number: Cell::default(),
        };
        let (is_ready, ledger, done) = (is_ready.clone(), ledger.clone(), Rc::clone(&done));
        let bad = Bad { process: process.clone(), number, attack, is_ready, ledger, done };
        process.spawn(Priority::Normal, bad.misbehave());
        process
    });
    let bad = bad.collect();
    Box::new(Hostile { world: world.clone(), messages, naming, bad, clients, ledger, done })
}

fn serve(process: &Process) {
    let honest = Honest::new(process.runtime.clone());
    process.runtime.serve(Class::External, TillDispatcher::new(honest));
}

fn directory(name: &str) -> Path {
    Path::root().child(name).expect("a component of letters")
}

async fn wait_for(runtime: &Runtime, is_so: &Cell<bool>) {
    while !is_so.get() {
        runtime.sleep(PAUSE).await;
    }
}

async fn make_directories(runtime: &Runtime, names: &Names) {
    for (name, key) in [("honest", HONEST_KEY), ("bad", BAD_KEY)] {
        while let Err(error) = names.make(&directory(name), ROOT_KEY, key, true).await {
            if error == fos_messages::rpc::CallError::Refused(fos_messages::names::NameError::Exists) {
                break;
            }
            runtime.sleep(PAUSE).await;
        }
    }
}

/// A bad peer.
struct Bad {
    process: Process,
    number: u32,
    attack: Attack,
    is_ready: Rc<Cell<bool>>,
    ledger: Rc<Ledger>,
    done: Rc<RefCell<BTreeMap<&'static str, u64>>>,
}

impl Bad {
    /// Goes through the table from its own place, then on at random.
    async fn misbehave(self) {
        wait_for(&self.attack.runtime, &self.is_ready).await;
        let place = self.number as usize * DEEDS.len() / BAD as usize;
        let mut table = DEEDS.iter().cycle().skip(place).take(DEEDS.len());
        while !self.ledger.is_over.get() {
            let Some(deed) = table.next().or_else(|| self.attack.random.one_of(DEEDS)) else { return };
            let outcome = (deed.run)(&self.attack).await;
            // One that was ended in the middle finds everything closed.
            if let (Err(why), true) = (outcome, self.process.is_alive()) {
                self.ledger.broken(format!("bad-{}, {}: {why}", self.number, deed.name));
            }
            *self.done.borrow_mut().entry(deed.name).or_default() += 1;
        }
    }
}

impl Course for Hostile {
    fn dangers(&self) -> Dangers {
        let processes = (1..NAMING).map(|number| format!("naming-{number}"));
        let processes = processes.chain((0..BAD).map(|number| format!("bad-{number}"))).collect();
        let cores = (SERVERS + 1..SERVERS + NAMING + BAD).collect();
        Dangers { processes, cores, messages: self.messages }
    }

    fn is_over(&self) -> bool {
        if !self.ledger.is_over.get() {
            let nobody_is_bad = !self.bad.iter().any(Process::is_running);
            self.ledger.is_over.set(nobody_is_bad || self.world.counts().messages >= self.messages);
        }
        self.ledger.is_over.get()
            && self.clients.iter().all(|(process, is_over)| is_over.get() || !process.is_running())
    }

    fn end(&self) -> Result<(), String> {
        match (&*self.ledger.failure.borrow(), self.ledger.rounds.get()) {
            (Some(why), _) => Err(why.clone()),
            (None, 0) => Err("no honest client got anywhere".to_owned()),
            (None, _) => Ok(()),
        }
    }

    fn figures(&self, _: &World) -> Vec<Figure> {
        let deeds: u64 = self.done.borrow().values().sum();
        let naming = self.naming.iter().filter(|member| member.is_running()).count();
        vec![
            Figure {
                key: "rounds",
                value: self.ledger.rounds.get() as f64,
                unit: "rounds of honest clients",
            },
            Figure { key: "deeds", value: deeds as f64, unit: "bad deeds" },
            Figure { key: "kinds", value: self.done.borrow().len() as f64, unit: "kinds of deeds" },
            Figure { key: "naming", value: naming as f64, unit: "members of naming left" },
        ]
    }
}

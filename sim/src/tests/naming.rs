//! Naming through one member and a few processes: what a client or a peer may do to it, and what it may not.

use crate::Costs;
use crate::faults::{Fault, Plan};
use crate::scenarios::planted_naming::leads_to;
use crate::world::{Process, World};
use fos_messages::names::{
    DirectoryKey, Entry, Found, NameError, NamePeersClient, NamesClient, Path, Peer, Policy, RequestNumber,
};
use fos_messages::rpc::{
    Address, Answered, CallError, Caller, Context, Instead, Never, Operation, interface, wire,
};
use fos_naming::member::Naming;
use fos_naming::record::{Part, Place, Record};
use fos_replicated_map::{
    Body, Identity as Owner, Logged, Member, Message, Operation as Change, Proposal, Request, Update,
};
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const KEY: DirectoryKey = DirectoryKey([3, 4]);
const WITHIN: Duration = Duration::from_secs(1);

struct Town {
    world: World,
    server: Process,
    naming: Rc<RefCell<Option<Naming>>>,
}

impl Town {
    /// One member of naming on core 0.
    fn new(cores: u32) -> Town {
        let world = World::new(1, cores, Costs::load("default").unwrap(), None, None);
        let server = world.start("naming", 0);
        let naming = Rc::new(RefCell::new(None));
        let (runtime, place) = (server.runtime.clone(), naming.clone());
        server.spawn(Priority::Normal, async move {
            *place.borrow_mut() = Naming::first(runtime, Member::new(0, 1), KEY).await.ok();
        });
        let town = Town { world, server, naming };
        town.run();
        town
    }

    fn run(&self) {
        while self.world.happen() {}
        assert_eq!(self.world.failure(), None);
    }

    /// Runs what happens within a time.
    fn run_for(&self, time: Duration) {
        let end = self.world.now() + time.as_nanos() as u64;
        while self.world.now() < end && self.world.happen() {}
        assert_eq!(self.world.failure(), None);
    }

    fn names(&self, process: &Process) -> Rc<Names> {
        Names::new(process.runtime.clone(), vec![self.server.address(Class::External)], (0, 1))
    }

    /// What a task of this process comes to.
    fn outcome<T: 'static>(&self, process: &Process, task: impl Future<Output = T> + 'static) -> T {
        let outcome = Rc::new(RefCell::new(None));
        let place = outcome.clone();
        process.spawn(Priority::Normal, async move {
            let found = task.await;
            *place.borrow_mut() = Some(found);
        });
        while outcome.borrow().is_none() {
            assert!(self.world.happen(), "the task is not over and nothing is left to happen");
        }
        outcome.take().unwrap()
    }
}

fn entry(process: &Process) -> Entry {
    Entry { address: process.address(Class::External), machine: 0, core: 1, metadata: Vec::new() }
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

#[test]
fn a_change_that_is_asked_twice_at_once_is_answered_twice() {
    let town = Town::new(2);
    let client = town.world.start("client", 1);
    let answers: Rc<RefCell<Vec<u64>>> = Rc::default();
    for _ in 0..2 {
        let naming = NamesClient::new(client.runtime.within(WITHIN), town.server.address(Class::External));
        let (answers, owner) = (answers.clone(), client.address(Class::External));
        client.spawn(Priority::Normal, async move {
            let made = naming.make(RequestNumber(1), path("/a"), KEY, KEY, Some(owner)).await;
            answers.borrow_mut().push(made.unwrap());
        });
    }
    town.run_for(WITHIN);
    let answers = answers.take();
    assert!(matches!(answers[..], [one, other] if one == other), "{answers:?}");
    assert_eq!(town.server.runtime.load().requests, 0, "nothing waits for ever");
}

#[test]
fn more_processes_than_can_be_watched_keep_their_names() {
    let town = Town::new(2);
    let clients: Vec<Process> = (0..300).map(|_| town.world.start("client", 1)).collect();
    for client in &clients {
        let (names, entry) = (town.names(client), entry(client));
        town.outcome(client, async move { names.register(&Path::root(), KEY, &entry).await }).unwrap();
    }
    let registered = || {
        let naming = town.naming.borrow();
        let map = naming.as_ref().unwrap().replication.read(0).unwrap();
        fos_naming::record::members(&map, &Path::root()).count()
    };
    town.run_for(Duration::from_millis(100));
    assert_eq!(registered(), 300);
    let ends: Vec<&str> = vec!["kill client at 0ns"; 300];
    town.world.plan(Plan(ends.iter().map(|text| Fault::parse(text).unwrap()).collect()));
    town.run();
    assert_eq!(registered(), 0, "who had to wait for a watch is noticed too");
}

#[test]
fn all_that_join_at_once_come_in_though_a_sponsor_has_time_for_one() {
    let town = Town::new(6);
    let sponsors = vec![(Member::new(0, 1), town.server.address(Class::Internal))];
    let joined: Rc<RefCell<Vec<Naming>>> = Rc::default();
    for number in 2..=6 {
        let process = town.world.start("joiner", number - 1);
        let (runtime, sponsors, joined) = (process.runtime.clone(), sponsors.clone(), joined.clone());
        process.spawn(Priority::Normal, async move {
            let naming = Naming::join(runtime, Member::new(0, number), &sponsors).await;
            joined.borrow_mut().push(naming.unwrap());
        });
    }
    town.run_for(WITHIN);
    let joined = joined.borrow();
    let serving = joined.iter().filter(|naming| naming.replication.read(0).is_ok());
    assert_eq!((joined.len(), serving.count()), (5, 5));
    assert!(joined.iter().all(|naming| naming.replication.membership().members.len() == 6));
}

#[test]
fn a_name_that_is_not_to_last_goes_with_its_maker() {
    let town = Town::new(2);
    let (maker, other) = (town.world.start("maker", 1), town.world.start("other", 1));
    for (name, lasting) in [("/lasting", true), ("/passing", false)] {
        let process = if lasting { &other } else { &maker };
        let names = town.names(process);
        town.outcome(process, async move { names.make(&path(name), KEY, KEY, lasting).await }).unwrap();
    }
    let look = |name: &'static str| {
        let names = town.names(&other);
        town.outcome(&other, async move { names.look_up(&path(name)).await })
    };
    let nobody: Result<Found, _> = Err(CallError::Refused(NameError::NoMembers));
    assert_eq!(look("/passing"), nobody);
    town.world.plan(Plan(vec![Fault::parse("kill maker at 0ns").unwrap()]));
    town.run();
    assert_eq!(look("/passing"), Err(CallError::Refused(NameError::NotFound)));
    assert_eq!(look("/lasting"), nobody);
}

#[test]
fn a_directory_that_is_full_says_so_and_leaves_room_for_others() {
    let town = Town::new(2);
    let client = town.world.start("client", 1);
    let names = town.names(&client);
    town.outcome(&client, async move {
        let make = async |name: &str| names.make(&path(name), KEY, KEY, true).await;
        for name in ["/full", "/other"] {
            make(name).await.unwrap();
        }
        let owned_max = fos_naming::limits::LIMITS.owned_max;
        for number in 0..owned_max {
            make(&format!("/full/n{number}")).await.unwrap();
        }
        let full = Err(CallError::Refused(NameError::Full));
        assert_eq!(make("/full/more").await, full);
        assert_eq!(make("/full/n0/deeper").await, full);
        assert_eq!(make("/other/one").await, Ok(()));
        assert_eq!(make("/third").await, Ok(()));
    });
}

#[test]
fn nobody_takes_a_members_place_or_makes_a_name_anothers() {
    let town = Town::new(2);
    let stranger = town.world.start("stranger", 1);
    let within = || stranger.runtime.within(WITHIN);
    let introduce = |number, address: Address| {
        let naming = NamePeersClient::new(within(), town.server.address(Class::Internal));
        let peer = Peer { machine: 0, number, address };
        town.outcome(&stranger, async move { naming.introduce(peer).await })
    };
    let (own, anothers) = (stranger.address(Class::Internal), town.server.address(Class::Internal));
    assert_eq!(introduce(1, own), Err(CallError::Refused(NameError::Exists)));
    assert_eq!(introduce(2, anothers), Err(CallError::Refused(NameError::NotYours)));
    let naming = NamesClient::new(within(), town.server.address(Class::External));
    let made = town.outcome(&stranger, async move {
        naming.make(RequestNumber(1), path("/a"), KEY, KEY, Some(anothers)).await
    });
    assert_eq!(made, Err(CallError::Refused(NameError::NotYours)));
}

#[test]
fn a_call_by_name_ends_in_its_time_though_naming_is_silent() {
    let town = Town::new(2);
    let client = town.world.start("client", 1);
    town.world.plan(Plan(vec![Fault::parse("stop core 0 at 0ns").unwrap()]));
    let named = town.names(&client).at(path("/a"), Duration::from_millis(10));
    let began = town.world.now();
    let nothing = Operation {
        interface: 0x7001,
        version: 1,
        number: 0,
        name: "nothing",
        is_post: false,
        is_idempotent: true,
        answer_max: 8,
    };
    let is_late = town.outcome(&client, async move {
        let is_late = |answered: Answered<'_>| answered == Err(CallError::TimedOut);
        named.call(&Address::default(), &nothing, &|_| Ok(()), is_late).await
    });
    assert!(is_late);
    let took = town.world.now() - began;
    assert!((10_000_000..12_000_000).contains(&took), "{took}");
}

/// A record of a name whose key is that of `/`.
fn name_record(name: &str) -> (Place, Record) {
    let value = Record::Head { lock: KEY, policy: Policy::default(), owner: None };
    (Place::Name(path(name), Part::Head), value)
}

/// Of four members the fourth, before it ends, tells the third another update than the first and the second.
#[test]
fn a_member_whose_map_differs_leaves_and_another_joins_in_its_place() {
    let town = Town::new(5);
    let first = (Member::new(0, 1), town.server.address(Class::Internal));
    let join = |number: u32| {
        let process = town.world.start(&format!("member-{number}"), number - 1);
        let (runtime, sponsors) = (process.runtime.clone(), vec![first]);
        let joining = async move { Naming::join(runtime, Member::new(0, number), &sponsors).await };
        let naming = town.outcome(&process, joining).unwrap();
        town.run_for(WITHIN / 10);
        assert!(naming.replication.read(0).is_ok());
        (process, naming)
    };
    let kill = |name: &str| {
        town.world.plan(Plan(vec![Fault::parse(&format!("kill {name} at 0ns")).unwrap()]));
        town.run_for(WITHIN / 10);
    };
    let [(second, of_second), (third, of_third), (liar, of_liar)] = [2, 3, 4].map(join);
    let digest_of = |naming: &Naming| naming.replication.read(0).map(|map| map.digest());
    let first_digest = || digest_of(town.naming.borrow().as_ref().unwrap());
    let (base, epoch) =
        (of_liar.replication.read(0).unwrap().version(), of_liar.replication.membership().epoch);
    let coordinator = Member::new(0, 4);
    for (name, to) in [("/right", &town.server), ("/right", &second), ("/wrong", &third)] {
        let (key, value) = name_record(name);
        let operation = Change::Insert { key, value, owner: Owner(0) };
        let update = Update { client: Owner(77), request: Request(1), operation };
        let updates = vec![Logged { origin: coordinator, update }];
        for body in [Body::Prepare(Proposal { coordinator, base, updates }), Body::Commit { base }] {
            let mut bytes = Vec::new();
            wire::write(&Message { epoch, body }, &mut bytes).unwrap();
            // One fragment, the first and the last.
            let fragment = [&0x8000_u16.to_le_bytes(), &bytes[..]].concat();
            let peer = NamePeersClient::new(liar.runtime.within(WITHIN), to.address(Class::Internal));
            town.outcome(&liar, async move { peer.say(fragment) }).unwrap();
        }
    }
    let is_behind = |naming: &Naming| naming.replication.read(0).unwrap().version() == base;
    let first_is_behind = || is_behind(town.naming.borrow().as_ref().unwrap());
    while first_is_behind() || is_behind(&of_second) || is_behind(&of_third) {
        assert!(town.world.happen());
    }
    assert_eq!(first_digest(), digest_of(&of_second));
    assert_ne!(first_digest(), digest_of(&of_third));
    kill("member-4");
    town.run_for(4 * fos_naming::replication::AUDIT_EVERY);
    assert!(of_third.replication.has_diverged() && of_third.replication.read(0).is_err());
    kill("member-3");
    let (_, of_fifth) = join(5);
    assert_eq!(digest_of(&of_fifth), first_digest());
    assert_eq!(of_second.replication.membership().members.len(), 3);
}

/// Two members of naming, of which the first leads clients elsewhere: to nobody, or to a process that does something else.
#[test]
fn a_client_turns_away_from_a_member_that_leads_it_astray() {
    for to_nobody in [true, false] {
        let town = Town::new(5);
        town.world.knows::<CounterInterface>();
        let other = town.world.start("member", 1);
        let sponsors = vec![(Member::new(0, 1), town.server.address(Class::Internal))];
        let runtime = other.runtime.clone();
        let joined =
            town.outcome(&other, async move { Naming::join(runtime, Member::new(0, 2), &sponsors).await });
        let _member = joined.unwrap();
        let (server, client) = (town.world.start("server", 2), town.world.start("client", 3));
        server.runtime.serve(Class::External, CounterDispatcher::new(Rc::new(Mirror)));
        let servers = [&town.server, &other].map(|process| process.address(Class::External)).to_vec();
        let registered = Names::new(server.runtime.clone(), servers.clone(), (0, 2));
        let entry = entry(&server);
        town.outcome(&server, async move { registered.register(&Path::root(), KEY, &entry).await }).unwrap();
        let elsewhere = town.world.start("elsewhere", 4);
        let astray = elsewhere.address(Class::External);
        leads_to(&town.server.runtime, town.naming.borrow().as_ref().unwrap(), astray);
        if to_nobody {
            town.world.plan(Plan(vec![Fault::parse("kill elsewhere at 0ns").unwrap()]));
        }
        let names = Names::new(client.runtime.clone(), servers, (0, 3));
        let counter = CounterClient::new(names.at(Path::root(), WITHIN), Address::default());
        let answer = town.outcome(&client, async move { counter.mirror(5).await });
        assert_eq!(answer, Ok(5), "led to nobody: {to_nobody}");
        let found = town.outcome(&client, async move { names.look_up(&Path::root()).await });
        let Ok(Found::Member(found)) = found else { panic!("{found:?}") };
        assert_eq!(found.address.identity, server.identity, "from now on the other one is asked");
    }
}

/// A service whose cost is that of its namesake in `echo`.
#[interface(id = 0x7f11, version = 1)]
pub trait Counter {
    /// The same number.
    #[operation(idempotent)]
    fn mirror(&self, number: u64) -> u64;
}

struct Mirror;

impl Counter for Mirror {
    fn mirror(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok(number)
    }
}

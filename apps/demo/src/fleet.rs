//! A fleet under a name: three members of naming and two of the demo fleet, clients that know nothing but the name, and
//! the death of one member of each under load. Nobody's call fails, and no name that was acknowledged is missing at any
//! member of naming that is left.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, NameError, NamesClient, NamesStarterDispatcher, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::{Address, CallError};
use fos_naming::starter::{Starter, StarterService};
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Priority, Runtime, Within};
use libfos::clock::Clock;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::protocol::AdderClient;

/// The name of the demo fleet.
pub const FLEET: &str = "/demo";
/// Cores of the members of naming.
const NAMING_CORES: [u16; 3] = [2, 3, 0];
/// Cores of the members of the demo fleet.
const DEMO_CORES: [u16; 2] = [2, 3];
/// Clients that call at once.
const CLIENTS: u64 = 16;
/// Calls that must be answered before a member is ended, and after.
const STRETCH: u64 = 500;
/// Names that must be acknowledged in each of the same stretches.
const NAMES_PER_STRETCH: u64 = 5;
/// How long anything may take on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What was promised under load, and what went wrong.
#[derive(Default)]
struct Ledger {
    calls: Cell<u64>,
    names: RefCell<Vec<String>>,
    failure: RefCell<Option<String>>,
    is_over: Cell<bool>,
    workers: Cell<u64>,
}

/// What the demonstration has.
#[derive(Clone)]
struct Demo {
    runtime: Runtime,
    root: ProgramsClient<Within>,
    starter: Rc<Starter>,
    root_key: DirectoryKey,
    fleet_key: DirectoryKey,
    fleet: Path,
    ledger: Rc<Ledger>,
    core: u16,
}

/// Starts both fleets, and ends a member of each under load.
pub fn run(start: &Start, server: &Server, root: &ProgramsClient<Within>) -> Result<(), String> {
    let key = || DirectoryKey([server.port.random(), server.port.random()]);
    let (root_key, fleet_key) = (key(), key());
    let starter = Starter::new(root_key);
    let service = NamesStarterDispatcher::new(Rc::new(StarterService(starter.clone())));
    server.runtime.serve(Class::External, service);
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    Root::of_program(start)
        .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline))
        .map_err(|error| error.to_string())?;
    let demo = Demo {
        runtime: server.runtime.clone(),
        root: root.clone(),
        starter,
        root_key,
        fleet_key,
        fleet: Path::new(FLEET).map_err(|error| error.to_string())?,
        ledger: Rc::default(),
        core: start.core as u16,
    };
    server.block_on(async move { demo.show().await })
}

impl Demo {
    async fn show(&self) -> Result<(), String> {
        let naming = self.start_naming().await?;
        let servers = self.starter.serving();
        let names = Names::new(self.runtime.clone(), servers.clone(), (0, self.core));
        let made = names.make(&self.fleet, self.root_key, self.fleet_key, true).await;
        made.map_err(|error| format!("{FLEET} is not made: {error}"))?;
        let members = self.start_members(&servers).await?;
        self.begin_load(&names);
        self.stretch().await?;
        self.end("a member of naming", naming[0]).await?;
        let left: Vec<Address> =
            servers.iter().filter(|at| at.identity.0 != naming[0].identity).copied().collect();
        self.starter.forget(Identity(naming[0].identity));
        self.stretch().await?;
        self.end("a member of the fleet", members[0]).await?;
        self.stretch().await?;
        self.end_load().await?;
        self.check(&left, members[1]).await
    }

    async fn start(&self, program: &str, arguments: Vec<String>, core: u16) -> Result<Started, String> {
        let order = Order { program: program.into(), arguments, core };
        self.root.start(&order).await.map_err(|error| format!("root does not start {program}: {error}"))
    }

    async fn start_naming(&self) -> Result<Vec<Started>, String> {
        let mut members = Vec::new();
        for core in NAMING_CORES {
            let started = self.start("naming", Vec::new(), core).await?;
            self.starter.expect(Identity(started.identity));
            members.push(started);
            self.wait_until("naming to begin", async || self.starter.serving().len() == members.len())
                .await?;
        }
        println!("fleet: naming has {} members", members.len());
        Ok(members)
    }

    async fn start_members(&self, servers: &[Address]) -> Result<Vec<Started>, String> {
        let DirectoryKey([one, other]) = self.fleet_key;
        let mut members = Vec::new();
        for core in DEMO_CORES {
            let arguments = vec!["member".into(), one.to_string(), other.to_string()];
            members.push(self.start("demo-server", arguments, core).await?);
        }
        self.wait_until("the fleet to register", async || {
            registered(&self.runtime, servers[0], &self.fleet)
                .await
                .is_ok_and(|found| found.len() == members.len())
        })
        .await?;
        println!("fleet: {} members are registered under {FLEET}", members.len());
        Ok(members)
    }

    /// Clients that call the fleet by its name, and one that makes names below it, one after the other.
    fn begin_load(&self, names: &Rc<Names>) {
        self.ledger.workers.set(CLIENTS + 1);
        for client in 0..CLIENTS {
            let (demo, adder) =
                (self.clone(), AdderClient::new(names.at(self.fleet.clone(), PATIENCE), Address::default()));
            self.runtime.spawn(Priority::Normal, async move {
                while !demo.ledger.is_over.get() {
                    let calls = demo.ledger.calls.get();
                    match adder.add(calls, client).await {
                        Ok(sum) if sum == calls + client => {
                            demo.ledger.calls.set(demo.ledger.calls.get() + 1)
                        }
                        wrong => demo.fail(format!("a call by name came to {wrong:?}")),
                    }
                }
                demo.ledger.workers.set(demo.ledger.workers.get() - 1);
            });
        }
        let (demo, names) = (self.clone(), names.clone());
        self.runtime.spawn(Priority::Normal, async move {
            demo.make_names(&names).await;
            demo.ledger.workers.set(demo.ledger.workers.get() - 1);
        });
    }

    async fn make_names(&self, names: &Names) {
        for number in 0.. {
            let name = format!("n{number:05}");
            let Ok(path) = self.fleet.child(&name) else { return };
            loop {
                if self.ledger.is_over.get() {
                    return;
                }
                match names.make(&path, self.fleet_key, self.fleet_key, true).await {
                    // `Exists`: an earlier try was done after all.
                    Ok(()) | Err(CallError::Refused(NameError::Exists)) => break,
                    Err(CallError::Refused(error)) => {
                        return self.fail(format!("{path} is refused: {error}"));
                    }
                    Err(_) => self.runtime.sleep(LOOK_EVERY).await,
                }
            }
            self.ledger.names.borrow_mut().push(name);
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    fn fail(&self, reason: String) {
        self.ledger.failure.borrow_mut().get_or_insert(reason);
        self.ledger.is_over.set(true);
    }

    /// Waits until enough has been answered since it was called.
    async fn stretch(&self) -> Result<(), String> {
        let progress = || (self.ledger.calls.get(), self.ledger.names.borrow().len() as u64);
        let (calls, names) = progress();
        self.wait_until("clients to be answered", async || {
            let (calls_now, names_now) = progress();
            self.ledger.is_over.get()
                || (calls_now >= calls + STRETCH && names_now >= names + NAMES_PER_STRETCH)
        })
        .await?;
        self.ledger.failure.borrow().clone().map_or(Ok(()), Err)
    }

    async fn end(&self, what: &str, member: Started) -> Result<(), String> {
        let ended = async {
            self.root.stop(member.number).await?;
            self.root.end(member.number).await
        };
        ended.await.map_err(|error| format!("root does not end {what}: {error}"))?;
        println!(
            "fleet: {what} was ended on core {} after {} calls by name and {} names made",
            member.core,
            self.ledger.calls.get(),
            self.ledger.names.borrow().len()
        );
        Ok(())
    }

    async fn end_load(&self) -> Result<(), String> {
        self.ledger.is_over.set(true);
        self.wait_until("clients to end", async || self.ledger.workers.get() == 0).await?;
        self.ledger.failure.borrow().clone().map_or(Ok(()), Err)?;
        println!("fleet: {} calls by name, each answered", self.ledger.calls.get());
        Ok(())
    }

    /// Every member of naming that is left has all names, and the one registration that is left.
    async fn check(&self, servers: &[Address], survivor: Started) -> Result<(), String> {
        let names = self.ledger.names.borrow().clone();
        for server in servers {
            self.wait_until("the dead member's registration to go", async || {
                registered(&self.runtime, *server, &self.fleet).await == Ok(vec![survivor.identity])
            })
            .await?;
            let listed = list(&self.runtime, *server, &self.fleet).await;
            let listed = listed.map_err(|error| format!("a member of naming does not list: {error}"))?;
            if let Some(lost) = names.iter().find(|name| !listed.contains(name)) {
                return Err(format!("{FLEET}/{lost} was acknowledged and is lost"));
            }
        }
        println!(
            "fleet: {} names acknowledged, none lost at {} members of naming",
            names.len(),
            servers.len()
        );
        Ok(())
    }

    async fn wait_until(&self, what: &str, is_so: impl AsyncFn() -> bool) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(PATIENCE);
        while !is_so().await {
            if self.runtime.port().now() > deadline {
                return Err(format!("waited in vain for {what}"));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The processes registered under a name, as one member of naming has them.
async fn registered(
    runtime: &Runtime,
    server: Address,
    path: &Path,
) -> Result<Vec<u64>, CallError<NameError>> {
    let naming = NamesClient::new(runtime.within(PATIENCE), server);
    let mut found: Vec<u64> = Vec::new();
    loop {
        let after = found.last().copied().unwrap_or(0);
        let (entries, _) = naming.list_members(path.clone(), after, 0).await?;
        if entries.is_empty() {
            return Ok(found);
        }
        found.extend(entries.iter().map(|entry| entry.address.identity.0));
    }
}

/// The names directly below one, as one member of naming has them.
async fn list(runtime: &Runtime, server: Address, path: &Path) -> Result<Vec<String>, CallError<NameError>> {
    let naming = NamesClient::new(runtime.within(PATIENCE), server);
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().cloned().unwrap_or_default();
        let (names, _) = naming.list(path.clone(), after, 0).await?;
        if names.is_empty() {
            return Ok(found);
        }
        found.extend(names);
    }
}

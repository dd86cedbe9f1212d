//! The fleets on the machine: three members of naming, and the demonstration, while names are made and a member of naming is
//! ended. No name that was acknowledged is missing at any member of naming that is left.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_abi::Identity;
use fos_demo::charter::MARKS;
use fos_demo::process::Process;
use fos_demo::show::{Show, Size};
use fos_messages::names::{DirectoryKey, NameError, NamesClient, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Refusal, Started};
use fos_messages::rpc::{Address, CallError};
use fos_messages::watchdog::WATCHDOG;
use fos_naming::starter::Starter;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Priority, Runtime, Within};
use libfos::clock::Clock;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::server::say;

/// Below which names are made under load.
pub(crate) const NAMES: &str = "/names";
/// Cores of the members of naming.
pub(crate) const NAMING_CORES: [u16; 3] = [2, 3, 0];
/// Members of the watchdog, as `images/watchdog.toml` has it.
const WATCHDOGS: usize = 3;
/// Cores of the loaders.
const LOADER_CORES: [u16; 4] = [1, 1, 1, 1];
/// Notes that must be acknowledged before and after the coordinator is ended.
const STRETCH: u64 = 300;
/// How long anything may take on a slow emulator with a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long whoever makes names waits after each; and how long where that goes on for long, since naming is not for many.
const NAME_EVERY: Duration = Duration::from_millis(10);
const NAME_EVERY_LIGHT: Duration = Duration::from_millis(200);

/// The names that were promised under load, and what went wrong.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) names: RefCell<Vec<String>>,
    failure: RefCell<Option<String>>,
    pub(crate) is_light: Cell<bool>,
    is_over: Cell<bool>,
    has_ended: Cell<bool>,
}

/// What the demonstration has.
#[derive(Clone)]
pub(crate) struct Demo {
    pub(crate) runtime: Runtime,
    pub(crate) root: ProgramsClient<Within>,
    pub(crate) starter: Rc<Starter>,
    pub(crate) root_key: DirectoryKey,
    pub(crate) ledger: Rc<Ledger>,
    pub(crate) core: u16,
    pub(crate) cores: u16,
}

/// Starts both fleets, and ends a member of each under load.
pub fn run(start: &Start, server: &Server, root: &ProgramsClient<Within>) -> Result<(), String> {
    let demo = prepare(start, server, root)?;
    server.block_on(async move { demo.show().await })
}

/// Starts naming, the watchdog and the demo fleet, and has members hang and end under load.
pub fn run_watched(start: &Start, server: &Server, root: &ProgramsClient<Within>) -> Result<(), String> {
    let demo = prepare(start, server, root)?;
    server.block_on(async move { demo.show_watched().await })
}

pub(crate) fn prepare(start: &Start, server: &Server, root: &ProgramsClient<Within>) -> Result<Demo, String> {
    let (starter, root_key) = Starter::serve(&server.runtime);
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    Root::of_program(start)
        .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline))
        .map_err(|error| error.to_string())?;
    Ok(Demo {
        runtime: server.runtime.clone(),
        root: root.clone(),
        starter,
        root_key,
        ledger: Rc::default(),
        core: start.core as u16,
        cores: start.cores as u16,
    })
}

impl Demo {
    async fn show(&self) -> Result<(), String> {
        let naming = self.start_naming().await?;
        let servers = self.starter.serving();
        let names = Names::new(self.runtime.clone(), servers.clone(), (0, self.core));
        let below = Path::new(NAMES).map_err(|error| error.to_string())?;
        let made = names.make(&below, self.root_key, self.root_key, true).await;
        made.map_err(|error| format!("{NAMES} is not made: {error}"))?;
        let show = self.begin(&names).await?;
        self.begin_names(names, below.clone());
        show.grow().await?;
        self.end_naming(naming[0]).await?;
        let left: Vec<Address> =
            servers.iter().filter(|at| at.identity.0 != naming[0].identity).copied().collect();
        show.lose_coordinator().await?;
        show.relocate().await?;
        show.shrink().await?;
        show.check().await?;
        self.check_names(&left, &below).await
    }

    async fn show_watched(&self) -> Result<(), String> {
        let names = self.start_kept_naming().await?;
        let first = self.start_watchdog(&names).await?;
        let fenced = self.root.fence(first.identity).await;
        if fenced != Err(CallError::Refused(Refusal::NotEntitled)) {
            return Err(format!("root fences for who has not the capability: {fenced:?}"));
        }
        println!("fleet: root fences nobody for who has not the capability");
        let show = self.begin(&names).await?;
        show.grow().await?;
        show.hang().await?;
        self.root.stop(first.number).await.map_err(|error| error.to_string())?;
        println!("fleet: member {} of the watchdog, which coordinated, was ended", first.identity);
        self.await_watchdog(&names, Some(first.identity)).await?;
        show.hang_coordinator().await?;
        show.check().await.map(|_| ())
    }

    /// Starts one member of the watchdog, which makes itself as many as the image wants.
    pub(crate) async fn start_watchdog(&self, names: &Rc<Names>) -> Result<Started, String> {
        let path = Path::new(WATCHDOG).map_err(|error| error.to_string())?;
        let members = path.child("members").map_err(|error| error.to_string())?;
        for name in [&path, &members] {
            let made = names.make(name, self.root_key, self.root_key, true).await;
            made.map_err(|error| format!("{name} is not made: {error}"))?;
        }
        let DirectoryKey(key) = self.root_key;
        let order = Order {
            program: "watchdog".into(),
            arguments: key.iter().map(u64::to_string).collect(),
            core: NAMING_CORES[1],
        };
        let started = self.root.start(&order).await;
        let started = started.map_err(|error| format!("root does not start the watchdog: {error}"))?;
        self.await_watchdog(names, None).await?;
        Ok(started)
    }

    /// Waits until the watchdog has all its members, without one that was ended.
    async fn await_watchdog(&self, names: &Rc<Names>, ended: Option<u64>) -> Result<(), String> {
        let path = Path::new(WATCHDOG).map_err(|error| error.to_string())?;
        let deadline = self.runtime.port().now().after(PATIENCE);
        loop {
            let members = names.members(&path).await.unwrap_or_default();
            let is_gone = members.iter().all(|entry| Some(entry.address.identity.0) != ended);
            if members.len() == WATCHDOGS && is_gone {
                println!("fleet: the watchdog has {WATCHDOGS} members");
                return Ok(());
            }
            if self.runtime.port().now() > deadline {
                return Err(format!("the watchdog has {} members", members.len()));
            }
            self.runtime.sleep(LOOK_EVERY * 10).await;
        }
    }

    pub(crate) async fn begin(&self, names: &Rc<Names>) -> Result<Show, String> {
        let process = Process {
            runtime: self.runtime.clone(),
            names: names.clone(),
            root: self.root.clone(),
            core: self.core,
            cores: (0..self.cores).collect(),
            arguments: Vec::new(),
            policy: None,
            marks: MARKS,
            say,
            hear: Rc::new(|_| ()),
        };
        let size = Size {
            loaders: LOADER_CORES.into(),
            first: 2,
            places: (0..self.cores).collect(),
            stretch: STRETCH,
            ends_coordinator: true,
        };
        Show::begin(process, self.root_key, size).await
    }

    async fn start_naming(&self) -> Result<Vec<Started>, String> {
        let mut members = Vec::new();
        for core in NAMING_CORES {
            let order = Order { program: "naming".into(), arguments: Vec::new(), core };
            let started = self.root.start(&order).await;
            let started = started.map_err(|error| format!("root does not start naming: {error}"))?;
            self.starter.expect(Identity(started.identity));
            members.push(started);
            self.wait_until("naming to begin", || self.starter.serving().len() == members.len()).await?;
        }
        println!("fleet: naming has {} members", members.len());
        Ok(members)
    }

    /// Makes names, one after the other.
    pub(crate) fn begin_names(&self, names: Rc<Names>, below: Path) {
        let demo = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            demo.make_names(&names, &below).await;
            demo.ledger.has_ended.set(true);
        });
    }

    async fn make_names(&self, names: &Names, below: &Path) {
        for number in 0.. {
            let name = format!("n{number:05}");
            let Ok(path) = below.child(&name) else { return };
            loop {
                if self.ledger.is_over.get() {
                    return;
                }
                match names.make(&path, self.root_key, self.root_key, true).await {
                    // `Exists`: an earlier try was done after all.
                    Ok(()) | Err(CallError::Refused(NameError::Exists)) => break,
                    Err(CallError::Refused(error)) => {
                        let reason = format!("{path} is refused: {error}");
                        self.ledger.failure.borrow_mut().get_or_insert(reason);
                        return;
                    }
                    Err(_) => self.runtime.sleep(LOOK_EVERY).await,
                }
            }
            self.ledger.names.borrow_mut().push(name);
            let pause = if self.ledger.is_light.get() { NAME_EVERY_LIGHT } else { NAME_EVERY };
            self.runtime.sleep(pause).await;
        }
    }

    async fn end_naming(&self, member: Started) -> Result<(), String> {
        let ended = async {
            self.root.stop(member.number).await?;
            self.root.end(member.number).await
        };
        ended.await.map_err(|error| format!("root does not end a member of naming: {error}"))?;
        self.starter.forget(Identity(member.identity));
        println!("fleet: a member of naming was ended under load on core {}", member.core);
        Ok(())
    }

    /// Every member of naming that is left has all names.
    pub(crate) async fn check_names(&self, servers: &[Address], below: &Path) -> Result<(), String> {
        self.ledger.is_over.set(true);
        self.wait_until("the last name to be made", || self.ledger.has_ended.get()).await?;
        self.ledger.failure.borrow().clone().map_or(Ok(()), Err)?;
        let names = self.ledger.names.borrow().clone();
        for server in servers {
            let listed = list(&self.runtime, *server, below).await;
            let listed = listed.map_err(|error| format!("a member of naming does not list: {error}"))?;
            if let Some(lost) = names.iter().find(|name| !listed.contains(name)) {
                return Err(format!("{below}/{lost} was acknowledged and is lost"));
            }
        }
        println!(
            "fleet: {} names acknowledged, none lost at {} members of naming",
            names.len(),
            servers.len()
        );
        Ok(())
    }

    async fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(PATIENCE);
        while !is_so() {
            if self.runtime.port().now() > deadline {
                return Err(format!("waited in vain for {what}"));
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The names directly below one, as one member of naming has them.
async fn list(runtime: &Runtime, server: Address, path: &Path) -> Result<Vec<String>, CallError<NameError>> {
    let naming = NamesClient::new(runtime.within(PATIENCE), server);
    let mut found: Vec<String> = vec![];
    loop {
        let after = found.last().cloned().unwrap_or_default();
        let (names, _) = naming.list(path.clone(), after, 0).await?;
        if names.is_empty() {
            return Ok(found);
        }
        found.extend(names);
    }
}

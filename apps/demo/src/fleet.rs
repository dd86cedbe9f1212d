//! The fleets on the machine: three members of naming, and the demonstration, while names are made and a member of naming is
//! ended. No name that was acknowledged is missing at any member of naming that is left.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_demo::charter::MARKS;
use fos_demo::process::Process;
use fos_demo::show::{Show, Size};
use fos_messages::names::{DirectoryKey, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Refusal, Started};
use fos_messages::rpc::{Address, CallError};
use fos_messages::watchdog::WATCHDOG;
use fos_naming::starter::Starter;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Runtime, Within};
use libfos::clock::Clock;
use libfos::root::Root;
use libfos::server::Server;
use libfos::{Start, println};

use crate::names::NameLoad;
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

/// What the demonstration has.
#[derive(Clone)]
pub(crate) struct Demo {
    pub(crate) runtime: Runtime,
    pub(crate) root: ProgramsClient<Within>,
    pub(crate) starter: Rc<Starter>,
    pub(crate) root_key: DirectoryKey,
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
        core: start.core as u16,
        cores: start.cores as u16,
    })
}

impl Demo {
    async fn show(&self) -> Result<(), String> {
        let naming = self.start_naming().await?;
        let servers = self.starter.serving();
        let names = Names::new(self.runtime.clone(), servers.clone(), (0, self.core));
        let show = self.begin(&names).await?;
        let load = NameLoad::begin(&self.runtime, &names, NAMES, self.root_key).await?;
        show.grow().await?;
        self.end_naming(naming[0]).await?;
        let left: Vec<Address> =
            servers.iter().filter(|at| at.identity.0 != naming[0].identity).copied().collect();
        show.lose_coordinator().await?;
        show.relocate().await?;
        show.shrink().await?;
        show.check().await?;
        load.check(&left).await
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

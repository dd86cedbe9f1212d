//! The fleets on the machine: three members of naming, and the demonstration, while names are made and a member of naming is
//! ended. No name that was acknowledged is missing at any member of naming that is left.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_abi::Identity;
use fos_demo::charter::MARKS;
use fos_demo::process::Process;
use fos_demo::show::{Show, Size};
use fos_init::{Founder, wait_until};
use fos_messages::names::Path;
use fos_messages::programs::{Order, Refusal, Started};
use fos_messages::rpc::{Address, CallError};
use fos_messages::watchdog::WATCHDOG;
use fos_runtime::Names;
use libfos::server::Server;
use libfos::{Start, println};

use crate::names::NameLoad;
use crate::server::say;
pub(crate) use fos_init::{LOOK_EVERY, PATIENCE};

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

/// What the demonstration has.
#[derive(Clone)]
pub(crate) struct Demo {
    pub(crate) founder: Founder,
}

/// Starts both fleets, and ends a member of each under load.
pub fn run(start: &Start, server: &Server) -> Result<(), String> {
    let demo = prepare(start, server)?;
    server.block_on(async move { demo.show().await })
}

/// Starts naming, the watchdog and the demo fleet, and has members hang and end under load.
pub fn run_watched(start: &Start, server: &Server) -> Result<(), String> {
    let demo = prepare(start, server)?;
    server.block_on(async move { demo.show_watched().await })
}

pub(crate) fn prepare(start: &Start, server: &Server) -> Result<Demo, String> {
    Ok(Demo { founder: Founder::begin(start, server)? })
}

impl Demo {
    async fn show(&self) -> Result<(), String> {
        let naming = self.start_naming().await?;
        let servers = self.founder.starter.serving();
        let names = Names::new(self.founder.runtime.clone(), servers.clone(), (0, self.founder.core));
        let show = self.begin(&names).await?;
        let load = NameLoad::begin(&self.founder.runtime, &names, NAMES, self.founder.root_key).await?;
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
        let fenced = self.founder.root.fence(first.identity).await;
        if fenced != Err(CallError::Refused(Refusal::NotEntitled)) {
            return Err(format!("root fences for who has not the capability: {fenced:?}"));
        }
        println!("fleet: root fences nobody for who has not the capability");
        let show = self.begin(&names).await?;
        show.grow().await?;
        show.hang().await?;
        self.founder.root.stop(first.number).await.map_err(|error| error.to_string())?;
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
            let made = names.make(name, self.founder.root_key, self.founder.root_key, true).await;
            made.map_err(|error| format!("{name} is not made: {error}"))?;
        }
        let started = self.founder.first_member(self.founder.root_key, "watchdog", NAMING_CORES[1]).await?;
        self.await_watchdog(names, None).await?;
        Ok(started.first)
    }

    /// Waits until the watchdog has all its members, without one that was ended.
    async fn await_watchdog(&self, names: &Rc<Names>, ended: Option<u64>) -> Result<(), String> {
        let path = Path::new(WATCHDOG).map_err(|error| error.to_string())?;
        let deadline = self.founder.runtime.port().now().after(PATIENCE);
        loop {
            let members = names.members(&path).await.unwrap_or_default();
            let is_gone = members.iter().all(|entry| Some(entry.address.identity.0) != ended);
            if members.len() == WATCHDOGS && is_gone {
                println!("fleet: the watchdog has {WATCHDOGS} members");
                return Ok(());
            }
            if self.founder.runtime.port().now() > deadline {
                return Err(format!("the watchdog has {} members", members.len()));
            }
            self.founder.runtime.sleep(LOOK_EVERY * 10).await;
        }
    }

    pub(crate) async fn begin(&self, names: &Rc<Names>) -> Result<Show, String> {
        let process = Process {
            runtime: self.founder.runtime.clone(),
            names: names.clone(),
            root: self.founder.root.clone(),
            core: self.founder.core,
            cores: self.founder.cores.clone(),
            arguments: Vec::new(),
            policy: None,
            marks: MARKS,
            say,
            hear: Rc::new(|_| ()),
        };
        let size = Size {
            loaders: LOADER_CORES.into(),
            first: 2,
            places: self.founder.cores.clone(),
            stretch: STRETCH,
            ends_coordinator: true,
        };
        Show::begin(process, self.founder.root_key, size).await
    }

    async fn start_naming(&self) -> Result<Vec<Started>, String> {
        let mut members = Vec::new();
        for core in NAMING_CORES {
            let order = Order { program: "naming".into(), arguments: Vec::new(), core };
            let started = self.founder.root.start(&order).await;
            let started = started.map_err(|error| format!("root does not start naming: {error}"))?;
            self.founder.starter.expect(Identity(started.identity));
            members.push(started);
            let begun = || self.founder.starter.serving().len() == members.len();
            wait_until(&self.founder.runtime, "naming to begin", begun).await?;
        }
        println!("fleet: naming has {} members", members.len());
        Ok(members)
    }

    async fn end_naming(&self, member: Started) -> Result<(), String> {
        let ended = async {
            self.founder.root.stop(member.number).await?;
            self.founder.root.end(member.number).await
        };
        ended.await.map_err(|error| format!("root does not end a member of naming: {error}"))?;
        self.founder.starter.forget(Identity(member.identity));
        println!("fleet: a member of naming was ended under load on core {}", member.core);
        Ok(())
    }
}

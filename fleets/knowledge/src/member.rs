//! One member of the fleet, from entering it to leaving it.

use crate::charter::charter;
use crate::server::Server;
use crate::service::{Clients, Members};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fos_messages::arbiter::{ArbiterDispatcher, ArbiterInterface, ArbiterPeersDispatcher};
use fos_messages::image::Policy;
use fos_messages::knowledge::{KnowledgeDispatcher, KnowledgeInterface, KnowledgePeersDispatcher};
use fos_messages::programs::{Order, ProgramsClient};
use fos_runtime::fleet::{self, ByPrograms, Event, MEMBER, Marks, Member};
use fos_runtime::{Care, Names, Runtime, Within};

/// What the image calls the program.
pub const PROGRAM: &str = "knowledge";

/// Where a member finds itself.
pub struct Process {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// Who starts programs.
    pub root: ProgramsClient<Within>,
    /// Its core.
    pub core: u16,
    /// Where members may run.
    pub cores: Vec<u16>,
    /// Its name and arguments.
    pub arguments: Vec<String>,
    /// How the image wants the fleet looked after.
    pub policy: Option<Policy>,
    /// The fleet's water marks.
    pub marks: Marks,
    /// Is told of what happens in the fleet.
    pub hear: Rc<dyn Fn(Event)>,
}

/// Serves until the fleet needs it no more.
pub async fn run(process: Process) -> Result<(), String> {
    let Process { runtime, names, root, core, cores, policy, marks, hear, arguments: given } = process;
    let key = fleet::key(&given)?;
    let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(MEMBER, key), core };
    let care = Care { runtime: runtime.clone(), names: names.clone(), order: order.clone(), policy };
    let growth = care.permitted(ByPrograms::new(root, order, cores));
    let charter = charter(key, marks).map_err(|error| error.to_string())?;
    let member = Member::new(&runtime, &names, charter, (0, core), growth, move |event| hear(event));
    let member = member.map_err(|error| error.to_string())?;
    let server = Server::new(runtime.clone(), member.clone(), key);
    let clients = Rc::new(Clients(server.clone()));
    member.serve::<KnowledgeInterface>(KnowledgeDispatcher::new(clients.clone()));
    member.serve::<ArbiterInterface>(ArbiterDispatcher::new(clients));
    let members = Rc::new(Members(server.clone()));
    member.serve_members(KnowledgePeersDispatcher::new(members.clone()));
    member.serve_members(ArbiterPeersDispatcher::new(members));
    let minder = care.begin(&member);
    member.enter().await.map_err(|error| error.to_string())?;
    server.fetch().await;
    server.begin_beating();
    member.open().await.map_err(|error| error.to_string())?;
    member.last().await;
    if let Some(minder) = minder {
        minder.dismiss().await;
    }
    Ok(())
}

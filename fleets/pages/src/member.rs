//! One member of the fleet, from entering it to leaving it.

use crate::charter::charter;
use crate::cleaning::Cleaner;
use crate::homecoming::News;
use crate::server::Server;
use crate::service::{Clients, Members};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::custody::CustodyNewsDispatcher;
use fos_messages::image::Policy;
use fos_messages::pages::{PagesDispatcher, PagesInterface, PagesPeersDispatcher};
use fos_messages::programs::{Order, ProgramsClient};
use fos_messages::rpc::Address;
use fos_runtime::fleet::{self, ByPrograms, Event, MEMBER, Marks, Member};
use fos_runtime::port::Class;
use fos_runtime::{Care, Names, Runtime, Within};

/// What the image calls the program.
pub const PROGRAM: &str = "pages";
/// How long before the custodian is asked again to tell this member of what nobody has.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Where a member finds itself.
pub struct Process {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// Who starts programs.
    pub root: ProgramsClient<Within>,
    /// Who has the frames.
    pub custodian: Address,
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
    /// What zeroes frames.
    pub cleaner: Box<dyn Cleaner>,
    /// Is told of what happens in the fleet.
    pub hear: Rc<dyn Fn(Event)>,
}

/// Serves until the fleet needs it no more.
pub async fn run(process: Process) -> Result<(), String> {
    let Process { runtime, names, root, custodian, core, cores, policy, marks, cleaner, hear, .. } = process;
    let key = fleet::key(&process.arguments)?;
    let order = Order { program: PROGRAM.into(), arguments: fleet::arguments(MEMBER, key), core };
    let care = Care { runtime: runtime.clone(), names: names.clone(), order: order.clone(), policy };
    let growth = care.permitted(ByPrograms::new(root, order, cores));
    let charter = charter(key, marks).map_err(|error| error.to_string())?;
    let member = Member::new(&runtime, &names, charter, (0, core), growth, move |event| hear(event));
    let member = member.map_err(|error| error.to_string())?;
    let server = Server::new(runtime.clone(), member.clone(), custodian, cleaner, key);
    member.serve::<PagesInterface>(PagesDispatcher::new(Rc::new(Clients(server.clone()))));
    member.serve_members(PagesPeersDispatcher::new(Rc::new(Members(server.clone()))));
    let minder = care.begin(&member);
    member.enter().await.map_err(|error| error.to_string())?;
    runtime.serve(Class::External, CustodyNewsDispatcher::new(Rc::new(News(server.clone()))));
    while server.custody.subscribe(runtime.port().address(Class::External)).await.is_err() {
        runtime.sleep(AGAIN_AFTER).await;
    }
    server.begin_homecoming();
    server.begin_cleaning();
    server.knows_totals().await;
    member.open().await.map_err(|error| error.to_string())?;
    member.last().await;
    server.leave().await;
    if let Some(minder) = minder {
        minder.dismiss().await;
    }
    Ok(())
}

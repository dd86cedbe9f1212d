//! A member's life: the fleet library, with the search as its service.

use crate::charter::charter;
use crate::problem::Beginning;
use crate::protocol::{SearchDispatcher, SearchInterface};
use crate::searcher::{Clients, Searcher};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::OnceCell;
use core::time::Duration;
use fos_messages::names::DirectoryKey;
use fos_runtime::fleet::{Event, Growth, Member};
use fos_runtime::{Names, Priority, Runtime};

/// How often is looked whether the others have gone on without this member.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Where a member finds itself.
pub struct Process {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// How others are started.
    pub growth: Rc<dyn Growth>,
    /// Its core.
    pub core: u16,
    /// The fleet's key.
    pub key: DirectoryKey,
    /// How long whoever works rests before each beginning: the simulator knows of no other time that trying trips takes.
    pub rest: Duration,
    /// Is told of what happens.
    pub hear: Rc<dyn Fn(Heard)>,
}

/// What a member tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What happens in its fleet.
    Fleet(Event),
    /// It lets clients in.
    Opened,
    /// The others have gone on without it: it ends.
    Stopped,
    /// It has taken a beginning out of the pool.
    Takes(Beginning),
    /// It has written what became of it.
    Settled(Beginning),
}

/// Serves and works until the fleet needs it no more, or has gone on without it.
pub async fn run(process: Process) -> Result<(), String> {
    let Process { runtime, names, growth, core, key, rest, hear } = process;
    let charter = charter(key).map_err(|error| error.to_string())?;
    let searcher = Searcher::new(&runtime, rest, hear.clone());
    let place: Rc<OnceCell<Rc<Member>>> = Rc::default();
    let (follower, own, ear) = (searcher.clone(), place.clone(), hear.clone());
    let tell = move |event| {
        ear(Heard::Fleet(event));
        if let Some(member) = own.get() {
            follower.follow(member, event);
        }
    };
    let member = Member::new(&runtime, &names, charter, (0, core), growth, tell);
    let member = member.map_err(|error| error.to_string())?;
    let staying = searcher.clone();
    member.stay_while(move || !staying.has_left());
    let _ = place.set(member.clone());
    member.serve::<SearchInterface>(SearchDispatcher::new(Rc::new(Clients(searcher.clone()))));
    member.enter().await.map_err(|error| error.to_string())?;
    searcher.begin_to_work();
    member.open().await.map_err(|error| error.to_string())?;
    hear(Heard::Opened);
    let is_over = Rc::new(OnceCell::new());
    let over = is_over.clone();
    runtime.spawn(Priority::Normal, async move {
        member.last().await;
        let _ = over.set(());
    });
    while is_over.get().is_none() && !searcher.has_stopped() {
        runtime.sleep(LOOK_EVERY).await;
    }
    Ok(())
}

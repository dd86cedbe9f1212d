//! One member of the watchdog: the fleet library, with looking after others as its service. It is looked after like everybody
//! else, by the other members.

use crate::book::{Book, Event, patient};
use crate::service::{Members, Service};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::image::Policy;
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::programs::{Order, ProgramsClient, Refusal};
use fos_messages::rpc::{Address, CallError};
use fos_messages::watchdog::{
    Charge, WATCHDOG, WatchdogDispatcher, WatchdogInterface, WatchdogPeersDispatcher,
};
use fos_runtime::fleet::{ByPrograms, Charter, Coming, Event as FleetEvent, Growth, Member};
use fos_runtime::port::Class;
use fos_runtime::{Minder, Names, Priority, Runtime, crowded};

/// Where a process of the watchdog finds itself.
#[derive(Clone)]
pub struct Process {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming.
    pub names: Rc<Names>,
    /// Who starts and ends programs.
    pub root: Address,
    /// How it was started, and on which core.
    pub order: Order,
    /// Where members may run.
    pub cores: Vec<u16>,
    /// The key of the watchdog's name.
    pub key: DirectoryKey,
    /// How the image's fleets are to be looked after, the watchdog among them.
    pub policies: Vec<Policy>,
    /// Is told of what happens in its own fleet.
    pub hear: Rc<dyn Fn(FleetEvent)>,
    /// Is told of what happens to those it looks after.
    pub tell: Rc<dyn Fn(Event)>,
}

/// The charter of the watchdog's own fleet. Clients are never sent from one member to another: they tell all of them.
pub fn charter(key: DirectoryKey, policy: &Policy) -> Charter {
    let drain_within = Duration::from_secs(5);
    Charter { name: policy.path(), key, marks: policy.into(), redirect_above: Duration::MAX, drain_within }
}

/// Serves until the fleet needs it no more.
pub async fn run(process: Process) -> Result<(), String> {
    let Process { runtime, names, root, order, cores, key, policies, hear, tell } = process;
    let own = policies.iter().find(|policy| policy.name == WATCHDOG);
    let own = own.ok_or("the image has no [[fleet]] named \"/watchdog\"")?.clone();
    let root = ProgramsClient::new(patient(&runtime), root);
    let place = (0, order.core);
    let growth = ByPrograms::new(root.clone(), order.clone(), cores);
    let growth = Rc::new(Bounded { growth, book: RefCell::default() });
    let charter = charter(key, &own);
    let member = Member::new(&runtime, &names, charter, place, growth.clone(), move |event| hear(event));
    let member = member.map_err(|error| error.to_string())?;
    let book = Book::new(&runtime, &member, root, policies, tell);
    *growth.book.borrow_mut() = Some(book.clone());
    let service = Service { book: book.clone(), names: names.clone() };
    member.serve::<WatchdogInterface>(WatchdogDispatcher::new(Rc::new(service)));
    member.serve_members(WatchdogPeersDispatcher::new(Rc::new(Members(book.clone()))));
    let internal = runtime.port().address(Class::Internal);
    let charge = Charge { fleet: own.path(), internal, order };
    let of = member.clone();
    let minder =
        Minder::begin(&runtime, &names, own.path(), charge, own.beat(), move || of.figure().wait_nanoseconds);
    member.enter().await.map_err(|error| error.to_string())?;
    book.fetch().await;
    let looks = book.clone();
    runtime.spawn(Priority::Normal, async move { looks.look().await });
    member.open().await.map_err(|error| error.to_string())?;
    member.last().await;
    minder.dismiss().await;
    Ok(())
}

/// The watchdog's own growth: its coordinator permits it itself, by the same rules as others'.
struct Bounded {
    growth: Rc<dyn Growth>,
    book: RefCell<Option<Rc<Book>>>,
}

impl Growth for Bounded {
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        Box::pin(async move {
            let book = self.book.borrow().clone();
            let permit = book.map(|book| book.server.borrow().permit(&path(), book.now()));
            let Ok(permit) = permit.transpose() else {
                return Err(CallError::Refused(Refusal::NotStarted));
            };
            let avoid = permit.unwrap_or_default().avoid;
            self.growth.grow(core, crowded(taken, &avoid)).await
        })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        self.growth.outlive(started)
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        self.growth.give_up(started)
    }
}

/// The watchdog's name.
pub fn path() -> Path {
    Path::new(WATCHDOG).unwrap_or_else(|_| Path::root())
}

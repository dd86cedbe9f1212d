//! How a program that is a member of a fleet, or uses one, begins: it finds who starts members of naming at root, naming through
//! him, and in its start block who starts programs. From then on it follows naming: members of naming that are replaced are known
//! to it.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use fos_abi::mailbox::{KEYS_MIN, SLOTS_MIN};
use fos_messages::image::Policy;
use fos_messages::names::{NamesStarterClient, STARTER};
use fos_messages::programs::ProgramsClient;
use fos_messages::rpc::Address;
use fos_runtime::fleet::Event;
use fos_runtime::{Names, Runtime, Within};

use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::memory::Memory;
use crate::root::{Root, RootError, programs};
use crate::server::Server;
use crate::{Start, println};

/// How long root, the starter of naming, or the start of a program may take on a slow emulator with a busy host.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a program stands still at most to ask root for the starter when no member of naming answers.
const FOUND_AGAIN_WITHIN: Duration = Duration::from_millis(100);

/// What a member has when it begins.
pub struct Begun {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its way to naming, which it follows.
    pub names: Rc<Names>,
    root: Option<Address>,
    /// Its memory, beside what its runtime has of it.
    pub memory: Memory,
    /// Its core.
    pub core: u16,
    /// Where members may run.
    pub cores: Vec<u16>,
    /// Its name and arguments.
    pub arguments: Vec<String>,
    /// How the image wants fleets looked after.
    pub policies: Vec<Policy>,
}

impl Begun {
    /// Who starts programs, if the image lets this one ask for that.
    pub fn root(&self) -> Result<Address, String> {
        self.root
            .ok_or_else(|| "the image does not let this program start others: give it \"programs\"".into())
    }

    /// A way to him, that waits as long as that may take.
    pub fn programs(&self) -> Result<ProgramsClient<Within>, String> {
        Ok(ProgramsClient::new(self.runtime.within(PATIENCE), self.root()?))
    }

    /// How the image wants the fleet of this name looked after.
    pub fn policy(&self, name: &str) -> Option<Policy> {
        self.policies.iter().find(|policy| policy.name == name).cloned()
    }
}

/// A member's life, and its status: of a failure the reason is printed, with the program's name and core.
pub fn run<F>(start: &Start, life: impl FnOnce(Begun) -> F + 'static) -> u8
where
    F: Future<Output = Result<(), String>> + 'static,
{
    status(start, serve(start, life))
}

/// The status of a program that has come so far; prints why, if it failed.
pub fn status(start: &Start, ended: Result<(), String>) -> u8 {
    match ended {
        Ok(()) => 0,
        Err(reason) => {
            let program = start.arguments.first().map_or("?", String::as_str);
            println!("{program}: on core {}: {reason}", start.core);
            1
        }
    }
}

/// As [`run`], for a program that is a member in one of its roles.
pub fn serve<F>(start: &Start, life: impl FnOnce(Begun) -> F + 'static) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let mut memory = Memory::of_program(start).map_err(|error| format!("its own memory: {error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let finder = Finder::create(start, &mut memory);
    let finder = finder.map_err(|error| format!("root is not asked for the starter of naming: {error}"))?;
    let starter =
        finder.find(PATIENCE).map_err(|error| format!("the starter of naming is not found: {error}"))?;
    let root = programs(start);
    let (runtime, core, cores) =
        (server.runtime.clone(), start.core as u16, (0..start.cores as u16).collect());
    let (arguments, policies) = (start.arguments.clone(), Policy::all(&start.environment));
    server.block_on(async move {
        let starter = NamesStarterClient::new(runtime.within(PATIENCE), starter);
        let naming = starter.members().await.map_err(|error| format!("naming is not found: {error}"))?;
        let names = Names::new(runtime.clone(), naming, (0, core));
        let again = runtime.within(PATIENCE);
        names.follow(Some(Box::new(move || {
            Some(NamesStarterClient::new(again.clone(), finder.find(FOUND_AGAIN_WITHIN).ok()?))
        })));
        life(Begun { runtime, names, root, memory, core, cores, arguments, policies }).await
    })
}

/// Finds the starter of naming at root, again and again: another may come in its place.
struct Finder {
    root: Root,
    clock: Clock,
    /// For root's answers alone.
    mailbox: RefCell<Mailbox>,
}

impl Finder {
    fn create(start: &Start, memory: &mut Memory) -> Result<Finder, RootError> {
        let mailbox = RefCell::new(Mailbox::create(memory, SLOTS_MIN, KEYS_MIN)?);
        Ok(Finder { root: Root::of_program(start)?, clock: Clock::new(start.tsc_hz), mailbox })
    }

    /// Waits until there is one, and does nothing else meanwhile: root waits for nobody.
    fn find(&self, within: Duration) -> Result<Address, RootError> {
        let mut mailbox = self.mailbox.borrow_mut();
        // Answers that came too late the last time.
        while mailbox.take().is_some() {}
        self.root.lookup(&mut mailbox, STARTER, self.clock.after(within))
    }
}

/// Prints what people want to know of a fleet: that an epoch began, by its coordinator, and that a member has ended.
pub fn tell(program: &str, core: u16, event: Event) {
    match event {
        Event::Began { epoch, members, coordinates: true } => {
            println!("{program}: epoch {}: {members} members, coordinated from core {core}", epoch.0);
        }
        Event::Lost(identity) => {
            println!("{program}: core {core} noticed that member {} has ended", identity.0);
        }
        _ => {}
    }
}

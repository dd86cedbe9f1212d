//! Honest clients beside the bad peers: whatever those do, each call of these is answered, with the answer to it, and done
//! once; a name that one registered leads to it.

use crate::Random;
use crate::till::{TEXT_BYTES_MAX, TillClient};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_messages::names::{DirectoryKey, Entry, Found, NameError, Path};
use fos_messages::rpc::{Address, CallError, SendError};
use fos_runtime::port::Class;
use fos_runtime::{Names, Runtime};

/// What honest clients saw.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Rounds that ended well.
    pub rounds: Cell<u64>,
    /// The first promise that did not hold.
    pub failure: RefCell<Option<String>>,
    /// Clients end with their round.
    pub is_over: Cell<bool>,
}

impl Ledger {
    /// A promise does not hold.
    pub fn broken(&self, why: String) {
        self.failure.borrow_mut().get_or_insert(why);
        self.is_over.set(true);
    }
}

/// A client that was refused asks again after this time.
const PAUSE: Duration = Duration::from_micros(100);
/// A lie is waited for so long.
const LIE_WITHIN: Duration = Duration::from_micros(300);

/// One process's honest client of the server.
pub struct Client {
    /// What it runs on.
    pub runtime: Runtime,
    /// The server.
    pub till: Address,
    /// A server of the same interface that lies, whom it asks too.
    pub liar: Option<Address>,
    /// What it sees.
    pub ledger: Rc<Ledger>,
    /// How long an answer may take.
    pub patience: Duration,
    /// Its choices.
    pub random: Random,
}

impl Client {
    /// One round after the other, until it is over. One task of its process does this: its calls are counted.
    pub async fn work(self) {
        let till = TillClient::new(self.runtime.within(self.patience), self.till);
        let mut counted = 0;
        while !self.ledger.is_over.get() {
            match self.round(&till, &mut counted).await {
                Ok(()) => self.ledger.rounds.set(self.ledger.rounds.get() + 1),
                Err(why) => {
                    self.ledger.broken(format!("process {:#x}: {why}", self.runtime.port().identity().0))
                }
            }
        }
    }

    async fn round(&self, till: &TillClient<fos_runtime::Within>, counted: &mut u64) -> Result<(), String> {
        let lied = self.ask_the_liar();
        let number = self.random.next();
        let same = async {
            let mirrored = self.answered("mirror", || till.mirror(number)).await?;
            equal("mirror", mirrored, number)?;
            // Both are done once, whatever came of earlier tries: nothing is repeated that may have been done.
            let count = self.answered("count", || till.count()).await?;
            *counted += 1;
            equal("count", count, *counted)?;
            let text: Vec<u8> =
                (0..self.random.below(TEXT_BYTES_MAX + 1)).map(|_| self.random.byte()).collect();
            let echoed = self.answered("echo", || till.echo(&text)).await?;
            equal("echo", echoed, text)
        };
        // The calls to the liar and to the server are under way at the same time, with numbers beside each other.
        let ((), outcome) = futures_util::future::join(lied, same).await;
        outcome
    }

    /// Whatever it says, and if it says nothing.
    async fn ask_the_liar(&self) {
        let Some(liar) = self.liar else { return };
        let liar = TillClient::new(self.runtime.within(LIE_WITHIN), liar);
        let _ = futures_util::future::join(liar.mirror(1), liar.count()).await;
    }

    /// Asks until it is answered. Only what was certainly not done is asked again.
    async fn answered<T, E, F>(&self, what: &str, ask: impl Fn() -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, CallError<E>>>,
        E: core::fmt::Debug,
    {
        let deadline = self.runtime.port().now().after(self.patience);
        loop {
            match ask().await {
                Ok(value) => return Ok(value),
                Err(
                    CallError::Overloaded | CallError::TooManyCalls | CallError::NotSent(SendError::Full),
                ) if self.runtime.port().now() < deadline => self.runtime.sleep(PAUSE).await,
                Err(error) => return Err(format!("{what} came to {error:?}")),
            }
        }
    }
}

fn equal<T: PartialEq + core::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    match got == expected {
        true => Ok(()),
        false => Err(format!("{what} came back as {got:?} instead of {expected:?}")),
    }
}

/// One process's honest client of naming: makes a name, registers under it, finds itself, takes it back.
pub struct Named {
    /// Its way to naming.
    pub names: Rc<Names>,
    /// What it runs on.
    pub runtime: Runtime,
    /// The directory below which it makes its names, and its key.
    pub directory: (Path, DirectoryKey),
    /// What it sees.
    pub ledger: Rc<Ledger>,
    /// How long what was refused for want of a member is asked again.
    pub patience: Duration,
    /// How many rounds it makes at most: the names it made are there as long as it is.
    pub rounds_max: u32,
}

impl Named {
    /// One round after the other, until it is over.
    pub async fn work(self) {
        for round in 0..self.rounds_max {
            if self.ledger.is_over.get() {
                return;
            }
            match self.round(round).await {
                Ok(()) => self.ledger.rounds.set(self.ledger.rounds.get() + 1),
                Err(why) => {
                    self.ledger.broken(format!("process {:#x}: {why}", self.runtime.port().identity().0))
                }
            }
        }
    }

    async fn round(&self, round: u32) -> Result<(), String> {
        let (directory, key) = &self.directory;
        let me = self.runtime.port().identity();
        let name = directory.child(&format!("h{:x}-{round:x}", me.0)).map_err(|error| format!("{error}"))?;
        let address = self.runtime.port().address(Class::External);
        let entry = Entry { address, machine: 0, core: 0, metadata: Vec::new() };
        self.done("make", NameError::Exists, || self.names.make(&name, *key, *key, false)).await?;
        self.done("register", NameError::Exists, || self.names.register(&name, *key, &entry)).await?;
        match self.found(&name).await? {
            Found::Member(found) if found == entry => {}
            other => return Err(format!("{name} leads to {other:?}")),
        }
        self.done("unregister", NameError::NotFound, || self.names.unregister(&name)).await
    }

    /// Asks until it is done; `done_before` says that an earlier try was.
    async fn done<F>(&self, what: &str, done_before: NameError, ask: impl Fn() -> F) -> Result<(), String>
    where
        F: Future<Output = Result<(), CallError<NameError>>>,
    {
        let deadline = self.runtime.port().now().after(self.patience);
        loop {
            match ask().await {
                Ok(()) => return Ok(()),
                Err(CallError::Refused(error)) if error == done_before => return Ok(()),
                Err(CallError::Refused(error)) if error != NameError::Full => {
                    return Err(format!("{what} is refused: {error}"));
                }
                Err(_) if self.runtime.port().now() < deadline => self.runtime.sleep(PAUSE).await,
                Err(error) => return Err(format!("{what} came to {error:?}")),
            }
        }
    }

    async fn found(&self, name: &Path) -> Result<Found, String> {
        let deadline = self.runtime.port().now().after(self.patience);
        loop {
            match self.names.look_up(name).await {
                Ok(found) => return Ok(found),
                // A member that is behind says so; one that answers has it.
                Err(CallError::Refused(error)) => {
                    return Err(format!("{name}, which is registered, is {error}"));
                }
                Err(_) if self.runtime.port().now() < deadline => self.runtime.sleep(PAUSE).await,
                Err(error) => return Err(format!("looking up {name} came to {error:?}")),
            }
        }
    }
}

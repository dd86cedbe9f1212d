//! A load of naming: names are made one after the other, and the oldest removed again, while whatever ends that ends. What was
//! acknowledged holds at every member of naming: a name that was made is there, and one that was removed is not.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_messages::names::{DirectoryKey, NameError, NamesClient, Path};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::{Names, Priority, Runtime};
use libfos::println;

use crate::fleet::{LOOK_EVERY, PATIENCE};
use crate::rounds::Rounds;

/// How long it waits after each name; and how long where that goes on for long, since naming is not for many.
const NAME_EVERY: Duration = Duration::from_millis(10);
const NAME_EVERY_LIGHT: Duration = Duration::from_millis(200);
/// How many names are there at once: naming has room for four times as many of one client.
const KEPT: usize = 256;

/// The load.
pub(crate) struct NameLoad {
    runtime: Runtime,
    names: Rc<Names>,
    below: Path,
    key: DirectoryKey,
    there: RefCell<VecDeque<String>>,
    removed: RefCell<Vec<String>>,
    is_light: Cell<bool>,
    /// In each, a name is made.
    pub(crate) rounds: Rounds,
}

impl NameLoad {
    /// Makes the name below which all others are made, and begins.
    pub(crate) async fn begin(
        runtime: &Runtime,
        names: &Rc<Names>,
        below: &str,
        key: DirectoryKey,
    ) -> Result<Rc<NameLoad>, String> {
        let below = Path::new(below).map_err(|error| error.to_string())?;
        let made = names.make(&below, key, key, true).await;
        made.map_err(|error| format!("{below} is not made: {error}"))?;
        let load = Rc::new(NameLoad {
            runtime: runtime.clone(),
            names: names.clone(),
            below,
            key,
            there: RefCell::default(),
            removed: RefCell::default(),
            is_light: Cell::default(),
            rounds: Rounds::default(),
        });
        let working = load.clone();
        runtime.spawn(Priority::Normal, async move {
            let pause = || if working.is_light.get() { NAME_EVERY_LIGHT } else { NAME_EVERY };
            working.rounds.go_on(&working.runtime, pause, async || working.round().await).await;
        });
        Ok(load)
    }

    /// Makes names seldom from now on.
    pub(crate) fn lighten(&self) {
        self.is_light.set(true);
    }

    async fn round(&self) -> Result<(), String> {
        self.make(format!("n{:05}", self.rounds.done())).await?;
        let is_full = self.there.borrow().len() > KEPT;
        if is_full { self.remove_oldest().await } else { Ok(()) }
    }

    async fn make(&self, name: String) -> Result<(), String> {
        let path = self.path(&name)?;
        // `Exists`: an earlier try was done after all.
        self.until_done(&path, NameError::Exists, async || {
            self.names.make(&path, self.key, self.key, true).await
        })
        .await?;
        self.there.borrow_mut().push_back(name);
        Ok(())
    }

    async fn remove_oldest(&self) -> Result<(), String> {
        let Some(name) = self.there.borrow_mut().pop_front() else { return Ok(()) };
        let path = self.path(&name)?;
        self.until_done(&path, NameError::NotFound, async || self.names.remove(&path, self.key).await)
            .await?;
        self.removed.borrow_mut().push(name);
        Ok(())
    }

    fn path(&self, name: &str) -> Result<Path, String> {
        self.below.child(name).map_err(|error| error.to_string())
    }

    /// Asks for a change until it is done; `done` is what is answered where an earlier try was.
    async fn until_done(
        &self,
        path: &Path,
        done: NameError,
        change: impl AsyncFn() -> Result<(), CallError<NameError>>,
    ) -> Result<(), String> {
        loop {
            match change().await {
                Ok(()) => return Ok(()),
                Err(CallError::Refused(error)) if error == done => return Ok(()),
                Err(CallError::Refused(error)) => return Err(format!("{path} is refused: {error}")),
                Err(_) => self.runtime.sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Ends the load, and looks at what each member of naming has.
    pub(crate) async fn check(&self, servers: &[Address]) -> Result<(), String> {
        self.rounds.end(&self.runtime).await?;
        let (there, removed) = (self.there.take(), self.removed.take());
        for server in servers {
            let listed = list(&self.runtime, *server, &self.below).await;
            let listed = listed.map_err(|error| format!("a member of naming does not list: {error}"))?;
            if let Some(lost) = there.iter().find(|name| !listed.contains(name)) {
                return Err(format!("{}/{lost} was acknowledged and is lost", self.below));
            }
            if let Some(back) = removed.iter().find(|name| listed.contains(name)) {
                return Err(format!("{}/{back} was removed and is there", self.below));
            }
        }
        let (made, members) = (there.len() + removed.len(), servers.len());
        println!("fleet: {made} names acknowledged, none lost at {members} members of naming");
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

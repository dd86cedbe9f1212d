//! A loader: writes notes by the fleet's name, as many at once as it is told, and remembers which were acknowledged.

use crate::charter::{FLEET, LOADERS};
use crate::process::Process;
use crate::protocol::{Loader, LoaderDispatcher, NotesClient, Progress};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_messages::names::{DirectoryKey, Entry, NameError, Path};
use fos_messages::rpc::{Address, CallError, Context, Instead, Never, SendError};
use fos_runtime::port::Class;
use fos_runtime::{Named, Names, Priority, Runtime, Within};

/// How long one note may take, whatever happens meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait after a call that came to nothing.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// What one loader did.
pub struct Work {
    runtime: Runtime,
    names: Rc<Names>,
    fleet: Path,
    /// Tasks that are to write, and how long each pauses.
    wanted: Cell<(u32, Duration)>,
    next: Cell<u64>,
    acknowledged: RefCell<Vec<u64>>,
    failed: Cell<u64>,
    busy: Cell<u64>,
    lost: Cell<u64>,
}

/// Writes as it is told until it is ended.
pub async fn run(process: Process, key: DirectoryKey) -> Result<(), String> {
    let work = Work::new(&process)?;
    process.runtime.serve(Class::External, LoaderDispatcher::new(Rc::new(Told(work))));
    let address = process.runtime.port().address(Class::External);
    let entry = Entry { address, machine: 0, core: process.core, metadata: Vec::new() };
    let path = Path::new(LOADERS).map_err(|error| error.to_string())?;
    loop {
        match process.names.register(&path, key, &entry).await {
            Ok(()) | Err(CallError::Refused(NameError::Exists)) => break,
            Err(CallError::Refused(error)) => return Err(error.to_string()),
            Err(_) => process.runtime.sleep(AGAIN_AFTER).await,
        }
    }
    loop {
        process.runtime.sleep(PATIENCE).await;
    }
}

/// What a note with this number says.
fn text(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1
}

impl Work {
    fn new(process: &Process) -> Result<Rc<Work>, String> {
        let (wanted, acknowledged) = (Cell::new((0, Duration::ZERO)), RefCell::default());
        let (next, failed, busy, lost) = Default::default();
        let (runtime, names) = (process.runtime.clone(), process.names.clone());
        let fleet = Path::new(FLEET).map_err(|error| error.to_string())?;
        Ok(Rc::new(Work { runtime, names, fleet, wanted, next, acknowledged, failed, busy, lost }))
    }

    fn notes(&self) -> NotesClient<Named> {
        NotesClient::new(self.names.at(self.fleet.clone(), PATIENCE), Address::default())
    }

    fn set(self: &Rc<Self>, tasks: u32, pause: Duration) {
        self.wanted.set((tasks, pause));
        while self.busy.get() < tasks.into() {
            self.busy.set(self.busy.get() + 1);
            let work = self.clone();
            self.runtime.spawn(Priority::Normal, async move { work.write().await });
        }
    }

    /// Writes as long as there are to be so many tasks.
    async fn write(&self) {
        while self.busy.get() <= self.wanted.get().0.into() {
            let number = self.next.get();
            self.next.set(number + 1);
            self.write_one(number).await;
            self.runtime.sleep(self.wanted.get().1).await;
        }
        self.busy.set(self.busy.get() - 1);
    }

    /// Until it is acknowledged.
    async fn write_one(&self, number: u64) {
        while self.notes().write(number, text(number)).await.is_err() {
            self.failed.set(self.failed.get() + 1);
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.acknowledged.borrow_mut().push(number);
    }

    fn progress(&self) -> Progress {
        let written = self.acknowledged.borrow().len() as u64;
        Progress { written, failed: self.failed.get(), busy: self.busy.get(), lost: self.lost.get() }
    }

    /// Reads every acknowledged note from every member.
    async fn check(&self) -> Progress {
        let acknowledged = self.acknowledged.borrow().clone();
        let members = loop {
            match self.names.members(&self.fleet).await {
                Ok(members) => break members,
                Err(_) => self.runtime.sleep(AGAIN_AFTER).await,
            }
        };
        let mut lost = 0;
        for member in members {
            let notes = NotesClient::new(self.runtime.within(PATIENCE), member.address);
            for number in &acknowledged {
                match self.read_one(&notes, *number).await {
                    Some(read) => lost += u64::from(read != Some(text(*number))),
                    None => break,
                }
            }
        }
        self.lost.set(lost);
        self.progress()
    }

    /// None: the member has ended.
    async fn read_one(&self, notes: &NotesClient<Within>, number: u64) -> Option<Option<u64>> {
        loop {
            match notes.read(number).await {
                Ok(read) => return Some(read),
                Err(CallError::PeerLost | CallError::NotSent(SendError::Closed)) => return None,
                Err(_) => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
    }
}

/// What it is told.
struct Told(Rc<Work>);

impl Loader for Told {
    fn load(&self, _: Context, tasks: u32, pause_us: u64) -> Result<(), Instead<Never>> {
        self.0.set(tasks, Duration::from_micros(pause_us));
        Ok(())
    }

    fn progress(&self, _: Context) -> Result<Progress, Instead<Never>> {
        Ok(self.0.progress())
    }

    async fn check(&self, _: Context) -> Result<Progress, Instead<Never>> {
        Ok(self.0.check().await)
    }
}

//! What is shown, step by step, while a member is ended.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use fos_init::{Founder, wait_for_members};
use fos_messages::names::Path;
use fos_messages::programs::{ProgramsClient, Started};
use fos_messages::rpc::{Address, CallError, Caller};
use fos_runtime::{Names, Priority, Runtime, Within, fleet};
use fos_structures_test::handing::{HandingClient, HandingError};
use fos_structures_test::holder::{Eye, Holder};
use fos_structures_test::keeping::{KeepingClient, Kind};
use libfos::memory::Memory;
use libfos::server::Server;
use libfos::{Start, println};

use crate::member::{FLEET, HANDLES, MEMBERS, PROGRAM, charter};

/// Cores of naming and of the first member.
const NAMING_CORE: u16 = 0;
const FIRST_CORE: u16 = 2;
/// How long clients work before a member is ended.
const BEFORE_THE_END: Duration = Duration::from_millis(100);
/// How long one call may take, on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a step may take.
const STEP_WITHIN: Duration = Duration::from_secs(60);
const AGAIN_AFTER: Duration = Duration::from_millis(5);
/// Clients of handles, and what each calls.
const HOLDERS: u64 = 3;
const CALLS: u64 = 120;
/// Keys of each map, and how often each is written.
const KEYS: u64 = 48;
const ROUNDS: u64 = 6;

/// The fleet, and who started it.
#[derive(Clone)]
struct Show {
    runtime: Runtime,
    root: ProgramsClient<Within>,
    names: Rc<Names>,
    fleet: Path,
    first: Started,
}

/// Shows it all.
pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let founder = Founder::begin(start, &server)?;
    server.block_on(async move {
        let show = Show::begin(founder).await?;
        println!("structures: the fleet has {MEMBERS} members");
        let (eye, left) = show.begin_holders();
        show.have_the_first_ended();
        let written = show.write_all().await?;
        show.all_is_written(&written).await?;
        show.wait_until(|| left.get() == 0, "clients of handles end").await?;
        show.handles_kept_their_word(&eye).await?;
        show.wait_for_members().await?;
        println!("structures: the fleet has {MEMBERS} members again");
        show.all_agree().await?;
        show.all_is_written(&written).await
    })
}

impl Show {
    /// Starts naming and the first member, and waits for the others.
    async fn begin(founder: Founder) -> Result<Show, String> {
        let names = founder.naming(&[NAMING_CORE]).await?;
        let charter = charter(founder.new_key()).map_err(|error| error.to_string())?;
        let fleet = charter.name.clone();
        let founded = founder.found(&names, &charter, fleet::found, (PROGRAM, FIRST_CORE)).await?;
        let Founder { runtime, root, .. } = founder;
        let show = Show { runtime, root, names, fleet, first: founded.first };
        show.wait_for_members().await?;
        Ok(show)
    }

    async fn wait_for_members(&self) -> Result<(), String> {
        let path = Path::new(FLEET).map_err(|error| error.to_string())?;
        wait_for_members(&self.runtime, &self.names, &path, MEMBERS, |_| true).await
    }

    async fn wait_until(&self, is_so: impl Fn() -> bool, what: &str) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(STEP_WITHIN);
        while !is_so() {
            if self.runtime.port().now() > deadline {
                return Err(format!("waiting until {what} took longer than {STEP_WITHIN:?}"));
            }
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        Ok(())
    }

    fn holder(&self, eye: &Rc<Eye>) -> Holder {
        Holder {
            runtime: self.runtime.clone(),
            names: self.names.clone(),
            fleet: self.fleet.clone(),
            patience: PATIENCE,
            eye: eye.clone(),
        }
    }

    /// Clients that take, use and give back handles; and how many of them have not come to their end.
    fn begin_holders(&self) -> (Rc<Eye>, Rc<Cell<u64>>) {
        let (eye, left) = (Rc::<Eye>::default(), Rc::new(Cell::new(HOLDERS)));
        for number in 1..=HOLDERS {
            let holder = self.holder(&eye);
            let (over, mut state) = (left.clone(), number * 0x9e37_79b9_7f4a_7c15);
            self.runtime.spawn(Priority::Normal, async move {
                let draw = |below| {
                    // Marsaglia's xorshift: what is drawn need not be good, only differ.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state % below
                };
                holder.work(CALLS, draw).await;
                over.set(over.get() - 1);
            });
        }
        (eye, left)
    }

    /// Ends the first member after a while: it coordinates, and is the one that looks for what ended members had.
    fn have_the_first_ended(&self) {
        let show = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            show.runtime.sleep(BEFORE_THE_END).await;
            match show.root.stop(show.first.number).await {
                Ok(()) => println!("structures: member {} was ended under load", show.first.identity),
                Err(error) => println!("structures: root does not end a member: {error}"),
            }
        });
    }

    fn keeping(&self) -> KeepingClient<fos_runtime::Named> {
        KeepingClient::new(self.names.at(self.fleet.clone(), PATIENCE), Address::default())
    }

    /// Writes all keys of both maps again and again. Answers what the strong one was told to keep.
    async fn write_all(&self) -> Result<Vec<u64>, String> {
        let deadline = self.runtime.port().now().after(STEP_WITHIN);
        let mut last = alloc::vec![0; KEYS as usize];
        for round in 1..=ROUNDS {
            for (key, last) in (0..KEYS).zip(&mut last) {
                let value = round * KEYS + key;
                for kind in [Kind::Strong, Kind::Eventual] {
                    while self.keeping().write(kind, key, value).await.is_err() {
                        if self.runtime.port().now() > deadline {
                            return Err(format!("{kind:?} map: key {key} could not be written in time"));
                        }
                        self.runtime.sleep(AGAIN_AFTER).await;
                    }
                }
                *last = value;
                self.is_kept(key, value).await?;
            }
        }
        println!("structures: {KEYS} keys of each map were written {ROUNDS} times");
        Ok(last)
    }

    async fn read<T: Caller>(
        &self,
        from: KeepingClient<T>,
        kind: Kind,
        key: u64,
    ) -> Result<Option<u64>, String> {
        let deadline = self.runtime.port().now().after(STEP_WITHIN);
        loop {
            match from.read(kind, key).await {
                Ok(found) => return Ok(found),
                Err(error) if self.runtime.port().now() > deadline => {
                    return Err(format!("{kind:?} map: key {key} can't be read: {error}"));
                }
                Err(_) => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// A strong map answers with what it acknowledged.
    async fn is_kept(&self, key: u64, value: u64) -> Result<(), String> {
        match self.read(self.keeping(), Kind::Strong, key).await? {
            Some(found) if found == value => Ok(()),
            found => Err(format!("strong map: at {key} is {found:?}, and {value} was acknowledged")),
        }
    }

    async fn all_is_written(&self, written: &[u64]) -> Result<(), String> {
        for (key, value) in (0..).zip(written) {
            self.is_kept(key, *value).await?;
        }
        println!("structures: the strong map has all that it acknowledged");
        Ok(())
    }

    /// All members answer the same of the eventual map, when nothing is written any more.
    async fn all_agree(&self) -> Result<(), String> {
        let deadline = self.runtime.port().now().after(STEP_WITHIN);
        loop {
            let members = self.names.members(&self.fleet).await.unwrap_or_default();
            let mut differs = None;
            for key in 0..KEYS {
                let mut found: Vec<Option<u64>> = Vec::new();
                for member in &members {
                    let within = self.runtime.within(PATIENCE);
                    found.push(
                        self.read(KeepingClient::new(within, member.address), Kind::Eventual, key).await?,
                    );
                }
                found.dedup();
                if found.len() != 1 || found == [None] {
                    differs = Some((key, found));
                }
            }
            match differs {
                None if members.len() == MEMBERS => break,
                differs if self.runtime.port().now() > deadline => {
                    return Err(format!("eventual map: members do not agree: {differs:?}"));
                }
                _ => self.runtime.sleep(AGAIN_AFTER).await,
            }
        }
        println!("structures: {MEMBERS} members have the same in the eventual map");
        Ok(())
    }

    /// Nothing was wrong, and no number is lost: all can be had, and no more.
    async fn handles_kept_their_word(&self, eye: &Rc<Eye>) -> Result<(), String> {
        self.holder(eye).clear().await;
        if let Some(wrong) = eye.wrong() {
            return Err(wrong);
        }
        let (answered, stale) = eye.counts();
        println!(
            "structures: {answered} calls for handles were answered as they must be, {stale} of them of stale ones"
        );
        let deadline = self.runtime.port().now().after(STEP_WITHIN);
        let handing = || HandingClient::new(self.names.at(self.fleet.clone(), PATIENCE), Address::default());
        let mut all = Vec::new();
        while all.len() < HANDLES as usize {
            match handing().take(0).await {
                Ok(handle) => all.push(handle),
                // What the ended member had is being looked for.
                Err(_) if self.runtime.port().now() < deadline => self.runtime.sleep(AGAIN_AFTER).await,
                Err(error) => return Err(format!("only {} of {HANDLES} handles: {error:?}", all.len())),
            }
        }
        match handing().take(0).await {
            Err(CallError::Refused(HandingError::Exhausted)) => {}
            other => return Err(format!("all {HANDLES} handles are out, and one more is {other:?}")),
        }
        println!("structures: all {HANDLES} handles are there, once");
        Ok(())
    }
}

//! Calls to a name. What a look-up answered is kept and used until it is refused at use; then the name is looked up again
//! and the call made again, if it is certain that nothing was done or if doing it twice is doing it once. The caller sees
//! none of this, until its time is over.
//!
//! What a member of naming says is tried at use: one that says again and again where nobody is, or once where somebody is
//! who does not do what the name is for, is asked no more as long as another answers.
//!
//! A call that is under way when its server ends may be what ended it. So it is made once more at most: after a second end
//! it is refused as `Poisonous`, and a member that lives is told. It may have been innocent, which nobody can tell from
//! outside; a call that is refused in vain costs less than a third member.

use crate::news::Watch;
use crate::port::Class;
use crate::{Instant, Priority, Runtime};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::names::{
    Description, DirectoryKey, Entry, Found, LoadFigure, NameError, NamesClient, NamesInterface, Path,
    Policy, Query, RequestNumber,
};
use fos_messages::rpc::{Address, Answered, CallError, Caller, Interface, Operation, SendError, WriteBody};

use crate::{Within, calls};

/// Names that are kept.
pub const KEPT_MAX: usize = 256;
/// How long one member of naming may take.
pub(crate) const NAMING_WITHIN: Duration = Duration::from_millis(250);
/// Answers of one member of naming in a row that led to nobody, before another member is asked.
const WRONG_MAX: u32 = 3;
/// How long to wait before a name that has nobody now, or nobody with time, is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How often a call follows members that send it to each other before it pauses and looks the name up again.
const REDIRECTS_IN_A_ROW: u32 = 4;
/// A request that was running when this many servers ended is not tried again.
const DEATHS_MAX: u32 = 2;
/// A count that [`Names::forgotten`] never has.
const NEVER_KNOWN: u64 = u64::MAX;
/// How long a member is looked for that can be told of a poisonous request.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// A process's way to naming, and what it was told. One for each process: the numbers of its changes go up, and naming
/// would take a second one's for repetitions.
pub struct Names {
    runtime: Runtime,
    /// Members of naming; the first that answers is asked until it does not.
    servers: RefCell<Vec<Address>>,
    asked: Cell<usize>,
    place: (u16, u16),
    hash: u64,
    seen: Cell<u64>,
    last_number: Cell<u64>,
    kept: RefCell<BTreeMap<Path, Address>>,
    /// Counts how often something that was kept was forgotten or replaced.
    forgotten: Cell<u64>,
    /// Answers in a row that led to nobody, of the member that is asked.
    wrong: Cell<u32>,
}

pub(crate) type Refused = CallError<NameError>;

impl Names {
    /// A client of these members of naming, on a machine and core.
    pub fn new(runtime: Runtime, servers: Vec<Address>, place: (u16, u16)) -> Rc<Names> {
        let hash = runtime.port().identity().0;
        let (asked, seen, last_number, kept) = (Cell::new(0), Cell::new(0), Cell::new(0), RefCell::default());
        let (servers, forgotten, wrong) = (RefCell::new(servers), Cell::new(0), Cell::new(0));
        Rc::new(Names { runtime, servers, asked, place, hash, seen, last_number, kept, forgotten, wrong })
    }

    /// Calls to whoever is under a name, each within a time, retries included.
    pub fn at(self: &Rc<Self>, path: Path, time: Duration) -> Named {
        Named { names: self.clone(), path, time, known: Cell::default(), known_at: Cell::new(NEVER_KNOWN) }
    }

    /// Looks a name up at naming, whatever is kept.
    pub async fn look_up(&self, path: &Path) -> Result<Found, Refused> {
        self.look_up_before(path, Instant::NEVER).await
    }

    async fn look_up_before(&self, path: &Path, deadline: Instant) -> Result<Found, Refused> {
        let (machine, core) = self.place;
        let found = self.ask(deadline, "look_up", |naming| {
            let query = Query { seen: self.seen.get(), machine, core, hash: self.hash };
            async move { naming.look_up(path.clone(), query).await }
        });
        let (found, version) = found.await?;
        self.saw(version);
        Ok(found)
    }

    /// Makes a name with a key of its own below one whose key is `key`. It goes with this process unless it is `lasting`.
    pub async fn make(
        &self,
        path: &Path,
        key: DirectoryKey,
        own_key: DirectoryKey,
        lasting: bool,
    ) -> Result<(), Refused> {
        let owner = (!lasting).then(|| self.runtime.port().address(Class::External));
        self.change("make", |naming, number| async move {
            naming.make(number, path.clone(), key, own_key, owner).await
        })
        .await
    }

    /// Removes a name that has nothing below it; `key` is its own or one of a name above it.
    pub async fn remove(&self, path: &Path, key: DirectoryKey) -> Result<(), Refused> {
        self.change("remove", |naming, number| async move { naming.remove(number, path.clone(), key).await })
            .await
    }

    /// Registers this process under a name.
    pub async fn register(&self, path: &Path, key: DirectoryKey, entry: &Entry) -> Result<(), Refused> {
        self.change("register", |naming, number| async move {
            naming.register(number, path.clone(), key, entry.clone()).await
        })
        .await
    }

    /// Takes this process's registration back.
    pub async fn unregister(&self, path: &Path) -> Result<(), Refused> {
        self.change(
            "unregister",
            |naming, number| async move { naming.unregister(number, path.clone()).await },
        )
        .await
    }

    /// Sets by which rule look-ups choose.
    pub async fn set_policy(&self, path: &Path, key: DirectoryKey, policy: Policy) -> Result<(), Refused> {
        self.change("set_policy", |naming, number| async move {
            naming.set_policy(number, path.clone(), key, policy).await
        })
        .await
    }

    /// Everybody registered under a name, by process.
    pub async fn members(&self, path: &Path) -> Result<Vec<Entry>, Refused> {
        let mut found: Vec<Entry> = Vec::new();
        loop {
            let after = found.last().map_or(0, |entry| entry.address.identity.0);
            let more = self.members_after(path, after).await?;
            if more.is_empty() {
                return Ok(found);
            }
            found.extend(more);
        }
    }

    /// Whether a process is registered under a name.
    pub async fn is_member(&self, path: &Path, identity: Identity) -> Result<bool, Refused> {
        let found = self.members_after(path, identity.0.saturating_sub(1)).await?;
        Ok(found.first().is_some_and(|entry| entry.address.identity == identity))
    }

    async fn members_after(&self, path: &Path, after: u64) -> Result<Vec<Entry>, Refused> {
        let seen = self.seen.get();
        let listed = self.ask(Instant::NEVER, "list_members", |naming| {
            let path = path.clone();
            async move { naming.list_members(path, after, seen).await }
        });
        let (entries, version) = listed.await?;
        self.saw(version);
        Ok(entries)
    }

    /// Tells all members of naming how loaded this process is, which decides whom their look-ups answer. A figure that
    /// finds no room is lost: the next one is newer.
    pub fn report(&self, load: LoadFigure) {
        for server in self.servers.borrow().iter() {
            let _ = NamesClient::new(self.runtime.within(NAMING_WITHIN), *server).report(load);
        }
    }

    /// The components directly below a name.
    pub async fn list(&self, path: &Path) -> Result<Vec<String>, Refused> {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().map_or("", String::as_str);
            let listed = self.ask(Instant::NEVER, "list", |naming| {
                let (path, after, seen) = (path.clone(), after.to_string(), self.seen.get());
                async move { naming.list(path, after, seen).await }
            });
            let (names, version) = listed.await?;
            self.saw(version);
            if names.is_empty() {
                return Ok(found);
            }
            found.extend(names);
        }
    }

    /// What is to be said of a name, with all who are registered under it.
    pub async fn describe(&self, path: &Path) -> Result<Description, Refused> {
        let mut whole: Option<Description> = None;
        loop {
            let last = whole.as_ref().and_then(|whole| whole.members.last());
            let after = last.map_or(0, |(entry, _)| entry.address.identity.0);
            let described = self.ask(Instant::NEVER, "describe", |naming| {
                let (path, seen) = (path.clone(), self.seen.get());
                async move { naming.describe(path, after, seen).await }
            });
            let (description, version) = described.await?;
            self.saw(version);
            match &mut whole {
                Some(whole) if description.members.is_empty() => {
                    let members = core::mem::take(&mut whole.members);
                    return Ok(Description { members, ..description });
                }
                Some(whole) => whole.members.extend(description.members),
                None if description.members.is_empty() => return Ok(description),
                None => whole = Some(description),
            }
        }
    }

    /// The highest version in any answer so far.
    pub fn seen(&self) -> u64 {
        self.seen.get()
    }

    /// Follows what changes at a name and below it.
    pub fn watch(self: &Rc<Self>, path: Path) -> Watch {
        Watch::new(self.clone(), path)
    }

    /// A change under one request number, asked of one member after the other until one says what came of it.
    async fn change<F>(
        &self,
        operation: &str,
        change: impl Fn(NamesClient<Within>, RequestNumber) -> F,
    ) -> Result<(), Refused>
    where
        F: Future<Output = Result<u64, Refused>>,
    {
        let number = RequestNumber(self.last_number.get() + 1);
        self.last_number.set(number.0);
        let version = self.ask(Instant::NEVER, operation, |naming| change(naming, number)).await?;
        self.saw(version);
        Ok(())
    }

    /// Asks a member of naming, and the next when it can't say. Everything asked here may be asked twice.
    async fn ask<T, F>(
        &self,
        deadline: Instant,
        operation: &str,
        question: impl Fn(NamesClient<Within>) -> F,
    ) -> Result<T, Refused>
    where
        F: Future<Output = Result<T, Refused>>,
    {
        self.ask_within(NAMING_WITHIN, deadline, operation, question).await
    }

    /// The same with the time that one member may take.
    pub(crate) async fn ask_within<T, F>(
        &self,
        time: Duration,
        deadline: Instant,
        operation: &str,
        question: impl Fn(NamesClient<Within>) -> F,
    ) -> Result<T, Refused>
    where
        F: Future<Output = Result<T, Refused>>,
    {
        let mut outcome = Err(CallError::NotSent(SendError::Closed));
        let mut deaths = 0;
        for _ in 0..2 * self.server_count() {
            let Some(server) = self.asked() else { break };
            let left = deadline.since(self.runtime.port().now());
            if left.is_zero() {
                return Err(CallError::TimedOut);
            }
            let naming = NamesClient::new(self.runtime.within(left.min(time)), server);
            outcome = question(naming).await;
            match &outcome {
                Ok(_) | Err(CallError::Refused(_)) => return outcome,
                Err(error) => {
                    self.asked.set(self.asked.get() + 1);
                    deaths += u32::from(*error == CallError::PeerLost);
                }
            }
            if deaths == DEATHS_MAX {
                self.report_to_naming(operation);
                return Err(CallError::Poisonous);
            }
        }
        outcome
    }

    fn server_count(&self) -> usize {
        self.servers.borrow().len()
    }

    /// The member of naming whose turn it is, around the end.
    fn server(&self, turn: usize) -> Option<Address> {
        let servers = self.servers.borrow();
        servers.get(turn.checked_rem(servers.len())?).copied()
    }

    /// The member of naming that is asked now.
    pub(crate) fn asked(&self) -> Option<Address> {
        self.server(self.asked.get())
    }

    /// These are the members of naming now. Who is asked still is, if it is one of them.
    pub(crate) fn is_served_by(&self, found: &[Address]) {
        let asked = self.asked();
        let mut servers = self.servers.borrow_mut();
        servers.retain(|server| found.contains(server));
        let new: Vec<Address> = found.iter().filter(|server| !servers.contains(server)).copied().collect();
        servers.extend(new);
        let place = servers.iter().position(|server| Some(*server) == asked);
        self.asked.set(place.unwrap_or_default());
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Tells the first member of naming that can be told.
    fn report_to_naming(&self, operation: &str) {
        let poison = NamesInterface::OPERATIONS.iter().find(|known| known.name == operation);
        let Some(poison) = poison else { return };
        let caller = self.runtime.within(NAMING_WITHIN);
        let mut others = (0..self.server_count()).filter_map(|step| self.server(self.asked.get() + step));
        others.find(|server| caller.report_poison(server, poison).is_ok());
    }

    /// Tells the next member that a name leads to, in a task of its own: whoever called has its error already.
    fn report_to_next(self: &Rc<Self>, path: &Path, poison: &Operation) {
        self.forget(path);
        let (names, path, poison) = (self.clone(), path.clone(), *poison);
        self.runtime.spawn(Priority::Normal, async move {
            let deadline = names.runtime.port().now().after(REPORT_WITHIN);
            while names.runtime.port().now() < deadline {
                if let Ok(address) = names.resolve(&path, deadline).await {
                    match names.runtime.within(NAMING_WITHIN).report_poison(&address, &poison) {
                        Ok(()) => return,
                        Err(_) => names.forget(&path),
                    }
                }
                names.runtime.sleep(AGAIN_AFTER).await;
            }
        });
    }

    pub(crate) fn saw(&self, version: u64) {
        self.seen.set(self.seen.get().max(version));
    }

    /// Where a name leads, from what is kept or from naming.
    async fn resolve(&self, path: &Path, deadline: Instant) -> Result<Address, CallError<&'static [u8]>> {
        let kept = self.kept.borrow().get(path).copied();
        if let Some(address) = kept {
            return Ok(address);
        }
        let address = match self.look_up_before(path, deadline).await {
            Ok(Found::Member(entry)) => entry.address,
            Ok(Found::Ask(address)) => address,
            Err(CallError::Refused(NameError::NoMembers)) => return Err(CallError::NotNow),
            Err(CallError::Refused(_)) => return Err(CallError::NotFound),
            Err(error) => return Err(error.map(|_| [].as_slice())),
        };
        self.keep(path, address);
        Ok(address)
    }

    fn keep(&self, path: &Path, address: Address) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT_MAX && !kept.contains_key(path) {
            kept.pop_first();
        }
        if kept.insert(path.clone(), address).is_some_and(|before| before != address) {
            self.forgotten.set(self.forgotten.get() + 1);
        }
    }

    /// What the asked member of naming just said was tried: whether somebody was there who does what the name is for.
    fn tried(&self, was_right: bool, wrong_by: u32) {
        let wrong = if was_right { 0 } else { self.wrong.get() + wrong_by };
        let is_enough = wrong >= WRONG_MAX;
        self.asked.set(self.asked.get() + usize::from(is_enough));
        self.wrong.set(if is_enough { 0 } else { wrong });
    }

    /// What is kept of a name leads nowhere good.
    fn forget(&self, path: &Path) {
        self.kept.borrow_mut().remove(path);
        self.forgotten.set(self.forgotten.get() + 1);
    }
}

/// Calls to a name. As a [`Caller`] it goes by its name, whatever address it is told.
#[derive(Clone)]
pub struct Named {
    names: Rc<Names>,
    path: Path,
    time: Duration,
    /// Where it led last.
    known: Cell<Address>,
    /// [`Names::forgotten`] when it was known last: until that changes, it is so.
    known_at: Cell<u64>,
}

/// What is done about how a try of a call ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The caller hears it.
    Tell,
    /// Nobody was there: another is asked.
    AskAnother,
    /// Whoever was there does something else than the name is for: another member of naming may know better.
    AskElsewhere,
    /// Whoever was there has no time, or is not the one for this: somebody is asked a little later.
    AskLater,
    /// Whoever was there ended meanwhile: another is asked, unless it was so before.
    AskUnlessPoisonous,
    /// Whoever was there sends this client elsewhere.
    Follow(Address),
}

impl Then {
    fn after(answered: &Answered<'_>, operation: &Operation) -> Then {
        match answered {
            Err(CallError::NotSent(SendError::Closed)) => Then::AskAnother,
            Err(CallError::Unknown | CallError::OtherVersion(_)) => Then::AskElsewhere,
            Err(CallError::NotNow | CallError::Overloaded) => Then::AskLater,
            Err(CallError::PeerLost) if operation.is_idempotent => Then::AskUnlessPoisonous,
            Err(CallError::Redirected(elsewhere)) => Then::Follow(*elsewhere),
            _ => Then::Tell,
        }
    }
}

impl Named {
    /// One try. The time that is left bounds it.
    async fn call_once<T>(
        &self,
        deadline: Instant,
        operation: &Operation,
        body: WriteBody<'_>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> (Then, T) {
        let read = |answered: Answered<'_>| (Then::after(&answered, operation), read(answered));
        let known = self.known();
        let address = match known {
            Some(address) => address,
            None => match self.names.resolve(&self.path, deadline).await {
                Ok(address) => address,
                Err(error) => return read(Err(error)),
            },
        };
        let caller = self.names.runtime.within(self.left(deadline));
        let (then, value) = caller.ask(&address, operation, body, read).await;
        match then {
            _ if known.is_some() => {}
            Then::AskAnother => self.names.tried(false, 1),
            Then::AskElsewhere => self.names.tried(false, WRONG_MAX),
            _ => self.names.tried(true, 0),
        }
        (then, value)
    }

    /// Where the name leads, if that is kept.
    #[inline]
    fn known(&self) -> Option<Address> {
        match self.known_at.get() == self.names.forgotten.get() {
            true => Some(self.known.get()),
            false => self.look_in_kept(),
        }
    }

    #[inline(never)]
    fn look_in_kept(&self) -> Option<Address> {
        let address = self.names.kept.borrow().get(&self.path).copied()?;
        self.known.set(address);
        self.known_at.set(self.names.forgotten.get());
        Some(address)
    }

    fn left(&self, deadline: Instant) -> Duration {
        deadline.since(self.names.runtime.port().now())
    }
}

impl Caller for Named {
    async fn call<'a, T>(
        &'a self,
        _: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        let deadline = self.names.runtime.port().now().after(self.time);
        let (mut deaths, mut stale, mut others, mut redirections) = (0, 0, 0, 0);
        loop {
            let (then, value) = self.call_once(deadline, operation, body, &read).await;
            match then {
                // From now on this client's calls go there.
                Then::Follow(elsewhere)
                    if redirections < REDIRECTS_IN_A_ROW && !self.left(deadline).is_zero() =>
                {
                    redirections += 1;
                    self.names.keep(&self.path, elsewhere);
                    continue;
                }
                // Members that send clients to each other: they will know better soon.
                Then::Follow(_) => {
                    redirections = 0;
                    self.names.runtime.sleep(AGAIN_AFTER).await;
                }
                // The first time it was what was kept; if naming says so too, it needs a moment to notice.
                Then::AskAnother => {
                    stale += 1;
                    if stale > 1 {
                        self.names.runtime.sleep(AGAIN_AFTER).await;
                    }
                }
                Then::AskLater => self.names.runtime.sleep(AGAIN_AFTER).await,
                Then::AskUnlessPoisonous => {
                    deaths += 1;
                    if deaths == DEATHS_MAX {
                        self.names.report_to_next(&self.path, operation);
                        return read(Err(CallError::Poisonous));
                    }
                }
                // Another member of naming may know better; if none does, it is so.
                Then::AskElsewhere if others < self.names.server_count() => others += 1,
                Then::AskElsewhere | Then::Tell => return value,
            }
            self.names.forget(&self.path);
            if self.left(deadline).is_zero() {
                return value;
            }
        }
    }

    /// Goes to whom a call went before; `Closed` if there was none, or it has ended: a call finds the next.
    fn post(&self, _: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<(), SendError> {
        let address = self.known().ok_or(SendError::Closed)?;
        let sent = calls::post(&self.names.runtime, 0, &address, operation, body);
        if sent == Err(SendError::Closed) {
            self.names.forget(&self.path);
        }
        sent
    }
}

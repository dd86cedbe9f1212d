//! Members of naming with an error, each of which a run of `naming` or `hostile` must find. The error stands before the member's own service; the
//! rest of the member is as it always is.

use super::Scenario;
use super::naming::{SCENARIO, begin_with};
use fos_abi::Identity;
use fos_messages::names::{
    Description, DirectoryKey, Entry, Found, LoadFigure, NameError, Names, NamesDispatcher, News, Path,
    Policy, Query, RequestNumber,
};
use fos_messages::rpc::{Address, Context, Instead};
use fos_naming::member::Naming;
use fos_naming::record::{Part, Place, Record};
use fos_naming::replication::Replication;
use fos_naming::service::Service;
use fos_replicated_map::{Identity as Owner, Operation};
use fos_runtime::Runtime;
use fos_runtime::port::Class;
use std::rc::Rc;

/// A client that has seen the last version is answered from the one before.
pub const ANSWERS_FROM_AN_OLD_MAP: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, |at, by| dress(at, by, Error::OldMap)),
    ..SCENARIO
};

/// Every fourth registration is acknowledged and not done.
pub const LOSES_REGISTRATIONS: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, |at, by| dress(at, by, Error::Loses)),
    ..SCENARIO
};

/// Registrations are nobody's, so they stay when their process ends.
pub const KEEPS_THE_DEAD: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, |at, by| dress(at, by, Error::KeepsDead)),
    ..SCENARIO
};

/// Look-ups find a process that never registered.
pub const FINDS_A_STRANGER: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, |at, by| dress(at, by, Error::Stranger)),
    ..SCENARIO
};

/// Of several changes the last is not told to those who watch.
pub const KEEPS_NEWS: Scenario = Scenario {
    begin: |world, messages| begin_with(world, messages, |at, by| dress(at, by, Error::KeepsNews)),
    ..SCENARIO
};

/// The member answers look-ups with this process instead of the one that registered.
pub fn leads_to(runtime: &Runtime, naming: &Naming, address: Address) {
    dress(runtime, naming, Error::LeadsTo(address));
}

/// The member asks nobody who makes a name for a directory's key.
pub fn needs_no_key(runtime: &Runtime, naming: &Naming) {
    dress(runtime, naming, Error::NeedsNoKey);
}

#[derive(Clone, Copy, PartialEq)]
enum Error {
    LeadsTo(Address),
    NeedsNoKey,
    KeepsNews,
    OldMap,
    Loses,
    KeepsDead,
    Stranger,
}

fn dress(runtime: &Runtime, naming: &Naming, error: Error) {
    let (honest, replication) = (Service(naming.server.clone()), naming.replication.clone());
    runtime.serve(Class::External, NamesDispatcher::new(Rc::new(Wrong { honest, replication, error })));
}

struct Wrong {
    honest: Service,
    replication: Rc<Replication>,
    error: Error,
}

type Answered<T> = Result<T, Instead<NameError>>;

impl Wrong {
    /// Changes the map as no service would.
    async fn insert(&self, key: Place, value: Record, owner: Owner) -> Answered<u64> {
        let made = self.replication.own_update(Operation::Insert { key, value, owner }).await;
        made.map(|(version, _)| version.0).map_err(|_| Instead::NotNow)
    }
}

impl Names for Wrong {
    fn look_up(&self, context: Context, path: Path, query: Query) -> Answered<(Found, u64)> {
        let seen = query.seen;
        let (mut found, mut version) = self.honest.look_up(context, path, query)?;
        match (&mut found, self.error) {
            (_, Error::OldMap) if seen == version => version -= 1,
            (Found::Member(entry), Error::LeadsTo(address)) => entry.address = address,
            (Found::Member(entry), Error::Stranger) => entry.address.identity = Identity(77_777),
            _ => {}
        }
        Ok((found, version))
    }
    fn list(&self, context: Context, path: Path, after: String, seen: u64) -> Answered<(Vec<String>, u64)> {
        self.honest.list(context, path, after, seen)
    }
    fn list_members(
        &self,
        context: Context,
        path: Path,
        after: u64,
        seen: u64,
    ) -> Answered<(Vec<Entry>, u64)> {
        self.honest.list_members(context, path, after, seen)
    }
    async fn make(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        own_key: DirectoryKey,
        owner: Option<Address>,
    ) -> Answered<u64> {
        if self.error != Error::NeedsNoKey {
            return self.honest.make(context, number, path, key, own_key, owner).await;
        }
        let value = Record::Head { lock: own_key, policy: Policy::default(), owner };
        let owner = Owner(owner.map_or(0, |_| context.sender.0));
        self.insert(Place::Name(path, Part::Head), value, owner).await
    }
    async fn remove(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
    ) -> Answered<u64> {
        self.honest.remove(context, number, path, key).await
    }
    async fn set_policy(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        policy: Policy,
    ) -> Answered<u64> {
        self.honest.set_policy(context, number, path, key, policy).await
    }
    async fn register(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        entry: Entry,
    ) -> Answered<u64> {
        match self.error {
            Error::Loses if context.sender.0.is_multiple_of(4) => Ok(1),
            Error::KeepsDead => {
                let key = Place::Name(path, Part::Member(context.sender.0));
                self.insert(key, Record::Member(entry), Owner(0)).await
            }
            _ => self.honest.register(context, number, path, key, entry).await,
        }
    }
    async fn unregister(&self, context: Context, number: RequestNumber, path: Path) -> Answered<u64> {
        self.honest.unregister(context, number, path).await
    }
    fn report(&self, context: Context, load: LoadFigure) {
        self.honest.report(context, load);
    }
    async fn watch(&self, context: Context, path: Path, since: u64) -> Answered<News> {
        let mut news = self.honest.watch(context, path, since).await?;
        if self.error == Error::KeepsNews {
            news.changes.pop();
        }
        Ok(news)
    }
    fn describe(&self, context: Context, path: Path, after: u64, seen: u64) -> Answered<(Description, u64)> {
        self.honest.describe(context, path, after, seen)
    }
}
